package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
)

// Span returns the sequence numbers of the first and the last message that a
// stream keeps; first is last+1 where it keeps none. Whoever has read up to a
// number below first-1 has missed something. Error: fault.Unavailable.
func Span(ctx context.Context, c *Conn, s *flow.Stream) (first, last uint64, err error) {
	stream, err := c.js.Stream(ctx, s.Name)
	if err != nil {
		return 0, 0, fault.Wrap(err, fault.Unavailable, "the stream %s does not answer", s.Name)
	}
	state := stream.CachedInfo().State
	return state.FirstSeq, state.LastSeq, nil
}

// Replay gives f the messages of one subject that its stream keeps now, in
// order, and returns. An error of f ends it and is returned. Other errors:
// fault.Unavailable, and that of ctx.
func Replay[T proto.Message](ctx context.Context, c *Conn, s flow.Subject[T], f func(Event[T]) error, parts ...string) error {
	unavailable := func(err error) error {
		return fault.Wrap(err, fault.Unavailable, "the stream %s does not answer", s.Stream.Name)
	}
	subject := s.Name(parts...)
	stream, err := c.js.Stream(ctx, s.Stream.Name)
	if err != nil {
		return unavailable(err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return unavailable(err)
	}
	if info.State.Subjects[subject] == 0 {
		return nil
	}
	cons, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		return unavailable(err)
	}
	messages, err := cons.Messages(jetstream.PullMaxMessages(64))
	if err != nil {
		return unavailable(err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return unavailable(errors.Join(err, ctx.Err()))
		}
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		m, err := decode[T](msg)
		if err != nil {
			c.log.Error("not a message of its type", zap.String("subject", subject), zap.Error(err))
		} else if err := f(Event[T]{Body: m.Body, Subject: m.Subject, Sequence: m.Sequence}); err != nil {
			return err
		}
		if meta.NumPending == 0 {
			return nil
		}
	}
}
