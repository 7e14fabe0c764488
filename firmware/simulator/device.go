package simulator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

const (
	defaultSlot    = 4 << 20
	defaultCheckin = 300 * time.Second
	// maxTries is how often a new image may be booted without a check-in.
	maxTries = 3
	// pendingWait is the longest wait while an image is pending: what is not proved to
	// be the server's own must not use up its time.
	pendingWait = 30 * time.Second
	// firstBackoff is the wait after the first failure in a row; it doubles.
	firstBackoff = 5 * time.Second
)

// Options change how a device behaves.
type Options struct {
	// Poll replaces the server's poll interval, and bounds every other wait; 0 = as
	// the protocol says.
	Poll time.Duration
	// Checkin is T: how long a pending image may take to check in; 0 = 300 s.
	Checkin time.Duration
	// SlotSize in bytes; 0 = 4 MiB.
	SlotSize int64
	// Judge says what goes wrong with an image; nil = nothing.
	Judge func(Image) Fault
	// Print gets a line for everything that happens; nil = nothing is printed.
	Print func(line string)
	// HTTP is the client to use; nil = one that all devices share, or, for a device
	// that pins a certificate, its own. It must not follow redirects.
	HTTP *http.Client
	// Rollback is what the device says of its bootloader; "" = bootloader.
	Rollback deviceproto.Rollback
}

// Device is one simulated device. It is used by one goroutine at a time.
type Device struct {
	p       deviceproto.Provision
	o       Options
	http    *http.Client
	storage Storage
	state   State
	k       [32]byte
	keyID   string
	nonce   func() string

	clock   time.Duration // the server's clock less ours
	booted  time.Time
	retryAt time.Time // when the image on trial may be booted again

	spoilt      int64 // a deployment that is left alone until then
	spoiltUntil time.Time
	usual       time.Duration // between two polls, as the server said last
	failed      int           // rounds in a row that ended in an outage
}

// New makes a device that boots, with Run, what its storage holds.
func New(p deviceproto.Provision, storage Storage, o Options) (*Device, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	state, err := storage.Load()
	if err != nil {
		return nil, err
	}
	if state.Keys == nil {
		state.Keys = p.Keys
	}
	if o.HTTP == nil {
		if o.HTTP, err = clientOf(p); err != nil {
			return nil, err
		}
	}
	if o.Checkin == 0 {
		o.Checkin = defaultCheckin
	}
	if o.SlotSize == 0 {
		o.SlotSize = defaultSlot
	}
	if o.Rollback == "" {
		o.Rollback = deviceproto.RollbackBootloader
	}
	k := deviceproto.KeyHash(p.Key)
	return &Device{
		p: p, o: o, http: o.HTTP, storage: storage, state: state, k: k, keyID: deviceproto.KeyID(k),
		nonce: deviceproto.NewNonce, usual: deviceproto.DefaultWait,
	}, nil
}

// Running is the image that runs; its SHA256 is empty for what came by cable.
func (d *Device) Running() Image { return d.state.Slots[d.state.Active] }

// other is the image in the slot that does not run.
func (d *Device) other() *Image { return &d.state.Slots[1-d.state.Active] }

