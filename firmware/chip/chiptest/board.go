// Package chiptest is for tests with virtual boards: images made by the machine's own
// compiler, boards on a bench, and a server that speaks the device protocol and errs on demand.
package chiptest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
)

// Patience is how long a test waits for what should happen at once: long, since a
// machine may be busy.
const Patience = 60 * time.Second

// Bench is a board with everything that it wrote and did.
type Bench struct {
	*chip.Board
	Dir string
	t   testing.TB

	mu     sync.Mutex
	output []byte
	events []chip.Event
	moved  chan struct{} // closed and made anew when output or events grow
}

// NewBench opens a board in a folder of its own, with an image flashed by cable (none:
// a blank one), at no speed limit and without pauses; change may say otherwise. It has
// no power yet, and is closed with the test.
func NewBench(t testing.TB, image []byte, change ...func(*chip.Config)) *Bench {
	t.Helper()
	dir := t.TempDir()
	var segments []chip.Segment
	if image != nil {
		segments = chip.FirstFlash(image)
	}
	if err := chip.Create(dir, chip.Fuses{}, segments...); err != nil {
		t.Fatal(err)
	}
	return OpenBench(t, dir, change...)
}

// OpenBench is NewBench for a board that was made before.
func OpenBench(t testing.TB, dir string, change ...func(*chip.Config)) *Bench {
	t.Helper()
	b := &Bench{t: t, Dir: dir, moved: make(chan struct{})}
	cfg := chip.Config{Dir: dir, Serial: b, Event: b.note, Baud: chip.Unlimited, Pause: time.Millisecond, MaxPause: 100 * time.Millisecond}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if b.Board, err = chip.Open(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// Write implements io.Writer for the board's serial port.
func (b *Bench) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.output = append(b.output, p...)
	b.wake()
	return len(p), nil
}

func (b *Bench) note(e chip.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
	b.wake()
}

func (b *Bench) wake() {
	close(b.moved)
	b.moved = make(chan struct{})
}

// Output is all that the board wrote.
func (b *Bench) Output() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.output)
}

// Events are all that happened.
func (b *Bench) Events() []chip.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]chip.Event(nil), b.events...)
}

// Until waits until something is so, asking whenever the board wrote or did
// something, and every 50 ms; the test fails where that takes longer than Patience.
func (b *Bench) Until(what string, so func() bool) {
	b.t.Helper()
	if !b.Within(Patience, so) {
		b.t.Fatalf("still no %s; events:\n%s\nthe board wrote:\n%s", what, b.story(), b.Output())
	}
}

// Within is Until that says whether it came to be so.
func (b *Bench) Within(long time.Duration, so func() bool) bool {
	deadline := time.After(long)
	for {
		b.mu.Lock()
		moved := b.moved
		b.mu.Unlock()
		if so() {
			return true
		}
		select {
		case <-moved:
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			return so()
		}
	}
}

// story is the events, a line each, without those about pins and writes.
func (b *Bench) story() string {
	var s strings.Builder
	for _, e := range b.Events() {
		switch e.Kind {
		case chip.PinChanged, chip.Written:
		case chip.Started:
			fmt.Fprintf(&s, "%d started %s %s\n", e.Start, e.Slot, e.Reset)
		case chip.Stopped:
			fmt.Fprintf(&s, "%d stopped status %d signal %v %v\n", e.Start, e.Exit.Status, e.Exit.Signal, e.Err)
		default:
			fmt.Fprintf(&s, "%d %s %v\n", e.Start, e.Kind, e.Err)
		}
	}
	return s.String()
}

// Mark is a place in the output.
func (b *Bench) Mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.output)
}

// After waits until the board wrote a text behind a place and gives the place behind that.
func (b *Bench) After(mark int, text string) (next int) {
	b.t.Helper()
	b.Until(fmt.Sprintf("%q", text), func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		at := bytes.Index(b.output[mark:], []byte(text))
		next = mark + at + len(text)
		return at >= 0
	})
	return next
}

// Line waits for the next whole line behind a place.
func (b *Bench) Line(mark int) (line string, next int) {
	b.t.Helper()
	next = b.After(mark, "\n")
	return strings.TrimRight(b.Output()[mark:next], "\r\n"), next
}

// Started waits for the start of a number, from 1, and says how it began.
func (b *Bench) Started(n int) (e chip.Event) {
	b.t.Helper()
	b.Until(fmt.Sprintf("start %d", n), func() bool {
		for _, e = range b.Events() {
			if e.Kind == chip.Started && e.Start == n {
				return true
			}
		}
		return false
	})
	return e
}

// On gives power.
func (b *Bench) On() { b.do(b.PowerOn) }

// Off takes it away.
func (b *Bench) Off() { b.do(b.PowerOff) }

// Cut takes it away and gives it back.
func (b *Bench) Cut() { b.do(b.CutPower) }

func (b *Bench) do(what func(context.Context) error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := what(ctx); err != nil {
		b.t.Fatal(err)
	}
}

// Send writes to the board's serial port.
func (b *Bench) Send(text string) {
	b.t.Helper()
	b.do(func(ctx context.Context) error { return b.WriteSerial(ctx, []byte(text)) })
}
