package micropython

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

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
	if err != nil || len(all) != 1 || all[0].ID != "micropython:py" || all[0].Version != "1.25.0" || len(all[0].Boards) < 2 {
		t.Errorf("%+v %v", all, err)
	}
	if b, fqbn, err := compiler.Resolve(all, pico); err != nil || fqbn != pico || b.Name != "Raspberry Pi Pico W" || b.Kind != compiler.MicroPython {
		t.Errorf("%+v %q %v", b, fqbn, err)
	}
}

func TestCheck(t *testing.T) {
	e := setup(t)
	for _, c := range []struct {
		name, text string
		want       string // the diagnostics of lib/x.py, "" if it is good
	}{
		{"good", "async def f():\n    print(f'{1 + 1}')\n", ""},
		{"not closed", "def f(:\n    pass\n", "1 error: SyntaxError: invalid syntax"},
		{"indentation", "def f():\n    x = 1\n      y = 2\n", "3 error: IndentationError: unexpected indent"},
		{"Python 2", "\nprint 'hi'\n", "2 error: SyntaxError: invalid syntax"},
		{"not in MicroPython", "match 1:\n    case 1:\n        pass\n", "1 error: SyntaxError: invalid syntax"},
		{"native code", "@micropython.native\ndef f():\n    return 1\n", ""},
		{"the board's assembler", "@micropython.asm_thumb\ndef f():\n    mov(r0, 1)\n", "1 warning: from here on this file is not checked: only the board knows its assembler"},
		{"not text", "x = '\xff\xfe'\n", "0 error: this file is not UTF-8 text"},
		{"nothing is run", "raise SystemExit(3)\nopen('/job/x', 'w')\nimport nothing\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := e.Execute(t.Context(), compiler.Job{FQBN: pico, Files: project("main.py", "import lib.x\n", "lib/x.py", c.text)}, nolog{})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Discard()
			var got []string
			for _, d := range r.Diagnostics {
				if d.File != "lib/x.py" {
					t.Errorf("%+v", d)
				}
				got = append(got, fmt.Sprintf("%d %s: %s", d.Line, d.Severity, d.Message))
			}
			said := strings.Join(got, "\n")
			if (said == "") != (c.want == "") || !strings.HasPrefix(said, c.want) {
				t.Errorf("got %q, want %q", said, c.want)
			}
			bad := strings.Contains(c.want, "error")
			if bad != (r.Outcome == compiler.Failed) || bad != (r.Message != "") || bad != (len(r.Outputs) == 0) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What the compiler chews on for ever is a result, and no reason to try again.
func TestLimits(t *testing.T) {
	e := setup(t)
	endless := project("main.py", strings.Repeat("(", 200_000))
	r, err := e.Execute(t.Context(), compiler.Job{FQBN: pico, Files: endless, Limits: sandbox.Limits{CPU: time.Second}}, nolog{})
	if err != nil || r.Outcome != compiler.Exceeded || !strings.Contains(r.Message, "limit") {
		t.Errorf("%+v %v", r, err)
	}
}

// The example that a new project can start from is good.
func TestExample(t *testing.T) {
	e := setup(t)
	const dir = "../../editor/examples/micropython-blink"
	var files []compiler.File
	for _, name := range []string{"main.py", "blinker.py"} {
		data, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, compiler.File{Path: name, Data: data})
	}
	r, err := e.Execute(t.Context(), compiler.Job{FQBN: pico, Files: files}, nolog{})
	if err != nil || r.Outcome != compiler.Succeeded {
		t.Errorf("%+v %v", r, err)
	}
	_ = r.Discard()
}

// A bundle says what is in it, in a form that does not depend on when or where
// it was made.
func TestBundle(t *testing.T) {
	e := setup(t)
	files := project("main.py", "print('hi')\n", "lib/a.py", "A = 1\n", "www/index.html", "<html>", "empty.txt", "")
	first, err := e.Execute(t.Context(), compiler.Job{FQBN: pico, Files: files}, nolog{})
	if err != nil || first.Outcome != compiler.Succeeded || len(first.Outputs) != 1 {
		t.Fatalf("%+v %v", first, err)
	}
	o := first.Outputs[0]
	data, err := os.ReadFile(o.Path)
	if err != nil || o.Role != compiler.Bundle || o.Name != "main.bundle.tar" || o.Size != int64(len(data)) || o.SHA256 != digest(data) {
		t.Errorf("%+v %v", o, err)
	}
	var list manifest
	found := map[string]string{}
	for archive := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil || h.ModTime.Unix() != 0 || h.Uid != 0 || h.Mode != 0o644 {
			t.Fatalf("%+v %v", h, err)
		}
		text, _ := io.ReadAll(archive)
		if h.Name == "manifest.json" {
			if err := json.Unmarshal(text, &list); err != nil {
				t.Error(err)
			}
			continue
		}
		found[h.Name] = digest(text)
	}
	if list.Format != 1 || list.Main != "main.py" || len(list.Files) != 4 || len(found) != 4 {
		t.Errorf("%+v %v", list, found)
	}
	for _, f := range list.Files {
		if found[f.Path] != f.SHA256 {
			t.Errorf("%+v", f)
		}
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	slices.Reverse(files)
	second, err := e.Execute(t.Context(), compiler.Job{FQBN: pico, Files: files}, nolog{})
	if err != nil || second.Outputs[0].SHA256 != o.SHA256 {
		t.Errorf("%+v %v", second, err)
	}
	if err := second.Discard(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(second.Outputs[0].Path); !os.IsNotExist(err) {
		t.Error("not discarded:", err)
	}
}

func TestRefuses(t *testing.T) {
	e := setup(t)
	for field, job := range map[string]compiler.Job{
		"fqbn":  {FQBN: "micropython:py:none", Files: project("main.py", "")},
		"main":  {FQBN: pico, Files: project("other.py", "")},
		"../x":  {FQBN: pico, Files: project("main.py", "", "../x", "")},
		"files": {FQBN: pico},
	} {
		if _, err := e.Execute(t.Context(), job, nolog{}); fault.As(err) == nil || fault.As(err).Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}
