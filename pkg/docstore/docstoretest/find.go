package docstoretest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// tenProjects inserts p0 … p9 with sizes -5 … 4, a minute apart, open when even, of
// kind a, b or c in turn.
func tenProjects(t *testing.T, db docstore.DB) *docstore.Collection[project] {
	projects := openProjects(t, db)
	var ten []*project
	for i := range 10 {
		name := fmt.Sprintf("p%d", i)
		ten = append(ten, &project{
			Meta: docstore.Meta{ID: name}, Name: name, Workspace: "w", Size: i - 5, Open: i%2 == 0,
			Kind: kind(rune('a' + i%3)), Changed: noon.Add(time.Duration(i) * time.Minute), Owner: owner{Name: "ana"},
		})
	}
	ten[9].Owner.Name, ten[8].Owner.Name = "Zoë", "ana-maria"
	slices.Reverse(ten) // the order of insertion must not matter
	require.NoError(t, projects.InsertMany(t.Context(), ten))
	return projects
}

func names(items []*project) (names string) {
	for _, p := range items {
		names += p.Name[1:]
	}
	return names
}

func ranges(t *testing.T, db docstore.DB) {
	projects := tenProjects(t, db)
	at := func(i int) time.Time { return noon.Add(time.Duration(i) * time.Minute) }
	type conds = []docstore.Cond
	tests := []struct {
		query docstore.Query
		want  string
	}{
		{docstore.Query{}, "0123456789"},
		{docstore.Query{Desc: true}, "9876543210"},
		{docstore.Query{Where: conds{docstore.Eq("_id", "p3")}}, "3"},
		{docstore.Query{Where: conds{docstore.Gt("_id", "p7")}}, "89"},
		{docstore.Query{Where: conds{docstore.Eq("name", "p3")}}, "3"},
		{docstore.Query{Where: conds{docstore.Eq("name", "P3")}}, ""},
		{docstore.Query{Where: conds{docstore.Eq("workspace", "x")}}, ""},
		{docstore.Query{Where: conds{docstore.Eq("size", -2)}}, "3"},
		{docstore.Query{Where: conds{docstore.Eq("size", uint8(4))}}, "9"},
		{docstore.Query{Where: conds{docstore.Lt("size", -2)}}, "012"},
		{docstore.Query{Where: conds{docstore.Lte("size", int64(-2))}}, "0123"},
		{docstore.Query{Where: conds{docstore.Gt("size", 2)}}, "89"},
		{docstore.Query{Where: conds{docstore.Gte("size", 2)}}, "789"},
		{docstore.Query{Where: conds{docstore.Between("size", -1, 1)}}, "456"},
		{docstore.Query{Where: conds{docstore.In("size", 4, -5, 99)}}, "09"},
		{docstore.Query{Where: conds{docstore.In("kind", kind("a"), kind("c"))}}, "0235689"},
		{docstore.Query{Where: conds{docstore.In[string]("kind")}}, ""},
		{docstore.Query{Where: conds{docstore.Eq("open", true)}}, "02468"},
		{docstore.Query{Where: conds{docstore.Eq("open", false), docstore.Gt("size", 0)}}, "79"},
		{docstore.Query{Where: conds{docstore.Gte("changed", at(3)), docstore.Lt("changed", at(5))}}, "34"},
		{docstore.Query{Where: conds{docstore.Eq("changed", at(3).Local())}}, "3"},
		{docstore.Query{Where: conds{docstore.Eq("changed", at(3).Add(time.Microsecond))}}, "3"},
		{docstore.Query{Where: conds{docstore.Eq("owner.name", "Zoë")}}, "9"},
		{docstore.Query{Sort: "owner.name"}, "9012345678"}, // by bytes: upper case first
		{docstore.Query{Sort: "owner.name", Desc: true}, "8765432109"},
		{docstore.Query{Sort: "kind"}, "0369147258"},
		{docstore.Query{Sort: "kind", Desc: true}, "8527419630"},
		{docstore.Query{Sort: "changed", Desc: true, Limit: 3}, "987"},
		{docstore.Query{Sort: "open"}, "1357902468"},
		{docstore.Query{Where: conds{docstore.Eq("workspace", "w")}, Sort: "size", Limit: 2}, "01"},
	}
	for _, test := range tests {
		page, err := projects.Find(t.Context(), test.query)
		require.NoErrorf(t, err, "%+v", test.query)
		assert.Equalf(t, test.want, names(page.Items), "%+v", test.query)
		if test.query.Limit == 0 {
			n, err := projects.Count(t.Context(), test.query.Where...)
			require.NoError(t, err)
			assert.EqualValuesf(t, len(test.want), n, "count %+v", test.query)
		}
	}
}

