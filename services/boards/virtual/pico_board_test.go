package virtual_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/provision/repl"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/services/boards"
	"github.com/flota/flota/services/boards/virtual"
	"github.com/flota/flota/services/boards/virtualtest"
)

const pico = "micropython:py:virtual_pico_w"

// newPicoBench is a bench that has Picos, too, of a toolchain that may be changed.
func newPicoBench(t *testing.T, change ...func(micropython string)) *bench {
	t.Helper()
	toolchain := virtualtest.Toolchain(t)
	for _, c := range change {
		c(filepath.Join(toolchain, "micropython"))
	}
	made, err := virtual.OpenPico(toolchain)
	if err != nil {
		t.Fatal(err)
	}
	return newBench(t, func(o *virtual.Options) {
		o.Pico, o.Offers = made, append(o.Offers, boards.Offer{FQBN: pico})
	})
}

// cable is the board's serial port.
type cable struct {
	*board
	ctx context.Context //nolint:containedctx // the test's
	at  int
}

func (c *cable) Read(into []byte) (int, error) {
	for {
		c.mu.Lock()
		n := copy(into, c.all[c.at:])
		c.mu.Unlock()
		if c.at += n; n > 0 {
			return n, nil
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-c.ctx.Done():
			return 0, io.EOF
		}
	}
}

func (c *cable) Write(data []byte) (int, error) {
	if err := c.board.Write(c.ctx, data); err != nil {
		return 0, err
	}
	return len(data), nil
}

// repl enters the board's REPL.
func (b *board) repl() *session {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 2*patience)
	b.t.Cleanup(cancel)
	b.eventually("start", func() bool { return b.State().Starts > 0 })
	s, err := repl.Open(ctx, &cable{board: b, ctx: ctx, at: len(b.text())}, repl.Options{})
	if err != nil {
		b.t.Fatalf("%v; the board wrote:\n%s", err, b.text())
	}
	return &session{b, s, ctx}
}

type session struct {
	board *board
	*repl.Session
	ctx context.Context //nolint:containedctx // the test's
}

// python runs code on the board and returns what it printed, or its exception.
func (s *session) python(code string) string {
	s.board.t.Helper()
	out, err := s.Run(s.ctx, code)
	if exception := (*repl.Exception)(nil); err != nil && !errors.As(err, &exception) {
		s.board.t.Fatalf("%v; the board wrote:\n%s", err, s.board.text())
	} else if err != nil {
		return out + exception.Trace
	}
	return strings.TrimSpace(out)
}

// A Pico starts with its first flash, has a REPL and files, and keeps those; its button, its LED and its
// power are those of a board.
func TestPico(t *testing.T) {
	b := newPicoBench(t).boardOf(ids[0], pico)
	b.eventually("LED", func() bool { return len(b.State().Pins) > 0 && b.State().Pins[0].Number == 25 })
	s := b.repl()
	if got := s.python("import sys, os, gc\ngc.collect()\nprint(sys.platform, sys.implementation.version[1], 90_000 < gc.mem_free() < 200_000, sorted(os.listdir('/')))"); !strings.HasPrefix(got, "rp2 25 True ['a', 'boot.py', 'flota', 'flota_boot.py'") {
		t.Errorf("%q", got)
	}
	if err := s.WriteFile(s.ctx, "/data/mine.txt", []byte("kept"), nil); err != nil {
		t.Error(err)
	}
	if err := b.SetPin(t.Context(), 0, 0); err != nil {
		t.Error(err)
	}
	if got := s.python("import rp2, time\nfor _ in range(200):\n    if rp2.bootsel_button(): break\n    time.sleep_ms(10)\nprint(rp2.bootsel_button())"); got != "1" {
		t.Errorf("BOOTSEL: %q", got)
	}
	if err := s.SoftReset(s.ctx); err != nil {
		t.Errorf("a soft reset: %v", err)
	}
	if got := s.python("print(open('/data/mine.txt').read())"); got != "kept" || b.State().Starts != 1 {
		t.Errorf("%q, %d starts", got, b.State().Starts)
	}
	before := b.State().Starts
	if err := s.Reset(s.ctx); err != nil {
		t.Error(err)
	}
	b.eventually("restart", func() bool {
		return b.State().Starts > before && b.State().Reset == "software" && len(b.State().Pins) > 0
	})
	for _, power := range []boards.Power{boards.PowerReset, boards.PowerCut} {
		if err := b.Power(t.Context(), power); err != nil {
			t.Error(err)
		}
		b.eventually("LED", func() bool { return len(b.State().Pins) > 0 })
		if got := b.repl().python("print(open('/data/mine.txt').read())"); got != "kept" {
			t.Errorf("after %s: %q", power, got)
		}
	}
}

