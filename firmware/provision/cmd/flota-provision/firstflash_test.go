//go:build linux

package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/firmware/pico"
	"github.com/flota/flota/firmware/provision"
	"github.com/flota/flota/firmware/provision/provisiontest"
	"github.com/flota/flota/pkg/deviceproto"
)

// plugPico serves a board with MicroPython, whose files need so many blocks; when it is
// reset it is the device.
func plugPico(t *testing.T, blocks int, board *provisiontest.REPL, device *provisiontest.Device) (port string) {
	t.Helper()
	board.Start(t, blocks)
	ours, port := pty(t)
	served := make(chan struct{})
	go func() {
		defer close(served)
		board.Serve(ours)
		device.Serve(ours)
	}()
	t.Cleanup(func() { ours.Close(); <-served })
	return port
}

// A board with MicroPython becomes a device with one command; what is its own stays.
func TestFirstFlash(t *testing.T) {
	board := &provisiontest.REPL{Program: "Traceback (most recent call last):\nKeyboardInterrupt: \n"}
	device := &provisiontest.Device{Program: true, Statuses: []provision.Status{online}}
	port := plugPico(t, 212, board, device)
	if _, trace := board.Run(`import os
for d in ("/data", "/a", "/a/old"): os.mkdir(d)
for f in ("/data/mine.txt", "/main.py", "/a/old/module.py", "/a/stale.py"):
    with open(f, "w") as f: f.write("mine")
`); trace != "" {
		t.Fatal(trace)
	}
	r := start(t, nil, nil, "--port", port, "--micropython", "--file", file(t, good(t)))
	r.want(t, 0, "MicroPython 1.25.0", "boot.py", "a/flota_agent.py", "100 %", "it starts", "bot_001 now", "online: 192.0.2.7")
	if device.Given() == nil {
		t.Error("it was given nothing")
	}
	if n := board.Overrun(); n > 0 {
		t.Errorf("%d bytes more than the board had room for", n)
	}
	said, trace := board.Run(`
print(open("/data/mine.txt").read(), "flota_boot" in open("/main.py").read(), open("/flota/slot").read().strip())
print(sorted(n for n in os.listdir("/") + os.listdir("/a") if n.endswith(".new")), "stale.py" in os.listdir("/a"), "old" in os.listdir("/a"), ".index" in os.listdir("/a"))
`)
	if said != "mine True a valid\n[] False False True\n" {
		t.Errorf("%q %s", said, trace)
	}
}

func TestFirstFlashRefused(t *testing.T) {
	for name, c := range map[string]struct {
		before string // runs on the board
		blocks int
		want   string
	}{
		"too old": {`import sys
class Old:
    name, version, _machine = "micropython", (1, 22, 2, ""), "Raspberry Pi Pico W with RP2040"
class Sys:
    implementation = Old
sys.modules["sys"] = Sys
`, 64, "its MicroPython 1.22.2 is too old: put 1.23 or newer"},
		"not MicroPython": {`import sys
class Circuit:
    name, version, _machine = "circuitpython", (9, 1, 0), "Raspberry Pi Pico W"
class Sys:
    implementation = Circuit
sys.modules["sys"] = Sys
`, 64, "this is circuitpython"},
		"no room": {"", 8, "KiB free on the board"},
	} {
		t.Run(name, func(t *testing.T) {
			board := &provisiontest.REPL{}
			port := plugPico(t, c.blocks, board, &provisiontest.Device{})
			if _, trace := board.Run(c.before); trace != "" {
				t.Fatal(trace)
			}
			start(t, nil, nil, "--port", port, "--micropython").want(t, 1, c.want)
			if said, trace := board.Run(`import os
print(os.listdir("/"))`); said != "[]\n" {
				t.Errorf("something changed: %q %s", said, trace)
			}
		})
	}
	_, sketch := plug(t, &provisiontest.Device{})
	start(t, nil, nil, "--port", sketch, "--micropython", "--wait", "3s").want(t, 3, "no MicroPython answers")
	empty := t.TempDir()
	start(t, nil, nil, "--port", sketch, "--micropython", "--files", empty).want(t, 2, "no first flash")
	start(t, nil, nil, "--port", sketch, "--micropython", "--status").want(t, 2, "alone")
}

