package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/propagation"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/flow"
)

// Message is one delivery of a message.
type Message[T proto.Message] struct {
	Body T
	// Subject as published; Word(i) is its i-th word.
	Subject string
	// Delivered counts deliveries, from 1.
	Delivered int
	// Sequence in the stream.
	Sequence uint64
	// Published is when the stream took it.
	Published time.Time
}

// Word returns the i-th word of the subject, from 0.
func (m Message[T]) Word(i int) string { return strings.Split(m.Subject, ".")[i] }

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that no repetition mends: the message is dropped.
func Permanent(err error) error { return permanent{err} }

type after struct {
	error
	wait time.Duration
}

func (a after) Unwrap() error { return a.error }

// After asks for redelivery in a given time instead of the usual back-off.
func After(wait time.Duration, err error) error { return after{err, wait} }

// Handle takes the consumer's messages until ctx ends and gives each to f, at
// most as many at a time as there are slots, then waits for those that run. It
// mends outages by itself and always returns nil.
//
// Nil acknowledges, a Permanent error drops, After asks for a given time, and
// any other error, or a panic, brings the message again: after 0.1 s, twice as
// long each time, at most 15 s. A message that was tried MaxDeliver times stays
// in its stream and comes no more.
//
// While f runs the lease is renewed; when it cannot be, f's context ends, for
// somebody else will have the message soon. It does not end with ctx: what runs
// is finished. Handlers are idempotent: a message can come twice. name fills
// the braces of the consumer's name.
func Handle[T proto.Message](ctx context.Context, c *Conn, consumer flow.Consumer[T], slots *Slots, f func(context.Context, Message[T]) error, name ...string) error {
	decl := consumer.Declare(name...)
	d := delivery[T]{conn: c, consumer: decl, f: f, log: c.log.With(zap.String("consumer", decl.Name))}
	running := context.WithoutCancel(ctx)
	p := &puller{conn: c, consumer: decl, slots: slots, handle: func(msg jetstream.Msg) { d.handle(running, msg) }}
	p.run(ctx)
	return nil
}

// delivery is what happens to each message of a consumer.
type delivery[T proto.Message] struct {
	conn     *Conn
	consumer flow.AnyConsumer
	f        func(context.Context, Message[T]) error
	log      *zap.Logger
}

func (d delivery[T]) handle(ctx context.Context, msg jetstream.Msg) {
	log := d.log.With(zap.String("subject", msg.Subject()))
	m, err := decode[T](msg)
	if err != nil {
		log.Error("not a message of its type; dropped", zap.Error(err))
		_ = msg.Term()
		return
	}
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(msg.Headers()))
	ctx, release := d.conn.lease(ctx, msg, d.consumer.AckWait)
	err = guard(func() error { return d.f(ctx, m) })
	lost := context.Cause(ctx)
	release()

	var gone permanent
	var later after
	switch {
	case err == nil:
		err = msg.Ack() // also when the lease was lost: done is done
	case lost != nil:
		log.Warn("left to the next who gets it", zap.Error(errors.Join(lost, err)))
		return
	case errors.As(err, &gone):
		log.Error("dropped", zap.Error(err))
		err = msg.TermWithReason("permanent")
	case m.Delivered >= d.consumer.MaxDeliver:
		log.Error("given up", zap.Int("delivered", m.Delivered), zap.Error(err))
		err = msg.Nak()
	case errors.As(err, &later):
		err = msg.NakWithDelay(later.wait)
	default:
		log.Warn("again later", zap.Int("delivered", m.Delivered), zap.Error(err))
		err = msg.NakWithDelay(backoff(m.Delivered))
	}
	if err != nil {
		log.Warn("not acknowledged", zap.Error(err))
	}
}

func decode[T proto.Message](msg jetstream.Msg) (m Message[T], err error) {
	meta, err := msg.Metadata()
	if err != nil {
		return m, err
	}
	m = Message[T]{
		Body: newMessage[T](), Subject: msg.Subject(), Delivered: int(meta.NumDelivered),
		Sequence: meta.Sequence.Stream, Published: meta.Timestamp,
	}
	return m, proto.Unmarshal(msg.Data(), m.Body)
}

var errLeaseLost = errors.New("the lease could not be renewed")

// lease renews a message's lease until release, four times as often as needed.
// When the server has not confirmed it for a whole lease, the context ends with
// errLeaseLost, before the server gives the message to another.
func (c *Conn) lease(ctx context.Context, msg jetstream.Msg, length time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	end := time.AfterFunc(length, func() { cancel(errLeaseLost) })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for sleep(ctx, length/4) {
			asked := time.Now()
			try, done := context.WithTimeout(ctx, length/4)
			if _, err := c.nc.RequestWithContext(try, msg.Reply(), []byte("+WPI")); err == nil {
				end.Reset(length - time.Since(asked))
			}
			done()
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
		end.Stop()
	}
}

// backoff is 0.1 s, doubled each time, at most 15 s.
func backoff(delivered int) time.Duration {
	return min(100*time.Millisecond<<min(max(delivered-1, 0), 10), 15*time.Second)
}

// guard makes an error of a panic: one bad message must not end the process,
// come again after its restart, and end it again.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

func newMessage[T proto.Message]() T {
	var m T
	return m.ProtoReflect().New().Interface().(T)
}
