package chip_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
)

// main is a Pico with a program.
func pico(t *testing.T, program string, change ...func(*chip.Config)) *chiptest.Bench {
	t.Helper()
	return chiptest.NewPico(t, map[string]string{"main.py": program}, change...)
}

const prompt = ">>> "

// typed sends a line to the REPL and gives what it says to it.
func typed(b *chiptest.Bench, mark int, line string) (said string, next int) {
	b.Send(line + "\r")
	begin := b.After(mark, line+"\r\n")
	next = b.After(begin, prompt)
	return strings.TrimSuffix(b.Output()[begin:next], prompt), next
}

func TestPicoPins(t *testing.T) {
	b := pico(t, `
from machine import ADC, PWM, Pin
import rp2, time
led = Pin("LED", Pin.OUT)
button = Pin(14, Pin.IN, Pin.PULL_UP)
button.irq(lambda p: print("button", p.value()))
pwm = PWM(Pin(15), freq=1000, duty_u16=32768)
print("bootsel", rp2.bootsel_button())
while not rp2.bootsel_button():
    led.toggle()
    time.sleep_ms(50)
print("pressed", ADC(26).read_u16() >> 4)
Pin(16, Pin.OUT, value=1)
for i in range(1000):
    Pin(17, Pin.OUT).toggle()
Pin(17).off()
`)
	if err := b.SetPin(t.Context(), 26, 1234); err != nil {
		t.Fatal(err)
	}
	b.On()
	changes := map[int]int{}
	b.Until("blinking", func() bool {
		clear(changes)
		for _, e := range b.Events() {
			if e.Kind == chip.PinChanged && e.Pin.Number == 25 && e.Pin.Mode == "out" {
				changes[e.Pin.Value]++
			}
		}
		return changes[0] > 3 && changes[1] > 3
	})
	mark := b.After(0, "bootsel 0")
	for _, level := range []int{0, 1} {
		if err := b.SetPin(t.Context(), 14, level); err != nil {
			t.Fatal(err)
		}
		mark = b.After(mark, fmt.Sprintf("button %d\r\n", level))
	}
	if err := b.SetPin(t.Context(), 0, 0); err != nil {
		t.Fatal(err)
	}
	mark = b.After(mark, "pressed 1234")
	b.After(mark, prompt)
	b.Until("pins", func() bool {
		return strings.HasPrefix(fmt.Sprint(b.State().Pins), "[{14 pullup 1} {15 pwm 32768} {16 out 1} {17 out 0}")
	})
	told := 0
	for _, e := range b.Events() {
		if e.Kind == chip.PinChanged && e.Pin.Number == 17 {
			told++
		}
	}
	if told > 100 {
		t.Errorf("%d changes were told", told)
	}
}

// A timer's callback runs between two instructions of whatever the program does, and what it raises ends
// nothing.
func TestPicoTimersPreempt(t *testing.T) {
	b := pico(t, `
from machine import Timer
import time, select, sys
n = 0
def tick(t):
    global n
    n += 1
timer = Timer(period=10, callback=tick)
def wait(what):
    began, before = time.ticks_ms(), n
    what()
    took = time.ticks_diff(time.ticks_ms(), began)
    print("took", took, "ticks", n - before)
def spin():
    until = n + 20
    while n < until:
        pass
wait(lambda: time.sleep(0.3))
wait(lambda: time.sleep_ms(300))
wait(spin)
keys = select.poll()
keys.register(sys.stdin, select.POLLIN)
wait(lambda: keys.poll(300))
Timer(mode=Timer.ONE_SHOT, period=30, callback=lambda t: print("once"))
Timer(mode=Timer.ONE_SHOT, period=30, callback=lambda t: 1 // 0)
wait(lambda: time.sleep_ms(100))
timer.deinit()
wait(lambda: time.sleep_ms(100))
try:
    timers = [Timer(period=1000, callback=tick) for _ in range(17)]
except OSError as e:
    print("no more:", e.errno)
`)
	b.On()
	mark := b.After(0, "no more: 12\r\n")
	b.After(mark, prompt)
	var took, ticks []int
	for _, line := range strings.Split(b.Output(), "\r\n") {
		var a, n int
		if _, err := fmt.Sscanf(line, "took %d ticks %d", &a, &n); err == nil {
			took, ticks = append(took, a), append(ticks, n)
		}
	}
	if len(took) != 6 {
		t.Fatal(b.Output())
	}
	for i, least := range []int{300, 300, 0, 300, 100, 100} {
		if took[i] < least-2 {
			t.Errorf("%d took %d ms", i, took[i])
		}
		// A busy machine may lose some.
		if i < 5 && (ticks[i] == 0 || ticks[i] > took[i]/10+1) || i == 5 && ticks[i] != 0 {
			t.Errorf("%d: %d ticks in %d ms", i, ticks[i], took[i])
		}
	}
	for _, said := range []string{"once\r\n", "ZeroDivisionError"} {
		if strings.Count(b.Output(), said) != 1 {
			t.Errorf("not once: %q\n%s", said, b.Output())
		}
	}
}

