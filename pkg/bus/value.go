package bus

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
)

// PostValue puts a bucket's value into a document's outbox: written after the
// document is committed, and not lost between the two. (A value of a bucket is
// a message on $KV.<bucket>.<key>.)
func PostValue[T proto.Message](d *docstore.Meta, b flow.Bucket[T], key string, value T, id string) {
	data, err := proto.Marshal(value)
	if err != nil {
		panic(err) // as in Post
	}
	d.Post("$KV."+b.Name+"."+key, id, data)
}

// Snapshot returns everything that a bucket holds now. Error: fault.Unavailable.
func Snapshot[T proto.Message](ctx context.Context, c *Conn, b flow.Bucket[T]) (map[string]T, error) {
	kv, err := c.js.KeyValue(ctx, b.Name)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "the bucket %s does not answer", b.Name)
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "the bucket %s cannot be read", b.Name)
	}
	defer func() { _ = w.Stop() }()
	all := map[string]T{}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case e, open := <-w.Updates():
			if !open {
				return nil, fault.Wrap(errors.New("the watch ended"), fault.Unavailable, "the bucket %s cannot be read", b.Name)
			}
			if e == nil {
				return all, nil
			}
			value := newMessage[T]()
			if err := proto.Unmarshal(e.Value(), value); err != nil {
				return nil, fault.Wrap(err, fault.Internal, "the bucket %s holds something else", b.Name)
			}
			all[e.Key()] = value
		}
	}
}