// Flashing puts a release into a slot, whatever the board does; what is the board's own stays, unless it is erased.
func TestFlashPico(t *testing.T) {
	b := newPicoBench(t).boardOf(ids[0], pico)
	s := b.repl()
	if err := s.WriteFile(s.ctx, "/data/mine.txt", []byte("kept"), nil); err != nil {
		t.Error(err)
	}
	// A program that does not let go.
	if err := s.WriteFile(s.ctx, "/main.py", []byte("while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n"), nil); err != nil {
		t.Error(err)
	}
	b.reset()
	flash := func(f boards.Firmware, erase bool) {
		t.Helper()
		if err := b.Flash(t.Context(), f, erase); err != nil {
			t.Fatal(err)
		}
	}
	flash(boards.Firmware{}, false)
	if got := b.repl().python("print(open('/data/mine.txt').read(), 'flota_boot' in open('/main.py').read())"); got != "kept True" {
		t.Errorf("%q", got)
	}
	release := boards.Firmware{Files: []boards.File{{Path: "main.py", Data: []byte("print('hello', 6 * 7)\n")}, {Path: ".index", Data: []byte("i")}}}
	flash(release, false)
	b.eventually("program", func() bool { return strings.Contains(b.text(), "hello 42") })
	if got := b.repl().python("import os\nprint(sorted(os.listdir('/a')), open('/data/mine.txt').read())"); got != "['.index', 'main.py'] kept" {
		t.Errorf("%q", got)
	}
	flash(release, true)
	if got := b.repl().python("print('data' in os.listdir('/'))"); !strings.Contains(got, "NameError") {
		t.Errorf("the heap outlived it: %q", got)
	}
	if got := b.repl().python("import os\nprint('data' in os.listdir('/'), sorted(os.listdir('/a')))"); got != "False ['.index', 'main.py']" {
		t.Errorf("%q", got)
	}
	// Off, it stays off.
	if err := b.Power(t.Context(), boards.PowerOff); err != nil {
		t.Fatal(err)
	}
	flash(boards.Firmware{}, true)
	if s := b.State(); s.Phase != boards.Off {
		t.Errorf("%+v", s)
	}
	// What cannot be done changes nothing.
	huge := boards.Firmware{Files: []boards.File{{Path: "main.py", Data: make([]byte, boards.MaxRelease)}}}
	if err := b.Flash(t.Context(), huge, false); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("%v", err)
	}
	if err := b.Power(t.Context(), boards.PowerOn); err != nil {
		t.Fatal(err)
	}
	if got := b.repl().python("import os\nprint('flota_agent.mpy' in os.listdir('/a'))"); got != "True" {
		t.Errorf("%q", got)
	}
}

// native gives Python the C library, as somebody has it who broke out of the interpreter.
const native = `
import ffi
libc = ffi.open("libc.so.6")
system = libc.func("i", "system", "s")
def sh(script):
    system("(" + script + "\n) >/tmp/said 2>&1")
    c = libc.func("i", "open", "sii")("/tmp/said", 0, 0)
    b = bytearray(4000)
    n = libc.func("l", "read", "iPL")(c, b, 4000)
    libc.func("i", "close", "i")(c)
    return str(b[:max(n, 0)], "utf-8").strip()
`

