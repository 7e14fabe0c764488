package micropython

import (
	"archive/tar"

	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/toolchain"
)

// With the real MicroPython, in the real sandbox.
func setup(t *testing.T) *Executor {
	t.Helper()
	dir := os.Getenv("FLOTA_TEST_TOOLCHAIN")
	if dir == "" {
		t.Skip("FLOTA_TEST_TOOLCHAIN is not set: nothing is checked. It is what `deploy/toolchain/layout.sh --with-fixture <arduino-cli>` prints; `make test` sets it.")
	}
	root, err := toolchain.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.Open(t.Context(), sandbox.Config{Toolchain: root.Dir}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Toolchain: root, Work: t.TempDir()}, box)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

type nolog struct{}

func (nolog) Phase(compiler.Phase)         {}
func (nolog) Line(compiler.Source, string) {}

func project(pairs ...string) []compiler.File {
	var files []compiler.File
	for pair := range slices.Chunk(pairs, 2) {
		files = append(files, compiler.File{Path: pair[0], Data: []byte(pair[1])})
	}
	return files
}

const pico = "micropython:py:rpi_pico_w"

func TestPlatforms(t *testing.T) {
	e := setup(t)
	all, err := e.Platforms(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != "micropython:py" || all[0].Version != "1.25.0" || len(all[0].Boards) < 6 {
		t.Errorf("%+v %v", all, err)
	}
	if b, fqbn, err := compiler.Resolve(all, pico); err != nil || fqbn != pico || b.Name != "Raspberry Pi Pico W" || b.Kind != compiler.MicroPython {
		t.Errorf("%+v %q %v", b, fqbn, err)
	}
	if _, fqbn, err := compiler.Resolve(all, pico+":format=py"); err != nil || fqbn != pico {
		t.Errorf("%q %v", fqbn, err)
	}
}

// build does a job that must succeed.
func build(t *testing.T, e *Executor, job compiler.Job) *compiler.Result {
	t.Helper()
	r, err := e.Execute(t.Context(), job, nolog{})
	if err != nil || r.Outcome != compiler.Succeeded {
		t.Fatalf("%+v %v", r, err)
	}
	t.Cleanup(func() { _ = r.Discard() })
	return r
}

// contents reads a result's outputs, each by its name.
func contents(t *testing.T, r *compiler.Result) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, o := range r.Outputs {
		data, err := os.ReadFile(o.Path)
		if err != nil || int64(len(data)) != o.Size || digest(data) != o.SHA256 {
			t.Errorf("%+v %v", o, err)
		}
		all[o.Name] = string(data)
	}
	return all
}

