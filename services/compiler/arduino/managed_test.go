package arduino

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

const virtual = "flota:virtual:esp32"

// execute compiles a job of the virtual board, which must succeed.
func execute(t *testing.T, job compiler.Job) (*compiler.Result, string) {
	t.Helper()
	e := setup(t)
	if e.agents["flota:virtual"] == "" {
		t.Fatal("the toolchain was laid out without FlotaOTA")
	}
	if job.FQBN == "" {
		job.FQBN = virtual
	}
	log := &record{}
	r, err := e.Execute(t.Context(), job, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Discard() })
	if r.Outcome != compiler.Succeeded || len(r.Diagnostics) > 0 {
		t.Fatalf("%s %v\n%s", r.Outcome, r.Diagnostics, log)
	}
	return r, log.String()
}

// hasAgent looks for the agent in the program itself.
func hasAgent(t *testing.T, r *compiler.Result) bool {
	t.Helper()
	return bytes.Contains(read(t, output(t, r, compiler.ELF)), []byte(agentStart))
}

// answers runs a firmware that was given nothing yet, and asks its agent who it is.
func answers(t *testing.T, r *compiler.Result) {
	t.Helper()
	image, dir := read(t, output(t, r, compiler.App)), t.TempDir()
	program := filepath.Join(dir, "firmware")
	if err := os.WriteFile(program, image[32:32+binary.LittleEndian.Uint32(image[28:])], 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir, cmd.Env = dir, []string{"BOARD_DIR=" + dir}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	go func() { // a host asks until it is answered
		for ctx.Err() == nil {
			_, _ = in.Write([]byte("{\"flota\":\"hello\"}\n"))
			time.Sleep(100 * time.Millisecond)
		}
	}()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), `{"flota":"hello","agent":"FlotaOTA/`) {
			return
		}
	}
	t.Error("the agent does not answer")
}

// Whatever a sketch looks like, the agent is in it, and runs.
func TestManagedSketches(t *testing.T) {
	t.Parallel()
	for name, files := range map[string][]string{
		"nothing but an empty loop": {"a.ino", "void setup() {}\nvoid loop() {}\n"},
		"never returns from loop":   {"a.ino", "void setup() {}\nvoid loop() { for (;;) {} }\n"},
		"never returns from setup":  {"a.ino", "void setup() { while (true) delay(1000); }\nvoid loop() {}\n"},
		"its own verifyRollbackLater": {
			"a.ino", "extern \"C\" bool verifyRollbackLater() { return true; }\nvoid setup() {}\nvoid loop() {}\n",
		},
		"its own verifyRollbackLater in a tab": {
			"a.ino", blink, "rollback.cpp", "extern \"C\" bool verifyRollbackLater() { return true; }\n",
		},
		"speaks to the agent": {
			"a.ino", "#include <FlotaOTA.h>\nvoid setup() { FlotaOTA.begin(); FlotaOTA.check(); }\nvoid loop() {}\n",
		},
		"is managed by itself already": {
			"a.ino", blink, "managed.cpp", managedSource,
		},
		"has a header of that name": {
			"a.ino", "#include \"FlotaOTA.h\"\nvoid setup() { mine(); }\nvoid loop() {}\n", "FlotaOTA.h", "inline void mine() {}\n",
		},
		"has functions of such names": {
			"a.ino", "void start() {}\nvoid agent() {}\nvoid begin() {}\nint flota;\nvoid setup() { start(); agent(); begin(); flota++; }\nvoid loop() {}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, log := execute(t, compiler.Job{Files: project(files...), Main: files[0]})
			if !strings.Contains(log, "farm: FlotaOTA 1.0.0 is added\n") || strings.Contains(log, managedFile) {
				t.Error(log)
			}
			if r.Agent == nil || r.Agent.Version != "1.0.0" || !hasAgent(t, r) {
				t.Errorf("%+v", r.Agent)
			}
			answers(t, r)
			if r.Flash != nil {
				t.Errorf("esptool writes no virtual board: %+v", r.Flash)
			}
		})
	}
}

