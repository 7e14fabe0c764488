package natsbus

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
	"github.com/flota/flota/services/fleet"
)

const (
	// mirrorAtOnce is how many devices are handed over at the same time.
	mirrorAtOnce = 64
	// mirrorInterval is how often the read models are compared anyway.
	mirrorInterval = time.Hour
	mirrorRetry    = 5 * time.Second
)

// Mirror keeps the buckets refs and deployments what the documents say, until
// ctx ends. What changes goes through the outbox; this adds what the bus lost,
// with its data or a part of it, and removes what nobody wants any more.
func Mirror(ctx context.Context, c *bus.Conn, f *fleet.Fleet, log *zap.Logger) error {
	lost := make(chan struct{}, 1)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return bus.Watch(ctx, c, flow.Refs, nil, func(change bus.Change[*fleetv1.DeviceRef]) {
			if change.Gone {
				select {
				case lost <- struct{}{}:
				default:
				}
			}
		})
	})
	group.Go(func() error {
		for ctx.Err() == nil {
			wait := mirrorInterval
			if err := mirror(ctx, c, f); err != nil && ctx.Err() == nil {
				log.Warn("the read models are not compared yet", zap.Error(err))
				wait = mirrorRetry
			}
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-lost:
			case <-timer.C:
			}
			timer.Stop()
		}
		return nil
	})
	return group.Wait()
}

func mirror(ctx context.Context, c *bus.Conn, f *fleet.Fleet) error {
	// In this order: whoever is in the buckets is in the documents already.
	refs, err := bus.Snapshot(ctx, c, flow.Refs)
	if err != nil {
		return err
	}
	statements, err := bus.Snapshot(ctx, c, flow.Deployments)
	if err != nil {
		return err
	}
	group, handing := errgroup.WithContext(ctx)
	group.SetLimit(mirrorAtOnce)
	err = f.Store.EachDevice(handing, func(d *fleet.Device) error {
		if d.Wanted == nil {
			return nil
		}
		key := statementKey(d.Workspace, d.Wanted.Deployment)
		if refs[d.ID].GetDeployment() != d.Wanted.Deployment || statements[key] == nil {
			group.Go(func() error { return f.HandOver(handing, d) })
		}
		delete(refs, d.ID)
		delete(statements, key)
		return nil
	})
	if handed := group.Wait(); handed != nil {
		return handed
	}
	if err != nil {
		return err
	}
	for device := range refs {
		if err := bus.Remove(ctx, c, flow.Refs, device); err != nil {
			return err
		}
	}
	for key := range statements {
		if err := bus.Remove(ctx, c, flow.Deployments, key); err != nil {
			return err
		}
	}
	return nil
}
