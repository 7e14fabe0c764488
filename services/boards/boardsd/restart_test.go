package boardsd_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/boards/boardsd"
)

// After the service stopped and started, boards are as they were: those that were on
// run again, and what they wrote is there, with its offsets.
func TestRestart(t *testing.T) {
	in := install(t)
	in.start()
	ada := in.as(identity.Maintainer)
	on, off := ada.create("on").ID, ada.create("off").ID
	ada.provision(on, "d1")
	before := ada.run(on, "echo baud 921600 >&3; echo kept >/board/nvs/value; seq 20000")
	ada.must("POST", "/boards/"+off+"/power", m{"action": "off"}, nil)
	in.stop()
	if left := survivors(t, in.cfg.Board.Data); left != "" {
		t.Errorf("left after it stopped:\n%s", left)
	}
	in.start()
	in.eventually("second start", func() bool { return ada.board(on).Starts == 2 })
	if b := ada.board(on); b.State != "running" || b.Device != "d1" || b.Name != "on" || b.Reset != "power" {
		t.Errorf("%+v", b)
	}
	if b := ada.board(off); b.State != "off" || b.Starts != 1 || b.Reset != "power" || b.Slot != "app0" {
		t.Errorf("%+v", b)
	}
	offset, end, text := ada.serial(on)
	if end < int64(len(before)) || end-offset != 64<<10 || !strings.Contains(text, "\n20000\n") || strings.Contains(text, "\n1000\n") {
		t.Errorf("of %d bytes from %d to %d are there: %.100q", len(before), offset, end, text)
	}
	if got := ada.run(on, "cat /board/nvs/value"); got != "kept" {
		t.Errorf("%q", got)
	}
	if _, now, _ := ada.serial(on); now <= end {
		t.Errorf("the offsets begin anew: %d after %d", now, end)
	}

	// A folder that nobody knows goes, one that is missing is made again.
	in.stop()
	stray := filepath.Join(in.cfg.Board.Data, "boards", "00000000000000000000")
	if err := os.MkdirAll(filepath.Join(stray, "nvs"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(in.cfg.Board.Data, "boards", off)); err != nil {
		t.Fatal(err)
	}
	in.start()
	if _, err := os.Stat(stray); !os.IsNotExist(err) {
		t.Error("the stray folder is there")
	}
	ada.must("POST", "/boards/"+off+"/power", m{"action": "on"}, nil)
	if got := ada.run(off, "echo hello"); got != "hello" {
		t.Errorf("%q", got)
	}
}

// survivors are processes of sandboxes that hold a folder.
func survivors(t *testing.T, data string) string {
	t.Helper()
	left, _ := exec.Command("pgrep", "-af", "bwrap .*"+data).Output()
	return string(left)
}

// The service is killed: no process is left of any board, and the next one goes on
// from what they had.
func TestKilled(t *testing.T) {
	in := install(t)
	ada := in.as(identity.Maintainer)
	first := in.child()
	b := ada.create("b").ID
	marker := fmt.Sprintf("6%d.25", os.Getpid())
	ada.run(b, "setsid sleep "+marker+" </dev/null >/dev/null 2>&1 3>&- & echo said before >/board/nvs/value; cat /board/nvs/value")
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	in.eventually("end of every process", func() bool {
		left, _ := exec.Command("pgrep", "-f", "sleep "+marker).Output()
		return len(left) == 0 && survivors(t, in.cfg.Board.Data) == ""
	})
	in.start()
	if got := ada.run(b, "cat /board/nvs/value"); got != "said before" {
		t.Errorf("%q", got)
	}
	if _, _, text := ada.serial(b); strings.Count(text, "said before") != 2 {
		t.Errorf("%q", text)
	}
}

// child runs the daemon in a process of its own.
func (in *installation) child() *exec.Cmd {
	in.t.Helper()
	cfg, err := json.Marshal(in.cfg.Board)
	if err != nil {
		in.t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "FLOTA_TEST_CHILD="+in.nats.URL(), "FLOTA_TEST_PASSWORD="+in.nats.Password(flow.Boards), "FLOTA_TEST_DIR="+in.dir, "FLOTA_TEST_CONFIG="+string(cfg),
		"FLOTA_TEST_ARTIFACT="+in.artifact.URL)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		in.t.Fatal(err)
	}
	in.t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		in.t.Fatal(err)
	}
	in.url = strings.TrimSpace(line)
	in.ready()
	return cmd
}

// TestMain is also the process that TestKilled kills.
func TestMain(m *testing.M) {
	at := os.Getenv("FLOTA_TEST_CHILD")
	if at == "" {
		os.Exit(m.Run())
	}
	if err := runChild(at); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runChild(nats string) error {
	ctx := context.Background()
	var cfg boardsd.Config
	conn, err := bus.Connect(ctx, bus.Options{URL: nats, Service: flow.Boards, Password: os.Getenv("FLOTA_TEST_PASSWORD"), Log: zap.NewNop()})
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(os.Getenv("FLOTA_TEST_CONFIG")), &cfg.Board),
			cfg.ArtifactURL.UnmarshalBinary([]byte(os.Getenv("FLOTA_TEST_ARTIFACT"))))
	}
	if err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, filepath.Join(os.Getenv("FLOTA_TEST_DIR"), "boards.db"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	return boardsd.Run(ctx, cfg, boardsd.Deps{Log: zap.NewNop(), Bus: conn, DB: db, Serve: func(ctx context.Context, h http.Handler) error {
		return httpserve.Serve(ctx, listener, h, httpserve.Options{Drain: time.Second})
	}})
}

// Where there is no sandbox, or nothing to flash, there are no boards, and the
// reason is said.
func TestNotHere(t *testing.T) {
	for name, change := range map[string]func(*boardsd.Config){
		"no base": func(c *boardsd.Config) { c.Board.Base = "/nowhere" },
		"junk":    func(c *boardsd.Config) { c.Board.Base = "/bin/true" },
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t, change)
			err := boardsd.Run(t.Context(), in.cfg, boardsd.Deps{Log: zap.NewNop()})
			if err == nil || !strings.HasPrefix(err.Error(), "no virtual boards here: ") {
				t.Error(err)
			}
		})
	}
}

// Boards go on while the bus is away, and what they wrote meanwhile is there; pages
// hear again when it is back.
func TestTheBusIsAway(t *testing.T) {
	in := install(t)
	in.start()
	ada := in.as(identity.Maintainer)
	b := ada.create("b").ID
	ada.run(b, "true")
	in.nats.Stop()
	begin := time.Now()
	if got := ada.run(b, `i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done | tail -1; echo pin 4 out 1 >&3`); got != "line 1999" {
		t.Errorf("%q", got)
	}
	t.Logf("it took %s", time.Since(begin))
	in.nats.Start()
	in.eventually("connection", func() bool { return in.editor.Ready(t.Context()) == nil })
	h := in.listen()
	in.eventually("news", func() bool { // the service's own connection may come back a moment later
		ada.run(b, "echo back")
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.serial) > 0
	})
	ada.run(b, "echo pin 4 out 0 >&3")
	in.eventually("change", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.changes) > 0
	})
}
