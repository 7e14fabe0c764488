package editor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/editor"
)

// shelf is a source of packages: by name, path → content.
type shelf map[string]map[string]string

// Fetch implements editor.PackageSource.
func (s shelf) Fetch(ctx context.Context, wanted []editor.Dependency, tell func(editor.FetchProgress)) (packages []editor.Package, err error) {
	for _, d := range wanted {
		files, ok := s[d.Name]
		if !ok {
			return nil, fault.New(fault.NotFound, "there is no %s", d.Name)
		}
		tell(editor.FetchProgress{Doing: d.Name})
		p := editor.Package{Dependency: d, Says: "1.2", Source: "https://index/" + d.Name}
		for path, content := range files {
			p.Files = append(p.Files, editor.PackageFile{Path: "lib/" + path, Source: "https://index/" + path, Content: []byte(content)})
		}
		packages = append(packages, p)
	}
	return packages, ctx.Err()
}

// resolver is a MicroPython project with a shelf.
type resolver struct {
	*kit
	p *editor.Project
}

func newResolver(t *testing.T, s shelf) *resolver {
	k := newKit(t)
	k.projects.Packages = s
	return &resolver{k, k.project("micropython-blink")}
}

func (r *resolver) put(path, content string) {
	r.t.Helper()
	if _, err := r.projects.PutFile(r.t.Context(), r.p, path, content, nil); err != nil {
		r.t.Fatal(err)
	}
	r.reload()
}

