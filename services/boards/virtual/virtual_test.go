package virtual_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/boards"
	"github.com/flota/flota/services/boards/virtual"
	"github.com/flota/flota/services/boards/virtualtest"
)

const (
	fqbn     = "flota:virtual:esp32"
	patience = 60 * time.Second
)

// bench is a workshop, whose boards have the machine's shell for a sketch.
type bench struct {
	t    *testing.T
	dir  string
	shop *virtual.Workshop
}

func newBench(t *testing.T, change ...func(*virtual.Options)) *bench {
	t.Helper()
	box, err := sandbox.Open(t.Context(), sandbox.Config{}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "flota-virtual-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if os.Geteuid() == 0 {
			_ = os.RemoveAll(dir)
			return
		}
		_ = exec.Command("chmod", "-R", "u+rwx", dir).Run()
		_ = os.RemoveAll(dir)
	})
	o := virtual.Options{
		Dir: filepath.Join(dir, "boards"), Base: map[string][]byte{fqbn: chip.MakeImage(shell)}, Offers: []boards.Offer{{FQBN: fqbn}},
		Memory: 96 << 20, CPU: 1, Box: box, Log: zap.NewNop(),
		Network: func(ctx context.Context, way net.Listener) error {
			return chip.Proxy{Dial: func(context.Context, string, int) (net.Conn, error) { return nil, errors.New("nowhere") }}.Serve(ctx, way)
		},
	}
	for _, c := range change {
		c(&o)
	}
	shop, err := virtual.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shop.Close(); err != nil {
			t.Error(err)
		}
	})
	return &bench{t, dir, shop}
}

// board is one in hand, with all that it wrote.
type board struct {
	*bench
	boards.Machine
	dir string
	mu  sync.Mutex
	all []byte
}

// ids are those of boards.
var ids = [...]string{"00000000000000000001", "00000000000000000002"}

func (b *bench) board(id string) *board {
	b.t.Helper()
	return b.boardOf(id, fqbn)
}

func (b *bench) boardOf(id, fqbn string) *board {
	b.t.Helper()
	if _, err := b.shop.Make(b.t.Context(), id, fqbn); err != nil {
		b.t.Fatal(err)
	}
	return b.open(id, fqbn)
}

func (b *bench) open(id, fqbn string) *board {
	b.t.Helper()
	one := &board{bench: b, dir: filepath.Join(b.dir, "boards", id)}
	m, err := b.shop.Open(b.t.Context(), id, fqbn, func(data []byte) {
		one.mu.Lock()
		defer one.mu.Unlock()
		one.all = append(one.all, data...)
	}, func() {})
	if err != nil {
		b.t.Fatal(err)
	}
	one.Machine = m
	b.t.Cleanup(func() { _ = m.Close() })
	if err := m.Power(b.t.Context(), boards.PowerOn); err != nil {
		b.t.Fatal(err)
	}
	return one
}

func (b *board) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.all)
}

func (b *board) eventually(what string, so func() bool) {
	b.t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("still no %s; the board wrote:\n%s", what, b.text())
		}
	}
}

func (b *board) send(script string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if err := b.Write(ctx, []byte(script+"\n")); err != nil {
		b.t.Fatal(err)
	}
}

var marks int

// run has the shell do something and returns what it wrote.
func (b *board) run(script string) string {
	b.t.Helper()
	marks++
	begin, end := fmt.Sprintf("<begin%d>", marks), fmt.Sprintf("<end%d>", marks)
	// What is sent before the shell runs is lost.
	b.eventually("shell", func() bool {
		b.send("echo '" + begin[:3] + "''" + begin[3:] + "'")
		for range 50 {
			if strings.Contains(b.text(), begin) {
				return true
			}
			time.Sleep(10 * time.Millisecond)
		}
		return false
	})
	b.send(script + "\necho '" + end[:3] + "''" + end[3:] + "'")
	b.eventually("end of "+script, func() bool { return strings.Contains(b.text(), end) })
	text := b.text()
	text = text[strings.LastIndex(text, begin)+len(begin):]
	text, _, _ = strings.Cut(text, end)
	return strings.Trim(text, "\r\n")
}

func (b *board) reset() {
	b.t.Helper()
	if err := b.Power(b.t.Context(), boards.PowerReset); err != nil {
		b.t.Fatal(err)
	}
}

