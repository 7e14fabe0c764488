package arduino

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

// Each row of what a hostile sketch does to a plain arduino-cli, shown to be
// stopped here.

const secret = "hunter2-the-secret-of-the-machine"

// hostSecret is a file that everybody on the machine may read.
func hostSecret(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "flota-secret-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file := filepath.Join(dir, "secret.h")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(file, []byte(secret), 0o644)); err != nil {
		t.Fatal(err)
	}
	return file
}

// leaks fails the test when the secret is anywhere in what a job gives.
func leaks(t *testing.T, r *compiler.Result, log *record) {
	t.Helper()
	all := log.String() + r.Message + fmt.Sprintf("%+v", r.Diagnostics)
	for _, o := range r.Outputs {
		all += string(read(t, o))
	}
	if strings.Contains(all, secret) {
		t.Errorf("the secret is out: %s", log)
	}
}

func TestHostFilesAreOutOfReach(t *testing.T) {
	e := setup(t)
	file := hostSecret(t)
	for _, fqbn := range []string{"arduino:avr:uno", "flota:virtual:esp32"} {
		for name, text := range map[string]string{
			"include":                 fmt.Sprintf("#include %q\n", file),
			"include by way of /proc": fmt.Sprintf("#include \"/proc/1/root%s\"\n", file),
			"include of /etc/passwd":  "#include \"/etc/passwd\"\n",
			"incbin":                  fmt.Sprintf("asm(\".incbin \\\"%s\\\"\");\n", file),
		} {
			t.Run(fqbn+" "+name, func(t *testing.T) {
				t.Parallel()
				log := &record{}
				r, err := e.Execute(t.Context(), compiler.Job{FQBN: fqbn, Files: project("a.ino", text+blink)}, log)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Discard()
				if r.Outcome != compiler.Failed {
					t.Errorf("%s\n%s", r.Outcome, log)
				}
				leaks(t, r, log)
				if strings.Contains(log.String(), "root:") {
					t.Error(log)
				}
			})
		}
	}
}

