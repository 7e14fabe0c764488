package docstore

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/fault"
)

const (
	relayLanes     = 8   // deliveries at the same time
	relayQueue     = 256 // documents that wait in a lane
	sweepPage      = 200
	sweepInterval  = 10 * time.Second
	firstRetry     = time.Second // after a failed delivery; doubles up to sweepInterval
	publishTimeout = 10 * time.Second
)

// Relay sends the messages that documents carry in their outbox. Each is published
// at least once, under the same ID every time, and those of one document in order;
// then it is cleared by a compare-and-set. A write wakes the relay at once; what a
// crash, a full queue or a failed publish left behind is found by a sweep at the
// start, every 10 s, and sooner after a failure.
//
// A message that can never be published holds back those behind it in the same
// document, and no others.
type Relay struct {
	publish func(context.Context, Message) error
	log     *zap.Logger
	sources []Source
	lanes   [relayLanes]chan delivery
	seed    maphash.Seed
	failed  chan struct{}
}

// Source is a *Collection to a Relay.
type Source interface {
	name() string
	watch(wake func(id string))
	pending(ctx context.Context, after string) ([]string, error)
	deliver(ctx context.Context, id string, publish func(context.Context, Message) error) error
}

type delivery struct {
	source Source
	id     string
}

// NewRelay returns a relay that sends through publish, which returns nil only when
// the message is safe with the bus, may be called concurrently, and is given 10 s.
func NewRelay(publish func(context.Context, Message) error, log *zap.Logger) *Relay {
	r := &Relay{publish: publish, log: log, seed: maphash.MakeSeed(), failed: make(chan struct{}, 1)}
	for i := range r.lanes {
		r.lanes[i] = make(chan delivery, relayQueue)
	}
	return r
}

// Watch adds collections. Call it before Run and before their first write.
func (r *Relay) Watch(sources ...Source) {
	r.sources = append(r.sources, sources...)
	for _, source := range sources {
		source.watch(func(id string) {
			select {
			case r.lane(id) <- delivery{source, id}:
			default: // full: the sweep will find it
			}
		})
	}
}

// Run sends until ctx ends, and then returns nil. What is unsent by then stays in
// its document.
func (r *Relay) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, lane := range r.lanes {
		wg.Go(func() { r.serve(ctx, lane) })
	}
	retry := firstRetry
	for {
		select { // what failed before now, the sweep takes up again
		case <-r.failed:
		default:
		}
		r.sweep(ctx)
		interval := time.NewTimer(sweepInterval)
		select {
		case <-ctx.Done():
			interval.Stop()
			return nil
		case <-interval.C:
			retry = firstRetry
		case <-r.failed:
			interval.Stop()
			if sleep(ctx, retry) != nil {
				return nil
			}
			retry = min(2*retry, sweepInterval)
		}
	}
}

// lane is always the same for one document, which keeps its messages in order.
func (r *Relay) lane(id string) chan delivery {
	return r.lanes[maphash.String(r.seed, id)%relayLanes]
}

func (r *Relay) serve(ctx context.Context, lane chan delivery) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-lane:
			if err := d.source.deliver(ctx, d.id, r.publish); err != nil && ctx.Err() == nil {
				r.log.Warn("outbox not sent; it will be tried again",
					zap.String("collection", d.source.name()), zap.String("document", d.id), zap.Error(err))
				select {
				case r.failed <- struct{}{}:
				default:
				}
			}
		}
	}
}

func (r *Relay) sweep(ctx context.Context) {
	for _, source := range r.sources {
		after := ""
		for ctx.Err() == nil {
			ids, err := source.pending(ctx, after)
			if err != nil {
				if ctx.Err() == nil {
					r.log.Warn("outbox sweep failed", zap.String("collection", source.name()), zap.Error(err))
				}
				break
			}
			for _, id := range ids {
				select {
				case r.lane(id) <- delivery{source, id}:
				case <-ctx.Done():
					return
				}
			}
			if len(ids) < sweepPage {
				break
			}
			after = ids[len(ids)-1]
		}
	}
}

func (c *Collection[T]) name() string               { return c.schema.Name }
func (c *Collection[T]) watch(wake func(id string)) { c.wake = wake }

func (c *Collection[T]) pending(ctx context.Context, after string) ([]string, error) {
	return c.store.Pending(ctx, after, sweepPage)
}

// deliver publishes the outbox of one document in order and clears what was sent.
func (c *Collection[T]) deliver(ctx context.Context, id string, publish func(context.Context, Message) error) error {
	doc, err := c.Get(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var sent []string
	var failed error
	for _, message := range c.meta(doc).Outbox {
		if failed = publishOne(ctx, publish, message); failed != nil {
			break
		}
		sent = append(sent, message.ID)
	}
	if len(sent) == 0 {
		return failed
	}
	_, err = c.Update(ctx, id, func(doc *T) error {
		// Others only append, so what was sent is still at the front.
		m, n := c.meta(doc), 0
		for n < len(m.Outbox) && slices.Contains(sent, m.Outbox[n].ID) {
			n++
		}
		if n == 0 {
			return errCleared
		}
		m.Outbox = m.Outbox[n:]
		return nil
	})
	if errors.Is(err, errCleared) || fault.Is(err, fault.NotFound) {
		err = nil
	}
	return cmp.Or(failed, err)
}

// errCleared says that another process sent and cleared the same messages.
var errCleared = errors.New("docstore: the outbox was cleared already")

func publishOne(ctx context.Context, publish func(context.Context, Message) error, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	return publish(ctx, m)
}