func cursors(t *testing.T, db docstore.DB) {
	projects := tenProjects(t, db)
	for _, sort := range []string{"", "_id", "name", "kind", "size", "open", "changed", "owner.name"} {
		for _, desc := range []bool{false, true} {
			whole, err := projects.Find(t.Context(), docstore.Query{Sort: sort, Desc: desc})
			require.NoError(t, err)
			require.Empty(t, whole.Next)
			for _, limit := range []int{1, 3, 10} {
				pages, query := "", docstore.Query{Sort: sort, Desc: desc, Limit: limit}
				for {
					page, err := projects.Find(t.Context(), query)
					require.NoError(t, err)
					require.LessOrEqual(t, len(page.Items), limit)
					pages += names(page.Items)
					if query.After = page.Next; page.Next == "" {
						break
					}
				}
				assert.Equalf(t, names(whole.Items), pages, "sort %q, desc %t, limit %d", sort, desc, limit)
			}
		}
	}

	page, err := projects.Find(t.Context(), docstore.Query{Sort: "size", Limit: 4})
	require.NoError(t, err)
	require.NoError(t, projects.Delete(t.Context(), page.Items[3].ID, 0))
	rest, err := projects.Find(t.Context(), docstore.Query{Sort: "size", After: page.Next})
	require.NoError(t, err)
	assert.Equal(t, "456789", names(rest.Items), "a page goes on where its last document was")

	for _, query := range []docstore.Query{
		{Sort: "size", Desc: true, After: page.Next},
		{Sort: "name", After: page.Next},
		{After: page.Next},
		{Sort: "size", After: page.Next[1:]},
		{Sort: "size", After: "%"},
	} {
		_, err := projects.Find(t.Context(), query)
		requireCode(t, err, fault.Invalid)
		assert.Equal(t, "after", fault.As(err).Field)
	}
}

func undeclared(t *testing.T, db docstore.DB) {
	projects := tenProjects(t, db)
	for _, query := range []docstore.Query{
		{Where: []docstore.Cond{docstore.Eq("digest", "x")}},
		{Where: []docstore.Cond{docstore.Eq("no such field", 1)}},
		{Where: []docstore.Cond{docstore.Eq("$where", "1")}},
		{Sort: "files"},
		{Where: []docstore.Cond{docstore.Eq("name", 1)}},
		{Where: []docstore.Cond{docstore.Eq("name", map[string]any{"$ne": ""})}},
		{Where: []docstore.Cond{docstore.Eq("size", "1")}},
		{Where: []docstore.Cond{docstore.Eq("size", nil)}},
		{Where: []docstore.Cond{docstore.Eq("changed", "2026-05-01")}},
		{Where: []docstore.Cond{docstore.In("name", make([]string, docstore.MaxIn+1)...)}},
	} {
		_, err := projects.Find(t.Context(), query)
		requireCode(t, err, fault.Invalid)
		if len(query.Where) > 0 {
			_, err = projects.Count(t.Context(), query.Where...)
			requireCode(t, err, fault.Invalid)
		}
	}
}

func fieldAddedLater(t *testing.T, db docstore.DB) {
	type before struct {
		docstore.Meta `bson:",inline"`
		Name          string `bson:"name"`
	}
	type after struct {
		docstore.Meta `bson:",inline"`
		Name          string    `bson:"name"`
		Archived      bool      `bson:"archived"`
		Since         time.Time `bson:"since"`
		Owner         owner     `bson:"owner"`
	}
	name, ctx := newName("grown"), t.Context()
	old, err := docstore.Open[before](ctx, db, name)
	require.NoError(t, err)
	for _, id := range []string{"a", "b"} {
		require.NoError(t, old.Insert(ctx, &before{docstore.Meta{ID: id}, "name of " + id}))
	}
	for range 2 { // the second time, nothing is left to do
		grown, err := docstore.Open[after](ctx, db, name,
			docstore.Index{Name: "name", Fields: []string{"name"}, Unique: true},
			docstore.Index{Name: "since", Fields: []string{"archived", "owner.name", "since"}})
		require.NoError(t, err)
		page, err := grown.Find(ctx, docstore.Query{Sort: "since", Where: []docstore.Cond{
			docstore.Eq("archived", false), docstore.Eq("owner.name", ""), docstore.Lt("since", noon),
		}})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		page, err = grown.Find(ctx, docstore.Query{Where: []docstore.Cond{docstore.Eq("name", "name of b")}})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		require.Equal(t, "b", page.Items[0].ID)
		require.EqualValues(t, 1, page.Items[0].Rev)
		requireCode(t, grown.Insert(ctx, &after{Meta: docstore.Meta{ID: "c"}, Name: "name of b"}), fault.Conflict)
	}
}

func indexChangedLater(t *testing.T, db docstore.DB) {
	name, ctx := newName("changed"), t.Context()
	unique := docstore.Index{Name: "name", Fields: []string{"name"}, Unique: true}
	perWorkspace := docstore.Index{Name: "name", Fields: []string{"workspace", "name"}, Unique: true}
	projects, err := docstore.Open[project](ctx, db, name, unique)
	require.NoError(t, err)
	require.NoError(t, projects.Insert(ctx, newProject("w", "one")))
	requireCode(t, projects.Insert(ctx, newProject("x", "one")), fault.Conflict)

	projects, err = docstore.Open[project](ctx, db, name, perWorkspace)
	require.NoError(t, err)
	require.NoError(t, projects.Insert(ctx, newProject("x", "one")))
	requireCode(t, projects.Insert(ctx, newProject("w", "one")), fault.Conflict)
}
