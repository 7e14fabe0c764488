package faultlab

import (
	"maps"
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
			r.mu.Lock()
			same := r.digest == digest
			r.mu.Unlock()
			if same {
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
func TestBadReleases(t *testing.T) { onEach(t, testBadReleases) }

func testBadReleases(t *testing.T, on kind) {
	unheard := func(r *rig, image []byte) { // its polls are answered wrongly
		bad := pollsOf(image)
		r.Before(func(w http.ResponseWriter, req *http.Request) bool {
			if bad(req) {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return bad(req)
		})
	}
	type bad struct {
		program program
		before  func(*rig, []byte)
		reason  deviceproto.Reason
		trials  int
	}
	all := map[string]bad{
		"crashes at once":            {crashes, unheard, deviceproto.ReasonCrash, 1},
		"crashes after a while":      {crashesLater, unheard, deviceproto.ReasonCrash, 1},
		"exhausts the heap":          {exhausts, unheard, deviceproto.ReasonCrash, 1},
		"hangs the agent":            {hangs, nil, deviceproto.ReasonWatchdog, 1},
		"fails its self-test":        {fails, nil, deviceproto.ReasonSelftest, 1},
		"never checks in":            {good, unheard, deviceproto.ReasonNoCheckin, 3},
		"restarts itself for ever":   {restarts, unheard, deviceproto.ReasonNoCheckin, 3},
		"crashes before static init": {crashesFirst, nil, deviceproto.ReasonCrash, 1},
	}
	if on == (rp2040{}) {
		delete(all, "crashes before static init")
		maps.Copy(all, map[string]bad{
			"breaks the import of the agent":    {crashesFirst, nil, deviceproto.ReasonCrash, 1},
			"has no agent":                      {noAgent, nil, deviceproto.ReasonCrash, 1},
			"has an agent with a syntax error":  {brokenAgent, nil, deviceproto.ReasonCrash, 1},
			"asks for a soft reset for ever":    {leaves, nil, deviceproto.ReasonNoCheckin, 3},
			"never checks in, and never yields": {busy, unheard, deviceproto.ReasonNoCheckin, 3},
		})
	}
	for name, c := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var change []func(*chip.Config)
			if c.reason == deviceproto.ReasonSelftest || c.reason == deviceproto.ReasonWatchdog {
				change = append(change, unhurried)
			}
			r := newRig(t, on, "bad release: "+name, change...).on()
			runs := r.another()
			r.says(r.offer(runs), deviceproto.Confirmed) // the slot of the bad one is the first, for a change
			image := on.build(t, c.program)
			trials := r.startsOf(image)
			if c.before != nil {
				c.before(r, image)
			}
			r.found.fault(r.class, 1)
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
func TestBusyLoop(t *testing.T) { onEach(t, testBusyLoop) }

func testBusyLoop(t *testing.T, on kind) {
	r := newRig(t, on, "no fault: loop() never returns").on()
	starts, _ := r.counted()
	r.over()
	r.recovers(r.offer(on.build(t, busy)))
	time.Sleep(6 * time.Second) // its watchdog wants to be fed every five
	if now, _ := r.counted(); now != starts+1 {
		t.Errorf("%d starts", now-starts)
	}
	r.over()
	r.recovers(0)
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}

// A release that its sketch does not want is refused for good; the next is asked about anew.
func TestVeto(t *testing.T) { onEach(t, testVeto) }

func testVeto(t *testing.T, on kind) {
	r := newRigOf(t, on, "release vetoed by the program", on.build(t, vetoes)).on()
	r.polled(3) // it has set its callback by then
	image := on.build(t, good)
	for range 2 {
		n := r.next() // which may not start
		on.want(r, n, image)
		r.found.fault(r.class, 1)
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
func TestCrashLoopTakesUpdate(t *testing.T) { onEach(t, testCrashLoopTakesUpdate) }

func testCrashLoopTakesUpdate(t *testing.T, on kind) {
	r := newRig(t, on, "confirmed release crashes again and again").on()
	n := r.offer(on.build(t, crashesLater))
	r.says(n, deviceproto.Confirmed)
	r.Net().Set(chiptest.Link{BytesPerSecond: on.scale(500_000)}) // no start is long enough for the whole
	starts, _ := r.counted()
	r.startedAfter(starts, 3)
	r.found.fault(r.class, 1)
	r.over()
	r.recovers(0)
	if got := r.Images(); on == (esp32{}) && (len(got) < 3 || !strings.HasPrefix(got[len(got)-1], "bytes=")) {
		t.Errorf("downloads: %q", got)
	}
}

// The supply breaks down whenever a new image starts, for a while: that is no fault of the image.
func TestBrownouts(t *testing.T) {
	t.Parallel()
	on := esp32{}
	for name, times := range map[string]int{"once": 1, "again and again": 6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, on, "brown-out while an image is on trial, "+name).on()
			weak := filepath.Join(r.Dir, "fs", "weak")
			if err := os.WriteFile(weak, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			image := on.build(t, brownsOut)
			n := r.offer(image)
			brownouts := 0
			r.when(func(e chip.Event) {
				if e.Kind != chip.Stopped || e.Exit.Signal != 0 || e.Exit.Status != 66 {
					return
				}
				r.found.fault(r.class, 1)
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
	on := esp32{}
	r := newRig(t, on, "brown-out while an image is on trial, for ever").on()
	if err := os.WriteFile(filepath.Join(r.Dir, "fs", "weak"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n := r.offer(on.build(t, brownsOut))
	r.Bench.Until("trials", func() bool { starts, _ := r.counted(); return starts > 8 })
	r.found.fault(r.class, 4)
	r.over()
	r.recovers(0)
	if reason, bad := r.said(n, deviceproto.RolledBack); bad {
		t.Errorf("the release was blamed: %s", reason)
	}
}

// Images by the real arduino-cli, as a compile worker makes them: an update, a power cut in it, and a bad release.
func TestArduino(t *testing.T) {
	t.Parallel()
	on := esp32{}
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
	first, bad := image(sketches[good]), image(sketches[crashes])
	r := newRigOf(t, on, "images by arduino-cli: power cuts, a bad release", first)
	starts := r.study(r.goodRelease, deviceproto.Confirmed)
	rng := random("cuts of arduino-cli's")
	for range max(3, *cuts/50) {
		r.cut(r.goodRelease, deviceproto.Confirmed, somewhere(rng, starts[0], starts[1])...)
	}
	r.never(deviceproto.RolledBack, deviceproto.Failed)
	r.pace(10) // it must crash before it can check in
	r.found.fault(r.class, 1)
	if reason := r.says(r.offer(bad), deviceproto.RolledBack); reason != deviceproto.ReasonCrash {
		t.Errorf("rolled back for %q", reason)
	}
	r.over()
	r.recovers(0)
}
