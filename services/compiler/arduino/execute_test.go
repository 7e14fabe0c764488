package arduino

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

func TestBlinkOnAVR(t *testing.T) {
	e := setup(t)
	r, log := build(t, e, "arduino:avr:uno", compiler.Succeeded, "blink.ino", blink)
	if got := outputs(r); got != "elf:blink.ino.elf@0x0 hex:blink.ino.hex@0x0" {
		t.Error(got)
	}
	hex := output(t, r, compiler.Hex)
	if data := read(t, hex); data[0] != ':' || int64(len(data)) != hex.Size || digest(data) != hex.SHA256 {
		t.Errorf("%.40q %+v", data, hex)
	}
	if m := r.Memory; m.FlashMax != 32256 || m.RAMMax != 2048 || m.FlashUsed < 500 || m.FlashUsed > 2000 {
		t.Errorf("%+v", m)
	}
	if len(r.Diagnostics) != 0 || r.Toolchain != e.platforms[0].Toolchain || r.Toolchain == "" || len(r.Times) != 1 {
		t.Errorf("%+v", r)
	}
	// The laid out core was used: compiling it anew would take longer than a second.
	if strings.Contains(log.String(), "compiled core/") || !strings.Contains(log.String(), "farm: Program: ") {
		t.Error(log)
	}
	if err := r.Discard(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(e.cfg.Work); len(left) != 0 {
		t.Error("left in the work folder:", left)
	}
}

// The virtual board's image has the form of an ESP32's, and what is in it runs.
func TestVirtualBoardRuns(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r, _ := build(t, e, "flota:virtual:esp32", compiler.Succeeded, "hello.ino", `
#include <Preferences.h>
#include <WiFi.h>
#include <string>
#include <vector>

Preferences preferences;

void setup() {
  Serial.begin(115200);
  WiFi.begin("network", "password");
  while (WiFi.status() != WL_CONNECTED) delay(100);
  std::vector<std::string> words = {"at", WiFi.localIP().toString().c_str()};
  Serial.printf("connected %s ", words[0].c_str());
  Serial.println(WiFi.localIP());
  preferences.begin("counts");
  preferences.putInt("boots", preferences.getInt("boots", 0) + 1);
  Serial.println("boots " + String(preferences.getInt("boots")) + F(" of ") + String(2.5, 1));
  pinMode(LED_BUILTIN, OUTPUT);
  digitalWrite(LED_BUILTIN, HIGH);
  Serial.println(digitalRead(LED_BUILTIN) + map(5, 0, 10, 0, 100), HEX);
  Serial.println(Serial.readStringUntil('\n'));
  try {
    throw 1;
  } catch (int) {
    Serial.println(max(millis() < 60000UL ? 1 : 0, 0));
  }
}
void loop() { ESP.restart(); }
`)
	image := read(t, output(t, r, compiler.App))
	if image[0] != 0xE9 || image[1] != 1 || image[23] != 1 || len(image)%16 != 0 {
		t.Fatalf("header % x, %d bytes", image[:24], len(image))
	}
	sum := sha256.Sum256(image[:len(image)-32])
	if !bytes.Equal(sum[:], image[len(image)-32:]) {
		t.Error("the digest at the end is not that of what is before")
	}
	payload := image[32 : 32+binary.LittleEndian.Uint32(image[28:])]
	if !bytes.HasPrefix(payload, []byte("\x7fELF")) || int64(len(image)) > r.Memory.FlashMax {
		t.Errorf("payload %.4q, %d of %d bytes", payload, len(image), r.Memory.FlashMax)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "firmware")
	if err := os.WriteFile(program, payload, 0o755); err != nil {
		t.Fatal(err)
	}
	for boot := 1; boot <= 2; boot++ {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		cmd := exec.CommandContext(ctx, program)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader("typed\n")
		said, err := cmd.Output()
		cancel()
		var exit *exec.ExitError
		want := fmt.Sprintf("connected at 127.0.0.1\r\nboots %d of 2.5\r\n33\r\ntyped\r\n1\r\n", boot)
		if string(said) != want || !errors.As(err, &exit) || exit.ExitCode() != 64 {
			t.Errorf("boot %d: %q %v, want %q", boot, said, err, want)
		}
	}
}

// A core in the manner of arduino-esp32: hooks, Python, several outputs and the
// places where they are flashed, a partition table from the sketch.
func TestSeveralOutputs(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r, _ := build(t, e, "fixture:esp32like:board", compiler.Succeeded, "many.ino", blink)
	want := "app:many.ino.bin@0x10000 bootloader:many.ino.bootloader.bin@0x1000 elf:many.ino.elf@0x0 map:many.ino.map@0x0 " +
		"other:many.ino.merged.bin@0x0 partitions:many.ino.partitions.bin@0x8000 otadata:boot_app0.bin@0xe000"
	if got := outputs(r); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if want := (compiler.FlashBy{Chip: "esp32", Baud: 921600, Mode: "dio", Frequency: "80m", Size: "4MB"}); r.Flash == nil || *r.Flash != want {
		t.Errorf("%+v, want %+v", r.Flash, want)
	}
	qio, _ := build(t, e, "fixture:esp32like:board:FlashMode=qio", compiler.Succeeded, "many.ino", blink)
	if qio.Flash == nil || qio.Flash.Mode != "qio" {
		t.Errorf("the board's option has no say: %+v", qio.Flash)
	}
	own, _ := build(t, e, "fixture:esp32like:board", compiler.Succeeded, "many.ino", blink,
		"partitions.csv", "nvs, data, nvs, 0x9000, 0x5000\nmine, app, ota_0, 0x10000, 0x100000\n")
	if table := read(t, output(t, own, compiler.Partitions)); !bytes.Contains(table, []byte("mine")) {
		t.Errorf("the sketch's own partition table was not used: %.80q", table)
	}
}

func TestOptionsAndTooBig(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r, _ := build(t, e, "fixture:esp32like:board:CPUFreq=80,PartitionScheme=huge_app", compiler.Succeeded, "a.ino",
		"#if F_CPU != 80000000L\n#error wrong\n#endif\n"+blink)
	if r.Memory.FlashMax != 3145728 {
		t.Errorf("%+v", r.Memory)
	}
	big, _ := build(t, e, "fixture:esp32like:tiny", compiler.Failed, "a.ino", blink)
	if len(big.Diagnostics) != 1 || !strings.Contains(big.Message, "exceeds available space") {
		t.Errorf("%+v", big)
	}
	for _, fqbn := range []string{
		"", "uno", "arduino:avr:none", "none:avr:uno", "arduino:avr:uno:cpu=x", "arduino:avr:mega:cpu=x", "arduino:avr:mega:cpu=atmega1280,cpu=atmega2560",
		"arduino:avr:uno --build-property recipe.hooks.prebuild.1.pattern=id", "arduino:avr:uno\n-v", "arduino:avr:mega:cpu=atmega1280\nx", "../x:avr:uno",
	} {
		_, err := e.Execute(t.Context(), compiler.Job{FQBN: fqbn, Files: project("a.ino", blink)}, &record{})
		if f := fault.As(err); f == nil || f.Field != "fqbn" || f.Code != fault.Invalid {
			t.Errorf("%q: %v", fqbn, err)
		}
	}
}

// Tabs, folders, libraries of the core; each with its own name in the log.
func TestProjectOfManyFiles(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r, _ := build(t, e, "arduino:avr:uno", compiler.Succeeded, "main_file.ino", `
#include <Wire.h>
#include "part.h"
#include "src/deep/more.h"
void setup() { Wire.begin(); tab(); part(); more(); }
void loop() {}`,
		"tab.ino", "void tab() { pinMode(1, OUTPUT); }",
		"part.h", "void part();", "part.cpp", "#include \"part.h\"\nvoid part() {}",
		"src/deep/more.h", "#ifdef __cplusplus\nextern \"C\"\n#endif\nvoid more(void);", "src/deep/more.c", "#include \"more.h\"\nvoid more(void) {}",
		"data/big.bin", "not compiled", "sketch.yaml", "default_fqbn: arduino:avr:mega\n")
	if len(r.Libraries) != 1 || r.Libraries[0].Name != "Wire" || r.Libraries[0].Version == "" {
		t.Errorf("%+v", r.Libraries)
	}
	if r.Memory.FlashMax != 32256 {
		t.Errorf("sketch.yaml had a say: %+v", r.Memory)
	}
}

// Each compiled file has its own name in the log, those of libraries, too.
func TestCompiledFiles(t *testing.T) {
	t.Parallel()
	e := setup(t)
	r, log := build(t, e, "fixture:esp32like:board", compiler.Succeeded, "slow.ino", "#include <Arduino.h>\n#include <BigLib.h>\nvoid setup() { big_one(); big_two(); big_three(); }\nvoid loop() {}\n")
	if len(r.Libraries) != 1 || r.Libraries[0] != (compiler.Library{Name: "BigLib", Version: "2.3.4"}) {
		t.Errorf("%+v", r.Libraries)
	}
	for _, want := range []string{"farm: compiled slow.ino\n", "farm: compiled libraries/BigLib/big_"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is missing:\n%s", want, log)
		}
	}
}

