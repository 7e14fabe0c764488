package docstore

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// How often Update tries before it gives up, and how long it waits in between: a
// random time up to a bound that doubles from the first to the last of these.
const (
	maxTries   = 24
	firstPause = time.Millisecond
	lastPause  = 100 * time.Millisecond
)

// Update reads a document, lets change alter it, and replaces it; when somebody else
// was faster it starts again from the new document, a bounded number of times.
// Change may therefore run more than once: it must have no effect but on its
// argument, leave ID and Rev alone, and call Post for what must follow. An error of
// change ends Update with that error, and nothing is stored. Returns the stored
// document, or fault.NotFound, or fault.Conflict.
func (c *Collection[T]) Update(ctx context.Context, id string, change func(*T) error) (*T, error) {
	leave, err := c.turns.enter(ctx, id)
	if err != nil {
		return nil, err
	}
	defer leave()
	for try := range maxTries {
		doc, err := c.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		rev := c.meta(doc).Rev
		if err := change(doc); err != nil {
			return nil, err
		}
		if m := c.meta(doc); m.ID != id || m.Rev != rev {
			return nil, fault.New(fault.Internal, "%s %s: a change must leave ID and Rev alone", c.schema.Name, id)
		}
		err = c.Replace(ctx, doc)
		if err == nil {
			return doc, nil
		}
		if !errors.Is(err, ErrStale) {
			return nil, err
		}
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.Conflict, "%s %s changes too often; try again", c.schema.Name, id)
}

func pause(ctx context.Context, try int) error {
	return sleep(ctx, rand.N(min(firstPause<<try, lastPause)))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turnstile lets the Updates of one document that meet in this process pass one by
// one, where they would otherwise make each other start again. It is a courtesy and
// no lock: the compare-and-set alone keeps changes apart, and who sees nobody pass
// for a while goes on regardless.
type turnstile struct {
	seed  maphash.Seed
	gates []gate
}

type gate struct {
	busy   chan struct{}
	passed atomic.Int64
}

const stuckAfter = 2 * time.Second

func newTurnstile() *turnstile {
	t := &turnstile{maphash.MakeSeed(), make([]gate, 64)}
	for i := range t.gates {
		t.gates[i].busy = make(chan struct{}, 1)
	}
	return t
}

func (t *turnstile) enter(ctx context.Context, id string) (leave func(), err error) {
	g := &t.gates[maphash.String(t.seed, id)%uint64(len(t.gates))]
	passed := g.passed.Load()
	for {
		select {
		case g.busy <- struct{}{}:
			return func() { g.passed.Add(1); <-g.busy }, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(stuckAfter):
			now := g.passed.Load()
			if now == passed {
				return func() {}, nil
			}
			passed = now
		}
	}
}
