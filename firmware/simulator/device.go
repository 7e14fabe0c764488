package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

const (
	requestTimeout = 30 * time.Second
	slotSize       = 4 << 20
	maxReports     = 8
	maxTries       = 3
)

// Fault is what goes wrong with an image once it boots.
type Fault string

// The faults; they are the protocol's reasons for rolling back.
const (
	None      Fault = ""
	Crash     Fault = "crash"
	Watchdog  Fault = "watchdog"
	Selftest  Fault = "selftest"
	NoCheckin Fault = "no_checkin"
)

// Options change how a device behaves.
type Options struct {
	// Poll replaces the server's poll interval; 0 = as the server says.
	Poll time.Duration
	// Checkin is T: how long a pending image may take to check in; 0 = 300 s.
	Checkin time.Duration
	// Judge says what goes wrong with an image; nil = nothing.
	Judge func(Image) Fault
	// Print gets a line for everything that happens; nil = nothing is printed.
	Print func(line string)
	// HTTP is the client to use; nil = one of its own.
	HTTP *http.Client
	// Rollback is what the device says of its bootloader; "" = bootloader.
	Rollback deviceproto.Rollback
}

// Device is one simulated device.
type Device struct {
	p       Provision
	o       Options
	http    *http.Client
	storage Storage
	state   State
	k       [32]byte
	keyID   string
	clock   time.Duration // the server's clock less ours
	booted  time.Time
	failed  int // polls without a check-in, in a row
}