// oneFile lets the first file be compiled, and has every other compiler wait for ever.
const oneFile = `
import os, sys
if "cc1plus" in sys.argv[1] and not {"-E", "-M"} & set(sys.argv):
    try:
        os.close(os.open("/job/first", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        os.mkfifo("/tmp/%d" % os.getpid())
        open("/tmp/%d" % os.getpid())
os.execvp(sys.argv[1], sys.argv[1:])
`

// What takes longer than a second is shown while it happens: a file's name comes although the build never ends.
func TestLiveLog(t *testing.T) {
	t.Parallel()
	e := setup(t)
	sketch := intake.Sketch{Main: "a.ino", Files: project("sketch.ino", blink, "b.cpp", "int b;", "build_opt.h", wrapper, "evil.py", oneFile)}
	told := errors.New("a compiled file was told")
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	log := &watched{line: func(text string) {
		if strings.HasPrefix(text, "compiled ") {
			stop(told)
		}
	}}
	limits := e.cfg.Limits
	limits.Wall = 2 * time.Minute
	r, err := e.compile(ctx, sketch, task{fqbn: "fixture:esp32like:board", limits: limits}, log)
	if !errors.Is(err, told) {
		t.Errorf("%+v, %v\n%s", r, err, log)
	}
}

// The text of an error is in the log of a verbose build, however much the compilers say beside it.
func TestVerbose(t *testing.T) {
	t.Parallel()
	e := setup(t)
	line := strings.Repeat("a command ", 12)
	for name, c := range map[string]struct {
		verbose bool
		lines   int // on the compilers' standard output
		shown   bool
	}{
		"short":           {true, 10, true},
		"1 MB":            {true, 8_000, true},
		"2 MB":            {true, 16_000, true},
		"6 MB, too much":  {true, 50_000, false},
		"1 MB, not asked": {false, 8_000, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &record{}
			says := fmt.Sprintf("asm(\".print \\\"it begins\\\"\\n.rept %d\\n.print \\\"%s\\\"\\n.endr\\n.print \\\"it ends\\\"\\n.error \\\"this is wrong\\\"\");\n", c.lines, line)
			r, err := e.Execute(t.Context(), compiler.Job{FQBN: "flota:virtual:esp32", Files: project("a.ino", says+blink), Verbose: c.verbose}, log)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Discard()
			text := log.String()
			told := strings.Count(text, "stdout: "+line)
			for what, right := range map[string]bool{
				"outcome":         r.Outcome == compiler.Failed && strings.Contains(r.Message, "this is wrong"),
				"error":           strings.Contains(text, "\nstderr: ") && strings.Contains(text, "Error: this is wrong"),
				"commands":        strings.Contains(text, "stdout: /usr/bin/g++ ") == c.verbose,
				"beginning":       strings.Contains(text, "stdout: it begins") == c.verbose,
				"end":             strings.Contains(text, "stdout: it ends") == c.verbose,
				"all of it":       (told == c.lines) == c.shown,
				"what is cut":     strings.Contains(text, "bytes of what the compilers wrote to stdout are left out") == (c.verbose && !c.shown),
				"the user's name": !strings.Contains(text, "/job/"),
			} {
				if !right {
					t.Errorf("%s: %d of %d lines, %s %s\n%.3000s", what, told, c.lines, r.Outcome, r.Message, text)
				}
			}
		})
	}
}

