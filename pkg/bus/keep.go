package bus

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
)

// Keep writes values into a bucket by their keys, calls ready once when it has
// them all, and writes them again every so often, so that none expires, and
// after each outage, in which the bucket may have been lost; until ctx ends. It
// mends outages by itself and always returns nil. A value that is too large is
// logged and left out.
func Keep[T proto.Message](ctx context.Context, c *Conn, b flow.Bucket[T], every time.Duration, values map[string]T, ready func()) error {
	keys := slices.Sorted(maps.Keys(values))
	for ctx.Err() == nil {
		valid, end := c.untilOutage(ctx)
		for _, key := range keys {
			err := c.insist(ctx, "bucket "+b.Name, func(try context.Context) error {
				err := Put(try, c, b, key, values[key])
				if fault.Is(err, fault.TooLarge) {
					c.log.Error("a value does not fit", zap.String("bucket", b.Name), zap.String("key", key), zap.Error(err))
					return nil
				}
				return err
			})
			if err != nil {
				break // ctx ended
			}
		}
		if ready != nil && ctx.Err() == nil {
			ready()
			ready = nil
		}
		sleep(valid, every)
		end()
	}
	return nil
}
