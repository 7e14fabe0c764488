package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

type line = bus.Event[*compilerv1.LogChunk]

func write(c *bus.Conn, build string, at int) error {
	return bus.Publish(context.Background(), c, flow.BuildLog, &compilerv1.LogChunk{AtMs: int64(at)}, fmt.Sprint(build, at), build, "1")
}

// follow tells the log chunks of a build by their number.
func follow(t *testing.T, c *bus.Conn, build string, after uint64) (lines <-chan line, stop func()) {
	t.Helper()
	got := make(chan line, 999)
	stop = background(t, func(ctx context.Context) {
		err := bus.Tail(ctx, c, flow.BuildLog, flow.BuildLog.Filter(build), after, func(e line) error { got <- e; return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Tail ended with %v", err)
		}
	})
	return got, stop
}

func expectLines(t *testing.T, lines <-chan line, from, to int) (last line) {
	t.Helper()
	for at := from; at <= to; at++ {
		last = wait(t, lines, fmt.Sprintf("line %d", at))
		if last.Body.GetAtMs() != int64(at) || last.Subject != "logs.build.b1.1" {
			t.Fatalf("%s: line %d, not %d", last.Subject, last.Body.GetAtMs(), at)
		}
	}
	return last
}

func TestTail(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	for at := 1; at <= 200; at++ {
		must(t, write(compiler, "b1", at))
		if at%50 == 0 {
			must(t, write(compiler, "other", at))
		}
	}

	lines, stop := follow(t, editor, "b1", 0)
	seen := expectLines(t, lines, 1, 150)
	stop()

	resumed, stopResumed := follow(t, editor, "b1", seen.Sequence)
	expectLines(t, resumed, 151, 200)
	must(t, write(compiler, "b1", 201))
	expectLines(t, resumed, 201, 201)
	never(t, resumed, "an event that is not of this build")
	stopResumed()

	first, last, err := bus.Span(t.Context(), editor, flow.Logs)
	must(t, err)
	if first != 1 || last != 205 {
		t.Errorf("span %d to %d", first, last)
	}
	must(t, write(compiler, "b1", 202)) // after Span, before Tail: it comes
	fromLast, _ := follow(t, editor, "b1", last)
	expectLines(t, fromLast, 202, 202)
}

func TestTailOfTheNewest(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	must(t, write(compiler, "b1", 1))
	lines, _ := follow(t, editor, "b1", bus.Newest)
	time.Sleep(later)
	must(t, write(compiler, "b1", 2))
	expectLines(t, lines, 2, 2)
}

func TestTailEndsWithItsReader(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	must(t, write(compiler, "b1", 1))
	enough := errors.New("enough")
	err := bus.Tail(t.Context(), editor, flow.BuildLog, flow.BuildLog.Filter("b1"), 0, func(line) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}

// An outage loses no line and repeats none.
func TestTailOverAnOutage(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	lines, _ := follow(t, editor, "b1", bus.Newest)
	fresh, _ := follow(t, editor, "b1", 0)
	for at := 1; at <= 5; at++ {
		eventually(t, "Tail is there", func() bool { return at > 1 || tails(t, editor) == 2 })
		must(t, write(compiler, "b1", at))
	}
	expectLines(t, lines, 1, 5)
	server.Restart()
	for at := 6; at <= 10; at++ {
		eventually(t, "writing works again", func() bool { return write(compiler, "b1", at) == nil })
	}
	expectLines(t, lines, 6, 10)
	expectLines(t, fresh, 1, 10)
	never(t, lines, "a line again")
}

// A number from a stream that is no more does not make Tail wait for it.
func TestTailFromALostStream(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	lines, _ := follow(t, editor, "b1", 12345)
	must(t, write(compiler, "b1", 1))
	expectLines(t, lines, 1, 1)
}

// tails counts those who read the logs.
func tails(t *testing.T, editor *bus.Conn) int {
	t.Helper()
	s, err := editor.JS().Stream(t.Context(), flow.Logs.Name)
	must(t, err)
	return s.CachedInfo().State.Consumers
}
