package bus

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
)

// Replay gives f the messages of one subject that its stream keeps now, in
// order, and returns. An error of f ends it and is returned. Other error:
// fault.Unavailable.
func Replay[T proto.Message](ctx context.Context, c *Conn, s flow.Subject[T], f func(Event[T]) error, parts ...string) error {
	ctx, end := c.connected(ctx)
	defer end()
	unavailable := func(err error) error {
		return fault.Wrap(because(ctx, err), fault.Unavailable, "the stream %s does not answer", s.Stream.Name)
	}
	subject := s.Name(parts...)
	cons, err := c.js.OrderedConsumer(ctx, s.Stream.Name, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, MaxResetAttempts: 1, InactiveThreshold: readerGone,
	})
	if err != nil {
		return unavailable(err)
	}
	if cons.CachedInfo().NumPending == 0 {
		return nil
	}
	messages, err := cons.Messages(jetstream.PullMaxMessages(64))
	if err != nil {
		return unavailable(err)
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return unavailable(err)
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
