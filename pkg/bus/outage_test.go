package bus_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

// The server restarts while a handler works: its message is handled, once or
// again, and so are those that wait and those that come later.
func TestRestartInTheMiddleOfAHandler(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	offer(t, editor, "avr", 3)
	started, release := make(chan struct{}, 9), make(chan struct{})
	var mu sync.Mutex
	done := map[string]int{}
	compile(t, compiler, bus.NewSlots(1), "avr", func(_ context.Context, m job) error {
		started <- struct{}{}
		<-release
		mu.Lock()
		defer mu.Unlock()
		done[m.Body.GetBuild()]++
		return nil
	})
	wait(t, started, "the first handler")
	server.Restart()
	close(release)
	eventually(t, "publishing works again", func() bool {
		return bus.Publish(t.Context(), editor, flow.BuildJob, &compilerv1.Job{Build: "late"}, "late", "avr", "late") == nil
	})
	eventually(t, "every job was done", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(done) == 4
	})
}

// The server restarts again and again while messages are published: whatever
// was acknowledged is there, and nothing is there twice.
func TestRestartInTheMiddleOfPublishing(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	fleet := server.Connect(flow.Fleet)
	const publishers, each = 4, 100
	var publishing sync.WaitGroup
	for p := range publishers {
		artifact := server.Connect(flow.Artifact)
		publishing.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", p, i)
				for tries := 0; ; tries++ {
					ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
					err := bus.Publish(ctx, artifact, flow.DeviceReported, &artifactv1.DeviceReported{Device: id}, id, id)
					cancel()
					if err == nil {
						break
					}
					if tries == 500 {
						t.Errorf("%s: %v", id, err)
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for range 2 {
		time.Sleep(100 * time.Millisecond)
		server.Restart()
	}
	publishing.Wait()
	if n := stored(t, fleet, flow.Devices); n != publishers*each {
		t.Errorf("%d of %d messages stored", n, publishers*each)
	}

	var mu sync.Mutex
	got := map[string]int{}
	background(t, func(ctx context.Context) {
		_ = bus.Handle(ctx, fleet, flow.TakeReported, bus.NewSlots(16), func(_ context.Context, m bus.Message[*artifactv1.DeviceReported]) error {
			mu.Lock()
			defer mu.Unlock()
			got[m.Body.GetDevice()]++
			return nil
		})
	})
	eventually(t, "all are handled", func() bool { return stored(t, fleet, flow.Devices) == 0 })
	if len(got) != publishers*each {
		t.Errorf("%d of %d messages handled", len(got), publishers*each)
	}
}

// A server that comes back without its data gets its streams and consumers
// from those who own them, and work goes on.
func TestServerLosesItsData(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	built, done := make(chan string, 9), make(chan string, 9)
	compile(t, compiler, bus.NewSlots(1), "avr", func(_ context.Context, m job) error { built <- m.Body.GetBuild(); return nil })
	handle(t, editor, flow.TakeFinished, 1, func(_ context.Context, m finished) error { done <- m.Body.GetBuild(); return nil })
	offer(t, editor, "avr", 1)
	wait(t, built, "a job before")

	server.Stop()
	server.Wipe()
	server.Start()
	eventually(t, "publishing works again", func() bool {
		return bus.Publish(t.Context(), editor, flow.BuildJob, &compilerv1.Job{Build: "after"}, "after", "avr", "after") == nil
	})
	if build := wait(t, built, "a job after"); build != "after" {
		t.Errorf("got %s", build)
	}
	eventually(t, "publishing works again", func() bool {
		return bus.Publish(t.Context(), compiler, flow.BuildFinished, &compilerv1.BuildFinished{Build: "after"}, "", "after", "1") == nil
	})
	if build := wait(t, done, "the end of a build"); build != "after" {
		t.Errorf("got %s", build)
	}
}

// An interest stream keeps nothing that nobody consumes. From its very first
// moment its consumers are there: what is acknowledged is handled.
func TestNothingIsLostWhileStreamsAreMade(t *testing.T) {
	t.Parallel()
	server := bustest.Empty(t)
	artifact, fleet := server.Connect(flow.Artifact), server.Connect(flow.Fleet)
	stop, published := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { published <- n }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if bus.Publish(ctx, artifact, flow.DeviceReported, &artifactv1.DeviceReported{}, "", "d") == nil {
				n++
			}
			cancel()
		}
	}()
	must(t, fleet.Ensure(t.Context()))
	time.Sleep(20 * time.Millisecond)
	close(stop)
	n := <-published
	if n == 0 {
		t.Fatal("nothing was published")
	}
	if kept := stored(t, fleet, flow.Devices); kept < uint64(n) {
		t.Errorf("%d acknowledged, %d kept", n, kept)
	}
	must(t, fleet.Ensure(t.Context())) // again: nothing changes
	if kept := stored(t, fleet, flow.Devices); kept < uint64(n) {
		t.Errorf("%d acknowledged, %d kept after a second Ensure", n, kept)
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	c := server.Connect(flow.Editor)
	must(t, c.Ready(t.Context()))

	t.Run("wrong password", func(t *testing.T) {
		o := server.Options(flow.Editor)
		o.Password = "wrong"
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		if _, err := bus.Connect(ctx, o); err == nil || ctx.Err() != nil {
			t.Errorf("error %v", err)
		}
	})
	t.Run("server starts later", func(t *testing.T) {
		server.Stop()
		if c.Ready(t.Context()) == nil {
			t.Error("ready without a server")
		}
		connected := make(chan error, 1)
		go func() {
			late, err := bus.Connect(t.Context(), server.Options(flow.Editor))
			if err == nil {
				late.Close()
			}
			connected <- err
		}()
		time.Sleep(50 * time.Millisecond)
		server.Start()
		must(t, wait(t, connected, "the connection"))
		eventually(t, "the old connection is ready", func() bool { return c.Ready(t.Context()) == nil })
	})
	t.Run("no server", func(t *testing.T) {
		server.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := bus.Connect(ctx, server.Options(flow.Editor)); err == nil {
			t.Error("connected to nothing")
		}
	})
}

// What the map says of a stream, a consumer or a bucket is brought to a server
// that has an older version of it, and its messages stay.
func TestEnsureUpdates(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	fleet, artifact := server.Connect(flow.Fleet), server.Connect(flow.Artifact)
	must(t, bus.Publish(t.Context(), artifact, flow.DeviceReported, &artifactv1.DeviceReported{}, "", "d1"))
	old := *flow.Devices
	old.MaxAge = time.Hour
	must(t, fleet.EnsureStream(t.Context(), &old))
	for _, want := range []time.Duration{old.MaxAge, flow.Devices.MaxAge} {
		s, err := fleet.JS().Stream(t.Context(), flow.Devices.Name)
		must(t, err)
		if info := s.CachedInfo(); info.Config.MaxAge != want || info.State.Msgs != 1 {
			t.Errorf("MaxAge %v, not %v; %d messages", info.Config.MaxAge, want, info.State.Msgs)
		}
		must(t, fleet.Ensure(t.Context()))
	}
}
