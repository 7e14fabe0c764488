package provisiontest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// REPL is the serial port of a board with MicroPython: the modes of its REPL as
// shared/runtime/pyexec.c has them, around a real MicroPython that runs the code. Set its fields before Serve.
type REPL struct {
	// Boot is printed first; Program at each interrupt, as by a program that has
	// something to say about that.
	Boot, Program string
	// Deaf is how many bytes go by before anything is heard.
	Deaf int
	// Window is half of the input buffer, in bytes: 128 where it is 0. What comes
	// beyond both is lost, and Overrun counts it. NoPaste: an old one without raw-paste mode.
	Window  int
	NoPaste bool
	// Spoil, unless nil, changes what is heard, byte by byte; the number counts them.
	Spoil func(n int, b byte) byte

	mu      sync.Mutex
	overrun int
	python  *python
}

// python is a MicroPython that runs what it is sent, one after the other.
type python struct {
	in  io.WriteCloser
	out *bufio.Reader
}

const loop = `
import io, os, sys, vfs
class RAM:
    def __init__(self, blocks):
        self.data = bytearray(b"\xff" * (blocks * 4096))
    def readblocks(self, n, buf, off=0):
        at = n * 4096 + off
        buf[:] = memoryview(self.data)[at:at + len(buf)]
    def writeblocks(self, n, buf, off=None):
        at = n * 4096 + (off or 0)
        self.data[at:at + len(buf)] = buf
    def ioctl(self, op, arg):
        return {4: len(self.data) // 4096, 5: 4096, 6: 0}.get(op)
d = RAM(BLOCKS)
vfs.VfsLfs2.mkfs(d)
out = sys.stdout.buffer
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(d), "/")
os.chdir("/")
names = {"__name__": "__main__"}
while True:
    n = sys.stdin.buffer.readline()
    if not n:
        break
    code = sys.stdin.buffer.read(int(n))
    said = io.StringIO()
    names["print"] = lambda *a: print(*a, file=said)
    trace = ""
    try:
        exec(code, names)
    except BaseException as e:
        t = io.StringIO()
        sys.print_exception(e, t)
        trace = t.getvalue()
    said = said.getvalue().encode()
    trace = trace.encode()
    out.write(b"%d %d\n" % (len(said), len(trace)))
    out.write(said)
    out.write(trace)
`

// MicroPython is the folder of one for this machine, fetched from Debian where it is
// not there yet (deploy/toolchain/micropython.sh).
func MicroPython(t testing.TB) string {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	script := filepath.Join(filepath.Dir(self), "..", "..", "..", "deploy", "toolchain", "micropython.sh")
	out, err := exec.CommandContext(t.Context(), script).Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return strings.TrimSpace(string(out))
}

// Start gives the board its MicroPython, with an empty file system of so many blocks of 4096 bytes.
func (r *REPL) Start(t testing.TB, blocks int) {
	t.Helper()
	program := strings.Replace(loop, "BLOCKS", fmt.Sprint(blocks), 1)
	c := exec.Command(filepath.Join(MicroPython(t), "micropython"), "-X", "heapsize=8M", "-c", program) //nolint:noctx // ended below
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errors strings.Builder
	c.Stderr = &errors
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("MicroPython: %v\n%s", err, errors.String())
		}
	})
	r.python = &python{in, bufio.NewReader(out)}
}

// run runs code and returns what it printed, and the trace of an exception.
func (p *python) run(code []byte) (said, trace string) {
	if _, err := fmt.Fprintf(p.in, "%d\n%s", len(code), code); err != nil {
		return "", err.Error()
	}
	var a, b int
	line, err := p.out.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(line, &a, &b)
	}
	text := make([]byte, a+b)
	if err == nil {
		_, err = io.ReadFull(p.out, text)
	}
	if err != nil {
		return "", "MicroPython is gone: " + err.Error()
	}
	return string(text[:a]), string(text[a:])
}

// Run runs code beside whoever is at the port.
func (r *REPL) Run(code string) (said, trace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.python.run([]byte(code))
}

// Overrun is how many bytes came that there was no room for.
func (r *REPL) Overrun() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.overrun
}

// Serve answers on a port until that ends, or the board is reset: by code that calls machine.reset().
func (r *REPL) Serve(port io.ReadWriter) {
	if r.Window == 0 {
		r.Window = 128
	}
	say := func(text string) bool { return write(port, strings.ReplaceAll(text, "\n", "\r\n")) }
	in := bufio.NewReaderSize(port, 4096)
	n := 0
	read := func() (byte, bool) {
		for {
			b, err := in.ReadByte()
			if err != nil {
				return 0, false
			}
			if n++; n <= r.Deaf {
				continue
			}
			if r.Spoil != nil {
				b = r.Spoil(n, b)
			}
			return b, true
		}
	}
	if !say(r.Boot) {
		return
	}
	raw, line := false, []byte{}
	for {
		b, ok := read()
		if !ok {
			return
		}
		switch {
		case b == 1 && raw && string(line) == "\x05A" && !r.NoPaste:
			line = line[:0]
			code, ok := r.paste(port, read, in)
			if !ok {
				return
			}
			if !r.execute(port, code) || !say(">") {
				return
			}
		case b == 1:
			raw, line = true, line[:0]
			ok = say("raw REPL; CTRL-B to exit\n>")
		case b == 2:
			raw, line = false, line[:0]
			ok = say("\nMicroPython v1.25.0 on 2025-04-15; a fake\n>>> ")
		case b == 3:
			line = line[:0]
			if !raw {
				ok = say("\n" + r.Program + ">>> ")
			}
		case b == 4 && len(line) == 0:
			text := "\nMPY: soft reboot\n"
			if raw {
				text = "OK" + text + "raw REPL; CTRL-B to exit\n>"
			}
			ok = say(text)
		case b == 4 && raw:
			ok = write(port, "OK") && r.execute(port, line) && say(">")
			line = line[:0]
		case raw:
			line = append(line, b)
		case b == '\r':
			said, trace := r.Run(string(line))
			line = line[:0]
			ok = say("\n" + said + trace + ">>> ")
		default:
			line = append(line, b)
			ok = write(port, string(b)) // the friendly one echoes
		}
		if !ok {
			return
		}
	}
}

// execute is the end of both raw modes.
func (r *REPL) execute(port io.Writer, code []byte) bool {
	if bytes.Contains(code, []byte("machine.reset()")) {
		return false
	}
	said, trace := r.Run(string(code))
	return write(port, strings.ReplaceAll(said, "\n", "\r\n")+"\x04"+strings.ReplaceAll(trace, "\n", "\r\n")+"\x04")
}

// paste reads code in raw-paste mode. What the host sends beyond the windows that it was
// given is lost, as in a buffer that is full.
func (r *REPL) paste(port io.Writer, read func() (byte, bool), in *bufio.Reader) (code []byte, ok bool) {
	head := binary.LittleEndian.AppendUint16([]byte("R\x01"), uint16(r.Window))
	if !write(port, string(head)+"\x01") {
		return nil, false
	}
	given, taken := 2*r.Window, 0
	for {
		b, ok := read()
		if !ok {
			return nil, false
		}
		if b == 4 || b == 3 {
			return code, write(port, "\x04")
		}
		code = append(code, b)
		taken++
		if over := taken + in.Buffered() - given; over > 1 { // its end needs no window
			r.mu.Lock()
			r.overrun += over
			r.mu.Unlock()
		}
		if taken%r.Window == 0 {
			given += r.Window
			if !write(port, "\x01") {
				return nil, false
			}
		}
	}
}
