package virtual

import (
	"context"
	"io"
	"sync"
	"time"
)

// port is what a board writes on its serial port: for those who look at it, and for
// whoever is at the other end of the cable.
type port struct {
	out func([]byte)

	mu    sync.Mutex
	heard chan<- []byte // nil while nobody listens
	mask  *mask         // nil while nothing is to be hidden
}

// Write implements io.Writer for the chip; it does not block.
func (p *port) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if shown := p.mask.hide(data); len(shown) > 0 {
		p.out(shown)
	}
	if p.heard != nil {
		select {
		case p.heard <- append([]byte(nil), data...):
		default: // a dialogue that does not listen loses it
		}
	}
	return len(data), nil
}

// conceal hides secrets that are sent to the board from those who look at it: many a
// sketch prints what it hears. Call the result when they are sent.
func (p *port) conceal(secrets []string) (sent func()) {
	mine := newMask(secrets)
	p.mu.Lock()
	defer p.mu.Unlock()
	mine.rest, p.mask = p.mask.left(), mine
	return func() {
		time.AfterFunc(echo, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.mask != mine { // others are on their way
				return
			}
			p.mask = nil
			if len(mine.rest) > 0 {
				p.out(mine.rest)
			}
		})
	}
}

// listen is the other end of the cable, until it is closed.
func (p *port) listen(ctx context.Context, send func(context.Context, []byte) error) io.ReadWriteCloser {
	ctx, cancel := context.WithCancel(ctx)
	heard := make(chan []byte, 256)
	p.mu.Lock()
	p.heard = heard
	p.mu.Unlock()
	return &end{port: p, ctx: ctx, cancel: cancel, heard: heard, send: send}
}

// end is one side of a cable.
type end struct {
	port   *port
	ctx    context.Context //nolint:containedctx // the life of the cable
	cancel context.CancelFunc
	heard  <-chan []byte
	rest   []byte
	send   func(context.Context, []byte) error
}

func (e *end) Read(into []byte) (int, error) {
	for len(e.rest) == 0 {
		select {
		case e.rest = <-e.heard:
		case <-e.ctx.Done():
			return 0, io.EOF
		}
	}
	n := copy(into, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func (e *end) Write(data []byte) (int, error) {
	if err := e.send(e.ctx, data); err != nil {
		return 0, err
	}
	return len(data), nil
}

func (e *end) Close() error {
	e.port.mu.Lock()
	e.port.heard = nil
	e.port.mu.Unlock()
	e.cancel()
	return nil
}
