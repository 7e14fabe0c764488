package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/embedded"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
)

// With this variable set, the test binary is a NATS server on that folder, which
// the test can kill.
const childDir = "FLOTA_TEST_NATS_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	server, err := embedded.Start(context.Background(), embedded.Options{
		StoreDir: dir, Passwords: passwords(), Listen: "127.0.0.1:0", Log: zap.NewNop(),
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(server.Addr())
	_, _ = os.Stdin.Read(make([]byte, 1)) // until killed, or until the parent is gone
}

func passwords() map[flow.Service]string {
	p := map[flow.Service]string{}
	for _, s := range flow.Services {
		p[s] = "test-" + string(s)
	}
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t testing.TB, o embedded.Options) *embedded.Server {
	t.Helper()
	o.Log = zap.NewNop()
	server, err := embedded.Start(t.Context(), o)
	must(t, err)
	t.Cleanup(server.Stop)
	return server
}

func connect(t testing.TB, o bus.Options) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(t.Context(), o)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestInProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, embedded.Options{StoreDir: dir})
	if first.Addr() != "" {
		t.Errorf("it listens on %s", first.Addr())
	}
	for _, s := range flow.Services {
		must(t, connect(t, first.Bus(s, zap.NewNop())).Ensure(t.Context()))
	}
	artifact := connect(t, first.Bus(flow.Artifact, zap.NewNop()))
	must(t, bus.Publish(t.Context(), artifact, flow.DeviceReported, &artifactv1.DeviceReported{Device: "d1"}, "", "d1"))
	first.Stop()

	second := start(t, embedded.Options{StoreDir: dir})
	fleet := connect(t, second.Bus(flow.Fleet, zap.NewNop()))
	if _, n, err := bus.Span(t.Context(), fleet, flow.Devices); err != nil || n != 1 {
		t.Errorf("after a restart: sequence %d, %v", n, err)
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	taken := start(t, embedded.Options{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	for name, o := range map[string]embedded.Options{
		"the folder is a file":  {StoreDir: file},
		"the address is none":   {StoreDir: t.TempDir(), Listen: "here"},
		"the address is in use": {StoreDir: t.TempDir(), Listen: taken.Addr()},
	} {
		o.Log = zap.NewNop()
		started := time.Now()
		server, err := embedded.Start(t.Context(), o)
		if err == nil {
			server.Stop()
			t.Errorf("%s: it started", name)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("%s: the error took %v: %v", name, took, err)
		}
		t.Log(err)
	}
}

// Whatever was acknowledged outlives a killed server.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored := map[string]bool{}
	var mu sync.Mutex
	for round := range 3 {
		kill, addr := child(t, dir)
		o := func(s flow.Service) bus.Options {
			return bus.Options{URL: "nats://" + addr, Service: s, Password: passwords()[s], Log: zap.NewNop()}
		}
		must(t, connect(t, o(flow.Fleet)).Ensure(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		var publishing sync.WaitGroup
		for p := range 4 {
			artifact := connect(t, o(flow.Artifact))
			publishing.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					id := fmt.Sprintf("%d-%d-%d", round, p, i)
					if bus.Publish(ctx, artifact, flow.DeviceReported, &artifactv1.DeviceReported{Device: id}, id, id) == nil {
						mu.Lock()
						stored[id] = true
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		kill()
		cancel()
		publishing.Wait()
	}
	if len(stored) < 100 {
		t.Fatalf("only %d messages were published", len(stored))
	}

	server := start(t, embedded.Options{StoreDir: dir})
	fleet := connect(t, server.Bus(flow.Fleet, zap.NewNop()))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_ = bus.Handle(ctx, fleet, flow.TakeReported, bus.NewSlots(64), func(_ context.Context, m bus.Message[*artifactv1.DeviceReported]) error {
		mu.Lock()
		defer mu.Unlock()
		delete(stored, m.Body.GetDevice())
		if len(stored) == 0 {
			cancel()
		}
		return nil
	})
	if len(stored) > 0 {
		t.Errorf("%d acknowledged messages are lost", len(stored))
	}
}

// child starts a server in a process of its own.
func child(t *testing.T, dir string) (kill func(), addr string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = in.Close()
	})
	t.Cleanup(kill)
	addr, err = bufio.NewReader(out).ReadString('\n')
	must(t, err)
	return kill, addr[:len(addr)-1]
}