func TestOldest(t *testing.T) {
	for version, old := range map[[3]int]bool{{1, 25, 0}: false, {1, 23, 0}: false, {1, 22, 2}: true, {0, 99, 0}: true, {2, 0, 0}: false} {
		if older(version) != old {
			t.Errorf("%v", version)
		}
	}
}

// Who prefers mpremote gets the same files.
func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pico")
	start(t, nil, nil, "--save", dir).want(t, 0)
	for _, name := range []string{"boot.py", "main.py", "flota_boot.py", "flota/slot", "a/.index", "a/main.py"} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(strings.TrimSpace(string(data))) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// virtualPico is a Pico with MicroPython and some files, at a serial port.
func virtualPico(t *testing.T, files map[string]string) (b *chiptest.Bench, port string) {
	t.Helper()
	b = chiptest.NewPico(t, files, func(c *chip.Config) { c.Baud = chip.Unlimited })
	ours, port := pty(t)
	if err := b.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	end := b.Port()
	t.Cleanup(func() { end.Close() })
	go func() { _, _ = io.Copy(ours, end) }()
	go func() { _, _ = io.Copy(end, ours) }()
	return b, port
}

// A Pico on which nothing is but MicroPython: one command, and it is a device that is online.
func TestVirtualPico(t *testing.T) {
	t.Parallel() // the cable is slow
	board, port := virtualPico(t, map[string]string{"main.py": "import time\nwhile True:\n    print('mine')\n    time.sleep(1)\n", "data/mine.txt": "kept"})
	// Its program is ended for the dialogue, and runs again where there is none.
	start(t, nil, nil, "--port", port, "--status", "--wait", "4s").want(t, 3, "nothing answers", "--micropython")
	board.Until("its program", func() bool {
		text := board.Output()
		return strings.LastIndex(text, "mine") > strings.LastIndex(text, "no module named 'flota_cable'")
	})
	p := good(t)
	s := newServer(t, p.Key)
	p.Server, p.Board = s.URL, "micropython:py:virtual_pico_w"
	p.WiFi = []deviceproto.Network{{SSID: "shed", Password: "12345678"}}
	start(t, nil, nil, "--port", port, "--micropython", "--file", file(t, p)).
		want(t, 0, "Virtual Pico W with RP2040, MicroPython 1.25.0", "a/flota_agent.py", "100 %", "RP2040, flota_agent/", "not provisioned yet", "bot_001 now", "online: ")
	if s.polls.Load() == 0 {
		t.Fatalf("the server was never asked; the board wrote:\n%s", board.Output())
	}
	start(t, nil, nil, "--port", port, "--status").want(t, 0, "provisioned before", "server ok")
	// A button of its own, as firmware/pico/FIRST-FLASH.md tells it at the REPL.
	keys := `import flota_boot, json
given = json.load(open("/flota.json")); given["button"] = 15
flota_boot.replace("/flota.json", json.dumps(given))
import machine; machine.reset()
`
	if err := board.WriteSerial(t.Context(), []byte("\x03\x03"+strings.ReplaceAll(keys, "\n", "\r"))); err != nil {
		t.Fatal(err)
	}
	board.Until("a restart", func() bool { return board.State().Starts == 3 })
	board.Until("its button", func() bool {
		return slices.ContainsFunc(board.State().Pins, func(p chip.Pin) bool { return p.Number == 15 && p.Mode == "pullup" })
	})
	// Again: nothing is written that is there; and it is who it was.
	r := start(t, nil, nil, "--port", port, "--micropython")
	r.want(t, 0, "it starts")
	if strings.Contains(r.output, "%") {
		t.Errorf("files were written again:\n%s", r.output)
	}
	start(t, nil, nil, "--port", port, "--wifi-ssid", "barn", "--wifi-password-file", "/dev/null").want(t, 0, "provisioned before", "barn", "online")
	start(t, nil, nil, "--port", port, "--erase").want(t, 0, "forgotten")
}

