package editor_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/editor"
)

func TestCreateProject(t *testing.T) {
	k := newKit(t)
	p := k.project("sensor")
	if p.Main != "sensor.ino" || len(p.Files) != 2 || p.FQBN != "flota:virtual:esp32" || p.Kind != editor.Arduino {
		t.Errorf("got %+v", p)
	}
	read, content, err := k.projects.ReadFile(t.Context(), p, "average.h", 0)
	if err != nil || !strings.Contains(string(content), "class Average") || read.Size != len(content) {
		t.Errorf("got %+v, %v", read, err)
	}
	empty, err := k.projects.Create(t.Context(), workspace, editor.NewProject{Name: "Empty", Kind: editor.MicroPython})
	if err != nil || empty.Main != "main.py" {
		t.Errorf("got %+v, %v", empty, err)
	}
	for name, test := range map[string]struct {
		wish  editor.NewProject
		field string
	}{
		"no name":    {editor.NewProject{}, "name"},
		"no example": {editor.NewProject{Name: "x", Example: "nothing"}, "example"},
		"no kind":    {editor.NewProject{Name: "x", Kind: "forth"}, "kind"},
		"no board":   {editor.NewProject{Name: "x", FQBN: "uno"}, "fqbn"},
	} {
		_, err := k.projects.Create(t.Context(), workspace, test.wish)
		wantCode(t, name, err, fault.Invalid, test.field)
	}
}