// arduino-pico's boards begin with no file system at all, and some have no radio.
func TestManagedPico(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "menu.flash=Flash Size\nmenu.freq=CPU Speed\n"
	for board, flags := range map[string]string{"w": "-DPICO_CYW43_SUPPORTED=1 -DCYW43_PIN_WL_DYNAMIC=1", "plain": ""} {
		text += board + ".name=Pico " + board + "\n" + board + ".build.extra_flags=" + flags + "\n" +
			board + ".menu.freq.133=133 MHz\n" + board + ".menu.freq.200=200 MHz\n" +
			board + ".menu.flash.2097152_0=2MB (no FS)\n" + board + ".menu.flash.2097152_65536=2MB (FS: 64KB)\n" +
			board + ".menu.flash.2097152_1048576=2MB (FS: 1MB)\n" + board + ".menu.flash.2097152_1572864=2MB (FS: 1.5MB)\n"
	}
	for name, text := range map[string]string{"boards.txt": text, "platform.txt": "name=Pico\nversion=5.3.0\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := readPlatform(dir, "rp2040:rp2040")
	if err != nil {
		t.Fatal(err)
	}
	radioless, err := readRadioless(p.ID, dir)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := readRadioless("esp32:esp32", dir); err != nil || len(other) != 0 {
		t.Errorf("%v %v", other, err)
	}
	e := &Executor{agents: map[string]string{p.ID: "1.0.0"}, radioless: radioless}
	for _, c := range []struct {
		fqbn, want string
		managed    bool
	}{
		{"rp2040:rp2040:w", "rp2040:rp2040:w:flash=2097152_1048576", true},
		{"rp2040:rp2040:w:flash=2097152_0", "rp2040:rp2040:w:flash=2097152_1048576", true},
		{"rp2040:rp2040:w:flash=2097152_65536", "rp2040:rp2040:w:flash=2097152_65536", true},
		{"rp2040:rp2040:w:freq=200", "rp2040:rp2040:w:flash=2097152_1048576,freq=200", true},
		{"rp2040:rp2040:w:freq=200,flash=2097152_1572864", "rp2040:rp2040:w:flash=2097152_1572864,freq=200", true},
		{"rp2040:rp2040:plain", "rp2040:rp2040:plain", false},
		{"rp2040:rp2040:plain:freq=200", "rp2040:rp2040:plain:freq=200", false},
	} {
		board, canonical, err := compiler.Resolve([]compiler.Platform{p}, c.fqbn)
		if err != nil {
			t.Fatal(err)
		}
		sketch, log := &intake.Sketch{}, &record{}
		fqbn, managed := e.manage(sketch, board, canonical, false, log)
		// What is compiled for is something that the board has.
		if _, again, err := compiler.Resolve([]compiler.Platform{p}, fqbn); err != nil || again != c.want || managed != c.managed ||
			(len(sketch.Files) == 1) != c.managed || strings.Contains(log.String(), "no Wi-Fi") == c.managed {
			t.Errorf("%s: %s %t %v\n%s", c.fqbn, fqbn, managed, err, log)
		}
		if plain, managed := e.manage(sketch, board, canonical, true, log); plain != canonical || managed {
			t.Errorf("%s: unmanaged %s", c.fqbn, plain)
		}
	}
}

// Who opts out gets what was written and a warning; who has the agent in the
// sketch has it all the same.
func TestUnmanagedSketches(t *testing.T) {
	t.Parallel()
	r, log := execute(t, compiler.Job{Files: project("a.ino", blink), Unmanaged: true})
	if !strings.Contains(log, "farm: Warning: this project does without FlotaOTA") || r.Agent != nil || hasAgent(t, r) || len(r.Libraries) != 0 {
		t.Errorf("%+v\n%s", r.Agent, log)
	}
	own := "#include <FlotaOTA.h>\nvoid setup() { FlotaOTA.begin(); }\nvoid loop() {}\n"
	if r, _ := execute(t, compiler.Job{Files: project("a.ino", own), Unmanaged: true}); r.Agent == nil || !hasAgent(t, r) {
		t.Errorf("begun by the sketch: %+v", r.Agent)
	}
	// To include it is not to have it.
	idle := "#include <FlotaOTA.h>\n" + blink
	if r, _ := execute(t, compiler.Job{Files: project("a.ino", idle), Unmanaged: true}); r.Agent != nil || hasAgent(t, r) {
		t.Errorf("only included: %+v", r.Agent)
	}
}

// Boards that the library does not support compile what was written.
func TestOtherBoardsAreNotManaged(t *testing.T) {
	t.Parallel()
	for _, fqbn := range []string{"arduino:avr:uno", "fixture:esp32like:board"} {
		managed, log := execute(t, compiler.Job{FQBN: fqbn, Files: project("a.ino", blink)})
		unmanaged, quiet := execute(t, compiler.Job{FQBN: fqbn, Files: project("a.ino", blink), Unmanaged: true})
		if strings.Contains(log+quiet, "FlotaOTA") || managed.Agent != nil || len(managed.Libraries) != 0 {
			t.Errorf("%s: %+v\n%s\n%s", fqbn, managed.Agent, log, quiet)
		}
		if output(t, managed, compiler.ELF).SHA256 != output(t, unmanaged, compiler.ELF).SHA256 {
			t.Errorf("%s: other bytes", fqbn)
		}
	}
}

// What the map says that the agent costs is what it costs: the difference
// between two links, within 10 %. What is missing is what the linker itself
// makes of the agent's sections: relocations and indexes of unwind tables (here;
// an ESP32's image has neither), and alignment.
func TestAgentCost(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"alone": "void setup() {}\nvoid loop() {}\n",
		"in a sketch that uses much of the same": "#include <WiFi.h>\n#include <Preferences.h>\n#include <string>\n#include <vector>\nPreferences p;\n" +
			"void setup() { Serial.begin(115200); WiFi.begin(\"a\", \"b\"); p.begin(\"x\"); p.putInt(\"y\", 1);\n" +
			"  std::vector<std::string> v{\"a\"}; Serial.printf(\"%s %f\\n\", v[0].c_str(), 1.5); }\nvoid loop() {}\n",
	} {
		with, log := execute(t, compiler.Job{Files: project("a.ino", text)})
		without, _ := execute(t, compiler.Job{Files: project("a.ino", text), Unmanaged: true})
		flash := with.Memory.FlashUsed - without.Memory.FlashUsed
		ram := with.Memory.RAMUsed - without.Memory.RAMUsed
		near := func(told, real int64) bool {
			return math.Abs(float64(told-real)) <= 64+0.1*float64(real)
		}
		t.Logf("%s: told %d and %d bytes, really %d and %d", name, with.Agent.Flash, with.Agent.RAM, flash, ram)
		if !near(with.Agent.Flash, flash) || !near(with.Agent.RAM, ram) || flash < 20_000 {
			t.Errorf("%s: told %+v, really %d and %d", name, with.Agent, flash, ram)
		}
		if !strings.Contains(log, "farm: Of that FlotaOTA 1.0.0: ") {
			t.Error(log)
		}
	}
}

