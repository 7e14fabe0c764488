package natsbus_test

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/natsbus"
	"github.com/flota/flota/services/compiler/worker"
)

// A log comes through whole, or up to its limit, and says what is missing.
func TestLog(t *testing.T) {
	nats := bustest.Server(t)
	farm := natsbus.NewFarm(nats.Connect(flow.Compiler), "w", zap.NewNop())
	editor := nats.Connect(flow.Editor)
	for i, c := range []struct {
		name          string
		lines, length int
		cut           bool
	}{
		{"nothing", 0, 0, false},
		{"a few lines", 10, 20, false},
		{"3 MB of commands", 2000, 1500, false},
		{"the longest lines", 127, compiler.MaxLine, false},
		{"6 MB", 4000, 1500, true},
		{"longest lines, too many", 200, compiler.MaxLine, true},
		{"empty lines", 500_000, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			build := fmt.Sprint("b", i)
			log, end := farm.Log(t.Context(), &worker.Attempt{Build: build, Number: 1})
			for range c.lines {
				log.Line(compiler.Stderr, strings.Repeat("x", c.length))
			}
			end()
			var lines []*compilerv1.LogLine
			if err := bus.Replay(t.Context(), editor, flow.BuildLog, func(e bus.Event[*compilerv1.LogChunk]) error {
				lines = append(lines, e.Body.GetLines()...)
				return nil
			}, build, "1"); err != nil {
				t.Fatal(err)
			}
			size := 0 // as the editor counts
			for _, l := range lines {
				size += len(l.GetText()) + 1
			}
			if size > compiler.MaxLog {
				t.Errorf("%d bytes", size)
			}
			if !c.cut {
				if len(lines) != c.lines {
					t.Errorf("%d lines of %d", len(lines), c.lines)
				}
				return
			}
			last := lines[len(lines)-1]
			left := (c.lines - len(lines) + 1) * (c.length + 1)
			if want := fmt.Sprintf("its last %d bytes are left out.", left); last.GetSource() != compilerv1.LogSource_LOG_SOURCE_FARM || !strings.HasSuffix(last.GetText(), want) {
				t.Errorf("%v, want %s", last, want)
			}
			if len(lines)*(c.length+32) < compiler.MaxLog*9/10 {
				t.Errorf("cut after only %d lines", len(lines))
			}
		})
	}
}

// A line that is too long shows its beginning, and says how much is missing.
func TestLongLine(t *testing.T) {
	nats := bustest.Server(t)
	farm := natsbus.NewFarm(nats.Connect(flow.Compiler), "w", zap.NewNop())
	log, end := farm.Log(t.Context(), &worker.Attempt{Build: "b", Number: 1})
	log.Line(compiler.Stdout, "begin: "+strings.Repeat("é", compiler.MaxLine))
	log.Line(compiler.Stdout, "next \xff")
	end()
	var got []string
	if err := bus.Replay(t.Context(), nats.Connect(flow.Editor), flow.BuildLog, func(e bus.Event[*compilerv1.LogChunk]) error {
		for _, l := range e.Body.GetLines() {
			got = append(got, l.GetText())
		}
		return nil
	}, "b", "1"); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("é… (%d bytes more)", compiler.MaxLine+len("begin: "))
	if len(got) != 2 || !strings.HasPrefix(got[0], "begin: éé") || !strings.HasSuffix(got[0], want) || got[1] != "next �" {
		t.Errorf("%d lines, the first ends with %.60q", len(got), got[0][max(0, len(got[0])-60):])
	}
}
