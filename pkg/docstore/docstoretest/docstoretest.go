// Package docstoretest is the conformance suite of pkg/docstore: what every adapter
// must do, run by each adapter's own tests. Mongo helps the tests of others to a
// server that speaks the MongoDB protocol.
package docstoretest

import (
	"context"
	"testing"
	"time"

	"github.com/rs/xid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// Lacks gives, by the name of a test, the reason why a server cannot pass it.
type Lacks map[string]string

// Run runs the suite but for what the server lacks. Each test opens collections under
// new names, so open may return the same database every time; it closes what it opens
// by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) docstore.DB, lacks Lacks) {
	tests := []struct {
		name string
		run  func(*testing.T, docstore.DB)
	}{
		{"documents", documents},
		{"conflicts", conflicts},
		{"uniqueness", uniqueness},
		{"uniqueness of changes", uniquenessOfChanges},
		{"bulk", bulk},
		{"declarations", declarations},
		{"ranges", ranges},
		{"cursors", cursors},
		{"undeclared fields", undeclared},
		{"field added later", fieldAddedLater},
		{"index changed later", indexChangedLater},
		{"one winner", oneWinner},
		{"parallel increments", parallelIncrements},
		{"bounded update", boundedUpdate},
		{"outbox", outbox},
		{"crash before sending", crashBeforeSending},
		{"crash before clearing", crashBeforeClearing},
		{"failing publisher", failingPublisher},
		{"delete keeps messages", deleteKeepsMessages},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if reason := lacks[test.name]; reason != "" {
				t.Skip(reason)
			}
			test.run(t, open(t))
		})
	}
}

type kind string

type owner struct {
	Name string `bson:"name"`
}

type project struct {
	docstore.Meta `bson:",inline"`
	Workspace     string            `bson:"workspace"`
	Name          string            `bson:"name"`
	Kind          kind              `bson:"kind"`
	Size          int               `bson:"size"`
	Open          bool              `bson:"open"`
	Changed       time.Time         `bson:"changed"`
	Owner         owner             `bson:"owner"`
	Digest        []byte            `bson:"digest"`
	Files         []string          `bson:"files"`
	Labels        map[string]string `bson:"labels"`
	Done          *time.Time        `bson:"done"`
}

var projectIndexes = []docstore.Index{
	{Name: "name", Fields: []string{"workspace", "name"}, Unique: true},
	{Name: "recent", Fields: []string{"workspace", "changed"}},
	{Name: "kind", Fields: []string{"kind", "open", "size"}},
	{Name: "owner", Fields: []string{"owner.name"}},
}

func newName(prefix string) string { return prefix + "-" + xid.New().String() }

func openProjects(t *testing.T, db docstore.DB) *docstore.Collection[project] {
	t.Helper()
	projects, err := docstore.Open[project](t.Context(), db, newName("projects"), projectIndexes...)
	require.NoError(t, err)
	return projects
}

func newProject(workspace, name string) *project {
	return &project{Meta: docstore.Meta{ID: xid.New().String()}, Workspace: workspace, Name: name}
}

func requireCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	require.Equalf(t, code, fault.CodeOf(err), "%v", err)
}