func TestAnotherWorkspaceSeesNothing(t *testing.T) {
	k := newKit(t)
	p := k.project("blink")
	ctx := t.Context()
	if _, err := k.store.Project(ctx, "w2", p.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("get: %v", err)
	}
	if list, _, err := k.store.Projects(ctx, "w2", editor.Page{}); err != nil || len(list) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	if _, err := k.store.ChangeProject(ctx, "w2", p.ID, func(*editor.Project) error { t.Error("called"); return nil }); !fault.Is(err, fault.NotFound) {
		t.Errorf("change: %v", err)
	}
	if _, err := k.projects.Keep(ctx, p, "me", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := k.store.Revision(ctx, "w2", p.ID, 1); !fault.Is(err, fault.NotFound) {
		t.Errorf("revision: %v", err)
	}
	if list, _, err := k.store.Revisions(ctx, "w2", p.ID, editor.Page{}); err != nil || len(list) != 0 {
		t.Errorf("revisions: %v, %v", list, err)
	}
	k.offer("w", 1)
	b := k.create(p, editor.NewBuild{})
	if _, err := k.builds.Get(ctx, "w2", b.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("build: %v", err)
	}
	if list, _, err := k.store.Builds(ctx, "w2", p.ID, editor.Page{}); err != nil || len(list) != 0 {
		t.Errorf("builds: %v, %v", list, err)
	}
}

func TestListsAreInOrderAndInPages(t *testing.T) {
	k := newKit(t)
	var ids []string
	for range 5 {
		k.pass(time.Second)
		ids = append(ids, k.project("blink").ID)
	}
	k.pass(time.Second)
	name := "Renamed"
	p, err := k.store.Project(t.Context(), workspace, ids[1])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.projects.Change(t.Context(), p, editor.ProjectChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	want := []string{ids[1], ids[4], ids[3], ids[2], ids[0]}
	var got []string
	page := editor.Page{Limit: 2}
	for {
		list, next, err := k.store.Projects(t.Context(), workspace, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			got = append(got, p.ID)
		}
		if page.After = next; next == "" {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAutosave(t *testing.T) {
	k := newKit(t)
	p := k.project("blink")
	ctx := t.Context()
	old, _ := p.Files.Find("blink.ino")
	first, err := k.projects.PutFile(ctx, p, "blink.ino", "// mine", &old.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else still edits what was there before.
	_, err = k.projects.PutFile(ctx, p, "blink.ino", "// theirs", &old.SHA256)
	wantCode(t, "an old base", err, fault.Conflict, "base")
	if _, content, err := k.projects.ReadFile(ctx, k.reread(p), "blink.ino", 0); err != nil || string(content) != "// mine" {
		t.Errorf("%q, %v", content, err)
	}
	// The same save again, for its answer was lost.
	if again, err := k.projects.PutFile(ctx, p, "blink.ino", "// mine", &old.SHA256); err != nil || again != first {
		t.Errorf("%+v, %v", again, err)
	}
	objects := k.blobs.Count()
	_, err = k.projects.PutFile(ctx, p, "../x", "x", nil)
	wantCode(t, "a bad path", err, fault.Invalid, "path")
	_, err = k.projects.PutFile(ctx, p, "x.h", "\xff", nil)
	wantCode(t, "bad text", err, fault.Invalid, "content")
	if k.blobs.Count() != objects {
		t.Error("what was refused was stored")
	}
}

func (k *kit) reread(p *editor.Project) *editor.Project {
	k.t.Helper()
	p, err := k.store.Project(k.t.Context(), p.Workspace, p.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	return p
}

// Many hands save different files of one project: none is lost.
func TestParallelSaves(t *testing.T) {
	k := newKit(t)
	p := k.project("blink")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := k.projects.PutFile(t.Context(), p, fmt.Sprintf("f%d.h", i), fmt.Sprint(i), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(k.reread(p).Files); n != 21 {
		t.Errorf("%d files", n)
	}
}

func TestKeep(t *testing.T) {
	k := newKit(t)
	p := k.project("blink")
	ctx := t.Context()
	keep := func() *editor.Revision {
		t.Helper()
		r, err := k.projects.Keep(ctx, k.reread(p), "Ada", "first")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := keep()
	if first.Number != 1 || first.Author != "Ada" || first.Message != "first" || first.Main != "blink.ino" {
		t.Errorf("got %+v", first)
	}
	if again := keep(); again.ID != first.ID {
		t.Errorf("nothing changed, and there is revision %d", again.Number)
	}
	if _, err := k.projects.PutFile(ctx, p, "blink.ino", "// other", nil); err != nil {
		t.Fatal(err)
	}
	if second := keep(); second.Number != 2 {
		t.Errorf("got %d", second.Number)
	}
	// The first one is as it was.
	if _, content, err := k.projects.ReadFile(ctx, k.reread(p), "blink.ino", 1); err != nil || !strings.Contains(string(content), "Hello from Blink") {
		t.Errorf("%q, %v", content, err)
	}
	_, _, err := k.projects.ReadFile(ctx, k.reread(p), "blink.ino", 3)
	wantCode(t, "a revision that is not there", err, fault.NotFound, "")
	_, _, err = k.projects.ReadFile(ctx, k.reread(p), "none.h", 1)
	wantCode(t, "a file that is not there", err, fault.NotFound, "path")
}

func TestParallelKeepsMakeOneRevision(t *testing.T) {
	k := newKit(t)
	p := k.project("blink")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if r, err := k.projects.Keep(t.Context(), p, "me", ""); err != nil || r.Number != 1 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	wg.Wait()
	if list, _, err := k.store.Revisions(t.Context(), workspace, p.ID, editor.Page{}); err != nil || len(list) != 1 {
		t.Errorf("%d revisions, %v", len(list), err)
	}
}

// A crash after the revision and before the project that points to it.
func TestKeepMendsWhatACrashLeft(t *testing.T) {
	for name, same := range map[string]bool{"of the same files": true, "of other files": false} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			p := k.project("blink")
			orphan := &editor.Revision{
				Meta: docstore.Meta{ID: editor.RevisionID(p.ID, 1)}, Workspace: workspace, Project: p.ID, Number: 1,
				Tree: "another tree", Author: "before",
			}
			want := 2
			if same {
				orphan.Tree, want = p.Files.Tree(), 1
			}
			if err := k.store.InsertRevision(t.Context(), orphan); err != nil {
				t.Fatal(err)
			}
			r, err := k.projects.Keep(t.Context(), p, "me", "")
			if err != nil || r.Number != want || k.reread(p).Head.Number != want {
				t.Errorf("got %+v, %v; want number %d", r, err, want)
			}
		})
	}
}

func TestOwnProject(t *testing.T) {
	k := newKit(t)
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			p, err := k.projects.OpenOwn(t.Context(), workspace, "d1", "bot_001", "")
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = p.ID
			if p.Device != "d1" || p.Name != "bot_001" || p.Main != "blink.ino" {
				t.Errorf("got %+v", p)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("one device has two projects: %v", ids)
		}
	}
	p, err := k.projects.OpenOwn(t.Context(), workspace, "d1", "bot_001", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.projects.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	fresh, err := k.projects.OpenOwn(t.Context(), workspace, "d1", "bot_001", "")
	if err != nil || fresh.ID == p.ID {
		t.Errorf("after its deletion: %v", err)
	}
	if other, err := k.projects.OpenOwn(t.Context(), "w2", "d1", "", ""); err != nil || other.ID == fresh.ID {
		t.Errorf("in another workspace: %v", err)
	}
}

func TestDelete(t *testing.T) {
	k := newKit(t)
	p := k.project("blink")
	ctx := t.Context()
	k.offer("w", 1)
	running := k.create(p, editor.NewBuild{})
	k.claim(running.ID, "w", 1, 1)
	if err := k.projects.Delete(ctx, p); err != nil {
		t.Fatal(err)
	}
	if _, err := k.store.Project(ctx, workspace, p.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("the project: %v", err)
	}
	if list, _, err := k.store.Projects(ctx, workspace, editor.Page{}); err != nil || len(list) != 0 {
		t.Errorf("the list: %v, %v", list, err)
	}
	k.pass(time.Minute)
	if err := k.builds.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if b := k.get(running.ID); b.State != editor.Cancelled || b.Fenced != 1 {
		t.Errorf("its running build: %+v", b)
	}
	k.pass(time.Minute)
	k.archive()
	k.sendOutbox(running.ID)
	for range 3 {
		if err := k.builds.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.store.Build(ctx, running.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("its build: %v", err)
	}
	if _, err := k.store.Revision(ctx, workspace, p.ID, 1); !fault.Is(err, fault.NotFound) {
		t.Errorf("its revision: %v", err)
	}
}

// sendOutbox clears a build's outbox, as the relay does after it sent it.
func (k *kit) sendOutbox(id string) {
	k.t.Helper()
	if _, err := k.store.ChangeBuild(k.t.Context(), id, func(b *editor.Build) error {
		b.Outbox = nil
		return nil
	}); err != nil {
		k.t.Fatal(err)
	}
}

// A product's own project is of the kind that its board runs.
func TestOwnProjectFitsTheBoard(t *testing.T) {
	k := newKit(t)
	for fqbn, want := range map[string]struct {
		kind editor.Kind
		fqbn string
	}{
		"":                          {editor.Arduino, "flota:virtual:esp32"},
		"esp32:esp32:esp32c3":       {editor.Arduino, "esp32:esp32:esp32c3"},
		"micropython:py:rpi_pico_w": {editor.MicroPython, "micropython:py:rpi_pico_w"},
		"a toaster":                 {editor.Arduino, "flota:virtual:esp32"},
	} {
		p, err := k.projects.OpenOwn(t.Context(), workspace, "device of "+fqbn, "bot", fqbn)
		if err != nil || p.Kind != want.kind || p.FQBN != want.fqbn {
			t.Errorf("of %q: %+v, %v", fqbn, p, err)
		}
	}
}
