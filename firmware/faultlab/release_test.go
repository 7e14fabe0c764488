package faultlab

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/deviceproto"
)

// startsOf counts the starts of an image.
func (r *rig) startsOf(image []byte) *int {
	n := 0
	digest := chiptest.Digest(image)
	r.when(func(e chip.Event) {
		if e.Kind == chip.Started {
			if got, err := startedImage(r.Dir, e.Slot); err == nil && got == digest {
				if n++; n == 1 {
					r.over() // from now on it is to be got rid of
				}
			}
		}
	})
	return &n
}

// A release that is bad is undone for the right reason, and not tried again; what ran before runs,
// and takes the next one.
func TestBadReleases(t *testing.T) {
	t.Parallel()
	unheard := func(r *rig, image []byte) { // its polls are answered wrongly
		bad := pollsOf(image)
		r.Before(func(w http.ResponseWriter, req *http.Request) bool {
			if bad(req) {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return bad(req)
		})
	}
	for name, c := range map[string]struct {
		sketch string
		before func(*rig, []byte)
		reason deviceproto.Reason
		trials int
	}{
		"crashes at once":            {crashes, unheard, deviceproto.ReasonCrash, 1},
		"crashes after a while":      {crashesLater, unheard, deviceproto.ReasonCrash, 1},
		"exhausts the heap":          {exhausts, unheard, deviceproto.ReasonCrash, 1},
		"hangs the agent":            {hangs, nil, deviceproto.ReasonWatchdog, 1},
		"fails its self-test":        {fails, nil, deviceproto.ReasonSelftest, 1},
		"never checks in":            {good, unheard, deviceproto.ReasonNoCheckin, 3},
		"restarts itself for ever":   {restarts, unheard, deviceproto.ReasonNoCheckin, 3},
		"crashes before static init": {crashesFirst, nil, deviceproto.ReasonCrash, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var change []func(*chip.Config)
			if c.reason == deviceproto.ReasonSelftest || c.reason == deviceproto.ReasonWatchdog {
				change = append(change, unhurried)
			}
			r := newRig(t, "bad release: "+name, change...).on()
			runs := another(t, r.first)
			r.says(r.offer(runs), deviceproto.Confirmed) // the slot of the bad one is the first, for a change
			image := build(t, c.sketch)
			trials := r.startsOf(image)
			if c.before != nil {
				c.before(r, image)
			}
			found.fault(r.class, 1)
			n := r.offer(image)
			if reason := r.says(n, deviceproto.RolledBack); reason != c.reason {
				t.Errorf("rolled back for %q", reason)
			}
			r.recovered()
			r.runs(runs)
			r.polled(5) // and it is not tried again
			all := r.Polls()
			if got := all[len(all)-1]; got.ETag != quoted(n) || got.Running != chiptest.Digest(runs) {
				t.Errorf("it polls with %+v", got)
			}
			r.Cut()
			r.polled(3)
			r.Off() // nothing is told any more
			if *trials != c.trials {
				t.Errorf("%d trials, not %d", *trials, c.trials)
			}
			said := slices.DeleteFunc(r.Reports(), func(report chiptest.Report) bool {
				return report.Deployment != n || report.State != deviceproto.RolledBack
			})
			if len(said) != 1 {
				t.Errorf("it said so %d times", len(said))
			}
			r.Before(nil)
			r.when(nil)
			r.On()
			r.over()
			r.recovers(0)
		})
	}
}

// A sketch that never gives way is no fault: it is confirmed, runs longer than any watchdog, and takes the next release.
func TestBusyLoop(t *testing.T) {
	t.Parallel()
	r := newRig(t, "no fault: loop() never returns").on()
	starts, _ := r.counted()
	r.over()
	r.recovers(r.offer(build(t, busy)))
	time.Sleep(6 * time.Second) // its watchdog wants to be fed every five
	if now, _ := r.counted(); now != starts+1 {
		t.Errorf("%d starts", now-starts)
	}
	r.over()
	r.recovers(0)
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}