// The agent of this first flash is source, which takes more memory than a compiled one: enough is left for an
// update, and for the way back.
func TestUpdatesFromSource(t *testing.T) {
	t.Parallel() // the cable is slow
	board, port := virtualPico(t, nil)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the board wrote:\n%s", board.Output())
		}
	})
	server := chiptest.NewServer(t)
	p := server.Enrol("bot_001")
	p.Board, p.WiFi = "micropython:py:virtual_pico_w", []deviceproto.Network{{SSID: "shed", Password: "12345678"}}
	start(t, nil, nil, "--port", port, "--micropython", "--file", file(t, p)).want(t, 0, "online: ")
	first, err := pico.FirstFlash()
	if err != nil {
		t.Fatal(err)
	}
	release := map[string][]byte{}
	for _, f := range first {
		if name, ok := strings.CutPrefix(f.Path, "a/flota_"); ok {
			release["flota_"+name] = f.Data
		}
	}
	release["main.py"] = []byte("import time\nwhile True:\n    time.sleep(1)\n")
	server.WantFiles(p, 1, release)
	server.UntilSaid(p, "1 confirmed")
	release["main.py"] = []byte("raise ValueError\n")
	server.WantFiles(p, 2, release)
	server.UntilSaid(p, "2 rolled_back:crash")
}

// mpremote puts the same first flash on a board, by the commands of firmware/pico/FIRST-FLASH.md.
func TestMpremote(t *testing.T) {
	t.Parallel() // the cable is slow
	mpremote := provisiontest.Mpremote(t)
	board, port := virtualPico(t, nil)
	dir := filepath.Join(t.TempDir(), "pico")
	start(t, nil, nil, "--save", dir).want(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, mpremote, "connect", port, "cp", "-r", dir+"/.", ":", "+", "reset")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\nthe board wrote:\n%s", err, out, board.Output())
	}
	p := good(t)
	s := newServer(t, p.Key)
	p.Server, p.Board, p.WiFi = s.URL, "micropython:py:virtual_pico_w", []deviceproto.Network{{SSID: "shed"}}
	start(t, nil, nil, "--port", port, "--file", file(t, p)).want(t, 0, "not provisioned yet", "bot_001 now", "online: ")
	// Nothing is missing, and nothing is another.
	if r := start(t, nil, nil, "--port", port, "--micropython"); r.code != 0 || strings.Contains(r.output, "%") {
		t.Errorf("%d: %s", r.code, r.output)
	}
}

// The upload service alone, by the commands of firmware/pico/FIRST-FLASH.md; compiled, since here objects
// are twice as large as on a Pico, and its compiler would need more memory than that has.
func TestMpremoteUploadService(t *testing.T) {
	t.Parallel() // the cable is slow
	mpremote, dir := provisiontest.Mpremote(t), t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, name, args...)
		c.Dir = dir
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	source := filepath.Join(chiptest.Firmware(), "pico")
	mpyCross, err := exec.CommandContext(t.Context(), filepath.Join(source, "../../deploy/toolchain/mpy-cross.sh")).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"service_ota", "manager_wifi"} {
		run(strings.TrimSpace(string(mpyCross)), "-o", module+".mpy", filepath.Join(source, module+".py"))
	}
	board, port := virtualPico(t, nil)
	run(mpremote, "connect", port, "cp", "service_ota.mpy", "manager_wifi.mpy", source+"/service_page.html", ":", "+", "cp", source+"/ota_sample.py", ":main.py", "+", "reset")
	board.Until("its page", func() bool { return strings.Contains(board.Output(), "Access point device-name") })
}