func documents(t *testing.T, db docstore.DB) {
	projects, ctx := openProjects(t, db), t.Context()
	done := time.Date(2026, 5, 1, 12, 0, 0, 7_000_000, time.UTC)
	p := newProject("w", "blink")
	p.Kind, p.Size, p.Open, p.Done, p.Owner.Name = "arduino", 1<<40, true, &done, "ana"
	p.Changed = time.Date(2026, 5, 1, 14, 0, 0, 123_456_789, time.FixedZone("CEST", 7200))
	p.Digest, p.Files, p.Labels = []byte{0, 1, 255}, []string{"a.ino", ""}, map[string]string{"a": "b"}
	require.NoError(t, projects.Insert(ctx, p))
	require.EqualValues(t, 1, p.Rev)

	got, err := projects.Get(ctx, p.ID)
	require.NoError(t, err)
	want := *p
	want.Changed = time.Date(2026, 5, 1, 12, 0, 0, 123_000_000, time.UTC) // milliseconds, UTC
	require.Equal(t, &want, got)

	got.Name = "blink 2"
	require.NoError(t, projects.Replace(ctx, got))
	require.EqualValues(t, 2, got.Rev)
	again, err := projects.Get(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, got, again)

	updated, err := projects.Update(ctx, p.ID, func(p *project) error { p.Size++; return nil })
	require.NoError(t, err)
	require.Equal(t, 1<<40+1, updated.Size)
	require.EqualValues(t, 3, updated.Rev)

	_, err = projects.Update(ctx, p.ID, func(p *project) error { p.Size = 0; return fault.New(fault.Forbidden, "no") })
	requireCode(t, err, fault.Forbidden)
	_, err = projects.Update(ctx, p.ID, func(p *project) error { *p = project{}; return nil })
	requireCode(t, err, fault.Internal)
	again, err = projects.Get(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, updated, again)

	require.NoError(t, projects.Delete(ctx, p.ID, 3))
	_, err = projects.Get(ctx, p.ID)
	requireCode(t, err, fault.NotFound)
	_, err = projects.Update(ctx, p.ID, func(*project) error { return nil })
	requireCode(t, err, fault.NotFound)
	requireCode(t, projects.Delete(ctx, p.ID, 0), fault.NotFound)

	zero := newProject("", "")
	require.NoError(t, projects.Insert(ctx, zero))
	got, err = projects.Get(ctx, zero.ID)
	require.NoError(t, err)
	assert.True(t, got.Changed.IsZero())
	assert.Nil(t, got.Done)

	requireCode(t, projects.Insert(ctx, &project{}), fault.Invalid)
	huge := newProject("w", "huge")
	huge.Digest = make([]byte, docstore.MaxSize)
	requireCode(t, projects.Insert(ctx, huge), fault.TooLarge)
	require.NoError(t, db.Ping(ctx))
}

func conflicts(t *testing.T, db docstore.DB) {
	projects, ctx := openProjects(t, db), t.Context()
	p := newProject("w", "one")
	require.NoError(t, projects.Insert(ctx, p))
	requireCode(t, projects.Insert(ctx, newCopy(p, "other")), fault.Conflict)

	old := newCopy(p, "old")
	p.Name = "two"
	require.NoError(t, projects.Replace(ctx, p))
	requireCode(t, projects.Replace(ctx, old), fault.Conflict)
	require.EqualValues(t, 1, old.Rev, "a failed write leaves the document as it was")
	requireCode(t, projects.Delete(ctx, p.ID, 1), fault.Conflict)
	require.NoError(t, projects.Delete(ctx, p.ID, 0))
	requireCode(t, projects.Replace(ctx, p), fault.Conflict)
}

func newCopy(p *project, name string) *project {
	copied := *p
	copied.Name = name
	return &copied
}

func uniqueness(t *testing.T, db docstore.DB) {
	projects, ctx := openProjects(t, db), t.Context()
	one := newProject("w", "one")
	require.NoError(t, projects.InsertMany(ctx, []*project{one, newProject("w", "two"), newProject("other", "one")}))
	requireCode(t, projects.Insert(ctx, newProject("w", "one")), fault.Conflict)
	requireCode(t, projects.Insert(ctx, newCopy(one, "three")), fault.Conflict)
	require.NoError(t, projects.Delete(ctx, one.ID, 0))
	require.NoError(t, projects.Insert(ctx, newProject("w", "one")), "the name is free again")
}

