package chip_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
)

// talk is a board that runs testdata/sketch.cpp, and a conversation with it.
type talk struct {
	*chiptest.Bench
	t    *testing.T
	mark int
}

func sketch(t testing.TB) []byte { return chiptest.Program(t, nil, "testdata/sketch.cpp") }

func newTalk(t *testing.T, change ...func(*chip.Config)) *talk {
	t.Helper()
	k := &talk{Bench: chiptest.NewBench(t, sketch(t), change...), t: t}
	k.On()
	k.up("app0 power undefined -1")
	return k
}

// up waits until the sketch runs, and checks how it began.
func (k *talk) up(want string) {
	k.t.Helper()
	k.mark = k.After(k.mark, "up ")
	line, next := k.Line(k.mark)
	k.mark = next
	if line != want {
		k.t.Fatalf("it is up as %q, not %q", line, want)
	}
}

func (k *talk) say(format string, args ...any) {
	k.t.Helper()
	k.Send(fmt.Sprintf(format, args...) + "\n")
}

// ask says something and gives the line that comes back.
func (k *talk) ask(format string, args ...any) (line string) {
	k.t.Helper()
	k.say(format, args...)
	line, k.mark = k.Line(k.mark)
	return line
}

func (k *talk) is(want, format string, args ...any) {
	k.t.Helper()
	if got := k.ask(format, args...); got != want {
		k.t.Errorf("%s: %q, not %q", fmt.Sprintf(format, args...), got, want)
	}
}

// The board starts again after every kind of end, with the reason that the end has.
func TestResets(t *testing.T) {
	k := newTalk(t)
	for _, c := range []struct{ say, reset string }{
		{"restart", "software"},
		{"abort", "crash"},
		{"segv", "crash"},
		{"exit 0", "crash"},
		{"exit 1", "crash"},
		{"exit 64", "software"},
		{"exit 99", "power"},
		{"brownout", "brownout"},
		{"sleep 1000", "sleep"},
	} {
		k.say("%s", c.say)
		k.up("app0 " + c.reset + " undefined -1")
	}
	for _, c := range []struct {
		do    func(context.Context) error
		reset string
	}{{k.Reset, "external"}, {k.CutPower, "power"}} {
		if err := c.do(t.Context()); err != nil {
			t.Fatal(err)
		}
		k.up("app0 " + c.reset + " undefined -1")
	}
	k.Off()
	if s := k.State(); s.Phase != chip.PhaseOff || s.Starts != 12 {
		t.Errorf("%+v", s)
	}
	k.On()
	k.up("app0 power undefined -1")
	if !strings.Contains(k.Output(), "panic: aborted") {
		t.Error("no word about the panic")
	}
}

// Who does not feed its watchdog is reset; who does, is not; and a busy loop without one is no hang.
func TestWatchdog(t *testing.T) {
	k := newTalk(t)
	k.is("ok", "watchdog 1")
	k.is("ok", "feed 3000")
	k.up("app0 watchdog undefined -1") // it waits for the next word without feeding
	k.is("ok", "watchdog 1")
	k.is("ok", "watchdog 0")
	time.Sleep(1500 * time.Millisecond)
	k.is("still", "say still")
	if !strings.Contains(k.Output(), "watchdog: not fed for 1s") {
		t.Error("no word about the watchdog")
	}
}