// Two processes do not have the same boards in hand.
func TestOneWorkshop(t *testing.T) {
	b := newBench(t)
	if _, err := virtual.New(virtual.Options{Dir: b.shop.Dir}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
}

// What a sketch finds, and what it may change of it.
func TestWhatASketchSees(t *testing.T) {
	b := newBench(t).board(ids[0])
	if got := b.run("cd /board; ls; cat efuse.json; echo; ls net; id -u"); !strings.HasPrefix(got, "efuse.json\nflash.bin\nfs\nnet\nnvs\nrtc.bin\n{\"mac\":") ||
		!strings.Contains(got, "\nout\n") || strings.HasSuffix(got, "\n0") {
		t.Errorf("%q", got)
	}
	got := b.run(`cd /board
for f in efuse.json new; do echo x 2>/dev/null >$f && echo "wrote $f"; done 2>/dev/null
for f in flash.bin rtc.bin nvs fs net efuse.json; do mv $f gone 2>/dev/null && echo "moved $f"; rm -rf $f 2>/dev/null; [ -e $f ] || echo "removed $f"; ln -sf /etc/passwd $f 2>/dev/null && [ -L $f ] && echo "linked $f"; done
rm -f net/out 2>/dev/null; [ -e net/out ] || echo "removed the way out"
: >nvs/a && : >fs/b && : >net/c && echo mine`)
	if got != "mine" {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(filepath.Join(b.dir, "flash.bin")); err != nil || info.Size() != chip.FlashSize {
		t.Errorf("%v %v", info, err)
	}
}

// Whatever a sketch plants in its folder, nobody else's files are read, changed or
// removed by way of it: not at the next start, not when it is flashed, erased or removed.
func TestPlantedLinks(t *testing.T) {
	bench := newBench(t)
	outside := filepath.Join(bench.dir, "outside")
	if err := errors.Join(os.Mkdir(outside, 0o700), os.WriteFile(outside+"/secret", []byte("hunter2"), 0o600)); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, outside)
	b := bench.board(ids[0])
	// From inside, the machine's paths are planted blindly; whoever follows them outside arrives.
	plant := fmt.Sprintf(`cd /board
for d in nvs fs; do ln -s %[1]s $d/dir; ln -s %[1]s/secret $d/file; ln -s ../../../../../../../../../../..%[1]s $d/up; mkfifo $d/pipe; mkdir -p $d/deep/er; ln -s %[1]s $d/deep/er/dir
  : >$d/closed; chmod 0 $d/closed; mkdir $d/locked; : >$d/locked/in; chmod 0 $d/locked; ln -s . $d/self; done
chmod 0 flash.bin rtc.bin nvs fs 2>/dev/null; echo planted`, outside)
	for name, then := range map[string]func() error{
		"reset": func() error { return b.Power(t.Context(), boards.PowerReset) },
		"flash": func() error { return b.Flash(t.Context(), boards.Firmware{}, false) },
		"erase": func() error { return b.Flash(t.Context(), boards.Firmware{}, true) },
	} {
		if got := b.run(plant); got != "planted" {
			t.Errorf("%s: %q", name, got)
		}
		if err := then(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := b.run("cat /board/nvs/file /board/nvs/dir/secret /board/fs/up/secret 2>/dev/null; find /board/nvs /board/fs -type l -o -type p; chmod 700 /board/nvs /board/fs; rm -rf /board/nvs/* /board/fs/*"); got != "" {
			t.Errorf("after %s: %q", name, got)
		}
	}
	_ = b.run(plant)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := bench.shop.Remove(ids[0]); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(b.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	if after := snapshot(t, outside); after != before {
		t.Errorf("outside was\n%s\nand is\n%s", before, after)
	}
}

// snapshot is everything that can be changed of a folder and what is in it.
func snapshot(t *testing.T, dir string) (all string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		all += fmt.Sprintf("%s %o %d:%d %d\n", path, st.Mode, st.Uid, st.Gid, st.Size)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A sketch that writes more than there is room for is ended, and what is too much goes.
func TestQuota(t *testing.T) {
	b := newBench(t).board(ids[0])
	b.run("true") // it has started
	for name, script := range map[string]string{
		"one after the other": `i=0; while :; do i=$((i+1)); head -c 500000 /dev/zero >/board/fs/$i; done`,
		"at once":             `for i in 1 2 3 4 5 6; do head -c 4000000 /dev/urandom >/board/nvs/$i & done; wait; sleep 60`,
		"many":                `i=0; while :; do i=$((i+1)); : >/board/nvs/$i; done`,
		"deep":                `cd /board/fs; i=0; while [ $i -lt 60 ]; do mkdir d && cd d; i=$((i+1)); done; sleep 60`,
		"unreadable":          `mkdir /board/fs/x; for i in 1 2 3 4; do head -c 4000000 /dev/zero >/board/fs/x/$i; done; chmod 0 /board/fs/x/* /board/fs/x; exit 1`,
	} {
		mark := b.State().Starts
		b.send(script)
		b.eventually(name+" to be ended", func() bool { return b.State().Starts > mark })
		if !strings.Contains(b.text(), "storage full") {
			t.Errorf("%s: nobody says why: %q", name, b.text())
		}
		bytes, files := size(t, b.dir)
		if bytes > 14<<20 || files > 5000 {
			t.Errorf("%s: %d bytes in %d files are left", name, bytes, files)
		}
		if got := b.run("rm -rf /board/nvs/* /board/fs/*; echo alive"); got != "alive" {
			t.Errorf("%s: %q", name, got)
		}
		b.mu.Lock()
		b.all = nil
		b.mu.Unlock()
	}
	// The flash and what outlives sleep do not grow.
	b.run("head -c 9000000 /dev/zero >>/board/flash.bin; head -c 9000000 /dev/zero >/board/rtc.bin; truncate -s 1T /board/rtc.bin; true")
	if bytes, _ := size(t, b.dir); bytes > 9<<20 {
		t.Errorf("%d bytes", bytes)
	}
	b.reset()
	if got := b.run("wc -c </board/flash.bin"); got != "4194304" { // its image is in the first half
		t.Errorf("%q", got)
	}
}

// Files without a name take room, too.
func TestQuotaOfUnlinkedFiles(t *testing.T) {
	b := newBench(t).board(ids[0])
	b.run("true") // it has started
	// One that is removed while it is open is nothing out of the ordinary.
	if got := b.run("exec 5>/board/fs/log; rm /board/fs/log; head -c 3000000 /dev/zero >&5; sleep 1; exec 5>&-; echo alive"); got != "alive" {
		t.Errorf("%q", got)
	}
	for name, keep := range map[string]string{
		"open":   "held.append(f)",
		"mapped": "held.append(mmap.mmap(f, 4096)); os.close(f)",
	} {
		mark := b.State().Starts
		b.send(`python3 - <<'END'
import mmap, os, time
held = []
while len(held) < 60:
    f = os.open("/board/fs/x", os.O_RDWR | os.O_CREAT); os.unlink("/board/fs/x"); os.write(f, b"x" * 4000000); ` + keep + `
time.sleep(600)
END`)
		b.eventually(name+" to be ended", func() bool { return b.State().Starts > mark })
		if !strings.Contains(b.text(), "storage full") {
			t.Errorf("%s: nobody says why: %q", name, b.text())
		}
		b.run("true")
		b.mu.Lock()
		b.all = nil
		b.mu.Unlock()
	}
}

// size is what a folder takes of the disk.
func size(t *testing.T, dir string) (bytes int64, files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			return nil // a sketch is at work there
		}
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if syscall.Lstat(path, &st) == nil {
			bytes, files = bytes+st.Blocks*512, files+1
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes, files
}

// Boards see nothing of one another, nor of the machine.
func TestNeighbours(t *testing.T) {
	bench := newBench(t)
	one, two := bench.board(ids[0]), bench.board(ids[1])
	one.run("echo hunter2 >/board/nvs/secret; sleep 300 & echo")
	for name, script := range map[string]string{
		"files":     "cat " + one.dir + "/nvs/secret " + bench.dir + "/boards/*/nvs/secret 2>/dev/null; ls " + bench.dir + " 2>/dev/null",
		"processes": "ls /proc 2>/dev/null | grep -c '^[0-9]' | (read -r n; [ \"$n\" -lt 12 ] || echo many); kill -9 -1 2>/dev/null; true",
		"sockets":   `ls /board/net | grep -v '^out$'; python3 -c 'import socket; socket.create_connection(("127.0.0.1", 22), 2); print("in")' 2>/dev/null`,
	} {
		if got := two.run(script + "\ntrue"); strings.Contains(got, "hunter2") || got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := one.run("kill -0 $! && echo it lives"); got != "it lives" {
		t.Errorf("the neighbour's process: %q", got)
	}
	if s := one.State(); s.Starts != 1 || s.Phase != boards.Running {
		t.Errorf("the neighbour: %+v", s)
	}
}

// A sketch that eats all memory, or forks for ever, is a crash of its board.
func TestBombs(t *testing.T) {
	b := newBench(t).board(ids[0])
	if got := b.run(`python3 -c 'x = b"x" * (200 << 20)' 2>&1 | tail -1`); got != "MemoryError" {
		t.Errorf("%q", got)
	}
	b.send(`f() { f | f & }; f`)
	time.Sleep(300 * time.Millisecond)
	if err := b.Power(t.Context(), boards.PowerCut); err != nil {
		t.Fatal(err)
	}
	if got := b.run("echo $BOARD_RESET"); got != "power" {
		t.Errorf("%q", got)
	}
}

// The way out is the only one, and it is the runner's to answer.
func TestWayOut(t *testing.T) {
	b := newBench(t).board(ids[0])
	got := b.run(`python3 - <<'END'
import socket
s = socket.socket(socket.AF_UNIX); s.connect("/board/net/out"); s.sendall(b"CONNECT flota:80\n"); print(s.recv(100).decode().strip())
END`)
	if got != "refused nowhere" {
		t.Errorf("%q", got)
	}
}

// Who does not answer over the cable is told so, in time; two at once do not mix.
func TestProvision(t *testing.T) {
	b := newBench(t).board(ids[0])
	b.run("true")
	p := deviceproto.Provision{
		Server: boards.Server, Workspace: "w1", Device: "d1", ProductID: "bot_001", Key: vectors.Key, Board: fqbn,
		Keys: []string{deviceproto.FormatPublicKey(&vectors.SigningKey("first").PublicKey)},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	busy := make(chan error, 1)
	go func() { busy <- b.Provision(ctx, p) }()
	b.eventually("dialogue", func() bool { return strings.Contains(b.text(), "not found") }) // the shell knows no {"flota":…
	if err := b.Provision(ctx, p); !fault.Is(err, fault.Precondition) || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("two at once: %v", err)
	}
	if err := <-busy; !fault.Is(err, fault.Precondition) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("%v", err)
	}
	// The device's own word about what is wrong arrives with its field.
	b.send(`while read -r l; do case $l in *hello*) echo '{"flota":"hello","agent":"sh"}';; *provision*) echo '{"flota":"error","code":"invalid","field":"ca","message":"no"}';; esac; done`)
	ctx, cancel = context.WithTimeout(t.Context(), patience)
	defer cancel()
	if f := fault.As(b.Provision(ctx, p)); f == nil || f.Code != fault.Invalid || f.Field != "ca" {
		t.Errorf("%v", f)
	}
}

// A sketch that prints what it hears does not show everybody what is for the board alone.
func TestProvisionIsNotEchoed(t *testing.T) {
	b := newBench(t).board(ids[0])
	b.run("true")
	const password = `hunter"2\hunter`
	p := deviceproto.Provision{
		Server: boards.Server, Workspace: "w1", Device: "d1", ProductID: "bot_001", Key: vectors.Key, Board: fqbn,
		Keys: []string{deviceproto.FormatPublicKey(&vectors.SigningKey("first").PublicKey)},
		WiFi: []deviceproto.Network{{SSID: "shed", Password: password}},
	}
	b.send(`cat >/tmp/echo.py <<'END'
import os
line = b""
while True:
    c = os.read(0, 1)
    os.write(1, c)
    line += c
    if c != b"\n": continue
    if b'"hello"' in line: os.write(1, b'{"flota":"hello","agent":"sh"}\n')
    if b'"provision"' in line: os.write(1, b'{"flota":"provisioned","device":"d1"}\n')
    line = b""
END
python3 -u /tmp/echo.py`)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Provision(ctx, p); err != nil {
		t.Fatalf("%v\n%s", err, b.text())
	}
	b.eventually("answer", func() bool { return strings.Contains(b.text(), "provisioned") })
	text := b.text()
	if !strings.Contains(text, "shed") || !strings.Contains(text, "***") {
		t.Errorf("nothing was echoed: %q", text)
	}
	if strings.Contains(text, vectors.Key) || strings.Contains(text, `\hunter`) || strings.Contains(text, `hunter\"`) {
		t.Errorf("a secret was shown: %q", text)
	}
}

// As root the tests above run sketches as users of their own; here they run as
// somebody without rights does it, in user namespaces.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the other tests run as somebody without rights already")
	}
	const somebody = 12346
	dir, err := os.MkdirTemp("/tmp", "flota-virtual-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	copied, err := os.OpenFile(dir+"/virtual.test", os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(copied, self)
	if err := errors.Join(err, copied.Close(), os.Chown(dir, somebody, somebody)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dir+"/virtual.test", "-test.run", "^(TestWhatASketchSees|TestPlantedLinks|TestQuota|TestNeighbours|TestBombs|TestWayOut|TestPicoAttacks|TestFlashPico)$")
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + dir, "FLOTA_TEST_PICO=" + virtualtest.Toolchain(t)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
