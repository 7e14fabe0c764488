package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip/chiptest"
)

const sketch = `
void setup() { Serial.begin(115200); Serial.println("hello from " VERSION); }
void loop() {}`

// output is what a program wrote so far.
type output struct {
	mu  sync.Mutex
	raw bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.raw.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.raw.String()
}

func goBuild(t *testing.T, name, path string) string {
	t.Helper()
	build := exec.Command("go", "build", "-o", name, ".")
	build.Dir = path
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return name
}

// A board on the desk: made, switched on with its serial port as a terminal of its own, given its server by
// the real flota-provision, updated over the air, and switched off without a trace.
func TestBoardOnTheDesk(t *testing.T) {
	dir := t.TempDir()
	program := goBuild(t, filepath.Join(dir, "flota-board"), ".")
	provisioner := goBuild(t, filepath.Join(dir, "flota-provision"), "../../../provision/cmd/flota-provision")
	server := chiptest.NewServer(t)
	p := server.Enrol("bot_001")
	base, file, board, port := filepath.Join(dir, "base.bin"), filepath.Join(dir, "bot_001.json"), filepath.Join(dir, "bot"), filepath.Join(dir, "serial")
	given, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{base: chiptest.Sketch(t, sketch, chiptest.Flags(`-DVERSION="one"`)), file: given} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), chiptest.Patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
		return string(out), err
	}
	if out, err := run(program, "new", board, "--base", file); err == nil {
		t.Errorf("a board of something that is no image: %s", out)
	}
	if out, err := run(program, "new", board, "--base", base); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	var said output
	on := exec.Command(program, "run", board, "--pty", port, "--server", address.Host)
	on.Stderr = &said
	if err := on.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- on.Wait() }()
	t.Cleanup(func() { _ = on.Process.Kill() })
	until(t, "start", &said, func() bool { return strings.Contains(said.String(), "[start 1: app0, power]") })

	if out, err := run(program, "flash", board, base); err == nil || !strings.Contains(out, "in use") {
		t.Errorf("%v %s", err, out)
	}
	out, err := run(provisioner, "--port", port, "--file", file)
	t.Log(out)
	const silent = 4 // it has it all; a sketch that is not the base sketch says no more
	if failed := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &failed) || failed.ExitCode() != silent) {
		t.Fatal(err)
	}
	server.Want(p, 1, chiptest.Sketch(t, sketch, chiptest.Flags(`-DVERSION="two"`)))
	server.UntilSaid(p, "1 confirmed")
	until(t, "second slot", &said, func() bool { return strings.Contains(said.String(), "[start 2: app1, software]") })

	if err := on.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "reset", &said, func() bool { return strings.Contains(said.String(), "[start 3: app1, external]") })
	if err := on.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(chiptest.Patience):
		t.Fatal("it does not end")
	}
	if _, err := os.Lstat(port); !os.IsNotExist(err) {
		t.Error("the link to the serial port is left")
	}
	if out, err := run(program, "flash", board, base); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func until(t *testing.T, what string, said *output, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(chiptest.Patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s: %s", what, said)
		}
	}
}

// A Pico on the desk: its REPL is a terminal of its own; the cable puts another file system on it.
func TestPicoOnTheDesk(t *testing.T) {
	dir := t.TempDir()
	program := goBuild(t, filepath.Join(dir, "flota-board"), ".")
	board, link, base, next := filepath.Join(dir, "pico"), filepath.Join(dir, "serial"), filepath.Join(dir, "base.bin"), filepath.Join(dir, "next.bin")
	for name, text := range map[string]string{base: "print('the first')", next: "print('the next')"} {
		if err := os.WriteFile(name, chiptest.PicoImage(t, map[string]string{"main.py": text}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	micropython := chiptest.MicroPython(t)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "FLOTA_MICROPYTHON="+micropython)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("new", board, "--board", "pico", "--base", program); err == nil {
		t.Errorf("a Pico of something that is no file system: %s", out)
	}
	if out, err := run("new", board, "--board", "arduino"); err == nil {
		t.Errorf("a board that there is not: %s", out)
	}
	if out, err := run("new", board, "--board", "pico", "--base", base); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	on := func(says string) {
		t.Helper()
		cmd := exec.Command(program, "run", board, "--pty", link, "--micropython", micropython)
		var said output
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
				t.Error(err)
			}
		}()
		until(t, "start", &said, func() bool { return strings.Contains(said.String(), "[start 1: power]") })
		port, err := os.OpenFile(link, os.O_RDWR|syscall.O_NOCTTY, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer port.Close()
		var wrote output
		go func() { _, _ = io.Copy(&wrote, port) }()
		until(t, "prompt", &wrote, func() bool { return strings.Contains(wrote.String(), says) && strings.Contains(wrote.String(), ">>> ") })
		if _, err := port.WriteString("6*7\r"); err != nil {
			t.Error(err)
		}
		until(t, "answer", &wrote, func() bool { return strings.Contains(wrote.String(), "6*7\r\n42\r\n") })
	}
	on("the first")
	if out, err := run("flash", board, next); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	on("the next")
}
