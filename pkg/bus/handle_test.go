package bus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

func TestHandleGetsWhatWasPublished(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	finish(t, compiler, "b1") // before anybody handles it
	got := make(chan finished, 1)
	handle(t, editor, flow.TakeFinished, 1, func(_ context.Context, m finished) error { got <- m; return nil })

	m := wait(t, got, "the message")
	if m.Body.GetBuild() != "b1" || m.Subject != "builds.b1.1.finished" || m.Word(1) != "b1" || m.Delivered != 1 || m.Sequence != 1 {
		t.Errorf("message %+v", m)
	}
	if age := time.Since(m.Published); age < 0 || age > soon {
		t.Errorf("published %v ago", age)
	}
	eventually(t, "it is gone from its stream", func() bool { return stored(t, editor, flow.Builds) == 0 })
}

func TestHandleAgainAfterAnError(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	type delivery struct {
		number int
		at     time.Time
	}
	got := make(chan delivery, 9)
	handle(t, editor, flow.TakeFinished, 1, func(_ context.Context, m finished) error {
		got <- delivery{m.Delivered, time.Now()}
		switch m.Delivered {
		case 1:
			return errors.New("not yet")
		case 2:
			panic("nor now")
		}
		return nil
	})
	finish(t, compiler, "b1")

	var last time.Time
	for i, pause := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond} {
		d := wait(t, got, "a delivery")
		if d.number != i+1 {
			t.Errorf("delivery %d has the number %d", i+1, d.number)
		}
		if i > 0 && (d.at.Sub(last) < pause || d.at.Sub(last) > pause+time.Second) {
			t.Errorf("delivery %d came after %v, not %v", i+1, d.at.Sub(last), pause)
		}
		last = d.at
	}
	never(t, got, "a delivery after success")
}

func TestHandleAfter(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	got := make(chan time.Time, 9)
	handle(t, editor, flow.TakeFinished, 1, func(_ context.Context, m finished) error {
		got <- time.Now()
		if m.Delivered == 1 {
			return bus.After(400*time.Millisecond, errors.New("busy"))
		}
		return nil
	})
	finish(t, compiler, "b1")
	first, second := wait(t, got, "the first delivery"), wait(t, got, "the second delivery")
	if pause := second.Sub(first); pause < 400*time.Millisecond || pause > 1400*time.Millisecond {
		t.Errorf("came again after %v", pause)
	}
}

func TestHandleDropsWhatNoRepetitionMends(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	got := make(chan string, 9)
	handle(t, editor, flow.TakeFinished, 1, func(_ context.Context, m finished) error {
		got <- m.Body.GetBuild()
		return bus.Permanent(fault.New(fault.NotFound, "no such build"))
	})
	must(t, compiler.NATS().Publish("builds.b0.1.finished", []byte("\xffnot protobuf")))
	finish(t, compiler, "b1")
	if build := wait(t, got, "the message"); build != "b1" {
		t.Errorf("handled %q", build)
	}
	eventually(t, "both are gone", func() bool { return stored(t, editor, flow.Builds) == 0 })
	never(t, got, "a dropped message again")
}

func TestPublishTwiceStoresOnce(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	finish(t, compiler, "b1")
	finish(t, compiler, "b1")
	if n := stored(t, editor, flow.Builds); n != 1 {
		t.Errorf("%d messages stored", n)
	}
}

