package natsbus

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	"github.com/flota/flota/services/artifact"
)

// Reports hands over what devices report.
type Reports struct{ Conn *bus.Conn }

// Publish returns when the stream has the report. The same nonce of a device
// twice is stored once. Error: fault.Unavailable.
func (p Reports) Publish(ctx context.Context, d *artifact.Device, at time.Time, nonce string, r deviceproto.Report) error {
	return bus.Publish(ctx, p.Conn, flow.DeviceReported, &artifactv1.DeviceReported{
		Device: d.ID, Workspace: d.Workspace, AtMs: at.UnixMilli(), Deployment: r.Deployment, State: string(r.State),
		Percent: uint32(r.Percent), Reason: string(r.Reason), Running: r.Running, Version: r.Version, Chip: r.Chip,
		SlotSize: uint64(r.SlotSize), FreeHeap: uint64(r.FreeHeap), Rssi: int32(r.RSSI), Rollback: string(r.Rollback),
		Agent: r.Agent, Log: r.Log,
	}, d.ID+"."+nonce, d.ID)
}

const (
	// seenBatch keeps a message of sightings below the stream's limit of 256 KiB.
	seenBatch = 1000
	// seenTimeout is how long a batch may take; then it is dropped, for the next
	// poll says the same again.
	seenTimeout = 2 * time.Second
)

// TellSeen publishes who was seen, every interval, until ctx ends, and once more
// then. What the bus does not take is dropped.
func TellSeen(ctx context.Context, conn *bus.Conn, instance string, sightings *artifact.Sightings, interval time.Duration, log *zap.Logger) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			tell(context.WithoutCancel(ctx), conn, instance, sightings, log)
			return nil
		case <-tick.C:
			tell(ctx, conn, instance, sightings, log)
		}
	}
}

func tell(ctx context.Context, conn *bus.Conn, instance string, sightings *artifact.Sightings, log *zap.Logger) {
	ctx, cancel := context.WithTimeout(ctx, seenTimeout)
	defer cancel()
	for batch := sightings.Take(seenBatch); len(batch) > 0; batch = sightings.Take(seenBatch) {
		m := &artifactv1.SeenBatch{Seen: make([]*artifactv1.Seen, len(batch))}
		for i, s := range batch {
			m.Seen[i] = &artifactv1.Seen{
				Device: s.Device, Workspace: s.Workspace, AtMs: s.At.UnixMilli(), Running: s.Running,
				Address: s.Address, Deployment: s.Deployment, Looping: s.Looping, Key: s.Key,
			}
		}
		if err := bus.Publish(ctx, conn, flow.DevicesSeen, m, "", instance); err != nil {
			log.Debug("sightings dropped", zap.Int("devices", len(batch)), zap.Error(err))
		}
		if len(batch) < seenBatch {
			return
		}
	}
}