// New starts a device: it boots what its storage holds.
func New(p Provision, storage Storage, o Options) (*Device, error) {
	if err := p.check(); err != nil {
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
		o.HTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Checkin == 0 {
		o.Checkin = 300 * time.Second
	}
	if o.Print == nil {
		o.Print = func(string) {}
	}
	if o.Rollback == "" {
		o.Rollback = deviceproto.RollbackBootloader
	}
	k := deviceproto.KeyHash(p.Key)
	d := &Device{p: p, o: o, http: o.HTTP, storage: storage, state: state, k: k, keyID: deviceproto.KeyID(k), booted: time.Now()}
	return d, nil
}

// Running is the image that runs; its SHA256 is empty for what came by cable.
func (d *Device) Running() Image { return d.state.Slots[d.state.Active] }

// Run polls until ctx ends.
func (d *Device) Run(ctx context.Context) error {
	d.say("runs %s", d.describe(d.Running()))
	if err := d.boot(); err != nil {
		return err
	}
	for ctx.Err() == nil {
		wait, err := d.step(ctx)
		if err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
	return nil
}

// step polls once, does what the answer says, and returns how long to wait.
// Its error is the storage's: a device without one is broken.
func (d *Device) step(ctx context.Context) (time.Duration, error) {
	if d.state.Pending && d.judge() == NoCheckin {
		return d.awaitCheckin()
	}
	etag := ""
	if d.state.Decided > 0 && !d.state.Pending && d.state.Tries == 0 && d.state.Fetch == nil {
		etag = strconv.Quote(strconv.FormatInt(d.state.Decided, 10))
	}
	a, err := d.ask(ctx, http.MethodGet, deviceproto.PathUpdate, etag, nil)
	if err != nil {
		return d.outage(err)
	}
	if !a.checkin {
		return d.refused(a)
	}
	d.failed = 0
	if err := d.checkedIn(ctx); err != nil {
		return 0, err
	}
	if a.status == http.StatusOK {
		if err := d.offered(ctx, a.body); err != nil {
			return 0, err
		}
	}
	if err := d.sendReports(ctx); err != nil {
		return 0, err
	}
	return d.pollIn(a), nil
}

// pollIn is when to poll next: at once after a restart into a new image.
func (d *Device) pollIn(a answer) time.Duration {
	if d.state.Pending {
		return 0
	}
	if d.o.Poll > 0 {
		return d.o.Poll
	}
	seconds, err := strconv.Atoi(a.header.Get(deviceproto.HeaderPoll))
	if err != nil || seconds < 1 {
		return deviceproto.DefaultWait
	}
	wait := min(time.Duration(seconds)*time.Second, deviceproto.MaxWait)
	return wait + rand.N(wait/10+1)
}

// refused handles an answer that is no check-in.
func (d *Device) refused(a answer) (time.Duration, error) {
	d.say("the server answers %d", a.status)
	switch a.status {
	case http.StatusUnauthorized:
		return d.later(deviceproto.MaxWait)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return d.later(retryAfter(a.header))
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge:
		return d.later(deviceproto.DefaultWait)
	}
	return d.outage(nil)
}

// outage backs off: 5 s doubled each time up to an hour, each ± 25 %.
func (d *Device) outage(err error) (time.Duration, error) {
	if err != nil && d.failed == 0 {
		d.say("cannot reach the server: %v", err)
	}
	wait := min(5*time.Second<<min(d.failed, 10), deviceproto.MaxWait)
	d.failed++
	return d.later(wait*3/4 + rand.N(wait/2))
}

// later waits, but a pending image no longer than it may, and a simulated
// device in a hurry no longer than its own poll interval.
func (d *Device) later(wait time.Duration) (time.Duration, error) {
	if d.state.Pending {
		left := d.o.Checkin - time.Since(d.booted)
		if left <= 0 {
			return d.awaitCheckin()
		}
		wait = min(wait, left)
	}
	if d.o.Poll > 0 {
		wait = min(wait, max(d.o.Poll, 100*time.Millisecond))
	}
	return wait, nil
}

// awaitCheckin goes back to the old image once a pending one had its time.
func (d *Device) awaitCheckin() (time.Duration, error) {
	if left := d.o.Checkin - time.Since(d.booted); left > 0 {
		return left, nil
	}
	d.say("no check-in within %v: back to the old image", d.o.Checkin)
	d.state.Tries++
	return 0, d.restartOther(false)
}

// checkedIn is what an answer with a right MAC means for the image that runs.
func (d *Device) checkedIn(ctx context.Context) error {
	switch {
	case d.state.Pending:
		image := d.Running()
		d.state.Pending, d.state.Tries, d.state.Decided = false, 0, image.Deployment
		d.state.SecurityVersion = max(d.state.SecurityVersion, image.SecurityVersion)
		d.say("confirmed %s", d.describe(image))
		return d.report(ctx, image.Deployment, deviceproto.Confirmed, "")
	case d.state.Tries >= maxTries:
		bad := d.state.Slots[1-d.state.Active]
		d.state.Tries, d.state.Decided = 0, bad.Deployment
		d.say("gives %s up: it never checked in", d.describe(bad))
		return d.report(ctx, bad.Deployment, deviceproto.RolledBack, deviceproto.ReasonNoCheckin)
	case d.state.Tries > 0:
		d.say("the old image checks in: try the new one again")
		return d.restartOther(true)
	}
	return nil
}

// restartOther boots the other slot.
func (d *Device) restartOther(pending bool) error {
	d.state.Active, d.state.Pending = 1-d.state.Active, pending
	if err := d.storage.Save(d.state); err != nil {
		return err
	}
	return d.boot()
}

// boot starts the active image; a bad pending one ends in the old one again.
func (d *Device) boot() error {
	d.booted, d.failed = time.Now(), 0
	fault := d.judge()
	if !d.state.Pending || fault == None || fault == NoCheckin {
		return nil
	}
	bad := d.Running()
	d.say("%s: %s; back to the old image", fault, d.describe(bad))
	d.state.Active, d.state.Pending, d.state.Tries, d.state.Decided = 1-d.state.Active, false, 0, bad.Deployment
	return d.enqueue(bad.Deployment, deviceproto.RolledBack, deviceproto.Reason(fault), 0)
}

func (d *Device) judge() Fault {
	if d.o.Judge == nil {
		return None
	}
	return d.o.Judge(d.Running())
}

// report says something now, or keeps it for the next poll.
func (d *Device) report(ctx context.Context, deployment int64, state deviceproto.State, reason deviceproto.Reason) error {
	return d.reportPercent(ctx, deployment, state, reason, 0)
}

func (d *Device) reportPercent(ctx context.Context, deployment int64, state deviceproto.State, reason deviceproto.Reason, percent int64) error {
	if err := d.enqueue(deployment, state, reason, percent); err != nil {
		return err
	}
	return d.sendReports(ctx)
}

// enqueue keeps a report until it is answered: the newest of a deployment and
// state, eight at most.
func (d *Device) enqueue(deployment int64, state deviceproto.State, reason deviceproto.Reason, percent int64) error {
	d.state.Reports = slices.DeleteFunc(d.state.Reports, func(r deviceproto.Report) bool {
		return r.Deployment == deployment && r.State == state
	})
	d.state.Reports = append(d.state.Reports, deviceproto.Report{
		Deployment: deployment, State: state, Reason: reason, Percent: percent,
		Running: d.Running().SHA256, Version: d.Running().Version,
		Chip: "simulated", SlotSize: slotSize, Rollback: d.o.Rollback, Agent: "flota-simulator/1.0",
	})
	if extra := len(d.state.Reports) - maxReports; extra > 0 {
		d.state.Reports = d.state.Reports[extra:]
	}
	return d.storage.Save(d.state)
}

func (d *Device) sendReports(ctx context.Context) error {
	for len(d.state.Reports) > 0 {
		body, err := json.Marshal(d.state.Reports[0])
		if err != nil {
			return err
		}
		a, err := d.ask(ctx, http.MethodPost, deviceproto.PathReport, "", body)
		dropped := a.status == http.StatusBadRequest || a.status == http.StatusRequestEntityTooLarge
		if err != nil || !a.checkin && !dropped {
			if err == nil {
				err = errors.New(http.StatusText(a.status))
			}
			d.say("report kept for later: %v", err)
			return nil
		}
		d.state.Reports = d.state.Reports[1:]
		if err := d.storage.Save(d.state); err != nil {
			return err
		}
	}
	return nil
}