func TestPublishTooLarge(t *testing.T) {
	t.Parallel()
	_, editor, _ := editorAndCompiler(t)
	for _, size := range []int{int(flow.Jobs.MaxMessage), 2 << 20} { // above the stream's limit, above the server's
		err := bus.Publish(t.Context(), editor, flow.BuildJob, &compilerv1.Job{Build: string(make([]byte, size))}, "", "p", "b")
		if !fault.Is(err, fault.TooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// A handler may take longer than the lease: nobody else gets the message.
func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	other := server.Connect(flow.Editor)
	const lease = time.Second
	var deliveries atomic.Int32
	done := make(chan error, 9)
	slow := func(ctx context.Context, _ finished) error {
		deliveries.Add(1)
		select {
		case <-time.After(2*lease + lease/2):
		case <-ctx.Done():
		}
		done <- ctx.Err()
		return nil
	}
	handle(t, editor, leased(lease), 1, slow)
	handle(t, other, leased(lease), 1, slow)
	finish(t, compiler, "b1")
	if err := wait(t, done, "the handler"); err != nil {
		t.Errorf("its context: %v", err)
	}
	time.Sleep(lease)
	if n := deliveries.Load(); n != 1 {
		t.Errorf("%d deliveries", n)
	}
}

// A handler whose lease cannot be renewed is told before another gets the
// message, and what it then says of it counts no more.
func TestLeaseLost(t *testing.T) {
	t.Parallel()
	server, _, compiler := editorAndCompiler(t)
	editor := server.Connect(flow.Editor)
	const lease = 600 * time.Millisecond
	started, ended := make(chan finished, 9), make(chan time.Time, 9)
	handle(t, editor, leased(lease), 1, func(ctx context.Context, m finished) error {
		started <- m
		if m.Delivered > 1 {
			return nil
		}
		<-ctx.Done()
		ended <- time.Now()
		return bus.Permanent(context.Cause(ctx))
	})
	finish(t, compiler, "b1")
	wait(t, started, "the handler")
	server.Stop()
	stopped := time.Now()
	if took := wait(t, ended, "the handler's context").Sub(stopped); took > lease+200*time.Millisecond {
		t.Errorf("its context ended %v after the server", took)
	}
	server.Start()
	if m := wait(t, started, "the message again"); m.Delivered != 2 {
		t.Errorf("delivery %d", m.Delivered)
	}
}

// A message that was tried too often stays in its work queue, for a sweeper.
func TestMessageTriedTooOften(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	consumer := flow.CompileJobs
	consumer.MaxDeliver = 2
	got := make(chan int, 9)
	background(t, func(ctx context.Context) {
		_ = bus.Handle(ctx, compiler, consumer, bus.NewSlots(1), func(_ context.Context, m job) error {
			got <- m.Delivered
			return errors.New("it never works")
		}, "avr")
	})
	offer(t, editor, "avr", 1)
	wait(t, got, "the first try")
	wait(t, got, "the second try")
	never(t, got, "a third try")
	if n := stored(t, editor, flow.Jobs); n != 1 {
		t.Fatalf("%d messages in the work queue", n)
	}
	must(t, bus.Purge(t.Context(), editor, flow.BuildJob, "", "other"))
	if n := stored(t, editor, flow.Jobs); n != 1 {
		t.Errorf("%d messages after the purge of another build", n)
	}
	must(t, bus.Purge(t.Context(), editor, flow.BuildJob, "", "avr-0"))
	if n := stored(t, editor, flow.Jobs); n != 0 {
		t.Errorf("%d messages after the purge", n)
	}
}

// A stop finishes what runs and takes nothing more.
func TestHandleDrains(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	started, finishNow := make(chan string, 9), make(chan struct{})
	var cancelled atomic.Bool
	stopped := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(stopped)
		_ = bus.Handle(ctx, editor, flow.TakeFinished, bus.NewSlots(1), func(ctx context.Context, m finished) error {
			started <- m.Body.GetBuild()
			<-finishNow
			cancelled.Store(ctx.Err() != nil)
			return nil
		})
	}()
	finish(t, compiler, "b1")
	wait(t, started, "the handler")
	cancel()
	finish(t, compiler, "b2")
	never(t, stopped, "Handle returned while its handler ran")
	close(finishNow)
	wait(t, stopped, "Handle")
	if cancelled.Load() {
		t.Error("the stop ended the handler's context")
	}
	never(t, started, "taken after the stop")
	eventually(t, "the first message is acknowledged", func() bool { return stored(t, editor, flow.Builds) == 1 })

	handle(t, server.Connect(flow.Editor), flow.TakeFinished, 1, func(_ context.Context, m finished) error {
		started <- m.Body.GetBuild()
		if m.Delivered != 1 {
			t.Errorf("%s was delivered before", m.Body.GetBuild())
		}
		return nil
	})
	if build := wait(t, started, "the second message"); build != "b2" {
		t.Errorf("got %s", build)
	}
}

func TestTraceTravels(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	span := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 2, 3}, SpanID: trace.SpanID{4, 5, 6}, TraceFlags: trace.FlagsSampled,
	})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	got := make(chan trace.SpanContext, 1)
	handle(t, editor, flow.TakeFinished, 1, func(ctx context.Context, _ finished) error {
		got <- trace.SpanContextFromContext(ctx)
		return nil
	})
	must(t, bus.Publish(ctx, compiler, flow.BuildFinished, &compilerv1.BuildFinished{}, "", "b1", "1"))
	if s := wait(t, got, "the message"); s.TraceID() != span.TraceID() || s.SpanID() != span.SpanID() || !s.IsRemote() {
		t.Errorf("span %+v", s)
	}
}
