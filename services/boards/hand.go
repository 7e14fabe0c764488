package boards

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/fault"
)

// hand is a board that we have in hand: its machine, and the goroutine that tells
// what it does. What comes fast is told together, at most every tellEvery.
type hand struct {
	id       string
	machine  Machine
	journal  Journal
	service  *Boards
	wake     chan struct{}
	stop     chan struct{}
	stopped  chan struct{}
	released sync.WaitGroup // of buttons

	mu      sync.Mutex
	board   *Board // as stored last
	before  int    // starts before this hand
	pending []byte
	changed bool
	buttons map[int]*time.Timer
	closed  bool
}

const (
	tellEvery = 50 * time.Millisecond
	// saveEvery is how often the number of starts is stored at most.
	saveEvery = time.Second
	// maxPending is how much of a serial port waits to be told. Beyond it goes into the
	// journal only: who listens sees a gap, and reads it there.
	maxPending = 64 << 10
	tellWithin = 2 * time.Second
)

// grasp opens a board.
func (s *Boards) grasp(ctx context.Context, b *Board) (*hand, error) {
	journal, err := s.Journals.Open(b.ID)
	if err != nil {
		return nil, err
	}
	h := &hand{
		id: b.ID, service: s, board: b, before: b.Starts, journal: journal, buttons: map[int]*time.Timer{},
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if h.machine, err = s.Hardware.Open(ctx, b.ID, b.FQBN, h.print, h.touch); err != nil {
		return nil, errors.Join(err, journal.Close())
	}
	go h.tell()
	return h, nil
}

// close ends the board and returns when all that it said is told.
func (h *hand) close() error {
	h.mu.Lock()
	h.closed = true
	for _, timer := range h.buttons {
		if timer.Stop() {
			h.released.Done()
		}
	}
	h.mu.Unlock()
	h.released.Wait()
	err := h.machine.Close()
	close(h.stop)
	<-h.stopped
	return errors.Join(err, h.journal.Close())
}

// now is what is stored of the board.
func (h *hand) now(b *Board) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stored(b)
	h.changed = true
	h.poke()
}

// stored remembers the newest of what is stored; the caller holds mu.
func (h *hand) stored(b *Board) {
	if b.Rev > h.board.Rev {
		h.board = b
	}
}

// state is the machine's, counted from the board's first day.
func (h *hand) state() State {
	s := h.machine.State()
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.Starts == 0 {
		s.Reset, s.Slot = h.board.Reset, h.board.Slot
	}
	s.Starts += h.before
	return s
}

// print takes what the board writes.
func (h *hand) print(data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pending = append(h.pending, data...)
	if len(h.pending) > maxPending {
		h.keep(h.pending)
		h.pending = h.pending[:0]
	}
	h.poke()
}

// touch: the board's state is another.
func (h *hand) touch() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed = true
	h.poke()
}

func (h *hand) poke() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// tell is the board's own goroutine.
func (h *hand) tell() {
	defer close(h.stopped)
	var saved time.Time
	pause := time.NewTimer(0)
	<-pause.C
	held := 0
	for {
		select {
		case <-h.stop:
			h.speak(maxPending)
			h.save()
			return
		case <-h.wake:
		case <-pause.C:
		}
		held = h.speak(held)
		h.show()
		left := saveEvery - time.Since(saved)
		if left <= 0 {
			h.save()
			saved = time.Now()
		}
		if held > 0 || h.unsaved() {
			pause.Reset(tellEvery)
		}
		select {
		case <-time.After(tellEvery):
		case <-h.stop:
		}
	}
}

// speak tells what the board wrote, and reports how many bytes it holds back: a
// character that has come by half waits for its other half, as long as anything
// comes. It is told what it held back the last time.
func (h *hand) speak(before int) (held int) {
	h.mu.Lock()
	cut := len(h.pending)
	if cut > before {
		cut = whole(h.pending)
	}
	data := slices.Clone(h.pending[:cut])
	h.pending = append(h.pending[:0], h.pending[cut:]...)
	held = len(h.pending)
	var offset int64
	var ok bool
	if len(data) > 0 {
		offset, ok = h.keep(data), true
	}
	board := h.board
	h.mu.Unlock()
	if !ok {
		return held
	}
	for len(data) > 0 {
		n := min(len(data), MaxChunk)
		if n < len(data) {
			n = whole(data[:n])
		}
		ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
		err := h.service.Audience.Serial(ctx, board, offset, data[:n])
		cancel()
		if err != nil {
			h.service.Log.Debug("a serial port is not heard", zap.String("board", h.id), zap.Error(err))
			return held // it is in the journal
		}
		data, offset = data[n:], offset+int64(n)
	}
	return held
}

// keep puts data into the journal; the caller holds mu, which makes the order of the
// journal that of the board.
func (h *hand) keep(data []byte) int64 {
	offset, err := h.journal.Append(data)
	if err != nil {
		h.service.Log.Warn("the journal of a serial port", zap.String("board", h.id), zap.Error(err))
	}
	return offset
}

// whole is the length of data without a character at its end that is not whole.
func whole(data []byte) int {
	for i := len(data) - 1; i >= 0 && i >= len(data)-utf8.UTFMax; i-- {
		if utf8.RuneStart(data[i]) {
			if !utf8.FullRune(data[i:]) {
				return i
			}
			break
		}
	}
	return len(data)
}

// show tells how the board is, if that is another than before.
func (h *hand) show() {
	h.mu.Lock()
	changed, board := h.changed, h.board
	h.changed = false
	h.mu.Unlock()
	if !changed {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
	defer cancel()
	if err := h.service.Audience.Changed(ctx, board, h.state(), true); err != nil {
		h.service.Log.Debug("a board's change is not heard", zap.String("board", h.id), zap.Error(err))
	}
}

func (h *hand) unsaved() bool {
	s := h.state()
	h.mu.Lock()
	defer h.mu.Unlock()
	return s.Starts != h.board.Starts
}

// save stores how often the board has started.
func (h *hand) save() {
	if !h.unsaved() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
	defer cancel()
	s := h.state()
	b, err := h.service.Store.Change(ctx, h.id, func(b *Board) error {
		b.Starts, b.Reset, b.Slot = s.Starts, s.Reset, s.Slot
		return nil
	})
	switch {
	case fault.Is(err, fault.NotFound): // it is being removed
	case err != nil:
		h.service.Log.Warn("a board's starts were not stored", zap.String("board", h.id), zap.Error(err))
	default:
		h.mu.Lock()
		h.stored(b)
		h.mu.Unlock()
	}
}

// press sets an input, and releases it later. Another press of the same pin takes
// the place of one that was not released.
func (h *hand) press(ctx context.Context, p Press) error {
	if err := h.machine.SetPin(ctx, p.Pin, p.Value); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.buttons[p.Pin]; old != nil && old.Stop() {
		h.released.Done()
	}
	delete(h.buttons, p.Pin)
	if p.Release <= 0 || h.closed {
		return nil
	}
	h.released.Add(1)
	h.buttons[p.Pin] = time.AfterFunc(p.Release, func() {
		defer h.released.Done()
		ctx, cancel := context.WithTimeout(context.Background(), tellWithin)
		defer cancel()
		if err := h.machine.SetPin(ctx, p.Pin, 1); err != nil {
			h.service.Log.Debug("a button was not released", zap.String("board", h.id), zap.Error(err))
		}
	})
	return nil
}