// The same source gives the same bytes: at another time, in another folder, and
// whatever the main file is called.
func TestDeterminism(t *testing.T) {
	t.Parallel()
	text := `#include "b.h"
const char *when = __DATE__ " " __TIME__ " " __FILE__;
void setup() { Serial.begin(9600); Serial.print(when); Serial.print(helper()); }
void loop() {}
`
	helper := "#include \"b.h\"\nconst char *helper() { return __FILE__ __TIME__; }"
	header := "#include <Arduino.h>\nextern const char *helper();"
	first, second := setup(t), setup(t)
	for _, fqbn := range []string{"arduino:avr:uno", "flota:virtual:esp32"} {
		a, _ := build(t, first, fqbn, compiler.Succeeded, "one.ino", text, "b.h", header, "a.cpp", helper)
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // another __TIME__
		b, _ := build(t, second, fqbn, compiler.Succeeded, "two.ino", text, "a.cpp", helper, "b.h", header)
		if len(a.Outputs) != len(b.Outputs) || len(a.Outputs) < 2 {
			t.Errorf("%s: %s, %s", fqbn, outputs(a), outputs(b))
			continue
		}
		for i := range a.Outputs {
			if a.Outputs[i].SHA256 != b.Outputs[i].SHA256 {
				t.Errorf("%s: %s differs", fqbn, a.Outputs[i].Name)
			}
		}
	}
}

