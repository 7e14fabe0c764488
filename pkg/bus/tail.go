package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
)

// readerGone is when the server forgets a reader that asks for no more.
const readerGone = 30 * time.Second

// Newest asks Tail for new messages only.
const Newest = ^uint64(0)

// Event is one message seen by Tail.
type Event[T proto.Message] struct {
	Body     T
	Subject  string
	Sequence uint64
}

// Span returns the sequence numbers of the first and the last message that a
// stream keeps; first is last+1 where it keeps none. Whoever has read up to a
// number below first-1 has missed something. Whoever asks for last, then reads
// the state that the messages are about, and then tails from last, misses
// nothing. Error: fault.Unavailable.
func Span(ctx context.Context, c *Conn, s *flow.Stream) (first, last uint64, err error) {
	ctx, end := c.connected(ctx)
	defer end()
	stream, err := c.js.Stream(ctx, s.Name)
	if err != nil {
		return 0, 0, fault.Wrap(because(ctx, err), fault.Unavailable, "the stream %s does not answer", s.Name)
	}
	state := stream.CachedInfo().State
	return max(state.FirstSeq, 1), state.LastSeq, nil // a new stream's first is 0
}

// Tail gives f the messages of one subject filter without consuming them: those
// after the sequence number (0 = from the first that is kept), or only those
// from now on where after is Newest. A number that the stream has not reached is
// one of a stream that is no more, and means 0. It mends outages by itself and
// returns when ctx ends (its error) or f returns an error (that).
func Tail[T proto.Message](ctx context.Context, c *Conn, s flow.Subject[T], filter string, after uint64, f func(Event[T]) error) error {
	t := tail[T]{conn: c, stream: s.Stream.Name, filter: filter, after: after, f: f}
	for ctx.Err() == nil {
		stop, err := t.run(ctx)
		if stop {
			return err
		}
		if err != nil && ctx.Err() == nil {
			c.log.Warn("reading on", zap.String("filter", filter), zap.Error(err))
			sleep(ctx, 100*time.Millisecond)
		}
	}
	return ctx.Err()
}

// tail is how far a Tail has come.
type tail[T proto.Message] struct {
	conn           *Conn
	stream, filter string
	after          uint64
	f              func(Event[T]) error
}

// run reads until f has had enough (stop), ctx ends, the connection was lost
// and is back, or something goes wrong.
func (t *tail[T]) run(ctx context.Context) (stop bool, err error) {
	ctx, cancel := t.conn.untilOutage(ctx)
	defer cancel()
	var messages jetstream.MessagesContext
	err = t.conn.insist(ctx, "stream "+t.stream, func(ctx context.Context) error {
		stream, err := t.conn.js.Stream(ctx, t.stream)
		if err != nil {
			return err
		}
		last := stream.CachedInfo().State.LastSeq
		if t.after == Newest {
			t.after = last
		}
		if t.after > last {
			t.after = 0
		}
		cons, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{t.filter}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: t.after + 1,
			MaxResetAttempts:  1, // the next one is ours
			InactiveThreshold: readerGone,
		})
		if err != nil {
			return err
		}
		messages, err = cons.Messages(jetstream.PullMaxMessages(64))
		return err
	})
	if err != nil {
		return false, nil // ctx ended
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if ctx.Err() != nil {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		m, err := decode[T](msg)
		if m.Sequence > 0 {
			t.after = m.Sequence
		}
		if err != nil {
			t.conn.log.Error("not a message of its type", zap.String("subject", msg.Subject()), zap.Error(err))
			continue
		}
		if err := t.f(Event[T]{Body: m.Body, Subject: m.Subject, Sequence: m.Sequence}); err != nil {
			return true, err
		}
	}
}
