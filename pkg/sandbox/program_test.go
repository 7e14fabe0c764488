package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// enough is for programs, which have no limits of time.
var enough = Limits{Memory: 96 << 20, Processes: 32, FileSize: 4 << 20, Disk: 1 << 20}

// program is a shell script as a program: dash, and what it says.
func program(t *testing.T, script string, change ...func(*Program)) (p Program, said func() string) {
	t.Helper()
	shell, err := os.Open("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shell.Close(); null.Close(); r.Close(); w.Close() })
	p = Program{Executable: shell, Args: []string{"-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Files: []*os.File{null, w, w}, Limits: enough}
	for _, c := range change {
		c(&p)
	}
	text := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(r)
		text <- string(all)
	}()
	return p, func() string {
		w.Close()
		return <-text
	}
}

// play runs a program to its end.
func play(t *testing.T, s *Sandbox, script string, change ...func(*Program)) (out string, status int, oom bool) {
	t.Helper()
	p, said := program(t, script, change...)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	process, err := s.Start(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	status, oom = process.Wait()
	return said(), status, oom
}

func folderFor(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "flota-program-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestProgram(t *testing.T) {
	s := open(t)
	dir := folderFor(t)
	fixed, kept := filepath.Join(dir, "fixed"), filepath.Join(dir, "kept")
	for _, d := range []string{fixed, kept} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(kept+"/old", []byte("old"), 0o600), os.WriteFile(dir+"/flash.bin", []byte("flash"), 0o600),
		os.Mkdir(fixed+"/inner", 0o700), os.Mkdir(fixed+"/net", 0o700), os.Chmod(fixed, 0o755)); err != nil {
		t.Fatal(err)
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	out, status, oom := play(t, s, `
env | sort | tr '\n' ' '
echo "$0"; head -c 4 <&3 >&2; echo; echo control >&3
cat /board/inner/old; echo new >/board/inner/new; echo more >>/board/inner/old
touch /board/x 2>/dev/null || echo read-only
echo x >/board/net/x && ls /board/net
ls /proc/self/fd | tr '\n' ' '
head -c 2m /dev/zero >/tmp/big 2>/dev/null || echo full
exit 64`, func(p *Program) {
		p.Env = append(p.Env, "BOARD_DIR=/board", "ODD=two words")
		p.Files = append(p.Files, theirs)
		p.Mounts = []Mount{{From: fixed, To: "/board"}, {From: kept, To: "/board/inner", Writable: true}, {To: "/board/net", Size: 1 << 16}}
		if _, err := ours.WriteString("said"); err != nil {
			t.Fatal(err)
		}
	})
	want := "BOARD_DIR=/board ODD=two words PATH=/usr/bin:/bin PWD=/tmp /program\nsaid\noldread-only\nx\n0 1 2 3 4 full\n"
	if status != 64 || oom || out != want {
		t.Errorf("status %d, %q\nwant %q", status, out, want)
	}
	heard := make([]byte, 8)
	if _, err := io.ReadFull(ours, heard); err != nil || string(heard) != "control\n" {
		t.Errorf("%q %v", heard, err)
	}
	for file, want := range map[string]string{"/new": "new\n", "/old": "oldmore\n"} {
		if got, err := os.ReadFile(kept + file); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", file, got, err)
		}
	}
	if _, status, _ := play(t, s, "kill -SEGV $$"); status != 128+int(syscall.SIGSEGV) {
		t.Errorf("after a signal: %d", status)
	}
}

// What a compiler may not reach, a program may not reach either.
func TestProgramIsolation(t *testing.T) {
	secret := filepath.Join(folderFor(t), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FLOTA_SECRET", "hunter2")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	// A descriptor that this process was started with.
	held, err := unix.Open(secret, unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(held)
	s, err := Open(t.Context(), Config{}, zap.NewNop()) // without a toolchain
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"files":           "cat " + secret + " /etc/shadow /etc/passwd /proc/1/environ /proc/1/root" + secret + " 2>/dev/null",
		"descriptors":     "for i in 3 4 5 6 7 8 9 10 11 12; do cat <&$i; done 2>/dev/null",
		"environment":     "env | grep -E 'SECRET|hunter'",
		"network":         fmt.Sprintf(`python3 -c 'import socket; socket.create_connection(("127.0.0.1", %d), 2); print("hunter2")' 2>/dev/null`, listener.Addr().(*net.TCPAddr).Port),
		"other networks":  `python3 -c 'import socket; socket.socket(40, 1); print("hunter2")' 2>/dev/null; python3 -c 'import socket; [socket.socket(f, 2) for f in (1, 2, 10, 16)]' 2>&1 | grep . && echo hunter2`,
		"abstract socket": `python3 -c 'import socket; print("hunter2") if open("/proc/net/unix").read().count("@") else 0' 2>/dev/null`,
		"processes":       `cat /proc/[0-9]*/comm | grep -x sandbox.test && echo hunter2`,
		"writing":         `for d in / /usr /usr/local /etc /dev /proc/sys/kernel; do touch $d/x 2>/dev/null && echo hunter2 $d; done; (echo >>/program) 2>/dev/null && echo hunter2`,
		"user namespaces": `unshare -U echo hunter2 2>/dev/null; unshare -r echo hunter2 2>/dev/null`,
		"tracing":         `python3 -c 'import ctypes; print("hunter2" if ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0 else "")'`,
		"priority":        `python3 -c 'import os; os.setpriority(os.PRIO_PROCESS, 0, 0); print("hunter2")' 2>/dev/null; [ "$(nice)" = 19 ] || echo hunter2`,
	} {
		t.Run(name, func(t *testing.T) {
			if out, _, _ := play(t, s, script+"\ntrue"); strings.Contains(out, "hunter2") {
				t.Errorf("reached: %s", out)
			}
		})
	}
}

func TestProgramLimits(t *testing.T) {
	s := open(t)
	t.Run("heap", func(t *testing.T) { // an error that the program sees
		out, _, oom := play(t, s, `python3 -c 'x = bytearray(200 << 20)' 2>&1 | tail -1`)
		if out != "MemoryError\n" || oom {
			t.Errorf("%q %v", out, oom)
		}
	})
	t.Run("memory of all", func(t *testing.T) {
		if s.group.version == 0 {
			t.Skip("no memory cgroup on this machine: processes are limited one by one")
		}
		out, status, oom := play(t, s, `for i in 1 2 3; do python3 -c 'x = b"x" * (60 << 20); print("has it", flush=True); import time; time.sleep(2)' & done; wait; exit 7`)
		if !oom || strings.Count(out, "has it") == 3 {
			t.Errorf("status %d %v, %q", status, oom, out)
		}
	})
	t.Run("processes", func(t *testing.T) {
		// The shell itself ends at the first fork that it is refused; a pipeline would need one more at a moment of its own.
		out, _, _ := play(t, s, `i=0; while [ $i -lt 100 ]; do sleep 60 & i=$((i+1)); done; echo unbounded; kill -9 -1`)
		if !strings.Contains(strings.ToLower(out), "fork") || strings.Contains(out, "unbounded") {
			t.Errorf("%q", out)
		}
	})
	t.Run("a file", func(t *testing.T) {
		dir := folderFor(t)
		_, _, _ = play(t, s, `head -c 5m /dev/zero >/board/f; truncate -s 5m /board/g; fallocate -l 5m /board/h`,
			func(p *Program) { p.Mounts = []Mount{{From: dir, To: "/board", Writable: true}} })
		for _, f := range []string{"f", "g", "h"} {
			if info, err := os.Stat(filepath.Join(dir, f)); err == nil && info.Size() > enough.FileSize {
				t.Errorf("%s has %d bytes", f, info.Size())
			}
		}
	})
}

// A busy program gets its share of the processor and goes on.
func TestProgramShare(t *testing.T) {
	s := open(t)
	busy := func(t *testing.T) {
		t.Helper()
		begin := time.Now()
		// Two processes, and a third that is long gone: they share the share.
		out, status, _ := play(t, s, `python3 -c 'import time
while time.process_time() < 0.25: pass' & python3 -c 'import time
while time.process_time() < 0.25: pass'; wait; echo end`, func(p *Program) { p.CPU = 0.1 })
		if took := time.Since(begin); out != "end\n" || status != 0 || took < 2*time.Second {
			t.Errorf("%q %d after %s", out, status, took)
		}
	}
	t.Run("by a control group", func(t *testing.T) {
		if s.group.cpu == "" {
			t.Skip("no processor cgroup on this machine")
		}
		busy(t)
	})
	s.group = &groups{}
	t.Run("by stopping it", busy)
	t.Run("and ended while stopped", func(t *testing.T) {
		p, _ := program(t, "while :; do :; done", func(p *Program) { p.CPU = 0.01 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		process, err := s.Start(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-process.Done():
		case <-time.After(time.Minute):
			t.Error("it goes on")
		}
	})
}

// However a program ends, and although it may fork and hide, nothing of it is
// left when Wait returns; it can kill nobody else.
func TestProgramSurvivors(t *testing.T) {
	s := open(t)
	marker := fmt.Sprintf("8%d.5", os.Getpid())
	hiding := "setsid sleep " + marker + " & (setsid sh -c 'trap \"\" TERM HUP INT; sleep " + marker + "' &) ; "
	neighbour, _ := program(t, "sleep 60; exit 3")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	beside, err := s.Start(ctx, neighbour)
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"its end":      hiding + "true",
		"killed":       hiding + "echo up; sleep 60",
		"a fork bomb":  hiding + "b() { b | b & }; b; echo up; sleep 60",
		"its own kill": hiding + "kill -9 -1",
		"everybody":    hiding + "python3 -c 'import os\nfor pid in range(2, 70000):\n  try: pid != os.getpid() and os.kill(pid, 9)\n  except OSError: pass'",
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := program(t, script)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			p.Files[1] = w
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			process, err := s.Start(ctx, p)
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(script, "echo up") {
				if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
					t.Fatal(err)
				}
				cancel()
			}
			process.Wait()
			if left, _ := exec.Command("pgrep", "-f", "^sleep "+marker).Output(); len(left) > 0 {
				t.Errorf("left: %s", left)
			}
		})
	}
	select {
	case <-beside.Done():
		t.Error("the neighbour is gone")
	default:
	}
	cancel()
	if status, _ := beside.Wait(); status != 128+int(syscall.SIGKILL) {
		t.Errorf("the neighbour ended with %d", status)
	}
	if left := len(tasks.used); left != 0 {
		t.Errorf("%d user IDs are still taken", left)
	}
}

// What a process of ours that was killed had started dies with it.
func TestProgramDiesWithItsParent(t *testing.T) {
	marker := os.Getenv("FLOTA_TEST_PARENT")
	if marker != "" {
		s := open(t)
		p, _ := program(t, "setsid sleep "+marker+" & echo up; sleep "+marker)
		p.Files[1] = os.Stdout
		if _, err := s.Start(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	marker = fmt.Sprintf("7%d.5", os.Getpid())
	parent := parentThatIsUp(t, marker)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	gone(t, marker)
}

// Killed while sandboxes are being made, it leaves no task behind either.
func TestKilledWhileSandboxesStart(t *testing.T) {
	marker := os.Getenv("FLOTA_TEST_PARENT")
	if marker != "" {
		s := open(t)
		fmt.Println("up")
		for range 4 {
			go func() {
				task := Task{Script: "setsid sleep " + marker + " & sleep " + marker, Output: func(r io.Reader) error { _, err := io.ReadAll(r); return err }, Limits: ample}
				if _, err := s.Run(t.Context(), task); err != nil {
					t.Error(err)
				}
			}()
			p, _ := program(t, "setsid sleep "+marker+" & sleep "+marker)
			if _, err := s.Start(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		select {}
	}
	marker = fmt.Sprintf("8%d.5", os.Getpid())
	// What bubblewrap itself may leave of a sandbox that was half made.
	defer func() { _ = exec.Command("pkill", "-KILL", "-f", "bwrap .*sleep "+marker).Run() }()
	for round := range 30 {
		parent := parentThatIsUp(t, marker)
		time.Sleep(time.Duration(round) * time.Millisecond) // every moment of a start
		if err := parent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = parent.Wait()
	}
	gone(t, marker)
}

// parentThatIsUp runs the test that asks for it once more, in a process of its own that
// knows by the marker that it is to be killed; it has said that it is up.
func parentThatIsUp(t *testing.T, marker string) *exec.Cmd {
	t.Helper()
	parent := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$")
	parent.Env = append(os.Environ(), "FLOTA_TEST_PARENT="+marker)
	out, err := parent.StdoutPipe()
	if err == nil {
		err = parent.Start()
	}
	if err == nil {
		_, err = io.ReadFull(out, make([]byte, 3))
	}
	if err != nil {
		t.Fatal(err)
	}
	return parent
}

// gone waits until no process sleeps for so long any more.
func gone(t *testing.T, marker string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left, err := exec.Command("pgrep", "-f", "^(setsid )?sleep "+marker).Output()
		var none *exec.ExitError
		switch {
		case errors.As(err, &none) && none.ExitCode() == 1:
			return
		case err != nil:
			t.Fatal(err)
		case time.Now().After(end):
			t.Fatalf("left: %s", left)
		}
	}
}

// What a program is given becomes its own, and nothing that it points to.
func TestGiveFollowsNoLink(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives things to others")
	}
	s := open(t)
	dir := folderFor(t)
	outside, given := filepath.Join(dir, "outside"), filepath.Join(dir, "given")
	err := errors.Join(os.WriteFile(outside, []byte("ours"), 0o600), os.Mkdir(given, 0o700), os.Mkdir(given+"/sub", 0),
		os.Symlink(outside, given+"/link"), os.Symlink(dir, given+"/sub/dir"), syscall.Mkfifo(given+"/pipe", 0o600), os.WriteFile(given+"/mine", nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	out, _, _ := play(t, s, `cat /board/link; echo x >/board/sub/dir/x; stat -c %u /board/mine /board/sub; id -u`,
		func(p *Program) { p.Mounts = []Mount{{From: given, To: "/board", Writable: true}} })
	words := strings.Fields(out)
	ids := words[max(0, len(words)-3):]
	if strings.Contains(out, "ours") || len(ids) != 3 || ids[2] == "0" || ids[0] != ids[2] || ids[1] != ids[2] {
		t.Errorf("%q", out)
	}
	for _, path := range []string{outside, dir} {
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil || st.Uid != 0 {
			t.Errorf("%s belongs to %d %v", path, st.Uid, err)
		}
	}
	if err := os.Symlink(outside, dir+"/mount"); err != nil {
		t.Fatal(err)
	}
	p, _ := program(t, "true", func(p *Program) { p.Mounts = []Mount{{From: dir + "/mount", To: "/board", Writable: true}} })
	process, err := s.Start(t.Context(), p)
	if err == nil {
		process.Wait()
	}
	var st syscall.Stat_t
	if err := syscall.Lstat(outside, &st); err != nil || st.Uid != 0 {
		t.Errorf("by way of the mount itself it belongs to %d %v", st.Uid, err)
	}
}

// Without a sandbox there are no programs, whatever the configuration says.
func TestNoProgramWithoutSandbox(t *testing.T) {
	s := &Sandbox{none: true, log: zap.NewNop(), group: &groups{}}
	p, _ := program(t, "true")
	if _, err := s.Start(t.Context(), p); !errors.Is(err, errNone) {
		t.Error(err)
	}
}