func TestCheck(t *testing.T) {
	e := setup(t)
	const noAssembler = "2 error: SyntaxError: invalid arch"
	for _, c := range []struct {
		name, board, text string
		want              string // the diagnostics of lib/x.py, "" if it is good
	}{
		{"good", pico, "async def f():\n    print(f'{1 + 1}')\n", ""},
		{"not closed", pico, "def f(:\n    pass\n", "1 error: SyntaxError: invalid syntax"},
		{"indentation", pico, "def f():\n    x = 1\n      y = 2\n", "3 error: IndentationError: unexpected indent"},
		{"Python 2", pico, "\nprint 'hi'\n", "2 error: SyntaxError: invalid syntax"},
		{"not in MicroPython", pico, "match 1:\n    case 1:\n        pass\n", "1 error: SyntaxError: invalid syntax"},
		{"in a function", pico, "def f():\n    pass\n\ndef g():\n    nonlocal x\n", "5 error: SyntaxError: no binding for nonlocal found"},
		{"native code", pico, "@micropython.native\ndef f():\n    return 1\n", ""},
		{"viper code", pico, "@micropython.viper\ndef f() -> int:\n    return 1\n", ""},
		{"viper's types", pico, "@micropython.viper\ndef f(x: ptr8) -> int:\n    x = 1\n    return x\n", "3 error: ViperTypeError: local 'x' has type 'ptr8' but source is 'int'"},
		{"the board's assembler", pico, "\n@micropython.asm_thumb\ndef f():\n    mov(r0, 1)\n", ""},
		{"its registers", pico, "@micropython.asm_thumb\ndef f():\n    mov(r0, 1)\n    add(r0, r99, 1)\n", "4 error: SyntaxError: 'add' expects a register"},
		{"another's assembler", "micropython:py:esp32_generic", "\n@micropython.asm_thumb\ndef f():\n    mov(r0, 1)\n", noAssembler},
		{"not on this machine's processor", "micropython:py:virtual_pico_w", "\n@micropython.asm_thumb\ndef f():\n    mov(r0, 1)\n", noAssembler},
		{"not text", pico, "y = 1\nx = '\xff\xfe'\n", "2 error: this file is not UTF-8 text"},
		{"nothing is run", pico, "raise SystemExit(3)\nopen('/job/x', 'w')\nimport nothing\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := e.Execute(t.Context(), compiler.Job{FQBN: c.board, Files: project("main.py", "import lib.x\n", "lib/x.py", c.text)}, nolog{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Discard() }()
			var got []string
			for _, d := range r.Diagnostics {
				if d.File != "lib/x.py" {
					t.Errorf("%+v", d)
				}
				got = append(got, fmt.Sprintf("%d %s: %s", d.Line, d.Severity, d.Message))
			}
			if said := strings.Join(got, "\n"); said != c.want {
				t.Errorf("got %q, want %q", said, c.want)
			}
			bad := c.want != ""
			if bad != (r.Outcome == compiler.Failed) || bad != (r.Message != "") || bad != (len(r.Outputs) == 0) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Each file that is wrong is told of, in order.
func TestSeveralErrors(t *testing.T) {
	r, err := setup(t).Execute(t.Context(), compiler.Job{FQBN: pico, Files: project("main.py", "x = (\n", "c.py", "\xff", "b.py", "x = 1\n", "a.py", "\n)\n")}, nolog{})
	if err != nil || r.Outcome != compiler.Failed || len(r.Diagnostics) != 3 || !strings.HasPrefix(r.Message, "a.py:2: ") {
		t.Fatalf("%+v %v", r, err)
	}
	for i, file := range []string{"a.py", "c.py", "main.py"} {
		if r.Diagnostics[i].File != file {
			t.Errorf("%+v", r.Diagnostics[i])
		}
	}
}

// What the compiler chews on for ever is a result, and no reason to try again.
func TestLimits(t *testing.T) {
	e := setup(t)
	e.cfg.Limits.CPU = time.Second
	endless := project("main.py", strings.Repeat("(", 200_000))
	r, err := e.Execute(t.Context(), compiler.Job{FQBN: pico, Files: endless}, nolog{})
	if err != nil || r.Outcome != compiler.Exceeded || !strings.Contains(r.Message, "limit") {
		t.Errorf("%+v %v", r, err)
	}
}

// The example that a new project can start from is good.
func TestExample(t *testing.T) {
	e := setup(t)
	const examples = "../../editor/examples"
	all, err := filepath.Glob(examples + "/*/main.py")
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, main := range all {
		tree, err := readTree(filepath.Dir(main))
		if err != nil {
			t.Fatal(err)
		}
		tree = slices.DeleteFunc(tree, func(f compiler.File) bool { return f.Path == "example.json" })
		for _, format := range []string{"", ":format=mpy"} {
			build(t, e, compiler.Job{FQBN: pico + format, Files: tree})
		}
	}
}

// A managed release is the project's files and the agent's: its index names them
// all, in order, and each is an output of its path.
func TestManagedRelease(t *testing.T) {
	e := setup(t)
	files := project("main.py", "print('hi')\n", "boot.py", "", "lib/a.py", "A = 1\n", "www/index.html", "<html>", "package.json", "{}")
	r := build(t, e, compiler.Job{FQBN: pico, Files: files})
	got := contents(t, r)
	parts, err := deviceproto.ParseIndex([]byte(got["index"]), nil)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	var agent int64
	for _, p := range parts {
		paths = append(paths, p.Path)
		if digest([]byte(got[p.Path])) != p.SHA256 || int64(len(got[p.Path])) != p.Size {
			t.Errorf("%+v", p)
		}
		if strings.HasPrefix(p.Path, "flota_") {
			agent += p.Size
		}
	}
	own := slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return strings.HasPrefix(p, "flota_") && strings.HasSuffix(p, ".mpy") })
	if strings.Join(own, " ") != "boot.py lib/a.py main.py www/index.html" || !slices.Contains(paths, "flota_agent.mpy") {
		t.Error(paths)
	}
	if len(r.Outputs) != 2+len(parts) || r.Agent == nil || !strings.HasPrefix(r.Agent.Version, "flota_agent/") || r.Agent.Flash != agent || r.Agent.RAM != 0 {
		t.Errorf("%d outputs, %+v, %d bytes", len(r.Outputs), r.Agent, agent)
	}
	for _, o := range r.Outputs {
		want := compiler.BoardFile
		switch o.Name {
		case "index":
			want = compiler.Index
		case "main.bundle.tar":
			want = compiler.Bundle
		}
		if o.Role != want {
			t.Errorf("%+v", o)
		}
	}
	if m := r.Memory; m.FlashUsed < agent || m.FlashUsed > m.FlashMax || m.FlashMax < 300_000 || m.FlashMax > 868352/2 {
		t.Errorf("%+v", m)
	}

	unmanaged := build(t, e, compiler.Job{FQBN: pico, Files: files, Unmanaged: true})
	if unmanaged.Agent != nil || len(unmanaged.Outputs) != 6 || unmanaged.Memory.FlashMax != 868352 {
		t.Errorf("%+v", unmanaged)
	}
	if plain := build(t, e, compiler.Job{FQBN: "micropython:py:rpi_pico", Files: files}); plain.Agent != nil || len(plain.Outputs) != 6 {
		t.Errorf("a board without radio: %+v", plain)
	}
}

// A compiled project is run as a board would, on the real thing; what is run as a
// file stays source.
func TestCompiledRuns(t *testing.T) {
	e := setup(t)
	files := project("main.py", "from lib.deep import twice\nimport top\nprint(twice(top.N))\n", "boot.py", "B = 1\n",
		"top.py", "N = 21\n", "lib/deep.py", "@micropython.native\ndef twice(x):\n    return 2 * x\n", "lib/data.txt", "x")
	r := build(t, e, compiler.Job{FQBN: "micropython:py:virtual_pico_w:format=mpy", Files: files, Unmanaged: true})
	got := contents(t, r)
	dir := t.TempDir()
	for _, o := range r.Outputs {
		if o.Role == compiler.BoardFile {
			write(t, filepath.Join(dir, o.Name), got[o.Name])
		}
	}
	for _, name := range []string{"main.py", "boot.py", "top.mpy", "lib/deep.mpy", "lib/data.txt"} {
		if _, there := got[name]; !there {
			t.Errorf("no %s", name)
		}
	}
	if len(got) != 2+5 {
		t.Errorf("%d outputs", len(got))
	}
	if said := micropython(t, e, dir, "main.py"); said != "42\n" {
		t.Errorf("%q", said)
	}
	// A trace names the source.
	bad := build(t, e, compiler.Job{FQBN: pico + ":format=mpy", Files: project("main.py", "", "lib/x.py", "\n1 / 0\n"), Unmanaged: true})
	write(t, filepath.Join(dir, "lib/x.mpy"), contents(t, bad)["lib/x.mpy"])
	write(t, filepath.Join(dir, "main.py"), "try:\n    import lib.x\nexcept ZeroDivisionError as e:\n    import sys\n    sys.print_exception(e, sys.stdout)\n")
	if said := micropython(t, e, dir, "main.py"); !strings.Contains(said, "File \"lib/x.py\", line 2") {
		t.Errorf("%q", said)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// micropython runs a script in a folder and returns what it prints.
func micropython(t *testing.T, e *Executor, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(e.cfg.Toolchain.Dir, "micropython/micropython"), args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// A release that does not fit beside the one that runs is refused, with the sizes.
func TestTooLarge(t *testing.T) {
	e := setup(t)
	blob := func(size int64) []compiler.File {
		return append(project("main.py", ""), compiler.File{Path: "blob.bin", Data: make([]byte, size)})
	}
	small := build(t, e, compiler.Job{FQBN: pico, Files: blob(0)})
	room := small.Memory.FlashMax - small.Memory.FlashUsed // whole blocks
	// The most that fits: what its pointers take is part of it.
	last := room / 4096 * 4088
	for last+4 <= room && e.fits(t, blob(last+4)) {
		last += 4
	}
	fits, err := e.Execute(t.Context(), compiler.Job{FQBN: pico, Files: blob(last)}, nolog{})
	if err != nil || fits.Outcome != compiler.Succeeded {
		t.Fatalf("%+v %v", fits, err)
	}
	_ = fits.Discard()
	r, err := e.Execute(t.Context(), compiler.Job{FQBN: pico, Files: blob(last + 4)}, nolog{})
	if err != nil || r.Outcome != compiler.Failed || len(r.Outputs) != 0 || r.Memory.FlashUsed <= r.Memory.FlashMax ||
		!strings.Contains(r.Message, fmt.Sprint(r.Memory.FlashUsed)) || !strings.Contains(r.Message, fmt.Sprint(r.Memory.FlashMax)) {
		t.Errorf("%+v %v", r, err)
	}
	if r := build(t, e, compiler.Job{FQBN: "micropython:py:rpi_pico2_w", Files: blob(last + 4)}); r.Memory.FlashMax < 1_200_000 {
		t.Errorf("%+v", r.Memory)
	}
}

// fits says what the executor would.
func (e *Executor) fits(t *testing.T, files []compiler.File) bool {
	t.Helper()
	r, err := newRelease(append(slices.Clone(files), e.agent.files...))
	return err == nil && r.footprint() <= e.half(e.boards[pico])
}

// No release takes more of a LittleFS than is said, and few take much less.
func TestFootprint(t *testing.T) {
	e := setup(t)
	random := rand.New(rand.NewPCG(1, 2))
	var trees []string
	dir := t.TempDir()
	var told []int64
	for n := range 60 {
		top := filepath.Join(dir, fmt.Sprint(n))
		var parts []deviceproto.Part
		for i := range 1 + random.IntN(60) {
			size := int64(random.IntN([]int{1, 600, 3000, 20_000}[random.IntN(4)]))
			if n == 0 {
				size = 500 // as large as what lies among the names
			}
			name := fmt.Sprintf("%s%s%d.py", []string{"", "lib/", "lib/deep/er/", "www/"}[random.IntN(4)], strings.Repeat("n", random.IntN(40)), i)
			parts = append(parts, deviceproto.Part{Path: name, Size: size})
			write(t, filepath.Join(top, name), strings.Repeat("x", int(size)))
		}
		trees = append(trees, top)
		told = append(told, deviceproto.Footprint(parts))
	}
	script := filepath.Join(dir, "measure.py")
	write(t, script, `
import sys, os
sys.path.append(sys.argv[1])
import flash, image, vfs
for tree in sys.argv[2:]:
    lfs = None
    store = flash.Flash(flash.blank(1024))
    vfs.VfsLfs2.mkfs(store, progsize=256)
    lfs = vfs.VfsLfs2(store, progsize=256, mtime=False)
    vfs.mount(lfs, "/.image")
    free = os.statvfs("/.image")[3]
    os.mkdir("/.image/a")
    image.copy(tree, "/.image/a")
    vfs.umount("/.image")
    vfs.mount(vfs.VfsLfs2(store, progsize=256, mtime=False), "/.image")
    print((free - os.statvfs("/.image")[3]) * 4096)
    vfs.umount("/.image")
`)
	args := append([]string{"-X", "heapsize=32M", script, filepath.Join(e.cfg.Toolchain.Dir, "micropython/virtual")}, trees...)
	var all, allTold int64
	for i, line := range strings.Fields(micropython(t, e, dir, args...)) {
		var taken int64
		if _, err := fmt.Sscan(line, &taken); err != nil {
			t.Fatal(err)
		}
		if taken > told[i] {
			t.Errorf("tree %d takes %d bytes, more than %d", i, taken, told[i])
		}
		all, allTold = all+taken, allTold+told[i]
	}
	if all == 0 || allTold > all*3/2 {
		t.Errorf("%d bytes are told of %d", allTold, all)
	}
	t.Logf("%d trees take %d bytes; told %d", len(trees), all, allTold)
}

// The bundle is the release, for people: with what is in it, and in mip's form.
// It does not depend on when or where it was made.
func TestBundle(t *testing.T) {
	e := setup(t)
	files := project("main.py", "print('hi')\n", "lib/a.py", "A = 1\n", "www/index.html", "<html>", "empty.txt", "")
	first := build(t, e, compiler.Job{FQBN: pico, Files: files})
	outputs := contents(t, first)
	var list manifest
	var install mip
	found := map[string]string{}
	for archive := tar.NewReader(strings.NewReader(outputs["main.bundle.tar"])); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || h.ModTime.Unix() != 0 || h.Uid != 0 || h.Mode != 0o644 {
			t.Fatalf("%+v %v", h, err)
		}
		text, _ := io.ReadAll(archive)
		switch h.Name {
		case "manifest.json":
			err = json.Unmarshal(text, &list)
		case "package.json":
			err = json.Unmarshal(text, &install)
		default:
			found[h.Name] = digest(text)
		}
		if err != nil {
			t.Error(err)
		}
	}
	if list.Format != 1 || list.Main != "main.py" || len(list.Files) != len(first.Outputs)-2 || len(found) != len(list.Files) || len(install.URLs) != len(found) {
		t.Errorf("%+v %+v %v", list, install, found)
	}
	for i, f := range list.Files {
		if found[f.Path] != f.SHA256 || digest([]byte(outputs[f.Path])) != f.SHA256 || install.URLs[i] != [2]string{f.Path, f.Path} {
			t.Errorf("%+v", f)
		}
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	slices.Reverse(files)
	second := build(t, e, compiler.Job{FQBN: pico, Files: files})
	for i, o := range second.Outputs {
		if before := first.Outputs[i]; o.SHA256 != before.SHA256 || o.Name != before.Name {
			t.Errorf("%+v, before %+v", o, before)
		}
	}
	if err := second.Discard(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(second.Outputs[0].Path); !os.IsNotExist(err) {
		t.Error("not discarded:", err)
	}
}

// As many files as an index may name, the agent's among them; not one more.
func TestManyFiles(t *testing.T) {
	e := setup(t)
	var files []compiler.File
	for i := range maxFiles - len(e.agent.files) - 1 {
		files = append(files, compiler.File{Path: fmt.Sprintf("m%03d.py", i), Data: fmt.Appendf(nil, "N = %d\n", i)})
	}
	files = append(files, project("main.py", "")...)
	const large = "micropython:py:rpi_pico2_w"
	if r := build(t, e, compiler.Job{FQBN: large + ":format=mpy", Files: files}); len(r.Outputs) != maxFiles+2 {
		t.Errorf("%d outputs", len(r.Outputs))
	}
	_, err := e.Execute(t.Context(), compiler.Job{FQBN: large, Files: append(files, project("one.py", "")...)}, nolog{})
	if f := fault.As(err); f == nil || f.Code != fault.TooLarge || f.Field != "files" {
		t.Error(err)
	}
}

// A board refuses an index in which a file has the name of another one's folder.
func TestModuleNamedAsAFolder(t *testing.T) {
	files := project("lib/b.mpy/x.txt", "", "lib/b.py", "", "main.py", "")
	if _, err := newRelease(slices.Clone(files)); err != nil {
		t.Error(err)
	}
	if _, err := newRelease(compile(files, map[string][]byte{"lib/b.py": {'M'}})); fault.As(err) == nil || fault.As(err).Field != "lib/b.mpy/x.txt" {
		t.Error(err)
	}
}

func TestRefuses(t *testing.T) {
	e := setup(t)
	for field, job := range map[string]compiler.Job{
		"fqbn":           {FQBN: "micropython:py:none", Files: project("main.py", "")},
		"main":           {FQBN: pico, Files: project("other.py", "")},
		"../x":           {FQBN: pico, Files: project("main.py", "", "../x", "")},
		"files":          {FQBN: pico},
		"flota_agent.py": {FQBN: pico, Files: project("main.py", "", "flota_agent.py", "")},
		"flota_x/y.txt":  {FQBN: pico, Files: project("main.py", "", "flota_x/y.txt", ""), Unmanaged: true},
		"lib/a.mpy":      {FQBN: pico + ":format=mpy", Files: project("main.py", "", "lib/a.py", "", "lib/a.mpy", "")},
	} {
		if _, err := e.Execute(t.Context(), job, nolog{}); fault.As(err) == nil || fault.As(err).Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	// Beside each other they are nobody's mistake: source goes first.
	build(t, e, compiler.Job{FQBN: pico, Files: project("main.py", "", "lib/a.py", "", "lib/a.mpy", "")})
}
