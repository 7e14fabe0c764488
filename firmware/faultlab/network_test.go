package faultlab

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/deviceproto"
)

// radio puts the board's networks in range or out of it.
func (r *rig) radio(on bool) {
	r.t.Helper()
	if err := r.SetRadio(context.Background(), on); err != nil {
		r.t.Fatal(err)
	}
}

// aWhile is how long a random fault lasts: up to half a minute of the board's.
func (r *rig) aWhile(name string) func() {
	rng := random(name)
	return func() {
		time.Sleep(time.Duration(rng.Int64N(int64(30*time.Second))) / time.Duration(r.hurry))
		found.fault(r.class, 1)
	}
}

// The Wi-Fi comes and goes in a download and in a trial.
func TestWiFiCuts(t *testing.T) {
	t.Parallel()
	r := newRig(t, "Wi-Fi comes and goes").on()
	pass := r.aWhile("wifi")
	for range some(make([]int, 10)) {
		n := r.goodRelease()
		for range 3 {
			pass()
			r.radio(false)
			pass()
			r.radio(true)
		}
		r.over()
		r.polled(1)
		r.recovers(n)
	}
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}

// Without Wi-Fi from the start of a trial on, the old image comes back and blames nobody.
func TestWiFiGoneWhilePending(t *testing.T) {
	t.Parallel()
	r := newRig(t, "Wi-Fi gone while an image is on trial").on()
	for range 2 {
		other := r.other()
		r.once(startOf(other), func(chip.Event) {
			r.Net().Set(chiptest.Link{Down: true}) // until the board has heard that the radio is off
			go r.radio(false)
		})
		starts, _ := r.counted()
		n := r.goodRelease()
		r.startedAfter(starts, 2)
		found.fault(r.class, 1)
		r.Net().Set(chiptest.Link{})
		r.radio(true)
		r.over()
		r.recovers(n)
	}
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}

// Connections break after any number of bytes.
func TestConnectionsBreak(t *testing.T) {
	t.Parallel()
	r := newRig(t, "connections break after any number of bytes").on()
	rng := random("bytes until a connection breaks")
	for range some(make([]int, 10)) {
		n := r.goodRelease()
		for range 5 {
			r.Net().Set(chiptest.Link{CutAfter: 1 + rng.IntN(200_000)})
			found.fault(r.class, 1)
			r.polled(1)
		}
		r.Net().Set(chiptest.Link{})
		r.over()
		r.recovers(n)
	}
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}

// Nothing comes through any more, and nobody says so.
func TestSilence(t *testing.T) {
	t.Parallel()
	r := newRig(t, "network falls silent").on()
	rng := random("silence")
	for range some(make([]int, 5)) {
		n := r.goodRelease()
		r.Net().Set(chiptest.Link{BytesPerSecond: 600_000})
		images := len(r.Images())
		r.Server.Until("download", func() bool { return len(r.Images()) > images })
		r.Net().Set(chiptest.Link{Silent: true})
		time.Sleep(time.Duration(rng.Int64N(int64(4 * time.Second)))) // a request ends after two, here
		found.fault(r.class, 1)
		r.Net().Set(chiptest.Link{})
		r.over()
		r.recovers(n)
	}
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}

// A link that is slow is a link; one of a byte a second comes to nothing, and is waited out.
func TestSlowLink(t *testing.T) {
	t.Parallel()
	for name, speed := range map[string]int{"30 kbit/s": 3600 * hurry, "a byte a second": hurry} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "slow link, "+name).on()
			n := r.goodRelease()
			r.Net().Set(chiptest.Link{BytesPerSecond: speed})
			found.fault(r.class, 1)
			if speed == hurry {
				time.Sleep(3 * time.Second) // as long as the fault lasts
				r.Net().Set(chiptest.Link{})
			}
			r.over()
			r.recovers(n)
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// A server that is away while an image is on trial: the old image comes back, nobody is blamed, and
// then the new one gets another trial; whether the old one had given up waiting, too, or not.
func TestServerAwayWhilePending(t *testing.T) {
	t.Parallel()
	for name, longer := range map[string]bool{"until the old image is back": false, "until that gave up, too": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "server away while an image is on trial, "+name).on()
			r.once(startOf("app1"), func(chip.Event) { r.Net().Set(chiptest.Link{Down: true}) })
			n := r.goodRelease()
			r.startedAfter(1, 2)
			if longer {
				time.Sleep(450 * time.Second / hurry) // T is 300 s
			}
			if slot := r.State().Slot; slot != "app0" {
				t.Errorf("%s runs", slot)
			}
			found.fault(r.class, 1)
			r.Net().Set(chiptest.Link{})
			r.over()
			r.recovers(n)
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// With fleet and the message queue down, polls are answered from memory and reports are not
// taken: that is enough for an image on trial. The reports come when they are taken again.
func TestFleetDownWhilePending(t *testing.T) {
	t.Parallel()
	r := newRig(t, "fleet and message queue down while an image is on trial").on()
	r.errs(1<<30, func(req *http.Request) bool { return req.URL.Path == deviceproto.PathReport }, status(503, "Retry-After", "5"))
	n := r.goodRelease()
	decided := quoted(n)
	r.Server.Until("poll of a decided device", func() bool {
		polls := r.Polls()
		return polls[len(polls)-1].ETag == decided
	})
	if starts, _ := r.counted(); starts != 2 {
		t.Errorf("%d starts", starts)
	}
	if slot := r.State().Slot; slot != "app1" {
		t.Errorf("%s runs", slot)
	}
	if said := r.Said(r.p); len(said) > 0 {
		t.Errorf("reports were stored: %q", said)
	}
	r.Cut() // it is good for good
	r.Before(nil)
	r.over()
	r.polled(1)
	r.recovers(n)
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}
