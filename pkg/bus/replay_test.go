package bus_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

// Replay reads what is there and returns, and Span tells what is kept.
func TestReplayAndSpan(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	read := func(build string, want ...string) {
		t.Helper()
		var got []string
		must(t, bus.Replay(t.Context(), editor, flow.BuildLog, func(e bus.Event[*compilerv1.LogChunk]) error {
			got = append(got, e.Body.GetLines()[0].GetText())
			return nil
		}, build, "1"))
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", build, got, want)
		}
	}
	span := func(wantFirst, wantLast uint64) {
		t.Helper()
		first, last, err := bus.Span(t.Context(), editor, flow.Logs)
		must(t, err)
		if first != wantFirst || last != wantLast {
			t.Errorf("%d to %d, want %d to %d", first, last, wantFirst, wantLast)
		}
	}
	read("b1")
	span(1, 0)
	var want []string
	for i := range 100 {
		text := fmt.Sprint("line ", i)
		want = append(want, text)
		for _, build := range []string{"b1", "b2"} {
			must(t, bus.Publish(t.Context(), compiler, flow.BuildLog, &compilerv1.LogChunk{Lines: []*compilerv1.LogLine{{Text: text}}}, "", build, "1"))
		}
	}
	read("b1", want...)
	read("b2", want...)
	read("b3")
	span(1, 200)

	enough, n := errors.New("enough"), 0
	err := bus.Replay(t.Context(), editor, flow.BuildLog, func(bus.Event[*compilerv1.LogChunk]) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	}, "b1", "1")
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("got %v after %d", err, n)
	}

	must(t, bus.Purge(t.Context(), editor, flow.BuildLog, "b1"))
	read("b1")
	read("b2", want...)
	must(t, bus.Purge(t.Context(), editor, flow.BuildLog))
	span(201, 200)
}
