package editor_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/editor"
	"github.com/flota/flota/services/editor/contents"
	"github.com/flota/flota/services/editor/contents/contentstest"
	"github.com/flota/flota/services/editor/examples"
	"github.com/flota/flota/services/editor/store"
)

const workspace = "w1"

// kit is the domain on a real database, with a clock to move and the outside in
// memory.
type kit struct {
	t        *testing.T
	store    *store.Store
	projects *editor.Projects
	builds   *editor.Builds
	blobs    *contentstest.Blobs

	mu        sync.Mutex
	at        time.Time
	stored    map[string]bool // outputs that the artifact service has
	down      error           // what the artifact service answers instead
	withdrawn []string
	log       map[string][]editor.LogChunk // by build/attempt
}

func newKit(t *testing.T) *kit {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "editor.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s, err := store.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	all, err := examples.All()
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{
		t: t, store: s, blobs: &contentstest.Blobs{}, at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		stored: map[string]bool{}, log: map[string][]editor.LogChunk{},
	}
	files := contents.New(k.blobs, editor.MaxFileSize, 1<<20)
	k.projects = &editor.Projects{Store: s, Contents: files, Examples: all, Now: k.now}
	k.builds = editor.NewBuilds(editor.BuildParts{
		Projects: k.projects, Store: s, Farm: editor.NewFarm(15*time.Second, k.now),
		Artifacts: k, Jobs: k, Sources: k, LogStream: k, Logs: contents.New(k.blobs, 64<<20, 0), Now: k.now,
		Limits: editor.Limits{
			Attempt: map[editor.Kind]time.Duration{editor.Arduino: 10 * time.Minute, editor.MicroPython: time.Minute},
			Grace:   15 * time.Second, NoOffer: 2 * time.Minute, Unclaimed: time.Minute, Retry: time.Second, Queue: 20,
		},
	})
	return k
}

func (k *kit) now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at
}

func (k *kit) pass(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = k.at.Add(d)
}

// Upload implements editor.Artifacts.
func (k *kit) Upload(_ context.Context, _, build string, _ int, _ time.Time) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return "http://artifact/up/" + build, k.down
}

// Download implements editor.Artifacts.
func (k *kit) Download(_ context.Context, _ string, o editor.Output, _ time.Duration) (string, time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if o.Name == "refused.bin" {
		return "", time.Time{}, fault.Field("name", "is refused")
	}
	if k.down == nil && !k.stored[o.SHA256] {
		return "", time.Time{}, fault.New(fault.NotFound, "no such blob")
	}
	return "/dl/" + o.SHA256, k.at.Add(time.Minute), k.down
}

// Withdraw implements editor.Jobs.
func (k *kit) Withdraw(_ context.Context, platform, build string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.withdrawn = append(k.withdrawn, platform+"/"+build)
	return nil
}

// URL implements editor.Sources.
func (k *kit) URL(build string, _ int, _ time.Time) string { return "http://editor/src/" + build }

// Read implements editor.LogStream.
func (k *kit) Read(_ context.Context, build string, attempt int, f func(editor.LogChunk) error) error {
	k.mu.Lock()
	chunks := k.log[editor.RevisionID(build, attempt)]
	k.mu.Unlock()
	for _, c := range chunks {
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

func (k *kit) say(build string, attempt int, chunks ...editor.LogChunk) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.log[editor.RevisionID(build, attempt)] = chunks
}

func (k *kit) setDown(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = err
}

var errDown = fault.New(fault.Unavailable, "the artifact service is down")

func (k *kit) project(example string) *editor.Project {
	k.t.Helper()
	p, err := k.projects.Create(k.t.Context(), workspace, editor.NewProject{Name: "Blink", Example: example})
	if err != nil {
		k.t.Fatal(err)
	}
	return p
}

// offer makes a worker known that compiles for the virtual board.
func (k *kit) offer(name string, slots int) {
	k.builds.Farm.Describe(flow.PlatformKey("flota:virtual", "1.0.0", "chain-1"), editor.Catalogue{
		Boards: []editor.Board{{FQBN: "flota:virtual:esp32", Name: "Virtual", Kind: editor.Arduino}},
	})
	k.builds.Farm.See(name, &compilerv1.Worker{
		Slots: uint32(slots), Free: uint32(slots),
		Platforms: []*compilerv1.Platform{{Id: "flota:virtual", Version: "1.0.0", Toolchain: "chain-1"}},
	})
}

func (k *kit) create(p *editor.Project, wish editor.NewBuild) *editor.Build {
	k.t.Helper()
	b, err := k.builds.Create(k.t.Context(), p, wish)
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

func (k *kit) get(id string) *editor.Build {
	k.t.Helper()
	b, err := k.store.Build(k.t.Context(), id)
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

func (k *kit) claim(id, worker string, sequence uint64, count int) *editor.Grant {
	k.t.Helper()
	grant, err := k.builds.Claim(k.t.Context(), id, worker, editor.Delivery{Sequence: sequence, Count: count})
	if err != nil {
		k.t.Fatal(err)
	}
	return grant
}

// output returns an output, which the artifact service has where stored is set.
func (k *kit) output(name string, stored bool) editor.Output {
	o := editor.Output{Role: editor.App, Name: name, Size: 3, SHA256: editor.Digest([]byte(name))}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stored[o.SHA256] = stored
	return o
}

func (k *kit) finish(f editor.Finish) {
	k.t.Helper()
	if f.Said.IsZero() {
		f.Said = k.now()
	}
	if err := k.builds.Finish(k.t.Context(), f); err != nil {
		k.t.Fatal(err)
	}
}

// archive stores the logs that are due.
func (k *kit) archive() {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), 5*time.Second)
	defer cancel()
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if due, err := k.store.LogDue(ctx, 10); err == nil && len(due) == 0 {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	k.builds.Archive(ctx, func(err error) { k.t.Error(err) })
	if !errors.Is(ctx.Err(), context.Canceled) {
		k.t.Error("logs are still due")
	}
}

func wantCode(t *testing.T, what string, err error, code fault.Code, field string) {
	t.Helper()
	if f := fault.As(err); f == nil || f.Code != code || f.Field != field {
		t.Errorf("%s: got %v, want %s of field %q", what, err, code, field)
	}
}
