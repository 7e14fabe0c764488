package bus_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/trace"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
)

type claim = func(context.Context, *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error)

// serve answers claims and returns once it does.
func serve(t *testing.T, asker, c *bus.Conn, slots int, f claim) (stop func()) {
	t.Helper()
	stop = background(t, func(ctx context.Context) {
		must(t, bus.Serve(ctx, c, flow.Claim, slots, func(ctx context.Context, q *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error) {
			if q.GetWorker() == "ready?" {
				return &editorv1.ClaimResponse{}, nil
			}
			return f(ctx, q)
		}))
	})
	eventually(t, "somebody serves", func() bool {
		_, err := bus.Do(t.Context(), asker, flow.Claim, &editorv1.ClaimRequest{Worker: "ready?"})
		return err == nil
	})
	return stop
}

func TestRequest(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	serve(t, compiler, editor, 1, func(ctx context.Context, q *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error) {
		if trace.SpanContextFromContext(ctx).TraceID() != span.TraceID() {
			t.Error("the trace did not travel")
		}
		if _, limited := ctx.Deadline(); !limited {
			t.Error("the handler has no deadline")
		}
		return &editorv1.ClaimResponse{Granted: true, Main: q.GetBuild()}, nil
	})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	answer, err := bus.Do(ctx, compiler, flow.Claim, &editorv1.ClaimRequest{Build: "b1"})
	must(t, err)
	if !answer.GetGranted() || answer.GetMain() != "b1" {
		t.Errorf("answer %v", answer)
	}
}

func TestRequestRefused(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	refusals := map[string]error{
		"field":     fault.Field("build", "„b 1” is no build"),
		"wrapped":   fault.Wrap(errors.New("secret cause"), fault.Conflict, "somebody was faster"),
		"unknown":   errors.New("secret cause"),
		"two lines": fault.New(fault.Precondition, "one\nanother"),
	}
	serve(t, compiler, editor, 1, func(_ context.Context, q *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error) {
		if q.GetBuild() == "panic" {
			panic("secret cause")
		}
		return nil, refusals[q.GetBuild()]
	})
	for build, want := range map[string]fault.Error{
		"field":     {Code: fault.Invalid, Field: "build", Message: "„b 1” is no build"},
		"wrapped":   {Code: fault.Conflict, Message: "somebody was faster"},
		"unknown":   {Code: fault.Internal, Message: "internal error"},
		"panic":     {Code: fault.Internal, Message: "internal error"},
		"two lines": {Code: fault.Precondition, Message: "one another"}, // it travels in a header
	} {
		_, err := bus.Do(t.Context(), compiler, flow.Claim, &editorv1.ClaimRequest{Build: build})
		if got := fault.As(err); got == nil || *got != want {
			t.Errorf("%s: %#v", build, got)
		}
	}
}

func TestRequestThatNobodyServes(t *testing.T) {
	t.Parallel()
	_, _, compiler := editorAndCompiler(t)
	started := time.Now()
	_, err := bus.Do(t.Context(), compiler, flow.Claim, &editorv1.ClaimRequest{})
	if !fault.Is(err, fault.Unavailable) || time.Since(started) > time.Second {
		t.Errorf("after %v: %v", time.Since(started), err)
	}
}

func TestRequestThatIsNotAnsweredInTime(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	release := make(chan struct{})
	defer close(release)
	serve(t, compiler, editor, 1, func(context.Context, *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error) {
		<-release
		return &editorv1.ClaimResponse{}, nil
	})
	quick := flow.Claim
	quick.Timeout = 100 * time.Millisecond
	if _, err := bus.Do(t.Context(), compiler, quick, &editorv1.ClaimRequest{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("error %v", err)
	}
}

// Several processes share the requests, each request goes to one of them, and a
// process that stops answers what it has.
func TestServersShareAndDrain(t *testing.T) {
	t.Parallel()
	server, first, compiler := editorAndCompiler(t)
	var answered [2]atomic.Int32
	by := func(i int) claim {
		return func(context.Context, *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error) {
			answered[i].Add(1)
			time.Sleep(2 * time.Millisecond)
			return &editorv1.ClaimResponse{}, nil
		}
	}
	stop := serve(t, compiler, first, 2, by(0))
	serve(t, compiler, server.Connect(flow.Editor), 2, by(1))
	const n = 200
	var asking sync.WaitGroup
	limit := make(chan struct{}, 20)
	for i := range n {
		if i == n/2 {
			go stop()
		}
		limit <- struct{}{}
		asking.Go(func() {
			defer func() { <-limit }()
			if _, err := bus.Do(t.Context(), compiler, flow.Claim, &editorv1.ClaimRequest{}); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if a, b := answered[0].Load(), answered[1].Load(); a+b != n || a == 0 || b == 0 {
		t.Errorf("%d and %d of %d answered", a, b, n)
	}
}

// A server is back after an outage without doing anything.
func TestRequestAfterAnOutage(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	serve(t, compiler, editor, 1, func(context.Context, *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error) {
		return &editorv1.ClaimResponse{Granted: true}, nil
	})
	server.Restart()
	eventually(t, "requests are answered", func() bool {
		answer, err := bus.Do(t.Context(), compiler, flow.Claim, &editorv1.ClaimRequest{})
		return err == nil && answer.GetGranted()
	})
}

// Nobody can have an answer published into a stream by naming its subject as
// the place for the answer.
func TestAnswersGoToInboxesOnly(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	fleet := server.Connect(flow.Fleet)
	asked := make(chan string, 9)
	serve(t, compiler, editor, 1, func(_ context.Context, q *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error) {
		asked <- q.GetBuild()
		return &editorv1.ClaimResponse{}, nil
	})
	for _, reply := range []string{flow.DeviceReported.Name("d1"), "$KV.refs.d1"} {
		must(t, compiler.NATS().PublishMsg(&nats.Msg{Subject: flow.Claim.Subject, Reply: reply}))
	}
	never(t, asked, "handled a request with a foreign reply subject")
	if n := stored(t, fleet, flow.Devices); n != 0 {
		t.Errorf("%d messages in the stream", n)
	}
}