// Nobody is shown a file that is not theirs without being told what it is.
func TestManagedFileIsExplained(t *testing.T) {
	n := names{intake.Sketch{Main: "blink.ino"}}
	const built = "/job/cache/sketches/416433AF16B67BC99A69C2B4ECCA718D/"
	for _, path := range []string{"/job/sketch/" + managedFile, built + "sketch/" + managedFile, built + "sketch/" + managedFile + ".o"} {
		if name, own := n.place(path); name != managedName || own {
			t.Errorf("%s: %q %t", path, name, own)
		}
	}
	if got := n.object("416433AF16B67BC99A69C2B4ECCA718D/sketch/" + managedFile + ".o"); got != managedName {
		t.Errorf("compiled %q", got)
	}
	if got := n.inText(built + "sketch/" + managedFile + ":2:1: error: x"); got != managedName+":2:1: error: x" {
		t.Errorf("%q", got)
	}
	// Its name cannot be a user's.
	if _, err := intake.Arduino(project("a.ino", blink, managedFile, ""), "a.ino"); err == nil {
		t.Errorf("a user's %s is taken", managedFile)
	}
	for _, d := range parseDiagnostics(built+"sketch/"+managedFile+":1:10: fatal error: FlotaOTA.h: No such file or directory\n", n.place) {
		if d.File != managedName || d.Message == "" {
			t.Errorf("%+v", d)
		}
	}
}
