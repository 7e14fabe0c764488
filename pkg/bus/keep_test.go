package bus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

// keep keeps workers of these names; it says "kept" when they are there.
func keep(t *testing.T, c *bus.Conn, every time.Duration, names ...string) <-chan string {
	t.Helper()
	values := map[string]*compilerv1.Worker{}
	for _, name := range names {
		values[name] = &compilerv1.Worker{Worker: name}
	}
	kept := make(chan string, 9)
	background(t, func(ctx context.Context) {
		_ = bus.Keep(ctx, c, flow.Workers, every, values, func() { kept <- "kept" })
	})
	return kept
}

// What is kept is there again after the server lost it, even all of its data.
func TestKeepOverALoss(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	expect(t, keep(t, compiler, time.Hour, "w1", "w2"), "kept")
	said := told(t, editor, flow.Workers, (*compilerv1.Worker).GetWorker)
	expect(t, said, "+w1=w1", "+w2=w2", "ready")
	for _, wipe := range []bool{false, true} {
		server.Stop()
		if wipe {
			server.Wipe()
		}
		server.Start()
		// Whether the watch sees them gone before they are there again is chance.
		back := map[string]bool{}
		for !back["+w1=w1"] || !back["+w2=w2"] {
			back[wait(t, said, "what was kept")] = true
		}
	}
}

// It is written again before it expires; one that does not fit keeps no other away.
func TestKeepRenews(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	expect(t, keep(t, compiler, 50*time.Millisecond, "w1"), "kept")
	said := told(t, editor, flow.Workers, (*compilerv1.Worker).GetWorker)
	expect(t, said, "+w1=w1", "ready", "+w1=w1", "+w1=w1")

	values := map[string]*compilerv1.Worker{"a": {Worker: strings.Repeat("x", int(flow.Workers.MaxValue))}, "b": {Worker: "b"}}
	kept := make(chan string, 1)
	background(t, func(ctx context.Context) {
		_ = bus.Keep(ctx, compiler, flow.Workers, time.Hour, values, func() { kept <- "kept" })
	})
	expect(t, kept, "kept")
	all, err := bus.Snapshot(t.Context(), editor, flow.Workers)
	if err != nil || all["a"] != nil || all["b"] == nil {
		t.Errorf("%v %v", all, err)
	}
}

// It may begin before its bucket is made.
func TestKeepBeforeItsBucket(t *testing.T) {
	t.Parallel()
	server := bustest.Empty(t)
	kept := keep(t, server.Connect(flow.Compiler), time.Hour, "w1")
	never(t, kept, "kept without a bucket")
	must(t, server.Connect(flow.Editor).Ensure(t.Context()))
	expect(t, kept, "kept")
}
