// Package bus carries what pkg/flow describes over NATS JetStream: typed
// publish, handle, request, serve, tail and watch. One place owns
// acknowledgement, leases, back-off and trace headers, so that a handler is
// just func(ctx, message) error.
package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/flota/flota/pkg/flow"
)

// Options say where the server is and who is asking.
type Options struct {
	// URL of the NATS server; ignored with InProcess.
	URL string
	// InProcess is an embedded server.
	InProcess nats.InProcessConnProvider
	// Service is the NATS user and the prefix of its inboxes.
	Service flow.Service
	// Password of that user; empty where the server asks for none.
	Password string
	Log      *zap.Logger
}

// Conn is a service's connection. It reconnects by itself for ever. All that
// this package does with it is safe for concurrent use.
type Conn struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	service flow.Service
	log     *zap.Logger

	buckets sync.Map // name → jetstream.KeyValue

	open  context.Context // ends with Close
	close context.CancelFunc

	mu sync.Mutex
	// session ends, with errLost, when the connection is lost; outage when it has
	// been lost and is back.
	session, outage       context.Context
	endSession, endOutage context.CancelCauseFunc
}

var errLost = errors.New("the connection to NATS was lost")

const reconnectWait = 250 * time.Millisecond

// Connect connects, and keeps trying until ctx ends where no server answers
// yet. A wrong password is an error at once.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	log := o.Log.Named("bus")
	c := &Conn{service: o.Service, log: log}
	c.open, c.close = context.WithCancel(context.Background())
	c.session, c.endSession = context.WithCancelCause(context.Background())
	c.outage, c.endOutage = context.WithCancelCause(context.Background())
	opts := []nats.Option{
		nats.Name(string(o.Service)),
		nats.CustomInboxPrefix(flow.InboxPrefix(o.Service)),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectWait, reconnectWait),
		// A server that is gone without a word is noticed in 20 s.
		nats.PingInterval(10 * time.Second),
		// A publish during an outage must fail and be tried again by its outbox,
		// not wait unacknowledged in a buffer.
		nats.ReconnectBufSize(-1),
		// A changed password is no reason to give up: the operator may change it back.
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			c.mu.Lock()
			c.endSession(errLost)
			c.mu.Unlock()
			if err != nil { // nil with Close
				log.Warn("disconnected", zap.Error(err))
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			c.mu.Lock()
			c.session, c.endSession = context.WithCancelCause(context.Background())
			c.mu.Unlock()
			go c.connectedAgain()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Error("asynchronous error", zap.String("subject", subject), zap.Error(err))
		}),
	}
	if o.Password != "" {
		opts = append(opts, nats.UserInfo(string(o.Service), o.Password))
	}
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	for {
		nc, err := nats.Connect(o.URL, opts...)
		if err == nil {
			js, err := jetstream.New(nc)
			if err != nil {
				nc.Close()
				return nil, fmt.Errorf("jetstream: %w", err)
			}
			c.nc, c.js = nc, js
			return c, nil
		}
		if errors.Is(err, nats.ErrAuthorization) {
			return nil, fmt.Errorf("connect to NATS as %s: %w", o.Service, err)
		}
		log.Warn("no NATS server yet", zap.Error(err))
		if !sleep(ctx, time.Second) {
			return nil, fmt.Errorf("connect to NATS: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// connectedAgain makes once more what an outage may have cost: a server keeps
// streams in memory no longer than it lives. Then it wakes those that wait.
func (c *Conn) connectedAgain() {
	c.log.Info("connected again")
	ctx, cancel := context.WithTimeout(c.open, time.Minute)
	defer cancel()
	if err := c.Ensure(ctx); err != nil && c.open.Err() == nil {
		c.log.Error("streams not made again", zap.Error(err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endOutage(errLost)
	c.outage, c.endOutage = context.WithCancelCause(context.Background())
}

// connected is ctx that also ends when the connection is lost: what was asked
// by then will not be answered.
func (c *Conn) connected(ctx context.Context) (context.Context, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return both(ctx, c.session)
}

// untilOutage is ctx that also ends when the connection has been lost and is
// back: what waits for news from the server has to ask anew.
func (c *Conn) untilOutage(ctx context.Context) (context.Context, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return both(ctx, c.outage)
}

// both is ctx that also ends with other.
func both(ctx, other context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(context.Cause(other)) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Close drops the connection. Handlers have been drained by then.
func (c *Conn) Close() {
	c.close()
	c.nc.Close()
}

// Ready is a readiness check: an error while the server does not answer.
func (c *Conn) Ready(ctx context.Context) error {
	if !c.nc.IsConnected() {
		return errors.New("not connected to NATS")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return c.nc.FlushWithContext(ctx)
}

// insist repeats what depends on the server until it works or ctx ends, with a
// growing pause that a new connection cuts short.
func (c *Conn) insist(ctx context.Context, what string, do func(context.Context) error) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		try, end := c.connected(ctx)
		try, cancel := context.WithTimeout(try, 10*time.Second)
		err := do(try)
		cancel()
		end()
		if err == nil {
			return nil
		}
		if pause > time.Second {
			c.log.Warn("still waiting", zap.String("for", what), zap.Error(err))
		}
		pausing, again := c.untilOutage(ctx)
		sleep(pausing, pause)
		again()
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
