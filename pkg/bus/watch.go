package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
)

// Change is one step in the life of a bucket's key.
type Change[T proto.Message] struct {
	Key string
	// Value is nil when the key is gone.
	Value T
	Gone  bool
}

// Watch gives f every key that exists, calls ready (which may be nil) once when
// it has given all of them, and then every change until ctx ends. A key that
// was removed, or expired by the bucket's TTL, is told as gone. After an outage
// everything that exists is given again, and what has gone meanwhile is told as
// gone. Calls come one at a time; those of one key in order. It mends outages
// by itself and always returns nil.
func Watch[T proto.Message](ctx context.Context, c *Conn, b flow.Bucket[T], ready func(), f func(Change[T])) error {
	w := watch[T]{conn: c, bucket: b.Name, ready: ready, f: f, known: map[string]bool{}}
	for ctx.Err() == nil {
		if err := w.run(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("watching again", zap.String("bucket", b.Name), zap.Error(err))
			sleep(ctx, 100*time.Millisecond)
		}
	}
	return nil
}

// snapshotPasses bounds how often a bucket is read that is written to all the time.
const snapshotPasses = 10

// Snapshot returns everything that a bucket holds now. Error: fault.Unavailable.
//
// A reading passes over a value that is replaced while it goes on: the old one is gone, the new one lies behind the end. So a
// bucket that was written to meanwhile is read again, and the readings are laid over one another.
func Snapshot[T proto.Message](ctx context.Context, c *Conn, b flow.Bucket[T]) (map[string]T, error) {
	ctx, end := c.connected(ctx)
	defer end()
	unavailable := func(err error) error {
		return fault.Wrap(because(ctx, err), fault.Unavailable, "the bucket %s cannot be read", b.Name)
	}
	kv, err := c.bucket(ctx, b.Name)
	if err != nil {
		return nil, err
	}
	before, err := lastSequence(ctx, kv)
	if err != nil {
		return nil, unavailable(err)
	}
	all := map[string]T{}
	for range snapshotPasses {
		if err := readBucket(ctx, kv, all); err != nil {
			return nil, unavailable(err)
		}
		after, err := lastSequence(ctx, kv)
		if err != nil {
			return nil, unavailable(err)
		}
		if after == before {
			break
		}
		before = after
	}
	return all, nil
}

func lastSequence(ctx context.Context, kv jetstream.KeyValue) (uint64, error) {
	status, err := kv.Status(ctx)
	if err != nil {
		return 0, err
	}
	return status.(*jetstream.KeyValueBucketStatus).StreamInfo().State.LastSeq, nil
}

// readBucket lays what a bucket holds, and what it holds no more, over all.
func readBucket[T proto.Message](ctx context.Context, kv jetstream.KeyValue, all map[string]T) error {
	updates, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer endWatch(updates)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, open := <-updates.Updates():
			if !open {
				return errWatchEnded
			}
			if e == nil {
				return nil
			}
			if e.Operation() != jetstream.KeyValuePut {
				delete(all, e.Key())
				continue
			}
			value := newMessage[T]()
			if err := proto.Unmarshal(e.Value(), value); err != nil {
				return fmt.Errorf("%s is not a value of its type: %w", e.Key(), err)
			}
			all[e.Key()] = value
		}
	}
}

var errWatchEnded = errors.New("the watch ended")

// endWatch stops a watcher, which ends only when nothing is left to say.
func endWatch(updates jetstream.KeyWatcher) {
	_ = updates.Stop()
	go func() {
		for range updates.Updates() { //nolint:revive // only to empty it
		}
	}()
}

// watch is what a Watch remembers over outages.
type watch[T proto.Message] struct {
	conn   *Conn
	bucket string
	ready  func() // nil once it was called
	f      func(Change[T])
	known  map[string]bool // keys that f was told of
}

// run watches until ctx ends, the connection was lost and is back (both nil),
// or something goes wrong.
func (w *watch[T]) run(ctx context.Context) error {
	ctx, cancel := w.conn.untilOutage(ctx)
	defer cancel()
	var updates jetstream.KeyWatcher
	err := w.conn.insist(ctx, "bucket "+w.bucket, func(try context.Context) error {
		kv, err := w.conn.js.KeyValue(try, w.bucket)
		if err != nil {
			return err
		}
		updates, err = kv.WatchAll(ctx) // its context is the watch's
		return err
	})
	if err != nil {
		return nil // ctx ended
	}
	defer endWatch(updates)

	before := w.known // keys of the last time that have not come again
	w.known = map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			w.keep(before)
			return nil
		case e, open := <-updates.Updates():
			switch {
			case !open:
				w.keep(before)
				return errWatchEnded
			case e == nil:
				for key := range before {
					w.f(Change[T]{Key: key, Gone: true})
				}
				before = nil
				if w.ready != nil {
					w.ready()
					w.ready = nil
				}
			default:
				w.tell(e, before)
			}
		}
	}
}

// keep remembers keys that an interrupted watch has not yet heard of.
func (w *watch[T]) keep(before map[string]bool) {
	for key := range before {
		w.known[key] = true
	}
}

func (w *watch[T]) tell(e jetstream.KeyValueEntry, before map[string]bool) {
	key := e.Key()
	if e.Operation() != jetstream.KeyValuePut {
		if w.known[key] || before[key] {
			w.f(Change[T]{Key: key, Gone: true})
		}
		delete(w.known, key)
		delete(before, key)
		return
	}
	value := newMessage[T]()
	if err := proto.Unmarshal(e.Value(), value); err != nil {
		w.conn.log.Error("not a value of its type", zap.String("bucket", w.bucket), zap.String("key", key), zap.Error(err))
		return
	}
	w.known[key] = true
	delete(before, key)
	w.f(Change[T]{Key: key, Value: value})
}
