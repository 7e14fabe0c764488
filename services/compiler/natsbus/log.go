package natsbus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/worker"
)

const (
	// A line that comes alone is sent at once; more that follow wait so long.
	flushAfter = 50 * time.Millisecond
	// maxChunk, with one more line, is less than a message of the stream may have.
	maxChunk = 64 << 10
)

// Log implements worker.Farm. Lines are collected and sent by one goroutine, so
// that the build never waits for the bus; what is beyond compiler.MaxLog is left
// out, and the last line says how much.
func (f *Farm) Log(ctx context.Context, a *worker.Attempt) (compiler.Log, func()) {
	l := &attemptLog{farm: f, attempt: a, ctx: ctx, more: make(chan struct{}, 1), end: make(chan struct{}), left: compiler.MaxLog}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.send()
	}()
	return l, func() {
		l.sayLeftOut()
		close(l.end)
		<-done
	}
}

type attemptLog struct {
	farm    *Farm
	attempt *worker.Attempt
	ctx     context.Context
	more    chan struct{}
	end     chan struct{} // closed when nothing more comes

	mu      sync.Mutex
	lines   []*compilerv1.LogLine
	phase   compiler.Phase // not sent yet
	left    int            // as compiler.LogCost counts
	leftOut int            // bytes of text and line ends
}

// Phase implements compiler.Log.
func (l *attemptLog) Phase(p compiler.Phase) {
	l.mu.Lock()
	l.phase = p
	l.mu.Unlock()
	l.wake()
}

// Line implements compiler.Log.
func (l *attemptLog) Line(source compiler.Source, text string) {
	text = strings.ToValidUTF8(text, "�")
	cost, length := compiler.LogCost(text), len(text)
	if length > compiler.MaxLine {
		text = strings.ToValidUTF8(text[:compiler.MaxLine], "") + fmt.Sprintf("… (%d bytes more)", length-compiler.MaxLine)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leftOut > 0 || l.left < cost {
		l.leftOut += length + 1
		return
	}
	l.left -= cost
	l.lines = append(l.lines, &compilerv1.LogLine{Source: sources[source], Text: text})
	l.wake()
}

// sayLeftOut adds the last line of a log that is too long. There is room: a line costs more than the editor counts.
func (l *attemptLog) sayLeftOut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leftOut > 0 {
		text := fmt.Sprintf("The log is longer than %d MiB: its last %d bytes are left out.", compiler.MaxLog>>20, l.leftOut)
		l.lines = append(l.lines, &compilerv1.LogLine{Source: sources[compiler.Farm], Text: text})
	}
}

func (l *attemptLog) wake() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

func (l *attemptLog) send() {
	for ended := false; !ended; {
		select {
		case <-l.more:
		case <-l.end:
			ended = true
		}
		l.mu.Lock()
		lines, phase := l.lines, l.phase
		l.lines, l.phase = nil, ""
		l.mu.Unlock()

		if phase != "" {
			l.warn(publish(l.ctx, l.farm.conn, flow.BuildPhase, string(phase), l.attempt, &compilerv1.BuildPhase{
				Build: l.attempt.Build, Attempt: l.attempt.Number, Phase: phases[phase], AtMs: time.Now().UnixMilli(),
			}))
		}
		for len(lines) > 0 {
			n, size := 0, 0
			for n < len(lines) && (n == 0 || size+len(lines[n].GetText()) < maxChunk) {
				size += len(lines[n].GetText()) + 8
				n++
			}
			l.warn(bus.Publish(l.ctx, l.farm.conn, flow.BuildLog,
				&compilerv1.LogChunk{AtMs: time.Now().UnixMilli(), Lines: lines[:n]}, "",
				l.attempt.Build, strconv.FormatUint(uint64(l.attempt.Number), 10)))
			lines = lines[n:]
		}
		select {
		case <-l.end:
		case <-time.After(flushAfter):
		}
	}
}

// warn: a log line that got lost is no reason to fail a build.
func (l *attemptLog) warn(err error) {
	if err != nil && l.ctx.Err() == nil {
		l.farm.log.Warn("log or phase not sent", zap.String("build", l.attempt.Build), zap.Error(err))
	}
}
