package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
)

// Publish stores one message and returns when the stream has it. The ID makes
// a repetition harmless within the stream's duplicate window; "" = no ID.
// Without a deadline of ctx it waits 5 s. Errors: fault.Unavailable when the
// stream does not confirm, fault.TooLarge.
func Publish[T proto.Message](ctx context.Context, c *Conn, s flow.Subject[T], m T, id string, parts ...string) error {
	data, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return c.publish(ctx, s.Name(parts...), id, data)
}

func (c *Conn) publish(ctx context.Context, subject, id string, data []byte) error {
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(msg.Header))
	var opts []jetstream.PublishOpt
	if id != "" {
		opts = append(opts, jetstream.WithMsgID(id))
	}
	ctx, end := c.connected(ctx)
	defer end()
	if _, err := c.js.PublishMsg(ctx, msg, opts...); err != nil {
		return storeFault(ctx, err, subject)
	}
	return nil
}

// Purge removes the messages of a subject, with "*" for every part that is left
// out or empty, from a stream that this service owns. A handler that has one of
// them is not told. Error: fault.Unavailable.
func Purge[T proto.Message](ctx context.Context, c *Conn, s flow.Subject[T], parts ...string) error {
	ctx, end := c.connected(ctx)
	defer end()
	stream, err := c.js.Stream(ctx, s.Stream.Name)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(s.Filter(parts...)))
	}
	if err != nil {
		return fault.Wrap(because(ctx, err), fault.Unavailable, "the stream %s was not purged", s.Stream.Name)
	}
	return nil
}

// storeFault is why a stream or bucket did not take a message.
func storeFault(ctx context.Context, err error, subject string) error {
	const messageExceedsMaximum = 10054 // of the server; the client has no name for it
	var api *jetstream.APIError
	if errors.Is(err, nats.ErrMaxPayload) || (errors.As(err, &api) && api.ErrorCode == messageExceedsMaximum) {
		return fault.Wrap(err, fault.TooLarge, "the message for %s is too large", subject)
	}
	return fault.Wrap(because(ctx, err), fault.Unavailable, "the message bus did not take %s", subject)
}

// because is err, or why its context ended where that is all that err says.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		return cause
	}
	return err
}
