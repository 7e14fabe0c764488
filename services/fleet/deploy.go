package fleet

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/xid"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/secret"
)

// Fleet holds the rules; everything it needs is behind interfaces.
type Fleet struct {
	Store  Store
	Builds Builds
	Outbox Outbox
	// Box seals the private signing keys.
	Box *secret.Box
	// Now is the clock.
	Now func() time.Time
}

// Order asks for a release on a device.
type Order struct {
	Workspace, Device string
	// Build to make a release of, or Release to take.
	Build, Release string
	// Version of a new release; "r<revision>" where empty.
	Version string
	// AcceptAgentOnly consents to a device whose bootloader cannot roll back.
	AcceptAgentOnly bool
	Author          string
	// OwnProject confines a product's session to its own project's builds.
	OwnProject bool
}

// Deploy signs a deployment and makes it what the device should run. Errors:
// fault.NotFound, fault.Invalid and fault.Precondition with the field at fault.
func (f *Fleet) Deploy(ctx context.Context, o Order) (*Deployment, error) {
	device, err := f.Store.Device(ctx, o.Workspace, o.Device)
	if err != nil {
		return nil, err
	}
	release, err := f.release(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.OwnProject && release.ProductDevice != o.Device {
		return nil, fault.New(fault.NotFound, "there is no such build in this product's own project")
	}
	if err := fits(device, release, o.AcceptAgentOnly); err != nil {
		return nil, err
	}

	now := f.Now()
	number, err := f.Store.NextNumber(ctx, o.Workspace, now)
	if err != nil {
		return nil, err
	}
	d := &Deployment{
		Meta:      docstore.Meta{ID: fmt.Sprintf("%s.%d", o.Workspace, number)},
		Workspace: o.Workspace, Number: number, Device: o.Device,
		Release: release.ID, Version: release.Version, Author: o.Author, Created: now,
	}
	if err := f.sign(ctx, d, release); err != nil {
		return nil, err
	}
	f.Outbox.Signed(d)
	if err := f.Store.AddDeployment(ctx, d); err != nil {
		return nil, err
	}
	wanted := Wanted{Deployment: number, Release: release.ID, Version: release.Version, Board: release.Board, SHA256: release.Parts[0].SHA256}
	_, err = f.Store.ChangeDevice(ctx, o.Device, func(device *Device) error {
		if device.Want(wanted, now) {
			f.Outbox.DeviceWants(device)
			f.Outbox.DeviceChanged(device)
		}
		return nil
	})
	return d, err
}

// fits refuses, before anything is downloaded, what the device would refuse or
// could not come back from.
func fits(d *Device, r *Release, acceptAgentOnly bool) error {
	app := r.Parts[0]
	switch {
	case d.Revoked:
		return fault.New(fault.Precondition, "the key of %s is revoked: it would not hear of it", d.ProductID)
	case d.Board != "" && d.Board != r.Board:
		return &fault.Error{Code: fault.Precondition, Field: "build", Message: fmt.Sprintf("it is for %s, and %s is a %s", r.Board, d.ProductID, d.Board)}
	case d.SlotSize > 0 && app.Size > d.SlotSize:
		return &fault.Error{Code: fault.Precondition, Field: "build", Message: fmt.Sprintf("it has %d bytes, and the slot of %s takes %d", app.Size, d.ProductID, d.SlotSize)}
	case (d.Rollback == "agent-only" || d.Rollback == "none") && !acceptAgentOnly:
		return &fault.Error{Code: fault.Precondition, Field: "accept_agent_only", Message: fmt.Sprintf("the bootloader of %s cannot roll back: an image that crashes at once would need the cable", d.ProductID)}
	}
	return nil
}

func (f *Fleet) release(ctx context.Context, o Order) (*Release, error) {
	switch {
	case o.Release != "" && o.Build != "":
		return nil, fault.Field("release", "name a build or a release, not both")
	case o.Release != "":
		return f.Store.Release(ctx, o.Workspace, o.Release)
	case o.Build == "":
		return nil, fault.Field("build", "name a build or a release")
	}
	build, err := f.Builds.Build(ctx, o.Workspace, o.Build)
	if err != nil {
		return nil, err
	}
	precondition := func(message string) error {
		return &fault.Error{Code: fault.Precondition, Field: "build", Message: message}
	}
	switch {
	case !build.Succeeded:
		return nil, precondition("this build has no firmware: it did not succeed")
	case build.MicroPython:
		return nil, precondition("a MicroPython bundle is installed by cable: this version does not deploy it over the air")
	case build.App == nil:
		return nil, precondition(fmt.Sprintf("%s takes no update over the air", BoardOf(build.FQBN)))
	}
	version := o.Version
	if version == "" {
		version = fmt.Sprintf("r%d", build.Revision)
	}
	r := &Release{
		Meta:      docstore.Meta{ID: xid.New().String()},
		Workspace: o.Workspace, Build: build.ID, Project: build.Project, ProjectName: build.ProjectName, ProductDevice: build.ProductDevice,
		Version: version, Board: BoardOf(build.FQBN), Parts: []Part{*build.App}, Created: f.Now(),
	}
	err = f.Store.AddRelease(ctx, r)
	if fault.Is(err, fault.Conflict) { // it was released before
		return f.Store.ReleaseOf(ctx, o.Workspace, o.Build, version)
	}
	return r, err
}
