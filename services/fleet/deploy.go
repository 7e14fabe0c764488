package fleet

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/xid"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/secret"
)

// Fleet holds the rules; everything it needs is behind interfaces.
type Fleet struct {
	Store    Store
	Builds   Builds
	Outbox   Outbox
	Audience Audience
	// Box seals the private signing keys.
	Box *secret.Box
	// Now is the clock, in the store's precision.
	Now func() time.Time

	numbers numbers
}

// maxTries is how often a number may be taken by another process.
const maxTries = 10

// Order asks for a release on a device.
type Order struct {
	Workspace, Device string
	// Build to make a release of, or Release to take.
	Build, Release string
	// Version of a new release; "r<revision>" where empty.
	Version string
	// AcceptAgentOnly consents to a device whose bootloader cannot roll back.
	AcceptAgentOnly bool
	// AcceptUnmanaged consents to firmware without update agent.
	AcceptUnmanaged bool
	Author          string
	// OwnProject confines a product's session to its own project's builds.
	OwnProject bool
}

// mayUse keeps a product's session to what was built from the project of that device.
func (o Order) mayUse(productDevice string) error {
	if o.OwnProject && productDevice != o.Device {
		return fault.New(fault.NotFound, "there is no such build in this product's own project")
	}
	return nil
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
	if err := fits(device, release, o); err != nil {
		return nil, err
	}

	d, err := f.addDeployment(ctx, o, release)
	if err != nil {
		return nil, err
	}
	// Only from here on it counts: the statement travels with the wish for it.
	_, err = f.change(ctx, o.Device, func(device *Device) bool {
		if device.Deleted || !device.Want(wanted(d, release), d.Created) {
			return false
		}
		f.Outbox.HandOver(device, d)
		f.Outbox.DeviceChanged(device)
		return true
	})
	return d, err
}

// HandOver gives the artifact service once more what it should have of a device.
func (f *Fleet) HandOver(ctx context.Context, d *Device) error {
	deployment, err := f.Store.Deployment(ctx, d.Workspace, d.Wanted.Deployment)
	if err != nil {
		return err
	}
	_, err = f.change(ctx, d.ID, func(device *Device) bool {
		if device.Wanted == nil || device.Wanted.Deployment != deployment.Number {
			return false // what came in between was handed over by itself
		}
		f.Outbox.HandOver(device, deployment)
		return true
	})
	return err
}

// addDeployment signs and stores a deployment under the next number. The store
// refuses a number that another process took, and it is signed anew.
func (f *Fleet) addDeployment(ctx context.Context, o Order, r *Release) (*Deployment, error) {
	for try := 1; ; try++ {
		now := f.Now()
		number, err := f.numbers.next(ctx, f.Store, o.Workspace, now)
		if err != nil {
			return nil, err
		}
		d := &Deployment{
			Meta:      docstore.Meta{ID: DeploymentID(o.Workspace, number)},
			Workspace: o.Workspace, Number: number, Device: o.Device,
			Release: r.ID, Version: r.Version, Author: o.Author, Created: now,
		}
		if err := f.sign(ctx, d, r); err != nil {
			return nil, err
		}
		err = f.Store.AddDeployment(ctx, d)
		if err == nil {
			return d, nil
		}
		if !fault.Is(err, fault.Conflict) || try == maxTries {
			return nil, err
		}
	}
}

// DeploymentID is a deployment's ID: its number is unique in the workspace.
func DeploymentID(workspace string, number int64) string {
	return fmt.Sprintf("%s.%d", workspace, number)
}

func wanted(d *Deployment, r *Release) Wanted {
	return Wanted{Deployment: d.Number, Release: r.ID, Version: r.Version, Board: r.Board, SHA256: r.Parts[0].SHA256}
}

// numbers gives out deployment numbers. The zero value is ready.
type numbers struct {
	mu   sync.Mutex
	last map[string]int64 // by workspace, of this process
}