// Builds of one name at the same time each get their own firmware.
func TestParallel(t *testing.T) {
	e := setup(t)
	var wait sync.WaitGroup
	for i := range 6 {
		wg := &wait
		wg.Go(func() {
			text := fmt.Sprintf("void setup() { Serial.begin(9600); Serial.print(\"this is number %d\"); }\nvoid loop() {}\n", i)
			r, err := e.Execute(t.Context(), compiler.Job{FQBN: "arduino:avr:uno", Files: project("same.ino", text)}, &record{})
			if err != nil || r.Outcome != compiler.Succeeded {
				t.Errorf("%d: %+v %v", i, r, err)
				return
			}
			defer r.Discard()
			data, _ := os.ReadFile(output(t, r, compiler.ELF).Path)
			if !bytes.Contains(data, fmt.Appendf(nil, "this is number %d", i)) {
				t.Errorf("%d got another's firmware", i)
			}
		})
	}
	wait.Wait()
}

func TestCancel(t *testing.T) {
	e := setup(t)
	stopped := errors.New("stopped by its user")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, stopped)
	defer cancel()
	start := time.Now()
	r, err := e.Execute(ctx, compiler.Job{FQBN: "fixture:esp32like:board", Files: project("a.ino", "#include <BigLib.h>\n"+blink)}, &record{})
	if !errors.Is(err, stopped) || r != nil || time.Since(start) > 2*time.Second {
		t.Error(r, err, time.Since(start))
	}
	if left, _ := os.ReadDir(e.cfg.Work); len(left) != 0 {
		t.Error("left in the work folder:", left)
	}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
