package bus

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/flota/flota/pkg/flow"
)

// For tests: what is below a connection.

func (c *Conn) NATS() *nats.Conn        { return c.nc }
func (c *Conn) JS() jetstream.JetStream { return c.js }

func (c *Conn) EnsureBucket(ctx context.Context, b flow.AnyBucket) error {
	return c.ensureBucket(ctx, b)
}

func (c *Conn) EnsureStream(ctx context.Context, s *flow.Stream) error { return c.ensureStream(ctx, s) }
