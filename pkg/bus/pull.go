package bus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/flota/flota/pkg/flow"
)

const (
	// Up to this many slots one message is pulled at a time, so that work spreads
	// over the workers; above it as many as there are free slots.
	pullOneByOne = 8
	// How long a pull waits at the server, and how often the server says that it
	// is still there.
	pullExpiry    = 30 * time.Second
	pullHeartbeat = 5 * time.Second
	// How long to wait for what was on its way when a subscription was ended.
	drainWait = 2 * time.Second
)

// puller brings one consumer's messages to free slots.
type puller struct {
	conn     *Conn
	consumer flow.AnyConsumer
	slots    *Slots
	handle   func(jetstream.Msg)

	stopped <-chan struct{}
	running sync.WaitGroup
}

// run pulls until ctx ends, then waits for the handlers.
func (p *puller) run(ctx context.Context) {
	p.stopped = ctx.Done()
	defer p.running.Wait()
	for ctx.Err() == nil {
		// Whatever went wrong before, the consumer may be gone with the server's
		// data. Making it is idempotent.
		var cons jetstream.Consumer
		err := p.conn.insist(ctx, "consumer "+p.consumer.Name, func(ctx context.Context) (err error) {
			cons, err = p.conn.ensureConsumer(ctx, p.consumer)
			return err
		})
		if err != nil {
			return // ctx ended before there was anything to take
		}
		if err := p.pull(ctx, cons); err != nil && ctx.Err() == nil {
			p.conn.log.Warn("pulling again", zap.String("consumer", p.consumer.Name), zap.Error(err))
			sleep(ctx, 100*time.Millisecond)
		}
	}
}

// pull returns nil when ctx ended or after an outage, else what went wrong.
func (p *puller) pull(ctx context.Context, cons jetstream.Consumer) error {
	connected, cancel := p.conn.untilOutage(ctx)
	defer cancel()
	for connected.Err() == nil {
		found, err := p.takeThere(connected, cons)
		if err == nil && found == 0 && connected.Err() == nil {
			err = p.takeNext(connected, cons)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeThere takes what is there already. It asks with a slot in its hand: where
// several consumers share few slots and have a backlog, waiting pulls would
// bring a message for each of them, and all but one would go back, one delivery
// poorer.
func (p *puller) takeThere(ctx context.Context, cons jetstream.Consumer) (found int, err error) {
	p.slots.inTurn(ctx, func(free int) {
		if p.slots.Size() <= pullOneByOne {
			free = 1
		}
		var batch jetstream.MessageBatch
		if batch, err = cons.FetchNoWait(free); err != nil {
			return
		}
		for msg := range batch.Messages() {
			found++
			p.start(msg)
		}
		err = batch.Error()
	})
	return found, err
}

// takeNext waits for one message while a slot is free.
func (p *puller) takeNext(ctx context.Context, cons jetstream.Consumer) error {
	messages, err := cons.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat))
	if err != nil {
		return err
	}
	free, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-p.slots.whenFull():
		case <-free.Done():
		}
	}()
	msg, err := messages.Next(jetstream.NextContext(free))
	if err == nil {
		p.start(msg)
	} else if free.Err() != nil {
		err = nil
	}
	// A message may be on its way that the server sent before it heard that nobody
	// waits any more. Just to unsubscribe would lose it until its lease ends.
	messages.Drain()
	for {
		late, end := messages.Next(jetstream.NextMaxWait(drainWait))
		if end != nil {
			if err == nil && !errors.Is(end, jetstream.ErrMsgIteratorClosed) {
				err = end
			}
			return err
		}
		p.start(late)
	}
}

// start handles a message in a slot of its own. Where there is none, since
// another consumer was faster, it goes back at once: another worker may be free.
func (p *puller) start(msg jetstream.Msg) {
	select {
	case <-p.stopped:
	default:
		if p.slots.take() {
			p.running.Go(func() {
				defer p.slots.release()
				p.handle(msg)
			})
			return
		}
	}
	if err := msg.Nak(); err != nil {
		p.conn.log.Warn("message not given back", zap.String("subject", msg.Subject()), zap.Error(err))
	}
}