// next returns max(last + 1, now in unix seconds). The clock is in it so that an
// older backup, put back, gives out no number that devices have seen already.
func (n *numbers) next(ctx context.Context, s Store, workspace string, now time.Time) (int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	stored, err := s.LastNumber(ctx, workspace)
	if err != nil {
		return 0, err
	}
	if n.last == nil {
		n.last = map[string]int64{}
	}
	n.last[workspace] = max(stored+1, n.last[workspace]+1, now.Unix())
	return n.last[workspace], nil
}

// fits refuses, before anything is downloaded, what the device would refuse or
// could not come back from.
func fits(d *Device, r *Release, o Order) error {
	field := "build"
	if o.Release != "" {
		field = "release"
	}
	image := r.Parts[0]
	switch {
	case d.Revoked:
		return precondition("device", "the key of %s is revoked: it would not hear of it", d.ProductID)
	case d.Board != "" && d.Board != r.Board:
		return precondition(field, "it is for %s, and %s is a %s", r.Board, d.ProductID, d.Board)
	case d.SlotSize > 0 && r.Takes() > d.SlotSize:
		return precondition(field, "it takes %d bytes, and %s has room for %d", r.Takes(), d.ProductID, d.SlotSize)
	case !r.Agent && image.Kind == deviceproto.KindIndex:
		return precondition(field, "it has no update agent, without which a board goes back to what it runs: it is installed by cable")
	case (d.Rollback == "agent-only" || d.Rollback == "none") && !o.AcceptAgentOnly:
		return precondition("accept_agent_only", "the bootloader of %s cannot roll back: an image that crashes at once would need the cable", d.ProductID)
	case !r.Agent && (r.Unmanaged || d.Agent != "") && !o.AcceptUnmanaged:
		return precondition("accept_unmanaged",
			"it has no update agent: %s could not be updated nor fall back after it, unless the sketch does that itself, and would need the cable", d.ProductID)
	}
	return nil
}

// release takes the order's release, or makes one of its build; the same build
// and version are the same release.
func (f *Fleet) release(ctx context.Context, o Order) (*Release, error) {
	switch {
	case o.Release != "" && o.Build != "":
		return nil, fault.Field("release", "name a build or a release, not both")
	case o.Release != "":
		r, err := f.Store.Release(ctx, o.Workspace, o.Release)
		if err != nil {
			return nil, err
		}
		return r, o.mayUse(r.ProductDevice)
	case o.Build == "":
		return nil, fault.Field("build", "name a build or a release")
	}
	build, err := f.Builds.Build(ctx, o.Workspace, o.Build)
	if err != nil {
		return nil, err
	}
	if err := o.mayUse(build.ProductDevice); err != nil {
		return nil, err
	}
	switch {
	case !build.Succeeded:
		return nil, precondition("build", "it has no firmware: it did not succeed")
	case build.Image == nil:
		return nil, precondition("build", "%s takes no update over the air", BoardOf(build.FQBN))
	}
	version := cmp.Or(o.Version, fmt.Sprintf("r%d", build.Revision))
	r, err := f.Store.ReleaseOf(ctx, o.Workspace, build.ID, version)
	if !fault.Is(err, fault.NotFound) {
		return r, err
	}
	r = &Release{
		Meta:      docstore.Meta{ID: xid.New().String()},
		Workspace: o.Workspace, Build: build.ID, Project: build.Project, ProjectName: build.ProjectName, ProductDevice: build.ProductDevice,
		Version: version, Board: BoardOf(build.FQBN), Parts: []Part{*build.Image}, Size: build.Size, Agent: build.Agent, Unmanaged: build.Unmanaged,
		Created: f.Now(),
	}
	err = f.Store.AddRelease(ctx, r)
	if fault.Is(err, fault.Conflict) { // somebody was faster
		return f.Store.ReleaseOf(ctx, o.Workspace, build.ID, version)
	}
	return r, err
}

func precondition(field, format string, args ...any) error {
	return &fault.Error{Code: fault.Precondition, Field: field, Message: fmt.Sprintf(format, args...)}
}
