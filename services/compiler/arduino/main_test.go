package arduino

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/toolchain"
)

// The tests compile for real: with the toolchain that deploy/toolchain/layout.sh
// --with-fixture lays out, in the real sandbox. `make test` provides it.
var shared struct {
	root toolchain.Root
	box  *sandbox.Sandbox
	once sync.Once
	err  error
}

// setup returns an executor over the test toolchain.
func setup(t testing.TB) *Executor {
	t.Helper()
	dir := os.Getenv("FLOTA_TEST_TOOLCHAIN")
	if dir == "" {
		t.Skip("FLOTA_TEST_TOOLCHAIN is not set: nothing is compiled. It is what `deploy/toolchain/layout.sh --with-fixture <arduino-cli>` prints; `make test` sets it.")
	}
	shared.once.Do(func() {
		if shared.root, shared.err = toolchain.Open(dir); shared.err == nil {
			shared.box, shared.err = sandbox.Open(t.Context(), sandbox.Config{Toolchain: shared.root.Dir}, zap.NewNop())
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	e, err := New(Config{Toolchain: shared.root, Work: t.TempDir()}, shared.box)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// record is a log that a test looks at.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) Phase(p compiler.Phase) { r.Line("phase", string(p)) }

func (r *record) Line(s compiler.Source, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(s)+": "+text)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// watched is a record that calls line with each line as it comes.
type watched struct {
	record
	line func(text string)
}

func (w *watched) Line(s compiler.Source, text string) {
	w.record.Line(s, text)
	w.line(text)
}

// project makes a tree of files from "name", "text" pairs.
func project(pairs ...string) []compiler.File {
	var files []compiler.File
	for pair := range slices.Chunk(pairs, 2) {
		files = append(files, compiler.File{Path: pair[0], Data: []byte(pair[1])})
	}
	return files
}

const blink = `void setup() { pinMode(LED_BUILTIN, OUTPUT); }
void loop() { digitalWrite(LED_BUILTIN, !digitalRead(LED_BUILTIN)); delay(500); }
`

// build compiles and fails the test on anything but the outcome.
func build(t *testing.T, e *Executor, fqbn string, want compiler.Outcome, files ...string) (*compiler.Result, *record) {
	t.Helper()
	log := &record{}
	result, err := e.Execute(t.Context(), compiler.Job{FQBN: fqbn, Files: project(files...), Main: files[0]}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = result.Discard() })
	if result.Outcome != want {
		t.Fatalf("%s: %s %s, want %s\n%s", fqbn, result.Outcome, result.Message, want, log)
	}
	return result, log
}

func output(t *testing.T, r *compiler.Result, role compiler.Role) compiler.Output {
	t.Helper()
	for _, o := range r.Outputs {
		if o.Role == role {
			return o
		}
	}
	t.Fatalf("no output %q in %s", role, outputs(r))
	return compiler.Output{}
}

func outputs(r *compiler.Result) string {
	var all []string
	for _, o := range r.Outputs {
		all = append(all, fmt.Sprintf("%s:%s@%#x", o.Role, o.Name, o.Offset))
	}
	return strings.Join(all, " ")
}

func read(t *testing.T, o compiler.Output) []byte {
	t.Helper()
	data, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