// Deep sleep ends by its timer or its pin; memory for it outlives it and nothing else.
func TestDeepSleep(t *testing.T) {
	k := newTalk(t)
	k.is("ok", "rtcsave abc")
	k.say("sleep 1000")
	k.up("app0 sleep undefined -1")
	k.is("no", "rtcload 4")
	k.is("abc", "rtcload 3")
	k.say("sleep 0 0 0")
	k.Until("sleep", func() bool { return k.State().Phase == chip.PhaseSleeping })
	if err := k.Press(t.Context(), 0, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	k.mark = k.After(k.mark, "up app0 sleep undefined")
	k.mark = k.After(k.mark, "\n")
	k.Until("release", func() bool { return strings.Contains(k.Output()[k.mark:], "pin 0 1") || k.ask("input 0") == "1" })
	k.say("sleepforever")
	k.Until("sleep", func() bool { return k.State().Phase == chip.PhaseSleeping })
	if err := k.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.up("app0 external undefined 1")
	k.is("no", "rtcload 3")
}

// A board that does nothing but restart is started ever later, from the eleventh time on.
func TestRestartStorm(t *testing.T) {
	program := filepath.Join(t.TempDir(), "restart.cpp")
	if err := os.WriteFile(program, []byte("int main() { return 64; }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := chiptest.NewBench(t, chiptest.Program(t, nil, program), func(c *chip.Config) { c.Pause, c.MaxPause = time.Millisecond, time.Hour })
	b.On()
	b.Started(20)
	var last int
	var since time.Time
	b.Until("a long pause", func() bool { // 1 ms doubled: the 22nd comes after 2 s, the 23rd after 4
		if n := b.State().Starts; n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 1500*time.Millisecond
	})
	if last < 20 || last > 23 {
		t.Errorf("%d starts", last)
	}
}

// A board that panics at once is started ever later, at most so late; power and reset do not wait.
func TestPanicsInARow(t *testing.T) {
	program := filepath.Join(t.TempDir(), "panic.cpp")
	if err := os.WriteFile(program, []byte("#include <stdlib.h>\nint main() { abort(); }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const pause, most = 20 * time.Millisecond, 160 * time.Millisecond
	var starts []time.Time
	k := chiptest.NewBench(t, chiptest.Program(t, nil, program), func(c *chip.Config) {
		c.Pause, c.MaxPause = pause, most
		note := c.Event
		c.Event = func(e chip.Event) {
			if e.Kind == chip.Started {
				starts = append(starts, time.Now())
			}
			note(e)
		}
	})
	k.On()
	k.Started(8)
	k.Off()
	for i, least := range []time.Duration{pause, 2 * pause, 4 * pause, most, most, most} {
		if got := starts[i+1].Sub(starts[i]); got < least {
			t.Errorf("start %d came after %v, not %v", i+2, got, least)
		}
	}
}

// Flash is NOR, bounded, and survives whatever ends the process.
func TestFlash(t *testing.T) {
	k := newTalk(t)
	k.is("ffff", "read 0x290000 2")
	k.is("ok", "write 0x290ffe 0ff0aa55") // across sectors
	k.is("0ff0aa55", "read 0x290ffe 4")
	k.is("ok", "write 0x290ffe f0ff0f0f")
	k.is("00f00a05", "read 0x290ffe 4")
	k.is("ok", "erase 0x290000 4096")
	k.is("ffff0a05", "read 0x290ffe 4")
	for _, wrong := range []string{
		"erase 0x290001 4096", "erase 0x290000 100", "erase 0x400000 4096", "read 0x400000 1", "read 0x3fffff 2",
		"write 0xffffffff 00", "write 0x3fffff 0000",
	} {
		k.is("no", "%s", wrong)
	}
	k.is("ff", "read 0x3fffff 1")
	k.Cut()
	k.up("app0 power undefined -1")
	k.is("ffff0a05", "read 0x290ffe 4")

	if err := k.Flash(t.Context(), chip.Segment{Offset: 0x290000, Data: []byte{1, 2, 3}}); err != nil {
		t.Fatal(err)
	}
	k.up("app0 external undefined -1")
	k.is("010203ff", "read 0x290000 4")
	for _, wrong := range []chip.Segment{{Offset: -4096}, {Offset: 1}, {Offset: chip.FlashSize, Data: []byte{1}}} {
		if err := k.Flash(t.Context(), wrong); err == nil {
			t.Errorf("%x was flashed", wrong.Offset)
		}
	}
}

// Values are kept whole over restarts; names, types and room are checked.
func TestNVS(t *testing.T) {
	k := newTalk(t)
	k.is("no", "get wifi ssid")
	k.is("ok", "put wifi ssid s shed")
	k.is("s shed", "get wifi ssid")
	k.is("ok", "put wifi ssid s garden")
	k.is("ok", "put wifi n u abcd")
	k.is("no", "put wifi n u abc")
	k.is("no", "put wifi n x abc")
	for _, wrong := range []string{"../x", ".x", "a/b", "0123456789abcdef"} {
		k.is("no", "put wifi %s s x", wrong)
		k.is("no", "put %s k s x", wrong)
		k.is("no", "get %s k", wrong)
	}
	k.Cut()
	k.up("app0 power undefined -1")
	k.is("s garden", "get wifi ssid")
	if got := strings.Fields(k.ask("list wifi")); len(got) != 2 || !strings.Contains(strings.Join(got, " "), "ssids6") {
		t.Error(got)
	}
	raw, err := os.ReadFile(filepath.Join(k.Dir, "nvs", "wifi", "ssid"))
	if err != nil || string(raw) != "sgarden" {
		t.Errorf("%q %v", raw, err)
	}
	k.is("ok", "forget wifi n")
	k.is("no", "forget wifi n")
	k.is("ok", "fill big a 10000")
	k.is("no", "fill big b 10000")
	k.is("no", "get big b")
	k.is("no", "fill big a 10000") // the new value is written before the old one goes
	k.is("ok", "clear big")
	k.is("ok", "fill big b 10000")
	k.is("s garden", "get wifi ssid")
	if err := k.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.Until("waiting", func() bool { return k.State().Phase == chip.PhaseWaiting })
	if left, err := os.ReadDir(filepath.Join(k.Dir, "nvs")); err != nil || len(left) != 0 {
		t.Error(left, err)
	}
}

// A cut that is asked for while another is under way is for the start that follows.
func TestCutAfterAnother(t *testing.T) {
	k := newTalk(t)
	after := func(bytes int64) {
		t.Helper()
		if err := k.CutAfter(t.Context(), bytes); err != nil {
			t.Fatal(err)
		}
	}
	after(5)
	k.Cut()
	k.up("app0 power undefined -1")
	after(3)
	k.say("write 0x290000 00112233445566")
	k.up("app0 power undefined -1")
	k.say("write 0x291000 00112233445566")
	k.up("app0 power undefined -1")
	k.is("0011223344ffff", "read 0x290000 7")
	k.is("001122ffffffff", "read 0x291000 7")
}

// A cut falls on the byte that it was asked for, in flash and in NVS; what is told of the
// writes before is where they are.
func TestCutAfter(t *testing.T) {
	k := newTalk(t)
	cut := func(at int64) {
		t.Helper()
		if err := k.CutAfter(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		k.Cut()
		k.up("app0 power undefined -1")
	}
	work := []string{"erase 0x290000 4096", "write 0x290000 00112233", "put a k s new", "forget a k"}
	do := func() { // 4096, 4, 1+3+1, 1
		for _, w := range work {
			k.say("%s", w)
		}
	}
	reset := func() {
		t.Helper()
		k.up("app0 power undefined -1")
		k.is("ok", "erase 0x290000 4096")
		k.is("ok", "write 0x290000 0000000000")
		k.is("ok", "write 0x290800 00")
		k.is("ok", "put a k s old")
	}
	k.CutPower(t.Context())
	reset()
	for _, c := range []struct {
		at    int64
		first string // at 0x290000
		mid   string // at 0x290800
		value string
	}{
		{0, "0000000000", "00", "s old"},
		{2, "ffff000000", "00", "s old"},
		{0x801, "ffffffffff", "ff", "s old"},
		{4095, "ffffffffff", "ff", "s old"},
		{4096, "ffffffffff", "ff", "s old"},
		{4098, "0011ffffff", "ff", "s old"},
		{4100, "00112233ff", "ff", "s old"},
		{4102, "00112233ff", "ff", "s old"},
		{4104, "00112233ff", "ff", "s old"}, // written aside, not yet in its place
		{4105, "00112233ff", "ff", "s new"},
	} {
		cut(c.at)
		do()
		k.up("app0 power undefined -1")
		k.is(c.first, "read 0x290000 5")
		k.is(c.mid, "read 0x290800 1")
		k.is(c.value, "get a k")
		k.Cut()
		reset()
	}
	from := len(k.Events())
	cut(-1)
	for _, w := range work {
		k.is("ok", "%s", w)
	}
	var told []string
	k.Until("four writes", func() bool {
		told = nil
		for _, e := range k.Events()[from:] {
			if e.Kind == chip.Written {
				told = append(told, fmt.Sprintf("%d-%d %s", e.From, e.To, e.Where))
			}
		}
		return len(told) >= 5
	})
	want := "0-4096 spiffs, 4096-4100 spiffs, 4100-4104 nvs a/k, 4104-4105 nvs a/k, 4105-4106 nvs a/k"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// The whole way of an update: a new image has one start to be made valid.
func TestRollback(t *testing.T) {
	image := sketch(t)
	k := newTalk(t)
	k.is("no", "boot app1") // nothing is there
	k.is("0", "imagesize app1")
	install := func() {
		t.Helper()
		if err := k.Flash(t.Context(), chip.Segment{Offset: chip.SlotOffset[1], Data: image}); err != nil {
			t.Fatal(err)
		}
	}
	install()
	k.up("app0 external undefined -1")
	k.is(strconv.Itoa(len(image)), "imagesize app1")
	k.is("no", "revert") // there is nothing to go back to

	for _, end := range []string{"abort", "restart", "brownout", "exit 99", "sleep 1000"} {
		reset := map[string]string{"abort": "crash", "restart": "software", "brownout": "brownout", "exit 99": "power", "sleep 1000": "sleep"}[end]
		k.is("ok", "boot app1")
		k.is("new", "state app1")
		k.say("restart")
		k.up("app1 software pending -1")
		k.say("%s", end)
		k.up("app0 " + reset + " undefined -1")
		k.is("aborted", "state app1")
	}
	k.is("ok", "boot app1")
	k.say("restart")
	k.up("app1 software pending -1")
	k.is("ok", "revert")
	k.say("restart")
	k.up("app0 software undefined -1")
	k.is("invalid", "state app1")

	k.is("ok", "boot app1")
	k.say("restart")
	k.up("app1 software pending -1")
	k.is("ok", "confirm")
	k.say("abort")
	k.up("app1 crash valid -1")

	// A valid image that is damaged: the other one starts.
	if err := k.Flash(t.Context(), chip.Segment{Offset: chip.SlotOffset[1] + 0x10000, Data: make([]byte, 16)}); err != nil {
		t.Fatal(err)
	}
	k.up("app0 external undefined -1")
	// And none is left.
	if err := k.Flash(t.Context(), chip.Segment{Offset: chip.SlotOffset[0], Data: []byte{0}}); err != nil {
		t.Fatal(err)
	}
	k.Until("waiting", func() bool { return k.State().Phase == chip.PhaseWaiting })
	k.After(k.mark, "waiting for the cable")
	if err := k.Flash(t.Context(), chip.FirstFlash(image)...); err != nil {
		t.Fatal(err)
	}
	k.mark = k.After(k.mark, "cable")
	k.up("app0 external undefined -1")
}

// Pins go both ways; an input keeps its level over restarts, outputs do not.
func TestPins(t *testing.T) {
	k := newTalk(t)
	k.say("pin 2 1")
	k.Until("pin 2", func() bool {
		s := k.State().Pins
		return len(s) == 1 && s[0] == chip.Pin{Number: 2, Mode: "out", Value: 1}
	})
	for i := range 50 { // faster than is told
		k.say("pin 4 %d", i)
	}
	k.Until("pin 4", func() bool {
		s := k.State().Pins
		return len(s) == 2 && s[1] == chip.Pin{Number: 4, Mode: "out", Value: 49}
	})
	if err := k.SetPin(t.Context(), 34, 4095); err != nil {
		t.Fatal(err)
	}
	k.mark = k.After(k.mark, "pin 34 4095\n")
	k.is("4095", "input 34")
	if err := k.SetPin(t.Context(), 0, 0); err != nil {
		t.Fatal(err)
	}
	k.mark = k.After(k.mark, "pin 0 0\n")
	k.say("restart")
	k.up("app0 software undefined 0") // a button that is held is known at once
	if s := k.State().Pins; len(s) != 0 {
		t.Error(s)
	}
	for _, wrong := range [][2]int{{-1, 0}, {40, 0}, {0, -1}, {0, 4096}} {
		if err := k.SetPin(t.Context(), wrong[0], wrong[1]); err == nil {
			t.Error(wrong)
		}
	}
}

// Nothing of a board is left after Close: no process, no child of one, no file.
func TestClose(t *testing.T) {
	k := newTalk(t)
	k.is("ok", "fork")
	if k.ask("fds") != "0 1 2 3 4 5 6 " { // 4 the program, 5 the folder, 6 the event of the control thread
		t.Log("descriptors differ: ", k.Output())
	}
	before := running(t, k.Dir)
	if len(before) != 2 {
		t.Fatalf("%d processes", len(before))
	}
	k.Close()
	deadline := time.Now().Add(chiptest.Patience)
	for len(running(t, k.Dir)) > 0 { // the child is reaped by init
		if time.Now().After(deadline) {
			t.Fatal("still there")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := k.PowerOn(t.Context()); !errors.Is(err, chip.ErrClosed) {
		t.Error(err)
	}
	entries, err := os.ReadDir(k.Dir)
	if err != nil || len(entries) != 5 { // efuse.json, flash.bin, fs, net, nvs
		t.Error(entries, err)
	}
}

// running are the processes whose folder is a board's.
func running(t *testing.T, dir string) (pids []string) {
	t.Helper()
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, l := range links {
		if to, _ := os.Readlink(l); to == dir {
			pids = append(pids, l)
		}
	}
	return pids
}

// A heap that is exhausted is a panic.
func TestMemory(t *testing.T) {
	k := newTalk(t, func(c *chip.Config) { c.Start = chip.Direct{Memory: 64 << 20}.Start })
	k.say("eat")
	k.up("app0 crash undefined -1")
}

// The serial port keeps to its speed in both directions.
func TestSerialSpeed(t *testing.T) {
	k := newTalk(t, func(c *chip.Config) { c.Baud = 0 })
	began := time.Now()
	k.say("flood 1500") // 24,000 bytes
	k.mark = k.After(k.mark, "ok\n")
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("24,000 bytes in %v at 115,200 baud", took)
	}
	began = time.Now()
	k.is("0", "wifistatus%s", strings.Repeat(" ", 12000))
	if took := time.Since(began); took < time.Second {
		t.Errorf("12,000 bytes in %v at 115,200 baud", took)
	}
	// A board that does not read is no reason to wait for ever.
	k.say("watchdog 0")
	k.say("feed 100000000")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := k.WriteSerial(ctx, make([]byte, 64<<10)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// The agent hears what the sketch hears, while it listens along.
func TestCable(t *testing.T) {
	k := newTalk(t)
	k.is("", "cableread") // from now on
	k.is("both", "say both")
	k.is(hex.EncodeToString([]byte("say both\ncableread\n")), "cableread")
	time.Sleep(1100 * time.Millisecond) // it listens no more
	k.is("2000", "count %s", strings.Repeat("x", 2000))
}

// The network is the machine's own, or the proxy's, and only with Wi-Fi.
func TestNetwork(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				line := make([]byte, 6)
				_, _ = io.ReadFull(c, line)
				_, _ = fmt.Fprintf(c, "heard %s", line[:5])
			}()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port

	for _, mode := range []chip.Network{chip.NetworkDirect, chip.NetworkProxy} {
		t.Run(string(mode), func(t *testing.T) {
			k := newTalk(t, func(c *chip.Config) {
				c.Network = mode
				c.WiFi = []chip.WiFi{{SSID: "shed", Password: "secret"}, {SSID: "open"}}
			})
			if mode == chip.NetworkProxy {
				out, err := net.Listen("unix", filepath.Join(k.Dir, "net", "out"))
				if err != nil {
					t.Fatal(err)
				}
				served := make(chan error, 1)
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					served <- chip.Proxy{Dial: func(ctx context.Context, host string, p int) (net.Conn, error) {
						if host != "127.0.0.1" || p != port {
							return nil, errors.New("not permitted")
						}
						return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(p)))
					}}.Serve(ctx, out)
				}()
				t.Cleanup(func() {
					cancel()
					if err := <-served; err != nil {
						t.Error(err)
					}
				})
			}
			k.is("Network is unreachable", "fetch 127.0.0.1 %d", port)
			k.is("2", "wifi cellar secret")
			k.is("3", "wifi shed wrong")
			k.is("1", "wifi shed secret")
			k.is("heard hello", "fetch 127.0.0.1 %d", port)
			k.is("Connection refused", "fetch 127.0.0.1 1")
			if err := k.SetRadio(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			k.Until("lost", func() bool { return k.ask("wifistatus") == "4" })
			k.is("Network is unreachable", "fetch 127.0.0.1 %d", port)
			if err := k.SetRadio(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			k.Until("found", func() bool { return k.ask("wifistatus") == "1" })

			network, address := "tcp", "127.0.0.1:18231"
			if mode == chip.NetworkProxy {
				network, address = "unix", filepath.Join(k.Dir, "net", "18231")
			}
			k.is("ok", "listen 18231")
			c, err := net.Dial(network, address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(c, "to you")
			_, _ = io.ReadFull(c, make([]byte, len("hello\n")))
			c.Close()
			if line, next := k.Line(k.mark); line != "to you" {
				t.Error(line)
			} else {
				k.mark = next
			}
		})
	}
}

// The board's clock is right, or what the test says; its fuses are what it was born with.
func TestClockAndFuses(t *testing.T) {
	k := newTalk(t)
	shown, _ := strconv.ParseInt(k.ask("clock"), 10, 64)
	if off := time.Since(time.Unix(shown, 0)); off > chiptest.Patience || off < -time.Second {
		t.Error(off)
	}
	fuses, err := chip.ReadFuses(k.Dir)
	if err != nil || fuses.Chip != "ESP32" || len(fuses.MAC) != 12 {
		t.Errorf("%+v %v", fuses, err)
	}
	k.is(fuses.MAC+" ESP32", "mac")
	wrong := newTalk(t, func(c *chip.Config) { c.Clock = func() time.Time { return time.Unix(1000, 0) } })
	if shown, _ := strconv.Atoi(wrong.ask("clock")); shown < 1000 || shown > 1060 {
		t.Error(shown)
	}
}

// What a sketch does to its folder hurts itself alone: links and pipes in the place of
// its files are not followed, and a flash of the wrong size is none of the runner's trouble.
func TestHostileFolder(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(flash string) error{
		"link":    func(flash string) error { return os.Symlink(outside, flash) },
		"pipe":    func(flash string) error { return syscall.Mkfifo(flash, 0o600) },
		"missing": func(string) error { return nil },
		"folder":  func(flash string) error { return os.Mkdir(flash, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t)
			flash := filepath.Join(k.Dir, "flash.bin")
			if err := errors.Join(os.Remove(flash), spoil(flash)); err != nil {
				t.Fatal(err)
			}
			k.say("restart")
			k.Until("waiting", func() bool { return k.State().Phase == chip.PhaseWaiting })
			if err := k.Erase(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := k.Flash(t.Context(), chip.FirstFlash(sketch(t))...); err != nil {
				t.Fatal(err)
			}
			k.up("app0 external undefined -1")
		})
	}
	if raw, err := os.ReadFile(outside); err != nil || string(raw) != "precious" {
		t.Error(string(raw), err)
	}
}

// Folders that are no board's, and boards that are there already.
func TestCreateAndOpen(t *testing.T) {
	dir := t.TempDir()
	if _, err := chip.Open(chip.Config{Dir: dir}); err == nil {
		t.Error("an empty folder is no board")
	}
	if err := chip.Create(dir, chip.Fuses{MAC: "a0b1c2d3e4f5", Chip: "ESP32-C3"}); err != nil {
		t.Fatal(err)
	}
	if err := chip.Create(dir, chip.Fuses{}); err == nil {
		t.Error("made twice")
	}
	if err := chip.Create(t.TempDir(), chip.Fuses{MAC: "nonsense"}); err == nil {
		t.Error("nonsense is no MAC")
	}
	if fuses, err := chip.ReadFuses(dir); err != nil || fuses != (chip.Fuses{MAC: "a0b1c2d3e4f5", Chip: "ESP32-C3"}) {
		t.Error(fuses, err)
	}
	k := chiptest.OpenBench(t, dir)
	k.On()
	k.After(0, "no image that starts")
	raw, err := k.ReadFlash(t.Context(), chip.FlashSize-4, 4)
	if err != nil || binary.LittleEndian.Uint32(raw) != 0xFFFFFFFF {
		t.Error(raw, err)
	}
}
