package bus

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
)

// Put writes a value and returns when the bucket has it. Errors:
// fault.Unavailable, fault.TooLarge.
func Put[T proto.Message](ctx context.Context, c *Conn, b flow.Bucket[T], key string, value T) error {
	data, err := proto.Marshal(value)
	if err != nil {
		return err
	}
	ctx, end := c.connected(ctx)
	defer end()
	kv, err := c.bucket(ctx, b.Name)
	if err != nil {
		return err
	}
	if _, err := kv.Put(ctx, key, data); err != nil {
		return storeFault(ctx, err, "the bucket "+b.Name)
	}
	return nil
}

// Remove deletes a key; a missing one is no error. Error: fault.Unavailable.
func Remove[T proto.Message](ctx context.Context, c *Conn, b flow.Bucket[T], key string) error {
	ctx, end := c.connected(ctx)
	defer end()
	kv, err := c.bucket(ctx, b.Name)
	if err != nil {
		return err
	}
	if err := kv.Purge(ctx, key, jetstream.PurgeTTL(markerTTL)); err != nil {
		return storeFault(ctx, err, "the bucket "+b.Name)
	}
	return nil
}

// bucket returns the handle of a bucket, which stays good when the bucket is
// made again.
func (c *Conn) bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	if kv, ok := c.buckets.Load(name); ok {
		return kv.(jetstream.KeyValue), nil
	}
	kv, err := c.js.KeyValue(ctx, name)
	if err != nil {
		return nil, fault.Wrap(because(ctx, err), fault.Unavailable, "the bucket %s does not answer", name)
	}
	c.buckets.Store(name, kv)
	return kv, nil
}
