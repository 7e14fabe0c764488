package natsbus

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
	"github.com/flota/flota/services/fleet"
)

// Outbox implements fleet.Outbox.
type Outbox struct{}

// HandOver implements fleet.Outbox. The relay keeps the order: nobody hears of a
// deployment whose statement is not there yet.
func (Outbox) HandOver(d *fleet.Device, wanted *fleet.Deployment) {
	bus.PostValue(&d.Meta, flow.Deployments, statementKey(d.Workspace, wanted.Number), statement(wanted), id("statement", d))
	bus.PostValue(&d.Meta, flow.Refs, d.ID, ref(d, wanted.Number), id("ref", d))
}

// Withdraw implements fleet.Outbox.
func (Outbox) Withdraw(d *fleet.Device) {
	bus.PostValue(&d.Meta, flow.Refs, d.ID, ref(d, 0), id("ref", d))
}

// DeviceChanged implements fleet.Outbox.
func (Outbox) DeviceChanged(d *fleet.Device) {
	bus.Post(&d.Meta, flow.DeviceChanged, changed(d, time.Time{}), id("changed", d), d.Workspace, d.ID)
}

// id is different for every change of a device, and the same for every delivery of one.
func id(what string, d *fleet.Device) string { return fmt.Sprintf("%s.%s.%d", what, d.ID, d.Rev+1) }

// Audience implements fleet.Audience.
type Audience struct{ Conn *bus.Conn }

// DeviceChanged implements fleet.Audience.
func (a Audience) DeviceChanged(ctx context.Context, d *fleet.Device, seen time.Time) error {
	return bus.Publish(ctx, a.Conn, flow.DeviceChanged, changed(d, seen), "", d.Workspace, d.ID)
}

func changed(d *fleet.Device, seen time.Time) *fleetv1.Changed {
	c := &fleetv1.Changed{
		Workspace: d.Workspace, Kind: "device", Id: d.ID, AtMs: time.Now().UnixMilli(),
		State: string(d.State), Percent: uint32(d.Percent), RunningVersion: d.RunningVersion,
	}
	if d.Wanted != nil {
		c.WantedVersion = d.Wanted.Version
	}
	if !seen.IsZero() {
		c.SeenMs = seen.UnixMilli()
	}
	return c
}

// ref is the device's value in the bucket refs; deployment 0 stands for none.
func ref(d *fleet.Device, deployment int64) *fleetv1.DeviceRef {
	return &fleetv1.DeviceRef{Device: d.ID, Workspace: d.Workspace, Deployment: deployment}
}

func statementKey(workspace string, number int64) string {
	return flow.Key(workspace, strconv.FormatInt(number, 10))
}

func statement(d *fleet.Deployment) *fleetv1.Deployment {
	out := &fleetv1.Deployment{
		Workspace: d.Workspace, Number: d.Number, Payload: d.Payload, Kid: d.KID, Signature: d.Signature,
	}
	for _, p := range d.Parts {
		out.Parts = append(out.Parts, &fleetv1.Part{
			Kind: p.Kind, Path: p.Path, Offset: uint64(p.Offset), Size: uint64(p.Size), Sha256: p.SHA256,
		})
	}
	return out
}
