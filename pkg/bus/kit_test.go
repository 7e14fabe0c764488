package bus_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

// soon is how long a test waits for what must happen; later is how long it
// watches that something does not.
const (
	soon  = 5 * time.Second
	later = 300 * time.Millisecond
)

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "6") // they wait more than they work
	os.Exit(m.Run())
}

type (
	finished = bus.Message[*compilerv1.BuildFinished]
	job      = bus.Message[*compilerv1.Job]
)

// background runs f until stop is called, or the test ends, and waits for it.
func background(t *testing.T, f func(ctx context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(ctx)
	}()
	stop = func() {
		t.Helper()
		cancel()
		wait(t, done, "the end of what runs")
	}
	t.Cleanup(stop)
	return stop
}

func handle(t *testing.T, c *bus.Conn, consumer flow.Consumer[*compilerv1.BuildFinished], slots int, f func(context.Context, finished) error) (stop func()) {
	t.Helper()
	return background(t, func(ctx context.Context) { _ = bus.Handle(ctx, c, consumer, bus.NewSlots(slots), f) })
}

func compile(t *testing.T, c *bus.Conn, slots *bus.Slots, platform string, f func(context.Context, job) error) (stop func()) {
	t.Helper()
	return background(t, func(ctx context.Context) { _ = bus.Handle(ctx, c, flow.CompileJobs, slots, f, platform) })
}

func wait[T any](t *testing.T, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(soon):
		t.Fatalf("%s: not within %v", what, soon)
	}
	return v
}

func never[T any](t *testing.T, ch <-chan T, what string) {
	t.Helper()
	select {
	case v, open := <-ch:
		if open {
			t.Fatalf("%s: %v", what, v)
		}
	case <-time.After(later):
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, soon)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// finish publishes that a build finished, as the compiler does.
func finish(t testing.TB, c *bus.Conn, build string) {
	t.Helper()
	must(t, bus.Publish(t.Context(), c, flow.BuildFinished, &compilerv1.BuildFinished{Build: build, Attempt: 1}, build, build, "1"))
}

// offer publishes jobs, as the editor does.
func offer(t testing.TB, c *bus.Conn, platform string, n int) {
	t.Helper()
	for i := range n {
		build := fmt.Sprintf("%s-%d", platform, i)
		must(t, bus.Publish(t.Context(), c, flow.BuildJob, &compilerv1.Job{Build: build}, build, platform, build))
	}
}

// stored counts what a stream holds; c is the stream's owner.
func stored(t testing.TB, c *bus.Conn, stream *flow.Stream) uint64 {
	t.Helper()
	return state(t, c, stream).Msgs
}

func state(t testing.TB, c *bus.Conn, stream *flow.Stream) jetstream.StreamState {
	t.Helper()
	s, err := c.JS().Stream(t.Context(), stream.Name)
	must(t, err)
	return s.CachedInfo().State
}

// leased is the consumer of finished builds with another lease.
func leased(lease time.Duration) flow.Consumer[*compilerv1.BuildFinished] {
	c := flow.TakeFinished
	c.AckWait = lease
	return c
}

// editorAndCompiler are two connected services.
func editorAndCompiler(t *testing.T) (server *bustest.NATS, editor, compiler *bus.Conn) {
	t.Helper()
	server = bustest.Server(t)
	return server, server.Connect(flow.Editor), server.Connect(flow.Compiler)
}
