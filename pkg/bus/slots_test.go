package bus_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
)

// A busy worker does not sit on a message that another could take.
func TestBusyWorkerDoesNotHoard(t *testing.T) {
	t.Parallel()
	server, editor, busy := editorAndCompiler(t)
	release := make(chan struct{})
	defer close(release)
	taken := make(chan job, 9)
	compile(t, busy, bus.NewSlots(1), "avr", func(_ context.Context, m job) error { taken <- m; <-release; return nil })
	offer(t, editor, "avr", 2)
	wait(t, taken, "the first job")
	never(t, taken, "the busy worker took a second job")

	idle := make(chan job, 9)
	compile(t, server.Connect(flow.Compiler), bus.NewSlots(1), "avr", func(_ context.Context, m job) error { idle <- m; return nil })
	started := time.Now()
	if m := wait(t, idle, "the second job"); m.Delivered != 1 || m.Body.GetBuild() != "avr-1" {
		t.Errorf("the idle worker got %s, delivery %d", m.Body.GetBuild(), m.Delivered)
	}
	if took := time.Since(started); took > time.Second {
		t.Errorf("the second job waited %v for an idle worker", took)
	}
}

// Several platforms share one slot: one job at a time, each platform in turn,
// and no job is pulled only to be given back.
func TestPlatformsShareSlots(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	platforms := []string{"avr", "esp32", "rp2040"}
	const each = 4
	for _, p := range platforms {
		offer(t, editor, p, each)
	}
	slots := bus.NewSlots(1)
	var running atomic.Int32
	handled, begin := make(chan string, 99), make(chan struct{})
	for _, p := range platforms {
		compile(t, compiler, slots, p, func(_ context.Context, m job) error {
			if n := running.Add(1); n != 1 || slots.Free() != 0 {
				t.Errorf("%d jobs at once, %d slots free", n, slots.Free())
			}
			<-begin
			if m.Delivered != 1 {
				t.Errorf("%s was pulled before", m.Body.GetBuild())
			}
			running.Add(-1)
			handled <- m.Word(2)
			return nil
		})
	}
	for _, p := range platforms {
		eventually(t, "a consumer", func() bool {
			_, err := editor.JS().Consumer(t.Context(), flow.Jobs.Name, "compile-"+p)
			return err == nil
		})
	}
	time.Sleep(50 * time.Millisecond) // all stand in line
	close(begin)
	count := map[string]int{}
	for i := range each * len(platforms) {
		count[wait(t, handled, "a job")]++
		if i == 2*len(platforms)-1 {
			for _, p := range platforms {
				if count[p] < 1 || count[p] > 3 {
					t.Errorf("after %d jobs, the turns were %v", i+1, count)
				}
			}
		}
	}
	eventually(t, "the slot is free", func() bool { return slots.Free() == 1 })
	eventually(t, "no job is left", func() bool { return stored(t, editor, flow.Jobs) == 0 })
}

// With slots to spare, all of them work at once.
func TestManySlots(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	const n = 32
	slots := bus.NewSlots(n)
	var all sync.WaitGroup
	all.Add(n)
	compile(t, compiler, slots, "avr", func(context.Context, job) error { all.Done(); all.Wait(); return nil })
	offer(t, editor, "avr", n)
	eventually(t, "all jobs are done", func() bool { return stored(t, editor, flow.Jobs) == 0 && slots.Free() == n })
}

// A waiting pull is ended when the slots are full. A message that the server
// had sent to it by then goes on to another worker at once, not after its lease.
func TestMessageForAnEndedPull(t *testing.T) {
	t.Parallel()
	server, editor, first := editorAndCompiler(t)
	wire := &pausable{server: server}
	options := server.Options(flow.Compiler)
	options.InProcess = wire
	second, err := bus.Connect(t.Context(), options)
	must(t, err)
	t.Cleanup(second.Close)

	// One slot, over two connections: the second one's wire can be held up.
	slots := bus.NewSlots(1)
	release := make(chan struct{})
	defer close(release)
	taken := make(chan job, 9)
	take := func(_ context.Context, m job) error { taken <- m; <-release; return nil }
	compile(t, first, slots, "avr", take)
	compile(t, second, slots, "esp32", take)
	eventually(t, "both wait", func() bool { return waiting(t, editor, "compile-avr") == 1 && waiting(t, editor, "compile-esp32") == 1 })

	wire.pause()
	offer(t, editor, "esp32", 1)
	eventually(t, "the server has sent the message", func() bool { return waiting(t, editor, "compile-esp32") == 0 })
	offer(t, editor, "avr", 1)
	if m := wait(t, taken, "the other platform's job"); m.Body.GetBuild() != "avr-0" {
		t.Fatalf("took %s", m.Body.GetBuild())
	}
	time.Sleep(100 * time.Millisecond) // by now the pull has been ended
	wire.resume()

	idle := make(chan job, 9)
	compile(t, server.Connect(flow.Compiler), bus.NewSlots(1), "esp32", func(_ context.Context, m job) error { idle <- m; return nil })
	started := time.Now()
	wait(t, idle, "the message that was on its way")
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("it came after %v", took)
	}
	never(t, taken, "the busy worker took it as well")
}

// A pull that was ended leaves nothing at the server that swallows a message.
func TestEndedPullSwallowsNothing(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	slots := bus.NewSlots(1)
	release := make(chan struct{})
	taken := make(chan job, 9)
	take := func(_ context.Context, m job) error { taken <- m; <-release; return nil }
	compile(t, compiler, slots, "avr", take)
	compile(t, compiler, slots, "esp32", take)
	idle := make(chan job, 99)
	for i := range 10 {
		if i == 5 { // the second half with another worker beside it
			compile(t, server.Connect(flow.Compiler), bus.NewSlots(1), "esp32", func(_ context.Context, m job) error { idle <- m; return nil })
		}
		build := string(rune('a' + i))
		eventually(t, "it waits", func() bool { return waiting(t, editor, "compile-esp32") > 0 })
		must(t, bus.Publish(t.Context(), editor, flow.BuildJob, nil, "", "avr", build))
		wait(t, taken, "the first job") // the slots are full from here
		must(t, bus.Publish(t.Context(), editor, flow.BuildJob, nil, "", "esp32", build))
		started := time.Now()
		got := taken
		if i >= 5 {
			got = idle
		} else {
			release <- struct{}{}
		}
		m := wait(t, got, "the second job")
		if took := time.Since(started); took > time.Second {
			t.Errorf("round %d: the second job waited %v, delivery %d", i, took, m.Delivered)
		}
		release <- struct{}{}
	}
}

// waiting counts the pulls that wait at the server for a consumer's messages.
func waiting(t *testing.T, editor *bus.Conn, consumer string) int {
	t.Helper()
	c, err := editor.JS().Consumer(t.Context(), flow.Jobs.Name, consumer)
	if err != nil {
		return 0
	}
	return c.CachedInfo().NumWaiting
}

// pausable is a connection whose incoming direction can be held up.
type pausable struct {
	server *bustest.NATS
	gate   sync.RWMutex
}

func (p *pausable) pause()  { p.gate.Lock() }
func (p *pausable) resume() { p.gate.Unlock() }

func (p *pausable) InProcessConn() (net.Conn, error) {
	c, err := net.Dial("tcp", p.server.Addr())
	return pausableConn{c, p}, err
}

type pausableConn struct {
	net.Conn
	p *pausable
}

func (c pausableConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.p.gate.RLock()
	defer c.p.gate.RUnlock()
	return n, err
}