func uniquenessOfChanges(t *testing.T, db docstore.DB) {
	projects, ctx := openProjects(t, db), t.Context()
	one, two := newProject("w", "one"), newProject("w", "two")
	require.NoError(t, projects.InsertMany(ctx, []*project{one, two}))
	requireTaken := func(field string, err error) {
		t.Helper()
		requireCode(t, err, fault.Conflict)
		require.Equal(t, field, fault.As(err).Field)
	}
	requireTaken("_id", projects.Insert(ctx, newCopy(one, "three")))
	requireTaken("name", projects.Insert(ctx, newProject("w", "one")))
	two.Name = "one"
	requireTaken("name", projects.Replace(ctx, two))
	_, err := projects.Update(ctx, two.ID, func(p *project) error { p.Name = "one"; return nil })
	requireTaken("name", err)
	require.NoError(t, projects.Delete(ctx, one.ID, 0))
	require.NoError(t, projects.Replace(ctx, two), "the name is free again")
}

func bulk(t *testing.T, db docstore.DB) {
	projects, ctx := openProjects(t, db), t.Context()
	require.NoError(t, projects.InsertMany(ctx, nil))
	var many []*project
	for i := range 300 {
		many = append(many, newProject("w", string(rune('a'+i%26))+xid.New().String()))
	}
	require.NoError(t, projects.InsertMany(ctx, many))
	n, err := projects.Count(ctx, docstore.Eq("workspace", "w"))
	require.NoError(t, err)
	require.EqualValues(t, 300, n)

	seen := 0
	for p, err := range projects.All(ctx, docstore.Query{Where: []docstore.Cond{docstore.Eq("workspace", "w")}, Limit: 77}) {
		require.NoError(t, err)
		require.EqualValues(t, 1, p.Rev)
		seen++
	}
	require.Equal(t, 300, seen)

	first, last := newProject("bulk", "first"), newProject("bulk", "last")
	requireCode(t, projects.InsertMany(ctx, []*project{first, newCopy(first, "again"), last}), fault.Conflict)
	_, err = projects.Get(ctx, first.ID)
	require.NoError(t, err, "what comes before the refused document is kept")
	_, err = projects.Get(ctx, last.ID)
	requireCode(t, err, fault.NotFound)
}

func declarations(t *testing.T, db docstore.DB) {
	type notInline struct {
		docstore.Meta
		Name string
	}
	type fields struct {
		docstore.Meta `bson:",inline"`
		Float         float64  `bson:"float"`
		Optional      string   `bson:"optional,omitempty"`
		Pointer       *string  `bson:"pointer"`
		List          []string `bson:"list"`
		hidden        string   //nolint:unused // must not be found
	}
	_, err := docstore.Open[notInline](t.Context(), db, newName("c"))
	require.ErrorContains(t, err, "inline")
	_, err = docstore.Open[fields](t.Context(), db, "Not a name")
	require.Error(t, err)
	for _, field := range []string{"float", "optional", "pointer", "list", "hidden", "missing", "float.x", ""} {
		_, err := docstore.Open[fields](t.Context(), db, newName("c"), docstore.Index{Name: "i", Fields: []string{field}})
		require.Errorf(t, err, "field %q", field)
	}
	_, err = docstore.Open[project](t.Context(), db, newName("c"), projectIndexes[0], projectIndexes[0])
	require.Error(t, err, "an index name twice")
}

func oneWinner(t *testing.T, db docstore.DB) {
	projects, ctx := openProjects(t, db), t.Context()
	p := newProject("w", "one")
	require.NoError(t, projects.Insert(ctx, p))
	const rivals = 8
	results := make(chan error, rivals)
	for i := range rivals {
		rival := newCopy(p, "rival "+string(rune('a'+i)))
		go func() { results <- projects.Replace(context.WithoutCancel(ctx), rival) }()
	}
	winners := 0
	for range rivals {
		if err := <-results; err == nil {
			winners++
		} else {
			requireCode(t, err, fault.Conflict)
		}
	}
	require.Equal(t, 1, winners)
	got, err := projects.Get(ctx, p.ID)
	require.NoError(t, err)
	require.EqualValues(t, 2, got.Rev)
}
