package bus

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/flow"
)

// Post puts a message into a document's outbox, to be published after the
// document is committed.
func Post[T proto.Message](d *docstore.Meta, s flow.Subject[T], m T, id string, parts ...string) {
	data, err := proto.Marshal(m)
	if err != nil {
		// Only invalid UTF-8 in a string gets here; every string was checked on its way in.
		panic(err)
	}
	d.Post(s.Name(parts...), id, data)
}

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

// Relay publishes one message of a document's outbox: the publisher that
// docstore's relay wants. Errors as of Publish.
func (c *Conn) Relay(ctx context.Context, m docstore.Message) error {
	return c.publish(ctx, m.Subject, m.ID, m.Data)
}
