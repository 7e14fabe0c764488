package fleet

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

const (
	// OnlineFor is how long after its last poll a device counts as online: twice
	// the longest usual poll interval, and a bit.
	OnlineFor = 150 * time.Second
	// seenPrecision spares writes: a device that polls more often is noted no more often.
	seenPrecision = 15 * time.Second
	// sawAtOnce is how many devices of a batch are looked at at the same time.
	sawAtOnce = 16
)

// errAsItIs ends a change that would change nothing.
var errAsItIs = errors.New("nothing changed")

// Enrolment is what auth tells of a device that has a (new) key.
type Enrolment struct {
	Device, Workspace, ProductID, Name string
	At                                 time.Time
}

// Enrolled makes a device's twin, or takes over its new name and key.
func (f *Fleet) Enrolled(ctx context.Context, e Enrolment) error {
	at := e.At.UTC().Truncate(time.Millisecond)
	d := &Device{
		Meta:      docstore.Meta{ID: e.Device},
		Workspace: e.Workspace, ProductID: e.ProductID, Name: e.Name, KeyAt: at, State: New,
	}
	f.Outbox.DeviceChanged(d)
	if err := f.Store.AddDevice(ctx, d); !fault.Is(err, fault.Conflict) {
		return err
	}
	_, err := f.change(ctx, e.Device, func(d *Device) bool {
		if d.Deleted || at.Before(d.KeyAt) {
			return false
		}
		d.ProductID, d.Name, d.Revoked, d.KeyAt = e.ProductID, e.Name, false, at
		f.Outbox.DeviceChanged(d)
		return true
	})
	return err
}

// Revoked marks the twin of a device whose key is void. Error: fault.NotFound
// for a device that is not known (yet: news of a device overtakes other news).
func (f *Fleet) Revoked(ctx context.Context, device string, at time.Time) error {
	at = at.UTC().Truncate(time.Millisecond)
	_, err := f.change(ctx, device, func(d *Device) bool {
		if d.Deleted || at.Before(d.KeyAt) {
			return false
		}
		d.Revoked, d.KeyAt = true, at
		f.Outbox.DeviceChanged(d)
		return true
	})
	return err
}

// Deleted empties the twin of a device that is no more, and keeps it from
// coming back.
func (f *Fleet) Deleted(ctx context.Context, device string) error {
	_, err := f.change(ctx, device, func(d *Device) bool {
		if d.Deleted {
			return false
		}
		d.State = Gone
		f.Outbox.DeviceChanged(d)
		f.Outbox.Withdraw(d)
		*d = Device{Meta: d.Meta, Deleted: true, State: Gone}
		return true
	})
	if fault.Is(err, fault.NotFound) { // nobody has told of it yet; a Conflict is tried again
		err = f.Store.AddDevice(ctx, &Device{Meta: docstore.Meta{ID: device}, Deleted: true, State: Gone})
	}
	if err != nil {
		return err
	}
	return f.Store.RemoveSeen(ctx, device)
}

// Reported moves the twin on. Error: fault.NotFound as of Revoked.
func (f *Fleet) Reported(ctx context.Context, device string, r Report) error {
	d, err := f.change(ctx, device, func(d *Device) bool { return !d.Deleted && d.Take(r) })
	if err != nil || d.Deleted {
		return err
	}
	// Also where nothing changed: it may be that only this was not done the last time.
	return f.Audience.DeviceChanged(ctx, d, r.At)
}

// Saw notes polls. Those of devices that are not known are left out.
func (f *Fleet) Saw(ctx context.Context, polls []LastSeen) error {
	newest := make(map[string]LastSeen, len(polls))
	for _, p := range polls {
		if known, ok := newest[p.ID]; !ok || p.At.After(known.At) {
			newest[p.ID] = p
		}
	}
	ids := make([]string, 0, len(newest))
	for id := range newest {
		ids = append(ids, id)
	}
	before, err := f.Store.Seen(ctx, ids...)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(sawAtOnce)
	for id, p := range newest {
		group.Go(func() error { return f.saw(ctx, p, before[id]) })
	}
	return group.Wait()
}

func (f *Fleet) saw(ctx context.Context, now LastSeen, before *LastSeen) error {
	news := true // the device is there (again), or something about it is new
	if before != nil {
		since := now.At.Sub(before.At)
		same := before.Running == now.Running && before.Looping == now.Looping && before.Key == now.Key
		if since <= 0 || same && since < seenPrecision {
			return nil
		}
		news = !same || since >= OnlineFor
		now.Meta = before.Meta
	}
	var changed bool
	d, err := f.change(ctx, now.ID, func(d *Device) bool {
		changed = !d.Deleted && d.Polled(now.Running, now.At)
		return changed
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil || d.Deleted {
		return err
	}
	if news || changed {
		if err := f.Audience.DeviceChanged(ctx, d, now.At); err != nil {
			return err
		}
	}
	return f.Store.SetSeen(ctx, &now)
}

// SetTags replaces a device's tags. Error: fault.NotFound.
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

// change changes a twin, or leaves it as it is where change says so, and returns it.
func (f *Fleet) change(ctx context.Context, device string, change func(*Device) bool) (*Device, error) {
	var asItIs *Device
	d, err := f.Store.ChangeDevice(ctx, device, func(d *Device) error {
		if !change(d) {
			asItIs = d
			return errAsItIs
		}
		return nil
	})
	if errors.Is(err, errAsItIs) {
		return asItIs, nil
	}
	return d, err
}
