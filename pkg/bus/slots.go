package bus

import (
	"context"
	"sync"
)

// Slots bounds how many messages are handled at a time, over all the consumers
// that share it. While none is free nothing is pulled, so that a busy worker
// never sits on a message that another could take.
type Slots struct {
	n    int
	turn chan struct{} // held by the one consumer that looks for messages

	mu   sync.Mutex
	busy int
	free chan struct{} // closed while a slot is free
	full chan struct{} // closed while none is
	next chan struct{} // closed at the next change
}

// NewSlots returns n free slots, at least one.
func NewSlots(n int) *Slots {
	s := &Slots{n: max(n, 1), turn: make(chan struct{}, 1), free: make(chan struct{}), full: make(chan struct{}), next: make(chan struct{})}
	close(s.free)
	return s
}

// Free returns how many are free.
func (s *Slots) Free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n - s.busy
}

// Changed is closed at the next time that a slot is taken or becomes free. Get
// it before reading Free.
func (s *Slots) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next
}

func (s *Slots) change() {
	close(s.next)
	s.next = make(chan struct{})
}

// Size returns how many there are.
func (s *Slots) Size() int { return s.n }

// take takes a free slot, or says that there is none.
func (s *Slots) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy == s.n {
		return false
	}
	s.busy++
	s.change()
	if s.busy == s.n {
		close(s.full)
		s.free = make(chan struct{})
	}
	return true
}

func (s *Slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy == s.n {
		close(s.free)
		s.full = make(chan struct{})
	}
	s.busy--
	s.change()
}

func (s *Slots) whenFree() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

func (s *Slots) whenFull() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// inTurn calls look with the number of free slots as soon as there is one. Of
// the consumers that share the slots one looks at a time, in the order in which
// they came; so of many that have a backlog each gets its share. It returns
// when ctx ends.
func (s *Slots) inTurn(ctx context.Context, look func(free int)) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.turn }()
	for ctx.Err() == nil {
		if free := s.Free(); free > 0 {
			look(free)
			return
		}
		select {
		case <-s.whenFree():
		case <-ctx.Done():
		}
	}
}