// Run runs the device until ctx ends. An error is its storage's: a device
// without one is broken.
func (d *Device) Run(ctx context.Context) error {
	d.say("runs %s", d.Running())
	if err := d.boot(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		wait, err := d.step(ctx)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

// step does one round, and returns how long to wait until the next.
func (d *Device) step(ctx context.Context) (time.Duration, error) {
	if d.state.Pending && d.fault() == NoCheckin { // it tries, in vain
		return d.bounded(d.o.Checkin)
	}
	err := d.round(ctx)
	if r, ok := errors.AsType[*refusal](err); ok && r.link && r.status == http.StatusForbidden {
		err = d.round(ctx) // for a fresh link, once
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return d.bounded(d.waitAfter(r))
	}
	if err != nil {
		return 0, err
	}
	d.failed = 0
	if d.state.Pending { // it has just been booted
		return 0, nil
	}
	wait := d.usual + rand.N(d.usual/10+1)
	if d.state.Tries > 0 {
		wait = min(wait, max(time.Until(d.retryAt), 0))
	}
	return d.bounded(wait)
}

// round polls once and does what the answer says. Its errors are refusals and
// the storage's.
func (d *Device) round(ctx context.Context) error {
	etag := ""
	if d.state.Decided > 0 && !d.state.Pending && d.state.Tries == 0 && d.state.Fetch == nil {
		etag = strconv.Quote(strconv.FormatInt(d.state.Decided, 10))
	}
	a, err := d.ask(ctx, http.MethodGet, deviceproto.PathUpdate, etag, nil)
	if err != nil {
		return err
	}
	if seconds, err := strconv.Atoi(a.header.Get(deviceproto.HeaderPoll)); err == nil && seconds > 0 {
		d.usual = min(time.Duration(seconds)*time.Second, deviceproto.MaxWait)
	}
	restarted, err := d.checkedIn()
	if err != nil || restarted {
		return err
	}
	if a.status == http.StatusOK {
		if err := d.offered(ctx, a.body); err != nil {
			return err
		}
	}
	return d.sendReports(ctx)
}

// waitAfter is the protocol's table of what is not as hoped for.
func (d *Device) waitAfter(r *refusal) time.Duration {
	switch r.status {
	case http.StatusUnauthorized:
		d.say("%v", r)
		return deviceproto.MaxWait
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		d.say("%v", r)
		return retryAfter(r.header)
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound,
		http.StatusRequestEntityTooLarge, http.StatusRequestedRangeNotSatisfiable:
		d.say("%v", r)
		return d.usual
	}
	if d.failed == 0 {
		d.say("an outage: %v", r)
	}
	wait := min(firstBackoff<<min(d.failed, 10), deviceproto.MaxWait)
	d.failed++
	return wait*3/4 + rand.N(wait/2)
}

// bounded makes a wait no longer than a pending image has time, after which the
// old one boots, nor than a device in a hurry wants.
func (d *Device) bounded(wait time.Duration) (time.Duration, error) {
	if d.state.Pending {
		left := d.o.Checkin - time.Since(d.booted)
		if left <= 0 {
			return 0, d.noCheckin()
		}
		wait = min(wait, left, pendingWait)
	}
	if d.o.Poll > 0 {
		wait = min(wait, d.o.Poll)
	}
	return wait, nil
}

// noCheckin goes back to the old image, which shows whether it was the network.
func (d *Device) noCheckin() error {
	d.say("no check-in within %v: back to the old image", d.o.Checkin)
	d.retryAt = time.Now().Add(d.o.Checkin << d.state.Tries)
	d.state.Tries++
	return d.restart(false)
}

// checkedIn is what a check-in means for the image that runs, and for one on trial.
func (d *Device) checkedIn() (restarted bool, err error) {
	switch {
	case d.state.Pending:
		image := d.Running()
		d.state.Pending, d.state.Tries = false, 0
		return false, d.confirm(image)
	case d.state.Tries >= maxTries:
		d.say("gives %s up: it never checked in", d.other())
		return false, d.bad(*d.other(), deviceproto.ReasonNoCheckin)
	case d.state.Tries > 0 && !time.Now().Before(d.retryAt):
		d.say("the old image checks in: tries the new one again")
		return true, d.restart(true)
	}
	return false, nil
}

// confirm decides a deployment that runs.
func (d *Device) confirm(image Image) error {
	d.say("confirmed %s", image)
	d.state.Slots[d.state.Active] = image
	d.state.Decided = image.Deployment
	d.state.SecurityVersion = max(d.state.SecurityVersion, image.SecurityVersion)
	return d.keepReport(deviceproto.Report{Deployment: image.Deployment, State: deviceproto.Confirmed})
}

// bad decides a deployment that is never tried again.
func (d *Device) bad(image Image, reason deviceproto.Reason) error {
	d.state.Tries, d.state.Decided = 0, image.Deployment
	return d.keepReport(deviceproto.Report{Deployment: image.Deployment, State: deviceproto.RolledBack, Reason: reason})
}

// restart boots the other slot.
func (d *Device) restart(pending bool) error {
	d.state.Active, d.state.Pending = 1-d.state.Active, pending
	if err := d.storage.Save(d.state); err != nil {
		return err
	}
	return d.boot()
}

// boot starts the active image; a bad pending one ends in the old one again.
func (d *Device) boot() error {
	d.booted, d.failed = time.Now(), 0
	fault := d.fault()
	if !d.state.Pending || fault == None || fault == NoCheckin {
		return nil
	}
	image := d.Running()
	d.say("%s: %s; back to the old image", fault, image)
	d.state.Active, d.state.Pending = 1-d.state.Active, false
	return d.bad(image, deviceproto.Reason(fault))
}

// fault is what is wrong with the image that runs.
func (d *Device) fault() Fault {
	if d.o.Judge == nil {
		return None
	}
	return d.o.Judge(d.Running())
}

func (i Image) String() string {
	if i.SHA256 == "" {
		return "what came by cable"
	}
	return fmt.Sprintf("%s (deployment %d, sha256 %s…)", i.Version, i.Deployment, i.SHA256[:8])
}

func (d *Device) say(format string, args ...any) {
	if d.o.Print != nil {
		d.o.Print(d.p.ProductID + "  " + fmt.Sprintf(format, args...))
	}
}
