package natsbus

import (
	"context"
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
	maxLine    = 8 << 10
	maxChunk   = 64 << 10
	// maxLog is how much of an attempt's log is sent, in bytes.
	maxLog = 1 << 20
)

// Log implements worker.Farm. Lines are collected and sent by one goroutine, so
// that the build never waits for the bus; what is beyond the limit is left out.
func (f *Farm) Log(ctx context.Context, a *worker.Attempt) (compiler.Log, func()) {
	l := &attemptLog{farm: f, attempt: a, ctx: ctx, more: make(chan struct{}, 1), end: make(chan struct{}), left: maxLog}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.send()
	}()
	return l, func() {
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

	mu    sync.Mutex
	lines []*compilerv1.LogLine
	phase compiler.Phase // not sent yet
	left  int
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
	text = strings.ToValidUTF8(text[:min(len(text), maxLine)], "�")
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.left <= 0:
		return
	case l.left < len(text):
		source, text, l.left = compiler.Farm, "The log is too long; the rest is left out.", 0
	default:
		l.left -= len(text) + 1
	}
	l.lines = append(l.lines, &compilerv1.LogLine{Source: sources[source], Text: text})
	l.wake()
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
