// Package natsbus connects the fleet with the bus: what it takes, asks and posts.
package natsbus

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
	"github.com/flota/flota/services/fleet"
)

// Outbox implements fleet.Outbox.
type Outbox struct{}

// DeviceChanged implements fleet.Outbox.
func (Outbox) DeviceChanged(d *fleet.Device) {
	changed := &fleetv1.Changed{
		Workspace: d.Workspace, Kind: "device", Id: d.ID, AtMs: time.Now().UnixMilli(),
		State: string(d.State), Percent: uint32(d.Percent), RunningVersion: d.RunningVersion,
	}
	if d.Wanted != nil {
		changed.WantedVersion = d.Wanted.Version
	}
	bus.Post(&d.Meta, flow.DeviceChanged, changed, id("changed", d), d.Workspace, d.ID)
}

// DeviceWants implements fleet.Outbox.
func (Outbox) DeviceWants(d *fleet.Device) {
	bus.PostValue(&d.Meta, flow.Refs, d.ID, Ref(d), id("ref", d))
}

// Signed implements fleet.Outbox.
func (Outbox) Signed(d *fleet.Deployment) {
	bus.PostValue(&d.Meta, flow.Deployments, deploymentKey(d.Workspace, d.Number), statement(d), "deployment."+d.ID)
}

// id is different for every change of a device, and the same for every delivery of one.
func id(what string, d *fleet.Device) string { return fmt.Sprintf("%s.%s.%d", what, d.ID, d.Rev+1) }

// Ref is the device's value in the bucket refs.
func Ref(d *fleet.Device) *fleetv1.DeviceRef {
	ref := &fleetv1.DeviceRef{Device: d.ID, Workspace: d.Workspace}
	if d.Wanted != nil {
		ref.Deployment = d.Wanted.Deployment
	}
	return ref
}

func deploymentKey(workspace string, number int64) string {
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

// Builds implements fleet.Builds by asking the editor.
type Builds struct{ Conn *bus.Conn }

// Build implements fleet.Builds.
func (b Builds) Build(ctx context.Context, workspace, build string) (fleet.Build, error) {
	answer, err := bus.Do(ctx, b.Conn, flow.BuildResult, &editorv1.BuildRequest{Workspace: workspace, Build: build})
	if err != nil {
		return fleet.Build{}, err
	}
	out := fleet.Build{
		ID: build, Project: answer.GetProject(), ProjectName: answer.GetProjectName(), ProductDevice: answer.GetProductDevice(),
		Revision: int(answer.GetRevision()), FQBN: answer.GetFqbn(),
		Succeeded:   answer.GetOutcome() == compilerv1.Outcome_OUTCOME_SUCCEEDED,
		MicroPython: answer.GetKind() == compilerv1.Kind_KIND_MICROPYTHON,
	}
	for _, o := range answer.GetOutputs() {
		if o.GetRole() == compilerv1.Role_ROLE_APP {
			out.App = &fleet.Part{Kind: "app", Size: int64(o.GetSize()), SHA256: o.GetSha256()}
		}
	}
	return out, nil
}

// Run takes what devices and auth tell until ctx ends.
func Run(ctx context.Context, c *bus.Conn, f *fleet.Fleet) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return bus.Handle(ctx, c, flow.TakeEnrolled, bus.NewSlots(8), func(ctx context.Context, m bus.Message[*authv1.DeviceEnrolled]) error {
			e := m.Body
			return f.Enrolled(ctx, e.GetDevice(), e.GetWorkspace(), e.GetProductId(), e.GetName())
		})
	})
	group.Go(func() error {
		return bus.Handle(ctx, c, flow.TakeRevoked, bus.NewSlots(8), func(ctx context.Context, m bus.Message[*authv1.DeviceRevoked]) error {
			return unlessOld(m.Published, f.Revoked(ctx, m.Body.GetDevice(), m.Body.GetDeleted()))
		})
	})
	group.Go(func() error {
		return bus.Handle(ctx, c, flow.TakeReported, bus.NewSlots(64), func(ctx context.Context, m bus.Message[*artifactv1.DeviceReported]) error {
			return unlessOld(m.Published, f.Reported(ctx, m.Body.GetDevice(), report(m.Body)))
		})
	})
	group.Go(func() error {
		return bus.Handle(ctx, c, flow.TakeSeen, bus.NewSlots(2), func(ctx context.Context, m bus.Message[*artifactv1.SeenBatch]) error {
			return saw(ctx, f, m.Body)
		})
	})
	return group.Wait()
}

// unlessOld drops a message about a device that still is not known after ten
// minutes: it was deleted.
func unlessOld(published time.Time, err error) error {
	if fault.Is(err, fault.NotFound) && time.Since(published) > 10*time.Minute {
		return bus.Permanent(err)
	}
	return err
}

func saw(ctx context.Context, f *fleet.Fleet, batch *artifactv1.SeenBatch) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for _, s := range batch.GetSeen() {
		group.Go(func() error {
			return f.Saw(ctx, fleet.LastSeen{
				Meta: docstore.Meta{ID: s.GetDevice()}, At: time.UnixMilli(s.GetAtMs()).UTC(),
				Running: s.GetRunning(), Address: s.GetAddress(), Looping: s.GetLooping(),
			})
		})
	}
	return group.Wait()
}

func report(r *artifactv1.DeviceReported) fleet.Report {
	return fleet.Report{
		At: time.UnixMilli(r.GetAtMs()).UTC(), Deployment: r.GetDeployment(), State: fleet.State(r.GetState()),
		Percent: int(r.GetPercent()), Reason: r.GetReason(), Running: r.GetRunning(), Version: r.GetVersion(),
		Chip: r.GetChip(), SlotSize: int64(r.GetSlotSize()), FreeHeap: int64(r.GetFreeHeap()), RSSI: int(r.GetRssi()),
		Rollback: r.GetRollback(), Agent: r.GetAgent(), Log: r.GetLog(),
	}
}

// Rebuild writes into the read models what is missing there: all of it, when
// the bus lost its data.
func Rebuild(ctx context.Context, c *bus.Conn, s fleet.Store) error {
	refs, err := bus.Snapshot(ctx, c, flow.Refs)
	if err != nil {
		return err
	}
	statements, err := bus.Snapshot(ctx, c, flow.Deployments)
	if err != nil {
		return err
	}
	return s.EachDevice(ctx, func(d *fleet.Device) error {
		if d.Wanted == nil {
			return nil
		}
		if key := deploymentKey(d.Workspace, d.Wanted.Deployment); statements[key] == nil {
			deployment, err := s.Deployment(ctx, d.Workspace, d.Wanted.Deployment)
			if err != nil {
				return err
			}
			if err := bus.Put(ctx, c, flow.Deployments, key, statement(deployment)); err != nil {
				return err
			}
		}
		if refs[d.ID].GetDeployment() < d.Wanted.Deployment {
			return bus.Put(ctx, c, flow.Refs, d.ID, Ref(d))
		}
		return nil
	})
}
