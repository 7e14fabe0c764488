package simulator

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

// build builds flota-simulator, once for all tests.
var build = sync.OnceValues(func() (path string, err error) {
	dir, err := os.MkdirTemp("", "flota-simulator-*")
	if err != nil {
		return "", err
	}
	removeBuild = func() { _ = os.RemoveAll(dir) }
	path = filepath.Join(dir, "flota-simulator")
	if out, err := exec.Command("go", "build", "-o", path, "./cmd/flota-simulator").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

var removeBuild = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	removeBuild()
	os.Exit(code)
}

// command returns how to start flota-simulator.
func command(t *testing.T) func(args ...string) *exec.Cmd {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return func(args ...string) *exec.Cmd { return exec.Command(path, args...) }
}

// output is a process's, to be looked at while it runs.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

func (o *output) until(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(o.text(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still no %q:\n%s", text, o.text())
		}
	}
}

func start(t *testing.T, cmd *exec.Cmd) *output {
	t.Helper()
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return out
}

// The command, as a person starts it: it updates, is killed in the middle of the
// next update, goes on, writes out what it installed, and ends when asked to.
func TestCommand(t *testing.T) {
	simulator := command(t)
	s := newServer(t)
	web := httptest.NewServer(s)
	defer web.Close()
	p := s.enrol("bot_001")
	p.Server = web.URL
	one, two := image(1, size), image(2, 4_000_000)
	s.want(p, 7, one)
	file := write(t, p)
	folder := filepath.Join(filepath.Dir(file), "devices", "bot_001")

	if out, err := simulator("image", "--dir", folder).CombinedOutput(); err == nil || !strings.Contains(string(out), "nothing was installed") {
		t.Errorf("%v, %s", err, out)
	}
	run := simulator("run", "--provision", file, "--poll", "100ms")
	out := start(t, run)
	out.until(t, "confirmed v7")
	if strings.Contains(out.text(), p.Key) {
		t.Error("it prints its key")
	}
	installed := func(want []byte) {
		t.Helper()
		got, err := simulator("image", "--dir", folder).Output()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	installed(one)

	// Killed when it has half of the next one.
	s.mu.Lock()
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, deviceproto.PathImage) {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(two)))
		_, _ = w.Write(two[:len(two)*2/3])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}
	s.mu.Unlock()
	s.want(p, 8, two)
	half := func() bool {
		state, err := Disk{folder}.Load()
		return err == nil && state.Fetch != nil && state.Fetch.Offset >= int64(len(two)/2)
	}
	for end := time.Now().Add(20 * time.Second); !half(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not half of it came:\n%s", out.text())
		}
	}
	if err := run.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = run.Wait()
	s.mu.Lock()
	s.before = nil
	asked := len(s.images)
	s.mu.Unlock()
	installed(one)

	again := simulator("run", "--provision", file, "--poll", "100ms")
	out = start(t, again)
	out.until(t, "confirmed v8")
	installed(two)
	s.mu.Lock()
	if resumed := s.images[asked]; !strings.HasPrefix(resumed, "bytes=") {
		t.Errorf("it began anew: %q", resumed)
	}
	s.mu.Unlock()

	if err := again.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := again.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// A fleet in memory, one of whose images is bad, leaves nothing on the disk.
func TestCommandWithAFleet(t *testing.T) {
	simulator := command(t)
	s := newServer(t)
	web := httptest.NewServer(s)
	defer web.Close()
	good, bad := image(1, size), image(2, size)
	var all []deviceproto.Provision
	for _, name := range []string{"bot_001", "bot_002", "bot_003"} {
		p := s.enrol(name)
		p.Server = web.URL
		all = append(all, p)
		s.want(p, 7, good)
	}
	s.want(all[1], 8, bad)
	file := write(t, all)
	out := start(t, simulator("run", "--provision", file, "--memory", "--poll", "50ms", "--bad", digest(bad)[:8]+"=crash", "--rollback", "agent-only"))
	out.until(t, "bot_001  confirmed v7")
	out.until(t, "bot_003  confirmed v7")
	out.until(t, "bot_002  crash: v8")
	if left, err := os.ReadDir(filepath.Dir(file)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reports) == 0 || s.reports[0].Rollback != "agent-only" {
		t.Errorf("%+v", s.reports)
	}
}

func TestCommandLine(t *testing.T) {
	simulator := command(t)
	file := write(t, newServer(t).enrol("bot_001"))
	for _, c := range []struct{ args, says string }{
		{"", "usage"}, {"fly", "usage"}, {"run", "usage"}, {"image", "usage"}, {"run --provision x y", "usage"},
		{"run --provision /does/not/exist", "no such file"}, {"run --fast", "not defined"},
		{"run --provision " + file + " --bad explode", "no such fault"}, {"run --provision " + file + " --rollback maybe", "--rollback must be"},
	} {
		out, err := simulator(strings.Fields(c.args)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.says) {
			t.Errorf("%q: %v, %s", c.args, err, out)
		}
	}
	if out, err := simulator("run", "-h").CombinedOutput(); err != nil || !strings.Contains(string(out), "-provision") {
		t.Errorf("%v, %s", err, out)
	}
}
