package bus

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
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

var errCaughtUp = errors.New("bus: caught up")

// Replay gives f the messages of one subject that its stream keeps now, in
// order, and returns. Unlike in Tail's filter no part may be open. An error of f
// ends it and is returned. Error: fault.Unavailable.
func Replay[T proto.Message](ctx context.Context, c *Conn, s flow.Subject[T], f func(Event[T]) error, parts ...string) error {
	subject := s.Name(parts...)
	stream, err := c.js.Stream(ctx, s.Stream.Name)
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "the stream %s does not answer", s.Stream.Name)
	}
	newest, err := stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil
	}
	if err != nil {
		return fault.Wrap(err, fault.Unavailable, "the stream %s does not answer", s.Stream.Name)
	}
	err = Tail(ctx, c, s, subject, 0, func(e Event[T]) error {
		if err := f(e); err != nil {
			return err
		}
		if e.Sequence >= newest.Sequence {
			return errCaughtUp
		}
		return nil
	})
	if errors.Is(err, errCaughtUp) {
		return nil
	}
	return err
}