// A release that its sketch does not want is refused for good; the next is asked about anew.
func TestVeto(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, "release vetoed by the sketch", build(t, vetoes)).on()
	image := build(t, good)
	for range 2 {
		n := r.next() // which may not start
		r.Want(r.p, n, image)
		found.fault(r.class, 1)
		if reason := r.says(n, deviceproto.Failed); reason != deviceproto.ReasonVetoed {
			t.Errorf("refused for %q", reason)
		}
		r.polled(2)
	}
	if got := r.Images(); len(got) > 0 {
		t.Errorf("downloads: %q", got)
	}
	if starts, _ := r.counted(); starts != 1 {
		t.Errorf("%d starts", starts)
	}
}

// An image that was good when it was on trial and crashes again and again afterwards still
// takes the update that mends it, piece by piece.
func TestCrashLoopTakesUpdate(t *testing.T) {
	t.Parallel()
	r := newRig(t, "confirmed release crashes again and again").on()
	n := r.offer(build(t, crashesLater))
	r.says(n, deviceproto.Confirmed)
	r.Net().Set(chiptest.Link{BytesPerSecond: 500_000}) // no start is long enough for the whole
	starts, _ := r.counted()
	r.startedAfter(starts, 3)
	found.fault(r.class, 1)
	r.over()
	r.recovers(0)
	if got := r.Images(); len(got) < 3 || !strings.HasPrefix(got[len(got)-1], "bytes=") {
		t.Errorf("downloads: %q", got)
	}
}

// The supply breaks down whenever a new image starts, for a while: that is no fault of the image.
func TestBrownouts(t *testing.T) {
	t.Parallel()
	for name, times := range map[string]int{"once": 1, "again and again": 6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "brown-out while an image is on trial, "+name).on()
			weak := filepath.Join(r.Dir, "fs", "weak")
			if err := os.WriteFile(weak, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			image := build(t, brownsOut)
			n := r.offer(image)
			brownouts := 0
			r.when(func(e chip.Event) {
				if e.Kind != chip.Stopped || e.Exit.Signal != 0 || e.Exit.Status != 66 {
					return
				}
				found.fault(r.class, 1)
				if brownouts++; brownouts == times {
					_ = os.Remove(weak)
					r.over()
				}
			})
			r.recovers(n)
			r.Off()
			if brownouts != times {
				t.Errorf("%d brown-outs", brownouts)
			}
			r.runs(image)
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// The brown-outs never end: the old image goes on, tries again ever more rarely and takes another release when there is one.
func TestBrownoutsForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t, "brown-out while an image is on trial, for ever").on()
	if err := os.WriteFile(filepath.Join(r.Dir, "fs", "weak"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n := r.offer(build(t, brownsOut))
	r.Bench.Until("trials", func() bool { starts, _ := r.counted(); return starts > 8 })
	found.fault(r.class, 4)
	r.over()
	r.recovers(0)
	if reason, bad := r.said(n, deviceproto.RolledBack); bad {
		t.Errorf("the release was blamed: %s", reason)
	}
}

// Images by the real arduino-cli, as a compile worker makes them: an update, a power cut in it, and a bad release.
func TestArduino(t *testing.T) {
	t.Parallel()
	image := func(text string) []byte {
		dir := filepath.Join(t.TempDir(), "sketch")
		err := os.Mkdir(dir, 0o700)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "sketch.ino"), []byte("#include <FlotaOTA.h>\nFLOTA_MANAGED\n"+text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return chiptest.Arduino(t, dir)
	}
	first, bad := image(good), image(crashes)
	r := newRigOf(t, "images by arduino-cli: power cuts, a bad release", first)
	starts := r.study(r.goodRelease, deviceproto.Confirmed)
	rng := random("cuts of arduino-cli's")
	for range max(3, *cuts/50) {
		r.cut(r.goodRelease, deviceproto.Confirmed, somewhere(rng, starts[0], starts[1])...)
	}
	r.never(deviceproto.RolledBack, deviceproto.Failed)
	r.pace(10) // it must crash before it can check in
	found.fault(r.class, 1)
	if reason := r.says(r.offer(bad), deviceproto.RolledBack); reason != deviceproto.ReasonCrash {
		t.Errorf("rolled back for %q", reason)
	}
	r.over()
	r.recovers(0)
}