// What waits is woken by all that happens: pins, timers, what a callback schedules.
func TestPicoIsWoken(t *testing.T) {
	b := pico(t, `
from machine import Pin, Timer
import micropython, time
button = Pin(14, Pin.IN, Pin.PULL_UP)
button.irq(lambda p: print("button", p.value()))
def later(n):
    print("scheduled", n)
def once(t):
    for n in range(3): micropython.schedule(later, n)
    print("timer")
Timer(mode=Timer.ONE_SHOT, period=50, callback=once)
print("sleeps")
time.sleep(1000)
`)
	b.On()
	mark := b.After(0, "sleeps\r\n")
	mark = b.After(mark, "timer\r\nscheduled 0\r\nscheduled 1\r\nscheduled 2\r\n")
	for _, level := range []int{0, 1, 0} {
		if err := b.SetPin(t.Context(), 14, level); err != nil {
			t.Fatal(err)
		}
		mark = b.After(mark, fmt.Sprintf("button %d\r\n", level))
	}
}

// What reset it was, as far as a Pico tells; the scratch registers outlive all but the loss of power.
func TestPicoResets(t *testing.T) {
	b := pico(t, `
import machine, time, sys, os
print("cause", machine.reset_cause(), "reason", machine.mem32[0x40058008], "scratch", machine.mem32[0x4005800C])
machine.mem32[0x4005800C] = 7
how = sys.stdin.read(1)
if how == "s":
    machine.reset()
if how == "w":
    w = machine.WDT(timeout=300)
    for i in range(10):
        time.sleep_ms(50)
        w.feed()
    print("no more")
    while True:
        pass
if how == "d":
    machine.deepsleep(20)
if how == "x":
    machine.soft_reset()
`)
	b.On()
	mark := b.After(0, "cause 1 reason 0 scratch 0\r\n")
	for _, c := range []struct {
		how, cause string
		reset      chip.Reset
		do         func(context.Context) error
	}{
		{"s", "cause 3 reason 2 scratch 7\r\n", chip.ResetSoftware, nil},
		{"w", "cause 3 reason 1 scratch 7\r\n", chip.ResetWatchdog, nil},
		{"d", "cause 3 reason 2 scratch 7\r\n", chip.ResetSleep, nil},
		{"button", "cause 1 reason 0 scratch 0\r\n", chip.ResetExternal, b.Reset},
		{"power", "cause 1 reason 0 scratch 0\r\n", chip.ResetPower, b.CutPower},
	} {
		starts := b.State().Starts
		if c.do == nil {
			b.Send(c.how)
		} else if err := c.do(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e := b.Started(starts + 1); e.Reset != c.reset {
			t.Errorf("%s: %s", c.how, e.Reset)
		}
		mark = b.After(mark, c.cause)
	}
	if !strings.Contains(b.Output(), "no more\r\n") {
		t.Errorf("the watchdog did not wait while it was fed:\n%s", b.Output())
	}
	// A soft reset is none of the chip's.
	starts := b.State().Starts
	b.Send("x")
	mark = b.After(mark, "MPY: soft reboot\r\n")
	b.After(mark, "cause 1 reason 0 scratch 7\r\n")
	if b.State().Starts != starts {
		t.Error("it started again")
	}
}

// What a soft reset leaves is as new: modules, globals, timers; and what it does not touch: pins that
// somebody outside set, the clock that counts from the power on.
func TestPicoSoftReset(t *testing.T) {
	b := chiptest.NewPico(t, map[string]string{
		"boot.py": "import time\nif time.ticks_ms() > 200: print('went on')\n",
		"main.py": `
import machine, sys
print("main", "left" in globals(), "helper" in sys.modules, machine.Pin(3, machine.Pin.IN).value())
import helper
left = 1
t = machine.Timer(period=1, callback=lambda t: None)
`,
		"helper.py": "",
	})
	if err := b.SetPin(t.Context(), 3, 1); err != nil {
		t.Fatal(err)
	}
	b.On()
	mark := b.After(0, "main False False 1\r\n")
	mark = b.After(mark, prompt)
	b.Send("import time; time.sleep_ms(300)\r")
	mark = b.After(mark, prompt)
	for range 5 {
		b.Send("\x04")
		mark = b.After(mark, "MPY: soft reboot\r\nwent on\r\nmain False False 1\r\n")
		mark = b.After(mark, prompt)
	}
	if b.State().Starts != 1 {
		t.Errorf("%+v", b.State())
	}
}

func TestPicoREPL(t *testing.T) {
	b := pico(t, "x = 41\ndef f(): raise ValueError('on purpose')\nf()\n")
	b.On()
	mark := b.After(0, "Traceback (most recent call last):\r\n  File \"main.py\", line 3, in <module>\r\n  File \"main.py\", line 2, in f\r\nValueError: on purpose\r\n")
	mark = b.After(mark, "MicroPython v1.25.0")
	mark = b.After(mark, "Type \"help()\" for more information.\r\n>>> ")
	for _, c := range []struct{ line, says string }{
		{"x + 1", "42\r\n"},
		{"x = 'a", "Traceback (most recent call last):\r\n  File \"<stdin>\", line 1\r\nSyntaxError: invalid syntax\r\n"},
		{"f()", "Traceback (most recent call last):\r\n  File \"<stdin>\", line 1, in <module>\r\n  File \"main.py\", line 2, in f\r\nValueError: on purpose\r\n"},
		{"__name__, sorted(globals())", "('__main__', ['__file__', '__name__', 'f', 'x'])\r\n"},
		{"import os; os.system", "Traceback (most recent call last):\r\n  File \"<stdin>\", line 1, in <module>\r\nAttributeError: 'module' object has no attribute 'system'\r\n"},
		{"import sys; sys.platform, sys.implementation.name, sys.path", "('rp2', 'micropython', ['', '.frozen', '/lib'])\r\n"},
		{"os.listdir('/')", "['main.py']\r\n"},
	} {
		said, next := typed(b, mark, c.line)
		if said != c.says {
			t.Errorf("%s: %q", c.line, said)
		}
		mark = next
	}
	// A compound statement indents by itself, until an empty line.
	b.Send("for i in range(2):\rprint(i)\r\r")
	mark = b.After(mark, "for i in range(2):\r\n...     print(i)\r\n...     \r\n0\r\n1\r\n>>> ")
	// A name is completed; a mistake is taken back; a line comes again.
	b.Send("sys.implem\t.nama\x08e\r")
	mark = b.After(mark, "'micropython'\r\n>>> ")
	b.Send("x\x1b[A\r")
	mark = b.After(mark, "'micropython'\r\n>>> ")
	// Ctrl-C ends what is typed, and what runs.
	b.Send("nonsense\x03")
	mark = b.After(mark, "nonsense\r\n>>> ")
	b.Send("while True: pass\r\r")
	mark = b.After(mark, "... \r\n")
	b.Send("\x03\x03\x03")
	mark = b.After(mark, "KeyboardInterrupt: \r\n>>> ")
	b.Send("import time; time.sleep(1000)\r")
	mark = b.After(mark, "sleep(1000)\r\n")
	b.Send("\x03")
	mark = b.After(mark, "KeyboardInterrupt: \r\n>>> ")
	// Unless the program says otherwise.
	b.Send("import micropython; micropython.kbd_intr(-1); print('on'); sys.stdin.read(1)\r")
	mark = b.After(mark, "on\r\n")
	b.Send("\x03")
	mark = b.After(mark, "'\\x03'\r\n>>> ")
	// Paste mode
	b.Send("\x05")
	mark = b.After(mark, "paste mode; Ctrl-C to cancel, Ctrl-D to finish\r\n=== ")
	b.Send("if True:\r    print('pasted')\r\x04")
	mark = b.After(mark, "\r\npasted\r\n>>> ")
	// input() and its like take what is typed.
	b.Send("input('name? ')\r")
	mark = b.After(mark, "name? ")
	b.Send("joe\r")
	b.After(mark, "'joe'\r\n>>> ")
}

func TestPicoRawREPL(t *testing.T) {
	b := pico(t, "print('on')\nwhile True: pass\n")
	b.On()
	mark := b.After(0, "on\r\n")
	b.Send("\r\x03")
	mark = b.After(mark, "KeyboardInterrupt: \r\n")
	mark = b.After(mark, prompt)
	b.Send("\r\x01")
	mark = b.After(mark, "raw REPL; CTRL-B to exit\r\n>")
	b.Send("print(1 + 1)\x04")
	mark = b.After(mark, "OK2\r\n\x04\x04>")
	b.Send("1/0\x04")
	mark = b.After(mark, "OK\x04Traceback (most recent call last):\r\n  File \"<stdin>\", line 1, in <module>\r\nZeroDivisionError: divide by zero\r\n\x04>")
	b.Send("print('on')\nwhile True: pass\x04")
	mark = b.After(mark, "OKon\r\n")
	b.Send("\x03")
	mark = b.After(mark, "\x04Traceback (most recent call last):\r\n  File \"<stdin>\"")
	mark = b.After(mark, "KeyboardInterrupt: \r\n\x04>")
	// Raw-paste: the host sends no more than the windows that it was given.
	b.Send("\x05A\x01")
	mark = b.After(mark, "R\x01\x80\x00\x01")
	program := strings.Repeat("# "+strings.Repeat("x", 60)+"\n", 20) + "print('pasted')\n"
	for room, rest := 256, program; rest != ""; {
		n := min(room, len(rest))
		b.Send(rest[:n])
		rest, room = rest[n:], room-n
		if room < 128 && rest != "" {
			mark = b.After(mark, "\x01")
			room += 128
		}
	}
	b.Send("\x04")
	mark = b.After(mark, "\x04pasted\r\n\x04\x04>")
	b.Send("\x05B\x01")
	mark = b.After(mark, "R\x00")
	b.Send("\x01")
	mark = b.After(mark, "raw REPL; CTRL-B to exit\r\n>")
	// A soft reset stays in the raw REPL, and starts no main.py.
	b.Send("\x04")
	mark = b.After(mark, "OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>")
	b.Send("\x02")
	b.After(mark, "MicroPython v1.25.0")
}

// A file that is closed is there after the power was cut, and all of it.
func TestPicoKeepsFiles(t *testing.T) {
	b := pico(t, `
import os, sys
print("files", sorted(os.listdir("/")))
if "kept" not in os.listdir("/"):
    with open("kept.new", "wb") as f:
        for i in range(100):
            f.write(b"0123456789abcdef" * 16)
    os.rename("kept.new", "kept")
    print("written")
    while True: pass
print("size", os.stat("kept")[6], open("kept").read(16))
`)
	b.On()
	mark := b.After(0, "written\r\n")
	b.Cut()
	mark = b.After(mark, "size 25600 0123456789abcdef\r\n")
	// Nothing of it is in the folder of the machine.
	left, err := filepath.Glob(filepath.Join(b.Dir, "fs", "*"))
	if err != nil || len(left) > 0 {
		t.Error(left, err)
	}
	// The cable erases all of it.
	b.After(mark, prompt)
	mark = b.Mark()
	if err := b.Erase(t.Context()); err != nil {
		t.Fatal(err)
	}
	mark = b.After(mark, prompt)
	if said, _ := typed(b, mark, "import os; os.listdir('/')"); said != "[]\r\n" {
		t.Error(said)
	}
}

// The power is cut in the middle of a write, at every point of one: what is replaced by renaming is the old
// file or the new one.
func TestPicoPowerCuts(t *testing.T) {
	b := pico(t, `
import sys
with open("file") as f: print("it is", f.read())
`)
	image := chiptest.PicoImage(t, map[string]string{"file": strings.Repeat("old", 100), "main.py": `
import os, sys
with open("/file") as f: text = f.read()
print("it is", text == "old" * 100, text == "new" * 1000)
if text == "old" * 100:
    with open("/file.new", "w") as f: f.write("new" * 1000)
    os.rename("/file.new", "/file")
    print("done")
`})
	flash := func(cut int64) {
		t.Helper()
		b.Off()
		if err := errors.Join(b.Flash(t.Context(), chip.Segment{Data: image}), b.CutAfter(t.Context(), cut)); err != nil {
			t.Fatal(err)
		}
		b.On()
	}
	flash(-1)
	b.After(0, "done")
	total := int64(0)
	for _, e := range b.Events() {
		if e.Kind == chip.Written {
			total = e.To
		}
	}
	if total < 3000 {
		t.Fatalf("%d bytes were told", total)
	}
	before, after := 0, 0
	for cut := int64(0); cut < total; cut += total/12 + 1 {
		mark, starts := b.Mark(), b.State().Starts
		flash(cut)
		mark = b.After(mark, "it is True False")
		if e := b.Started(starts + 2); e.Reset != chip.ResetPower {
			t.Fatal(e)
		}
		mark = b.After(mark, "it is ")
		line, _ := b.Line(mark)
		switch line {
		case "True False":
			before++
		case "False True":
			after++
		default:
			t.Errorf("cut after %d: %s", cut, line)
		}
	}
	if before == 0 {
		t.Errorf("%d before, %d after", before, after)
	}
}

// Bytes are counted on over a soft reset.
func TestPicoCountsOverSoftResets(t *testing.T) {
	b := pico(t, `
import machine, os
if "one" not in os.listdir("/"):
    with open("one", "w") as f: f.write("1" * 5000)
    machine.soft_reset()
with open("two", "w") as f: f.write("2" * 5000)
print("done")
`)
	if err := b.CutAfter(t.Context(), -1); err != nil {
		t.Fatal(err)
	}
	b.On()
	mark := b.After(0, "MPY: soft reboot")
	b.After(mark, "done")
	last := int64(0)
	for _, e := range b.Events() {
		if e.Kind != chip.Written {
			continue
		}
		if e.From != last || e.Where != "fs" {
			t.Fatalf("%+v after %d", e, last)
		}
		last = e.To
	}
	if last < 10000 {
		t.Errorf("%d bytes", last)
	}
}

func TestPicoMemory(t *testing.T) {
	b := pico(t, `
import gc
gc.collect()
print("free", gc.mem_free())
try:
    kept = []
    while True: kept.append(bytearray(1000))
except MemoryError as e:
    n = len(kept)
    kept = None
    print("held", n, "KB:", e)
`)
	b.On()
	mark := b.After(0, "free ")
	line, mark := b.Line(mark)
	if free, err := strconv.Atoi(line); err != nil || free < 170_000 || free > 200_000 {
		t.Errorf("%s bytes are free", line)
	}
	mark = b.After(mark, "held ")
	b.After(mark, "KB: memory allocation failed, allocating 1000 bytes\r\n")
}

// Nothing of the machine is seen.
func TestPicoHidesItsHost(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := pico(t, `
import os, sys, vfs
for name in ("`+secret+`", "/etc/passwd", "/proc/self/environ"):
    try:
        open(name).read()
        print("HOST")
    except OSError as e: print(e.errno)
for module in (os, vfs):
    for name in ("system", "getenv", "VfsPosix"):
        if hasattr(module, name): print("HOST", name)
for name in ("ffi", "jni", "termios"):
    try:
        exec("from %s import open" % name)
        print("HOST", name)
    except ImportError: pass
import uos
if uos is not os: print("HOST uos")
print(sorted(os.listdir("/")), os.statvfs("/")[0] * os.statvfs("/")[2], sys.argv, os.uname().sysname)
`)
	b.On()
	b.After(0, "['main.py'] 868352 [] rp2\r\n")
	if strings.Contains(b.Output(), "HOST") {
		t.Error(b.Output())
	}
}

const station = `
import network, time
w = network.WLAN(network.STA_IF)
w.active(True)
def join(name="virtual", password=""):
    w.connect(name, password)
    while w.status() == network.STAT_CONNECTING: time.sleep_ms(5)
    return w.status()
`

func TestPicoWiFi(t *testing.T) {
	b := pico(t, station+`
print("scan", sorted(n[0] for n in w.scan()))
print("joins", join("nowhere"), join("home", "wrong"), join("home", "right"), w.isconnected(), w.config("ssid"))
while w.isconnected(): time.sleep_ms(5)
print("lost")
while not w.isconnected(): time.sleep_ms(5)
print("back", w.config("mac"))
`, func(c *chip.Config) { c.WiFi = []chip.WiFi{{SSID: "home", Password: "right"}, {SSID: "open"}} })
	b.On()
	mark := b.After(0, "scan [b'home', b'open']\r\n")
	mark = b.After(mark, "joins -2 -3 3 True home\r\n")
	if err := b.SetRadio(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	mark = b.After(mark, "lost\r\n")
	if err := b.SetRadio(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	b.After(mark, "back b'")
}

// Its sockets, by each of the two ways: clients that block and that do not, asyncio, what is refused.
func TestPicoNetwork(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, len(body))
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	program := station + `
import asyncio, errno, socket
try:
    socket.getaddrinfo("server.test", ` + port + `)
    print("a name without a network")
except OSError as e: print("no network", e.errno)
join()
HOST, PORT = "localhost", ` + port + `
address = socket.getaddrinfo(HOST, PORT)[0][-1]
ASK = b"POST /%s HTTP/1.0\r\nContent-Length: 20000\r\n\r\n"
s = socket.socket()
s.settimeout(10)
s.connect(address)
s.write(ASK % b"blocks" + bytes(20000))
print(s.readline(), s.read().split(b"\r\n")[-1])
s.close()
async def ask():
    r, w = await asyncio.open_connection(HOST, PORT)
    w.write(ASK % b"async" + bytes(20000))
    await w.drain()
    print((await r.read(-1)).split(b"\r\n")[-1])
    w.close()
    await w.wait_closed()
asyncio.run(ask())
s = socket.socket()
try:
    s.connect(("127.0.0.1", 1))
    print("somebody is there")
except OSError as e: print("refused", e.errno == errno.ECONNREFUSED)
s.close()
s = socket.socket()
s.settimeout(0.2)
s.connect(address)
began = time.ticks_ms()
from machine import Timer
Timer(period=20, callback=lambda t: None)
try: s.recv(1)
except OSError as e: print("timeout", e.errno == errno.ETIMEDOUT, 190 <= time.ticks_diff(time.ticks_ms(), began) < 2000)
s.setblocking(False)
try: s.recv(1)
except OSError as e: print("again", e.errno == errno.EAGAIN)
print("read", s.read(1))
s.close()
import requests
print(requests.get("http://%s:%d/requests" % (HOST, PORT)).text)
listener = socket.socket()
listener.bind(("0.0.0.0", 8123))
listener.listen(1)
print("listening")
c, a = listener.accept()
c.write(c.readline().upper())
c.close()
`
	expect := func(b *chiptest.Bench) int {
		t.Helper()
		mark := 0
		for _, line := range []string{
			"no network -6", "b'HTTP/1.0 200 OK\\r\\n' b'POST /blocks 20000'", "b'POST /async 20000'", "refused True", "timeout True True",
			"again True", "read None", "GET /requests 0", "listening",
		} {
			mark = b.After(mark, line+"\r\n")
		}
		return mark
	}
	t.Run("direct", func(t *testing.T) {
		b := pico(t, strings.ReplaceAll(program, "8123", freePort(t)))
		b.On()
		expect(b)
	})
	t.Run("proxy", func(t *testing.T) {
		b := pico(t, program, func(c *chip.Config) { c.Network = chip.NetworkProxy })
		listener, err := net.Listen("unix", filepath.Join(b.Dir, "net", "out"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		proxy := chip.Proxy{Dial: func(ctx context.Context, host string, port int) (net.Conn, error) {
			if host != "localhost" {
				return nil, errors.New("not permitted")
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		}}
		go func() { served <- proxy.Serve(ctx, listener) }()
		defer func() {
			cancel()
			if err := <-served; err != nil {
				t.Error(err)
			}
		}()
		b.On()
		expect(b)
		client, err := net.Dial("unix", filepath.Join(b.Dir, "net", "8123"))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Write([]byte("hello\n")); err != nil {
			t.Fatal(err)
		}
		if answer, err := io.ReadAll(client); err != nil || string(answer) != "HELLO\n" {
			t.Errorf("%q %v", answer, err)
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// TLS, with an authority of its own, blocking and by asyncio.
func TestPicoTLS(t *testing.T) {
	server := chiptest.NewTLSServer(t)
	b := pico(t, station+`
import asyncio, socket, ssl, binascii
join()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.verify_mode = ssl.CERT_REQUIRED
pem = """`+server.CA+`"""
context.load_verify_locations(cadata=binascii.a2b_base64("".join(pem.split("\n")[1:-2])))
HOST, PORT = "localhost", `+server.URL[strings.LastIndex(server.URL, ":")+1:]+`
s = socket.socket()
s.connect(socket.getaddrinfo(HOST, PORT)[0][-1])
s = context.wrap_socket(s, server_hostname=HOST)
s.write(b"GET /d/v1/update HTTP/1.0\r\nX-Flota-Nonce: 0123456789abcdef0123456789abcdef\r\n\r\n")
print("blocks", s.readline())
s.close()
async def ask():
    r, w = await asyncio.open_connection(HOST, PORT, ssl=context, server_hostname=HOST)
    w.write(b"GET /d/v1/update HTTP/1.0\r\nX-Flota-Nonce: 1123456789abcdef0123456789abcdef\r\n\r\n")
    await w.drain()
    print("async", await r.readline())
asyncio.run(ask())
`, func(c *chip.Config) { c.Network = chip.NetworkDirect })
	b.On()
	mark := b.After(0, "blocks b'HTTP/1.0 401 Unauthorized\\r\\n'\r\n")
	b.After(mark, "async b'HTTP/1.0 401 Unauthorized\\r\\n'\r\n")
}

// A file is uploaded as mpremote does it: by the raw REPL, in chunks, while the program that ran is ended.
func TestPicoUpload(t *testing.T) {
	b := pico(t, "import time\nprint('on')\nwhile True: time.sleep(1)\n")
	b.On()
	mark := b.After(0, "on\r\n")
	b.Send("\r\x03\x03")
	mark = b.After(mark, "KeyboardInterrupt: \r\n")
	mark = b.After(mark, prompt)
	b.Send("\r\x01")
	mark = b.After(mark, "raw REPL; CTRL-B to exit\r\n>")
	exec := func(code string) {
		t.Helper()
		b.Send(code + "\x04")
		mark = b.After(mark, "OK")
		mark = b.After(mark, "\x04\x04>")
	}
	content := bytes.Repeat([]byte("\x00\x01\x02\x03\x04 binary \xff\n"), 300)
	exec("f=open('up.bin','wb')\nw=f.write")
	for rest := content; len(rest) > 0; {
		n := min(256, len(rest))
		var hex strings.Builder
		for _, c := range rest[:n] {
			fmt.Fprintf(&hex, "\\x%02x", c)
		}
		exec("w(b'" + hex.String() + "')")
		rest = rest[n:]
	}
	exec("f.close()")
	b.Send("import hashlib,binascii\nprint(binascii.hexlify(hashlib.sha256(open('up.bin','rb').read()).digest()).decode())\x04")
	b.After(mark, "OK"+chiptest.Digest(content)+"\r\n\x04\x04>")
}

// The clock is right unless a test says otherwise, and ntptime sets it where there is a network.
func TestPicoClock(t *testing.T) {
	b := pico(t, station+`
import machine, ntptime
print("now", time.time(), time.gmtime()[:3], time.mktime((2026, 2, 29, 0, 0, 0, 0, 0)))
machine.RTC().datetime((2030, 1, 2, 0, 3, 4, 5, 0))
print("set", machine.RTC().datetime()[:6])
join()
ntptime.settime()
print("right", time.time())
`, func(c *chip.Config) { c.Clock = func() time.Time { return time.Unix(1000000000, 0) } })
	b.On()
	mark := b.After(0, "now 100000000")
	mark = b.After(mark, " (2001, 9, 9) 1772323200\r\n")
	mark = b.After(mark, "set (2030, 1, 2, 2, 3, 4)\r\n")
	mark = b.After(mark, "right ")
	line, _ := b.Line(mark)
	if n, err := strconv.ParseInt(line, 10, 64); err != nil || time.Since(time.Unix(n, 0)).Abs() > time.Hour {
		t.Error(line)
	}
}

func TestPicoNeedsMicroPython(t *testing.T) {
	dir := t.TempDir()
	if err := chip.Create(dir, chip.Fuses{Chip: chip.RP2040}); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"", t.TempDir()} {
		if b, err := chip.Open(chip.Config{Dir: dir, MicroPython: folder}); err == nil {
			b.Close()
			t.Errorf("opened with %q", folder)
		}
	}
	image := chiptest.PicoImage(t, nil)
	if err := chip.CheckPicoImage(image); err != nil {
		t.Error(err)
	}
	for _, bad := range [][]byte{nil, image[:len(image)-1], make([]byte, len(image))} {
		if err := chip.CheckPicoImage(bad); !errors.Is(err, chip.ErrImage) {
			t.Errorf("%v", err)
		}
	}
}