// Whoever has native code on a Pico, and there is always a way to that, has what a sketch has: nothing.
func TestPicoAttacks(t *testing.T) {
	bench := newPicoBench(t, func(micropython string) { // a boot ROM that hides the host's functions no more
		rom := filepath.Join(micropython, "virtual", "_rom.py")
		text, err := os.ReadFile(rom)
		changed := strings.Replace(string(text), `_HIDDEN = ("ffi", `, `_HIDDEN = (`, 1)
		if err := errors.Join(err, os.WriteFile(rom, []byte(changed), 0o644)); err != nil || changed == string(text) {
			t.Fatal(err, "the ROM hides its functions otherwise now")
		}
	})
	one, two := bench.boardOf(ids[0], pico), bench.boardOf(ids[1], pico)
	secret := filepath.Join(bench.dir, "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o644); err != nil {
		t.Fatal(err)
	}
	one.repl().python("f = open('/flota.json', 'w')\nf.write('hunter2')\nf.close()")
	s := two.repl()
	if got := s.python(native + "print(sh('echo $((6*7))'))"); got != "42" {
		t.Fatalf("there is no native code to attack with: %q", got)
	}
	for name, c := range map[string]struct{ script, want string }{
		"who it is":         {"id -u", ""},
		"files":             {"cat " + secret + " " + one.dir + "/flash.bin /etc/passwd /etc/shadow /root/* 2>/dev/null | grep -c hunter2", "0"},
		"its folder":        {"cd /board; for f in efuse.json new flash.bin/x; do (echo x >$f) 2>/dev/null && echo wrote $f; done; for f in *; do mv $f gone 2>/dev/null && echo moved $f; rm -rf $f 2>/dev/null; [ -e $f ] || echo removed $f; done; echo done", "done"},
		"MicroPython":       {"for f in /micropython/virtual/rom.py /micropython/root/usr/bin/micropython /micropython/new; do (echo x >>$f) 2>/dev/null && echo wrote $f; done; echo done", "done"},
		"processes":         {"ls /proc | grep -c '^[0-9]' | (read -r n; [ \"$n\" -lt 12 ] || echo many)", ""},
		"the network":       {"cat /proc/net/dev | grep -c :", "1"},
		"other ways out":    {"ls /board/net", "out"},
		"a large flash":     {"head -c 9000000 /dev/zero >>/board/flash.bin; head -c 9000000 /dev/zero >>/board/rtc.bin; wc -c </board/rtc.bin", fmt.Sprint(chip.PicoFlashSize)},
		"a large /tmp":      {"head -c 90000000 /dev/zero >/tmp/x; wc -c </tmp/x | (read -r n; [ \"$n\" -le 1048576 ] && echo small)", "small"},
		"a new namespace":   {"unshare -U true 2>/dev/null && echo in; echo done", "done"},
		"more rights":       {"grep -c '^CapEff:.*0000000000000000$' /proc/self/status", "1"},
		"memory":            {"python3 -c 'x = b\"x\" * (200 << 20)' 2>&1 | tail -1", "MemoryError"},
		"a planted link":    {"ln -sf " + secret + " /board/flash.bin 2>/dev/null; [ -L /board/flash.bin ] && echo linked; echo done", "done"},
		"unlinked and kept": {"rm -f /board/flash.bin /board/rtc.bin 2>/dev/null; [ -e /board/flash.bin ] && [ -e /board/rtc.bin ] && echo there", "there"},
	} {
		got := s.python("print(sh('''rm -f /tmp/x; " + strings.ReplaceAll(c.script, `\`, `\\`) + "'''))")
		if name == "who it is" {
			if got == "0" || got == "" {
				t.Errorf("%s: %q", name, got)
			}
			continue
		}
		if lines := strings.Split(got, "\n"); lines[len(lines)-1] != c.want || len(lines) > 3 {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := s.python("import socket\ns = socket.socket()\nfor a in (('127.0.0.1', 22), ('10.0.0.1', 80), ('example.com', 80)):\n    try:\n        s = socket.socket()\n        s.connect(socket.getaddrinfo(*a)[0][-1])\n        print('in', a)\n    except OSError as e:\n        pass\nprint('done')"); got != "done" {
		t.Errorf("sockets: %q", got)
	}
	// A fork bomb is its board's own affair, and ends with it.
	_ = two.Write(t.Context(), []byte("sh('f() { f | f & }; f'); sh('f() { f | f & }; f')\x04"))
	time.Sleep(300 * time.Millisecond)
	if err := two.Power(t.Context(), boards.PowerCut); err != nil {
		t.Fatal(err)
	}
	if got := two.repl().python("print(1)"); got != "1" {
		t.Errorf("after a fork bomb: %q", got)
	}
	if got := one.repl().python("print(open('/flota.json').read())"); got != "hunter2" || one.State().Starts != 1 {
		t.Errorf("the neighbour: %q, %+v", got, one.State())
	}
	// Whatever it left in its folder, it can be flashed and removed.
	two.repl().python(native + "sh(': >/board/flash.bin; chmod 0 /board/flash.bin /board/rtc.bin')")
	if err := two.Flash(t.Context(), boards.Firmware{}, false); err != nil {
		t.Error(err)
	}
	if got := two.repl().python("import os\nprint('main.py' in os.listdir('/a'))"); got != "True" {
		t.Errorf("%q", got)
	}
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	if err := bench.shop.Remove(ids[1]); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(two.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "hunter2" {
		t.Errorf("%q, %v", text, err)
	}
}

// A Pico is provisioned over its serial port, whatever it runs; who looks on sees no secret.
func TestProvisionPico(t *testing.T) {
	b := newPicoBench(t).boardOf(ids[0], pico)
	p := deviceproto.Provision{
		Server: boards.Server, Workspace: "w1", Device: "d1", ProductID: "bot_001", Key: vectors.Key, Board: pico,
		Keys: []string{deviceproto.FormatPublicKey(&vectors.SigningKey("first").PublicKey)},
		WiFi: []deviceproto.Network{{SSID: "shed", Password: "hunter2hunter2"}},
	}
	give := func(device string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		p.Device = device
		if err := b.Provision(ctx, p); err != nil {
			t.Fatalf("%v; the board wrote:\n%s", err, b.text())
		}
	}
	b.eventually("start", func() bool { return b.State().Starts > 0 })
	give("d1")
	s := b.repl()
	if got := s.python("import json\nprint(json.load(open('/flota.json'))['device'])"); got != "d1" {
		t.Errorf("%q", got)
	}
	if err := s.Close(s.ctx); err != nil { // the friendly REPL: it is told to listen
		t.Fatal(err)
	}
	give("d2")
	if got := b.repl().python("import json\nprint(json.load(open('/flota.json'))['device'])"); got != "d2" {
		t.Errorf("%q", got)
	}
	if text := b.text(); strings.Contains(text, vectors.Key) || strings.Contains(text, "hunter2") {
		t.Errorf("a secret was shown: %q", text)
	}
}
