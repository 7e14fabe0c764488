package bus

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
)

// Headers in which a refusal travels.
const (
	headerCode    = "Flota-Code"
	headerField   = "Flota-Field"
	headerMessage = "Flota-Message"
)

// serveQueue is how many requests wait at most for a slot. More are dropped,
// and their askers hear nothing until their Timeout.
const serveQueue = 256

// inboxes is what every service's reply inbox starts with.
var inboxes = flow.InboxPrefix("")

// Do asks and returns the answer. A fault of the answering service arrives
// with its code, field and sentence; fault.Unavailable when nobody answers, at
// once where nobody serves the request.
func Do[Q, R proto.Message](ctx context.Context, c *Conn, r flow.Request[Q, R], q Q) (R, error) {
	var none R
	data, err := proto.Marshal(q)
	if err != nil {
		return none, err
	}
	ctx, end := c.connected(ctx)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	msg := &nats.Msg{Subject: r.Subject, Data: data, Header: nats.Header{}}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(msg.Header))
	reply, err := c.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return none, fault.Wrap(because(ctx, err), fault.Unavailable, "no answer to %s", r.Subject)
	}
	if code := reply.Header.Get(headerCode); code != "" {
		return none, &fault.Error{
			Code: fault.Code(code), Field: reply.Header.Get(headerField), Message: reply.Header.Get(headerMessage),
		}
	}
	answer := newMessage[R]()
	if err := proto.Unmarshal(reply.Data, answer); err != nil {
		return none, fault.Wrap(err, fault.Internal, "the answer to %s is not of its type", r.Subject)
	}
	return answer, nil
}

// Serve answers requests until ctx ends, at most slots at a time, sharing them
// with the service's other processes; then it answers those that it has. f's
// context ends after the request's Timeout. A fault of f is sent to the asker,
// without its cause; any other error, or a panic, as fault.Internal.
func Serve[Q, R proto.Message](ctx context.Context, c *Conn, r flow.Request[Q, R], slots int, f func(context.Context, Q) (R, error)) error {
	requests := make(chan *nats.Msg, serveQueue)
	sub, err := c.nc.ChanQueueSubscribe(r.Subject, string(r.By), requests)
	if err != nil {
		return err
	}
	drained := make(chan struct{}, 1)
	sub.SetClosedHandler(func(string) { // can be called twice
		select {
		case drained <- struct{}{}:
		default:
		}
	})

	var running sync.WaitGroup
	for range max(slots, 1) {
		running.Go(func() {
			for msg := range requests {
				if !strings.HasPrefix(msg.Reply, inboxes) {
					// NATS lets an asker name any reply subject, and us publish there. Another's
					// stream or bucket is no inbox.
					c.log.Error("request with a foreign reply subject", zap.String("subject", r.Subject), zap.String("reply", msg.Reply))
					continue
				}
				c.answer(context.WithoutCancel(ctx), r.Subject, msg, func(ctx context.Context) (proto.Message, error) {
					q := newMessage[Q]()
					if err := proto.Unmarshal(msg.Data, q); err != nil {
						return nil, fault.Wrap(err, fault.Invalid, "not a request of its type")
					}
					ctx, cancel := context.WithTimeout(ctx, r.Timeout)
					defer cancel()
					return f(ctx, q)
				})
			}
		})
	}
	<-ctx.Done()
	if sub.Drain() == nil { // else the connection is closed
		select {
		case <-drained:
		case <-time.After(drainWait):
			_ = sub.Unsubscribe()
		}
	}
	close(requests) // nothing is sent to it any more
	running.Wait()
	return nil
}

func (c *Conn) answer(ctx context.Context, subject string, msg *nats.Msg, f func(context.Context) (proto.Message, error)) {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(msg.Header))
	reply := &nats.Msg{Header: nats.Header{}}
	err := guard(func() error {
		answer, err := f(ctx)
		if err == nil {
			reply.Data, err = proto.Marshal(answer)
		}
		return err
	})
	if err != nil {
		known := fault.As(err)
		if known == nil || known.Code == fault.Internal || known.Err != nil {
			c.log.Error("request failed", zap.String("subject", subject), zap.Error(err))
		}
		if known == nil {
			known = &fault.Error{Code: fault.Internal, Message: "internal error"}
		}
		reply.Data = nil
		reply.Header.Set(headerCode, string(known.Code))
		reply.Header.Set(headerField, known.Field)
		reply.Header.Set(headerMessage, known.Message)
	}
	if err := msg.RespondMsg(reply); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		c.log.Warn("answer not sent", zap.String("subject", subject), zap.Error(err))
	}
}