func (r *resolver) reload() {
	r.t.Helper()
	p, err := r.projects.Store.Project(r.t.Context(), workspace, r.p.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	r.p = p
}

func (r *resolver) read(path string) string {
	r.t.Helper()
	_, content, err := r.projects.ReadFile(r.t.Context(), r.p, path, 0)
	if err != nil {
		return "none"
	}
	return string(content)
}

func (r *resolver) resolve(wish editor.Resolution) error {
	r.t.Helper()
	_, err := r.projects.Resolve(r.t.Context(), r.p, wish, func(editor.FetchProgress) {})
	r.reload()
	return err
}

func (r *resolver) states() string {
	r.t.Helper()
	d, err := r.projects.Dependencies(r.t.Context(), r.p)
	if err != nil {
		r.t.Fatal(err)
	}
	text := fmt.Sprintf("resolved=%t", d.Resolved)
	for _, p := range d.Lock.Packages {
		for _, f := range p.Files {
			text += fmt.Sprintf(" %s@%s:%s=%s", p.Name, p.Version, f.Path, f.State(r.p.Files))
		}
	}
	return text
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestResolve(t *testing.T) {
	s := shelf{"a": {"a.py": "A = 1\n"}, "b": {"b/__init__.py": "B = 1\n"}}
	r := newResolver(t, s)
	r.put(editor.PackagesFile, `{"deps": [["a", "latest"]]}`)
	want(t, "before", r.states(), "resolved=false")
	if err := r.resolve(editor.Resolution{}); err != nil {
		t.Fatal(err)
	}
	want(t, "vendored", r.read("lib/a.py"), "A = 1\n")
	want(t, "states", r.states(), "resolved=true a@1.2:lib/a.py=kept")
	var lock editor.Lock
	if err := json.Unmarshal([]byte(r.read(editor.LockFile)), &lock); err != nil {
		t.Fatal(err)
	}
	want(t, "its digest", lock.Packages[0].Files[0].SHA256, editor.Digest([]byte("A = 1\n")))
	want(t, "its source", lock.Packages[0].Files[0].Source, "https://index/a.py")
	want(t, "its main file", r.p.Main, "main.py")

	// Nothing to do changes nothing, but fetches.
	tree := r.p.Files.Tree()
	if err := r.resolve(editor.Resolution{}); err != nil {
		t.Fatal(err)
	}
	want(t, "the tree", r.p.Files.Tree(), tree)

	// Another list, by the API: what is not wanted any more goes.
	r.put(editor.PackagesFile, `{"version": "3", "deps": [["a", "latest"]]}`)
	deps := []editor.Dependency{{Name: "b", Version: "latest"}}
	if err := r.resolve(editor.Resolution{Deps: &deps}); err != nil {
		t.Fatal(err)
	}
	want(t, "states", r.states(), "resolved=true b@1.2:lib/b/__init__.py=kept")
	want(t, "what went", r.read("lib/a.py"), "none")
	want(t, "the form", r.read(editor.PackagesFile), "{\n  \"deps\": [\n    [\"b\", \"latest\"]\n  ],\n  \"version\": \"3\"\n}\n")
	want(t, "the rest stays", strings.Contains(r.read(editor.PackagesFile), `"version": "3"`), true)

	// Changed and removed files are told; only a wish replaces what was changed.
	r.put("lib/b/__init__.py", "B = 2 # mine\n")
	want(t, "changed", r.states(), "resolved=true b@1.2:lib/b/__init__.py=changed")
	s["b"]["b/__init__.py"] = "B = 3\n"
	s["b"]["more.py"] = "MORE = 1\n"
	tree = r.p.Files.Tree()
	wantCode(t, "mine is kept", r.resolve(editor.Resolution{}), fault.Conflict, "overwrite")
	want(t, "the tree", r.p.Files.Tree(), tree)
	if err := r.resolve(editor.Resolution{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	want(t, "replaced", r.read("lib/b/__init__.py"), "B = 3\n")
	if err := r.projects.RemoveFile(t.Context(), r.p, "lib/more.py"); err != nil {
		t.Fatal(err)
	}
	r.reload()
	want(t, "removed", strings.Contains(r.states(), "lib/more.py=removed"), true)
	if err := r.resolve(editor.Resolution{}); err != nil {
		t.Fatal(err)
	}
	want(t, "it is back", r.read("lib/more.py"), "MORE = 1\n")

	// What was changed by hand stays when its package goes.
	r.put("lib/more.py", "MORE = 2\n")
	none := []editor.Dependency{}
	if err := r.resolve(editor.Resolution{Deps: &none}); err != nil {
		t.Fatal(err)
	}
	want(t, "mine stays", r.read("lib/more.py"), "MORE = 2\n")
	want(t, "the package went", r.read("lib/b/__init__.py"), "none")
	want(t, "states", r.states(), "resolved=true")
}

func TestResolveRefuses(t *testing.T) {
	s := shelf{"a": {"a.py": "A = 1\n"}, "same": {"a.py": "A = 1\n"}, "other": {"a.py": "A = 2\n"}, "mine": {"mine.py": "theirs\n"}, "folder": {"a.py/x.py": "X\n"}}
	many := shelf{"many": {}}
	for i := range editor.MaxFiles {
		many["many"][fmt.Sprintf("f%d.py", i)] = "x\n"
	}
	s["many"] = many["many"]
	r := newResolver(t, s)
	r.put("lib/mine.py", "mine\n")
	list := func(names ...string) editor.Resolution {
		deps := []editor.Dependency{}
		for _, n := range names {
			deps = append(deps, editor.Dependency{Name: n, Version: "latest"})
		}
		return editor.Resolution{Deps: &deps}
	}
	tree := r.p.Files.Tree()
	wantCode(t, "no package.json", r.resolve(editor.Resolution{}), fault.Invalid, "deps")
	wantCode(t, "unknown", r.resolve(list("a", "none")), fault.NotFound, "")
	wantCode(t, "two that differ", r.resolve(list("a", "other")), fault.Invalid, "deps")
	wantCode(t, "a file of one's own", r.resolve(list("mine")), fault.Conflict, "overwrite")
	wantCode(t, "too many files", r.resolve(list("many")), fault.TooLarge, "path")
	wantCode(t, "a file and a folder", r.resolve(list("a", "folder")), fault.Invalid, "path")
	wantCode(t, "twice", r.resolve(list("a", "a")), fault.Invalid, "deps")
	want(t, "nothing changed", r.p.Files.Tree(), tree)
	if err := r.resolve(list("a", "same")); err != nil {
		t.Errorf("two that agree: %v", err)
	}

	// A lock that somebody wrote takes nothing away that was not fetched.
	r.put(editor.LockFile, fmt.Sprintf(`{"format": 1, "packages": [{"name": "x", "files": [{"path": "main.py", "sha256": %q}]}]}`, editor.Digest([]byte(r.read("main.py")))))
	if err := r.resolve(list()); err != nil {
		t.Fatal(err)
	}
	want(t, "the program", r.p.Main, "main.py")

	r.p = r.project("blink")
	wantCode(t, "a sketch", r.resolve(list("a")), fault.Precondition, "")
}

// A save that comes between the reading and the writing is not lost.
func TestResolveMeanwhile(t *testing.T) {
	r := newResolver(t, nil)
	r.put(editor.PackagesFile, `{"deps": [["a", "latest"]]}`)
	r.projects.Packages = meanwhile(func() { r.put(editor.PackagesFile, `{"deps": []}`) })
	wantCode(t, "meanwhile", r.resolve(editor.Resolution{}), fault.Conflict, "deps")
	want(t, "what was saved", r.read(editor.PackagesFile), `{"deps": []}`)
}

type meanwhile func()

func (f meanwhile) Fetch(context.Context, []editor.Dependency, func(editor.FetchProgress)) ([]editor.Package, error) {
	f()
	return nil, nil
}
