// Package natsbus connects the fleet with the bus: what it takes, asks, posts,
// and keeps there for the artifact service.
package natsbus

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	"github.com/flota/flota/services/fleet"
)

// How many messages of a kind are handled at the same time. Reports are many,
// and the more of them wait for the disk together, the less each waits.
const (
	newsAtOnce    = 8
	reportsAtOnce = 64
	batchesAtOnce = 2
)

// patience is how often a message about an unknown device is tried, over about
// three minutes, until its enrolment must have been heard.
const patience = 20

// Take takes what auth and devices tell, until ctx ends.
func Take(ctx context.Context, c *bus.Conn, f *fleet.Fleet) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return bus.Handle(ctx, c, flow.TakeEnrolled, bus.NewSlots(newsAtOnce), whole(func(ctx context.Context, m bus.Message[*authv1.DeviceEnrolled]) error {
			e := m.Body
			return f.Enrolled(ctx, fleet.Enrolment{
				Device: e.GetDevice(), Workspace: e.GetWorkspace(), ProductID: e.GetProductId(), Name: e.GetName(), At: m.Published,
			})
		}))
	})
	group.Go(func() error {
		return bus.Handle(ctx, c, flow.TakeRevoked, bus.NewSlots(newsAtOnce), whole(func(ctx context.Context, m bus.Message[*authv1.DeviceRevoked]) error {
			if m.Body.GetDeleted() {
				return f.Deleted(ctx, m.Body.GetDevice())
			}
			return patient(m.Delivered, f.Revoked(ctx, m.Body.GetDevice(), m.Published))
		}))
	})
	group.Go(func() error {
		return bus.Handle(ctx, c, flow.TakeReported, bus.NewSlots(reportsAtOnce), whole(func(ctx context.Context, m bus.Message[*artifactv1.DeviceReported]) error {
			return patient(m.Delivered, f.Reported(ctx, m.Body.GetDevice(), report(m.Body)))
		}))
	})
	group.Go(func() error {
		return bus.Handle(ctx, c, flow.TakeSeen, bus.NewSlots(batchesAtOnce), func(ctx context.Context, m bus.Message[*artifactv1.SeenBatch]) error {
			return f.Saw(ctx, polls(m.Body))
		})
	})
	return group.Wait()
}

// whole drops what is no word about the device that its subject names: nobody
// who may speak of devices says such a thing (proto/README.md tells who could).
func whole[T interface {
	proto.Message
	GetDevice() string
	GetWorkspace() string
}](f func(context.Context, bus.Message[T]) error) func(context.Context, bus.Message[T]) error {
	return func(ctx context.Context, m bus.Message[T]) error {
		if m.Body.GetDevice() != m.Word(1) || m.Body.GetWorkspace() == "" {
			return bus.Permanent(fault.New(fault.Invalid, "a message on %s about %q", m.Subject, m.Body.GetDevice()))
		}
		return f(ctx, m)
	}
}

// patient drops a message about a device that stays unknown.
func patient(delivered int, err error) error {
	if fault.Is(err, fault.NotFound) && delivered >= patience {
		return bus.Permanent(err)
	}
	return err
}

func polls(batch *artifactv1.SeenBatch) []fleet.LastSeen {
	list := make([]fleet.LastSeen, len(batch.GetSeen()))
	for i, s := range batch.GetSeen() {
		list[i] = fleet.LastSeen{
			Meta: docstore.Meta{ID: s.GetDevice()}, At: time.UnixMilli(s.GetAtMs()).UTC(),
			Running: s.GetRunning(), Address: s.GetAddress(), Looping: s.GetLooping(), Key: s.GetKey(),
		}
	}
	return list
}

func report(r *artifactv1.DeviceReported) fleet.Report {
	return fleet.Report{
		At: time.UnixMilli(r.GetAtMs()).UTC(), Deployment: r.GetDeployment(), State: fleet.State(r.GetState()),
		Percent: int(r.GetPercent()), Reason: r.GetReason(), Running: r.GetRunning(), Version: r.GetVersion(),
		Chip: r.GetChip(), SlotSize: int64(r.GetSlotSize()), FreeHeap: int64(r.GetFreeHeap()), RSSI: int(r.GetRssi()),
		Rollback: r.GetRollback(), Agent: r.GetAgent(), Log: r.GetLog(),
	}
}
