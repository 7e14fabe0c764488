package fleet

import (
	"context"
	"errors"
	"time"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// OnlineFor is how long after its last poll a device counts as online: twice
// the longest usual poll interval, and a bit.
const OnlineFor = 150 * time.Second

// errUnchanged ends a change that would change nothing.
var errUnchanged = errors.New("nothing changed")

// Enrolled makes a device's twin, or takes over its new name.
func (f *Fleet) Enrolled(ctx context.Context, device, workspace, productID, name string) error {
	d := &Device{
		Meta:      docstore.Meta{ID: device},
		Workspace: workspace, ProductID: productID, Name: name, State: New, StateAt: f.Now(),
	}
	f.Outbox.DeviceChanged(d)
	err := f.Store.AddDevice(ctx, d)
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	return f.change(ctx, device, func(d *Device) bool {
		changed := d.ProductID != productID || d.Name != name || d.Revoked
		d.ProductID, d.Name, d.Revoked = productID, name, false
		return changed
	})
}

// Revoked marks the twin of a device whose key is void, or removes it.
func (f *Fleet) Revoked(ctx context.Context, device string, deleted bool) error {
	if deleted {
		err := f.Store.RemoveDevice(ctx, device)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
	return f.change(ctx, device, func(d *Device) bool {
		changed := !d.Revoked
		d.Revoked = true
		return changed
	})
}

// Reported moves the twin on. Error: fault.NotFound for a device that is not
// known (yet: reports and enrolments travel apart).
func (f *Fleet) Reported(ctx context.Context, device string, r Report) error {
	return f.change(ctx, device, func(d *Device) bool { return d.Take(r) })
}

// Saw notes a poll. Writes are spared: the store has it to within 15 s.
func (f *Fleet) Saw(ctx context.Context, s LastSeen) error {
	known, err := f.Store.Seen(ctx, s.ID)
	if err != nil {
		return err
	}
	last := known[s.ID]
	if last != nil && s.At.Sub(last.At) < 15*time.Second && last.Running == s.Running && last.Looping == s.Looping {
		return nil
	}
	if last == nil || last.Running != s.Running {
		err := f.change(ctx, s.ID, func(d *Device) bool { return d.Runs(s.Running, s.At) })
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if last != nil {
		s.Meta = last.Meta
	}
	return f.Store.SetSeen(ctx, &s)
}

// SetTags replaces a device's tags.
func (f *Fleet) SetTags(ctx context.Context, workspace, device string, tags []string) (*Device, error) {
	if _, err := f.Store.Device(ctx, workspace, device); err != nil {
		return nil, err
	}
	return f.Store.ChangeDevice(ctx, device, func(d *Device) error {
		d.Tags = tags
		f.Outbox.DeviceChanged(d)
		return nil
	})
}

func (f *Fleet) change(ctx context.Context, device string, change func(*Device) bool) error {
	_, err := f.Store.ChangeDevice(ctx, device, func(d *Device) error {
		if !change(d) {
			return errUnchanged
		}
		f.Outbox.DeviceChanged(d)
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}