// Its own environment a sketch may read: nothing is in it.
func TestEnvironment(t *testing.T) {
	e := setup(t)
	t.Setenv("FLOTA_SECRET", secret)
	log := &record{}
	r, err := e.Execute(t.Context(), compiler.Job{
		FQBN:  "flota:virtual:esp32",
		Files: project("a.ino", "asm(\".section .rodata\\n.incbin \\\"/proc/self/environ\\\"\\n.text\");\n#include \"/proc/self/environ\"\n"+blink),
	}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Discard()
	leaks(t, r, log)
}

// A sketch cannot ask which files the machine has.
func TestNoOracle(t *testing.T) {
	t.Parallel()
	e := setup(t)
	file := hostSecret(t)
	for _, fqbn := range []string{"arduino:avr:uno", "flota:virtual:esp32"} {
		r, log := build(t, e, fqbn, compiler.Failed, "a.ino", fmt.Sprintf("#if __has_include(%q)\n#error it is there\n#else\n#error nothing is there\n#endif\n", file)+blink)
		if !strings.Contains(r.Message, "nothing is there") {
			t.Error(log)
		}
		r, log = build(t, e, fqbn, compiler.Failed, "a.ino", fmt.Sprintf("#pragma GCC dependency %q\n", file)+blink)
		if !strings.Contains(log.String(), "No such file") {
			t.Error(r.Message, log)
		}
	}
}

// wrapper makes gcc run a program of the sketch in place of its own parts.
const wrapper = "-wrapper /usr/bin/python3,/job/sketch/evil.py\n"

// First line: options for the compiler do not get in. Second line: were they in,
// whoever runs code there is in the sandbox and reaches nothing.
func TestBuildOptions(t *testing.T) {
	t.Parallel()
	e := setup(t)
	for name, options := range map[string]string{"wrapper": wrapper, "plugin": "-fplugin=/job/sketch/evil.so\n"} {
		_, err := e.Execute(t.Context(), compiler.Job{FQBN: "fixture:esp32like:board", Files: project("a.ino", blink, "build_opt.h", options)}, &record{})
		if f := fault.As(err); f == nil || f.Field != "build_opt.h" {
			t.Errorf("%s: %v", name, err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	evil := fmt.Sprintf(`
import os, socket, sys
def reach(what, f):
    try: print("REACHED", what, f(), file=sys.stderr)
    except Exception as e: print("refused", what, file=sys.stderr)
reach("file", lambda: open(%q).read())
reach("network", lambda: socket.create_connection(("127.0.0.1", %d), 1))
reach("toolchain", lambda: open("/toolchain/cache/x", "w"))
reach("user", lambda: os.setuid(0))
reach("parent", lambda: os.kill(%d, 9))
print("evil ran as", os.getuid(), file=sys.stderr)
sys.exit(1)
`, hostSecret(t), listener.Addr().(*net.TCPAddr).Port, os.Getpid())
	sketch := intake.Sketch{Main: "a.ino", Files: project("sketch.ino", blink, "build_opt.h", wrapper, "evil.py", evil)}
	log := &record{}
	r, err := e.compile(t.Context(), sketch, task{fqbn: "fixture:esp32like:board", limits: e.cfg.Limits}, log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Discard()
	text := log.String()
	if !strings.Contains(text, "evil ran as") {
		t.Fatalf("the attack did not even begin: this test shows nothing\n%s", text)
	}
	if strings.Contains(text, "REACHED") || r.Outcome != compiler.Failed {
		t.Error(text)
	}
	leaks(t, r, log)
}

// A profile in sketch.yaml has no say, neither over platforms nor libraries.
func TestProfiles(t *testing.T) {
	t.Parallel()
	e := setup(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	asked := make(chan struct{}, 100)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			asked <- struct{}{}
			c.Close()
		}
	}()
	profile := fmt.Sprintf("profiles:\n  evil:\n    fqbn: arduino:avr:uno\n    platforms:\n      - platform: evil:avr (1.0.0)\n        platform_index_url: http://%s/package_index.json\n    libraries:\n      - dir: %s\ndefault_profile: evil\n",
		listener.Addr(), filepath.Dir(hostSecret(t)))
	build(t, e, "arduino:avr:uno", compiler.Succeeded, "a.ino", blink, "sketch.yaml", profile)

	// Past the intake: it cannot reach anything, and the build is not answered for.
	sketch := intake.Sketch{Main: "a.ino", Files: project("sketch.ino", blink, "sketch.yaml", profile)}
	log := &record{}
	r, err := e.compile(t.Context(), sketch, task{fqbn: "arduino:avr:uno", limits: e.cfg.Limits}, log)
	if err == nil {
		defer r.Discard()
		leaks(t, r, log)
	}
	if len(asked) > 0 {
		t.Error("somebody's server was asked for a platform")
	}
}

// Bombs end by a limit or by the compiler's own, soon, and others are built meanwhile.
func TestBombs(t *testing.T) {
	e := setup(t)
	var macro strings.Builder
	macro.WriteString("#define M0 x,x,x,x,x,x,x,x,x,x\n")
	for i := range 12 {
		fmt.Fprintf(&macro, "#define M%d M%d,M%d,M%d,M%d,M%d,M%d,M%d,M%d,M%d,M%d\n", i+1, i, i, i, i, i, i, i, i, i, i)
	}
	macro.WriteString("int x; int y[] = { M12 };\n")
	tight := setup(t)
	tight.cfg.Limits.Wall, tight.cfg.Limits.CPU, tight.cfg.Limits.Memory = 8*time.Second, 2*time.Second, 256<<20
	t.Run("a good one", func(t *testing.T) {
		t.Parallel()
		build(t, e, "arduino:avr:uno", compiler.Succeeded, "a.ino", blink)
	})
	for _, c := range []struct {
		name, fqbn string
		files      []string
	}{
		{"macros", "arduino:avr:uno", []string{"a.ino", macro.String() + blink}},
		{"includes", "arduino:avr:uno", []string{"a.ino", "#include \"b.h\"\n" + blink, "b.h", "#include \"b.h\"\n#include \"b.h\"\n"}},
		{"rept", "arduino:avr:uno", []string{"a.ino", "asm(\".rept 2000000000\\n.long 1\\n.endr\");\n" + blink}},
		{"templates", "flota:virtual:esp32", []string{"a.ino", "template <int A, int B> struct T { static const int v = T<A - 1, B * 2>::v + T<A - 1, B * 2 + 1>::v; };\n" +
			"template <int B> struct T<0, B> { static const int v = B; };\nint x = T<60, 1>::v;\n" + blink}},
		{"big array", "flota:virtual:esp32", []string{"a.ino", "char big[0x7fff] = {1}; char bigger[0x7fffffff] = {1};\n" + blink}},
		{"many words", "arduino:avr:uno", []string{"a.ino", "#error " + strings.Repeat("word ", 150_000) + "\n" + blink}},
		{"many errors", "flota:virtual:esp32", []string{"a.ino", strings.Repeat("int x = nothing(1);\n", 1_000) + blink}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			log := &record{}
			start := time.Now()
			r, err := tight.Execute(t.Context(), compiler.Job{FQBN: c.fqbn, Files: project(c.files...)}, log)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Discard()
			took := time.Since(start)
			if took > 12*time.Second {
				t.Errorf("took %s", took)
			}
			if r.Outcome == compiler.Succeeded || r.Message == "" {
				t.Errorf("%s %s", r.Outcome, r.Message)
			}
			said := 0
			for _, l := range log.lines {
				said += compiler.LogCost(l)
			}
			if said > compiler.MaxLog || len(r.Diagnostics) > maxDiagnostics || len(r.Message) > 2*maxMessage {
				t.Errorf("the log has %d bytes, the result %d diagnostics and a message of %d bytes", said, len(r.Diagnostics), len(r.Message))
			}
			t.Logf("%s after %s: %.100s", r.Outcome, took.Round(time.Millisecond), r.Message)
		})
	}
}

// A fork bomb in a hook, were one to get in, ends with its own job.
func TestForkBomb(t *testing.T) {
	e := setup(t)
	evil := "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass\n"
	limits := e.cfg.Limits
	limits.Wall = time.Second
	sketch := intake.Sketch{Main: "a.ino", Files: project("sketch.ino", blink, "build_opt.h", wrapper, "evil.py", evil)}
	start := time.Now()
	r, err := e.compile(t.Context(), sketch, task{fqbn: "fixture:esp32like:board", limits: limits}, &record{})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); r.Outcome != compiler.Exceeded || took > 5*time.Second {
		t.Errorf("%s %s after %s", r.Outcome, r.Message, took)
	}
	build(t, e, "arduino:avr:uno", compiler.Succeeded, "a.ino", blink)
}
