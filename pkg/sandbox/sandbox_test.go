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
)

var ample = Limits{
	Wall: 20 * time.Second, CPU: 10 * time.Second, Memory: 256 << 20, Processes: 64, FileSize: 16 << 20, Disk: 32 << 20, Output: 1 << 20,
}

func open(t *testing.T) *Sandbox {
	t.Helper()
	s, err := Open(t.Context(), Config{Toolchain: t.TempDir()}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sh runs a script and returns what it said.
func sh(t *testing.T, s *Sandbox, l Limits, script string) (string, Exit) {
	t.Helper()
	var out []byte
	exit, err := s.Run(t.Context(), Task{
		Script: script,
		Output: func(r io.Reader) error { out, _ = io.ReadAll(r); return nil },
		Limits: l,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(out), exit
}

func TestRun(t *testing.T) {
	s := open(t)
	var out []byte
	var notes []string
	exit, err := s.Run(t.Context(), Task{
		Script: `read -r x; echo "got $x in $PWD"; echo one >&3; echo two >&3; echo bad >&2; exit 3`,
		Input:  func(w io.Writer) error { _, err := io.WriteString(w, "hello\n"); return err },
		Output: func(r io.Reader) (err error) { out, err = io.ReadAll(r); return err },
		Note:   func(line string) { notes = append(notes, line) },
		Limits: ample,
	})
	if err != nil || exit.Status != 3 || exit.Exceeded != "" || exit.Stderr != "bad\n" {
		t.Errorf("%+v %v", exit, err)
	}
	if string(out) != "got hello in /job\n" || strings.Join(notes, " ") != "one two" {
		t.Errorf("%q %q", out, notes)
	}
}

// Nothing of the machine is to be seen or reached.
func TestIsolation(t *testing.T) {
	s := open(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FLOTA_SECRET", "hunter2")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for name, script := range map[string]string{
		"files":           "cat " + secret + " /etc/shadow /etc/passwd /root/.bashrc /proc/1/environ 2>/dev/null",
		"kernel options":  "cat /proc/cmdline 2>/dev/null | grep -q . && echo hunter2",
		"environment":     "env | grep -E 'SECRET|hunter'",
		"network":         fmt.Sprintf(`python3 -c 'import socket; socket.create_connection(("127.0.0.1", %d), 2); print("hunter2")' 2>/dev/null`, listener.Addr().(*net.TCPAddr).Port),
		"name resolution": `python3 -c 'import socket; print("hunter2", socket.getaddrinfo("deb.debian.org", 80))' 2>/dev/null`,
		"processes":       `cat /proc/[0-9]*/comm | grep -x sandbox.test && echo hunter2`,
		"writing":         `for d in / /usr /usr/local /etc /toolchain /dev /proc/sys/kernel; do touch $d/x 2>/dev/null && echo hunter2 $d; done`,
		"user namespaces": `unshare -U echo hunter2 2>/dev/null; unshare -r echo hunter2 2>/dev/null`,
		"tracing":         `python3 -c 'import ctypes; print("hunter2" if ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0 else "")'`,
		"set-user-ID":     `su -c 'echo hunter2' </dev/null 2>/dev/null; ping -c1 127.0.0.1 2>/dev/null | grep -q ttl && echo hunter2`,
	} {
		t.Run(name, func(t *testing.T) {
			if out, _ := sh(t, s, ample, script+"\ntrue"); strings.Contains(out, "hunter2") {
				t.Errorf("reached: %s", out)
			}
		})
	}
}

// Each bomb ends, by the limit that is meant for it, and soon.
func TestLimits(t *testing.T) {
	s := open(t)
	with := func(change func(*Limits)) Limits {
		l := ample
		change(&l)
		return l
	}
	for _, c := range []struct {
		name, script string
		limits       Limits
		exceeded     Limit
	}{
		{"wall", "sleep 60", with(func(l *Limits) { l.Wall = 300 * time.Millisecond }), WallLimit},
		{"output", "yes", ample, OutputLimit},
		{"memory", `python3 -c 'x = bytearray(1 << 29); print(len(x))'`, ample, MemoryLimit},
		{"memory in files", `for i in 1 2 3; do head -c 15m /dev/zero >f$i; done`, with(func(l *Limits) { l.Memory = 32 << 20; l.Disk = 256 << 20 }), MemoryLimit},
		{"cpu", "while :; do :; done; echo survived", with(func(l *Limits) { l.CPU = time.Second }), CPULimit},
		{"a file", `head -c 20m /dev/zero >f 2>/dev/null && echo survived`, ample, ""},
		{"all files", `for i in 1 2 3; do head -c 15m /dev/zero >f$i || exit 1; done 2>/dev/null; echo survived`, ample, ""},
		{"standard error", `yes >&2 & sleep 0.2; exit 0`, ample, ""},
		{"one endless note", `yes | tr -d '\n' >&3 & sleep 0.2; exit 0`, ample, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.exceeded == MemoryLimit && s.group.version == 0 {
				t.Skip("no memory cgroup on this machine: processes are limited one by one")
			}
			start := time.Now()
			out, exit := sh(t, s, c.limits, c.script)
			if exit.Exceeded != c.exceeded || strings.Contains(out, "survived") {
				t.Errorf("%+v %.100q", exit.Exceeded, out)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// Without a memory cgroup each process is limited, and Go programs still run.
func TestProcessMemory(t *testing.T) {
	s := open(t)
	s.group = &groups{}
	out, exit := sh(t, s, ample, `python3 -c 'x = bytearray(1 << 29); print("survived")' 2>/dev/null; echo end`)
	if out != "end\n" || exit.Status != 0 {
		t.Errorf("%q %+v", out, exit)
	}
}

// However a task ends, nothing of it is left: not what it put into sessions of
// its own, not a fork bomb.
func TestNoSurvivors(t *testing.T) {
	s := open(t)
	// A sleep of a length that nobody else sleeps is how the processes are found.
	marker := fmt.Sprintf("9%d.5", os.Getpid())
	hiding := "setsid sleep " + marker + " </dev/null >/dev/null 2>&1 3>&- & (setsid sh -c 'trap \"\" TERM HUP INT; sleep " + marker + "' &) ; "
	for name, run := range map[string]func(){
		"its end": func() { sh(t, s, ample, hiding+"true") },
		"wall limit": func() {
			l := ample
			l.Wall = 300 * time.Millisecond
			sh(t, s, l, hiding+"sleep 60")
		},
		"cancelled": func() {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("cancelled by its user"))
			defer cancel()
			_, err := s.Run(ctx, Task{Script: hiding + "sleep 60", Output: discard, Limits: ample})
			if err == nil || err.Error() != "cancelled by its user" {
				t.Error(err)
			}
		},
		"fork bomb": func() {
			l := ample
			l.Wall = time.Second
			sh(t, s, l, hiding+`b() { b | b & }; b; sleep 60`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			run()
			// Killed processes may take a moment to be gone.
			for end := time.Now().Add(2 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				left, _ := exec.Command("pgrep", "-f", "^sleep "+marker).Output()
				if len(left) == 0 {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("left: %s", left)
				}
			}
		})
	}
}

// Where no /proc can be mounted, all the rest still holds.
func TestWithoutProc(t *testing.T) {
	s := open(t)
	s.proc = false
	if err := s.Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if out, _ := sh(t, s, ample, "ls /proc 2>/dev/null; echo end"); out != "end\n" {
		t.Errorf("%q", out)
	}
}

// Tasks that run at the same time neither see nor stop one another.
func TestParallel(t *testing.T) {
	s := open(t)
	t.Run("group", func(t *testing.T) {
		for i := range 8 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				out, exit := sh(t, s, ample, fmt.Sprintf("ls; echo %d >mine; sleep 0.1; cat mine", i))
				if out != fmt.Sprintf("%d\n", i) || exit.Status != 0 {
					t.Errorf("%q %+v", out, exit)
				}
			})
		}
	})
	if left := len(tasks.used); left != 0 {
		t.Errorf("%d user IDs are still taken", left)
	}
	if dirs, _ := filepath.Glob(filepath.Join(s.group.memory, fmt.Sprintf("%s%d-*", groupPrefix, os.Getpid()))); s.group.memory != "" && len(dirs) > 0 {
		t.Errorf("control groups left: %v", dirs)
	}
}

// As root the tests above show the user ID's way; here they show the user
// namespace's, as somebody without rights.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: the other tests run as somebody without rights already")
	}
	const somebody = 12345
	dir, err := os.MkdirTemp("/tmp", "flota-sandbox-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = errors.Join(os.WriteFile(dir+"/sandbox.test", self, 0o755), os.Chown(dir, somebody, somebody))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(dir+"/sandbox.test", "-test.run", "^(TestRun|TestIsolation|TestLimits|TestProcessMemory|TestNoSurvivors|TestProgram|TestProgramIsolation|TestProgramLimits|TestProgramShare|TestProgramSurvivors|TestProgramDiesWithItsParent)$")
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A machine without a sandbox is refused, unless the configuration says otherwise.
func TestNoSandbox(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing") // bubblewrap cannot mount it
	if _, err := Open(t.Context(), Config{Toolchain: missing}, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "no working sandbox") {
		t.Error(err)
	}
	_, err := Open(t.Context(), Config{Toolchain: missing, AllowNone: true}, zap.NewNop())
	if err == nil || !strings.Contains(err.Error(), "must lie at /toolchain") {
		t.Error(err)
	}
}

func discard(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err }

func TestLimitsOr(t *testing.T) {
	got := Limits{Wall: 1, Memory: 2}.Or(Limits{Wall: 9, CPU: 3, Memory: 9, Processes: 4, FileSize: 5, Disk: 6, Output: 7})
	if want := (Limits{Wall: 1, CPU: 3, Memory: 2, Processes: 4, FileSize: 5, Disk: 6, Output: 7}); got != want {
		t.Errorf("%+v", got)
	}
}
