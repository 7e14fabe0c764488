package fleet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	oldBytes = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	newBytes = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// at is a moment of a test, in seconds.
func at(s int) time.Time { return time.Unix(1_800_000_000+int64(s), 0).UTC() }

// step is one thing that happens to a twin.
type step func(*Device) bool

func want(number int64, digest string) step {
	return func(d *Device) bool {
		return d.Want(Wanted{Deployment: number, Version: fmt.Sprintf("v%d", number), Board: "a:b:c", SHA256: digest}, at(0))
	}
}

func says(second int, deployment int64, state State, changes ...func(*Report)) step {
	r := Report{At: at(second), Deployment: deployment, State: state}
	for _, change := range changes {
		change(&r)
	}
	return func(d *Device) bool { return d.Take(r) }
}

func polls(second int, digest string) step {
	return func(d *Device) bool { return d.Polled(digest, at(second)) }
}

func running(digest, version string) func(*Report) {
	return func(r *Report) { r.Running, r.Version = digest, version }
}

func because(reason string) func(*Report) { return func(r *Report) { r.Reason = reason } }

func TestTwin(t *testing.T) {
	update := []step{says(1, 1, Downloading), says(2, 1, Verified), says(3, 1, Applied)}
	for name, c := range map[string]struct {
		steps   []step
		state   State
		version string // that runs
		reason  string
		history string // states in order, newest last
	}{
		"nothing":                               {nil, New, "", "", ""},
		"the first poll, of what came by cable": {[]step{polls(1, "")}, Idle, "", "", ""},
		"the first poll, of a digest":           {[]step{polls(1, oldBytes)}, Idle, "", "", ""},
		"a report before anything wanted":       {[]step{says(1, 7, Confirmed, running(oldBytes, "1.0"))}, Idle, "1.0", "", "confirmed"},
		"wanted":                                {[]step{want(1, newBytes)}, Desired, "", "", "wanted"},
		"the usual way": {
			slices.Concat([]step{polls(0, oldBytes), want(1, newBytes)}, update, []step{polls(4, newBytes), says(5, 1, Confirmed, running(newBytes, "own"))}),
			Confirmed, "v1", "", "wanted downloading verified applied confirmed",
		},
		"the confirmed report comes before the poll is heard of": {
			slices.Concat([]step{want(1, newBytes)}, update, []step{says(5, 1, Confirmed), polls(4, newBytes)}),
			Confirmed, "v1", "", "wanted downloading verified applied confirmed",
		},
		"the confirmed report is lost: a poll that names the running digest repairs it": {
			slices.Concat([]step{want(1, newBytes)}, update, []step{polls(65, newBytes)}),
			Confirmed, "v1", "", "wanted downloading verified applied confirmed",
		},
		"all reports are lost": {[]step{want(1, newBytes), polls(9, newBytes)}, Confirmed, "v1", "", "wanted confirmed"},
		"out of order": {
			[]step{want(1, newBytes), says(3, 1, Applied), says(1, 1, Downloading), says(4, 1, Confirmed), says(2, 1, Verified)},
			Confirmed, "v1", "", "wanted downloading verified applied confirmed",
		},
		"two reports within a tick of the clock, the later first": {
			[]step{want(1, newBytes), says(3, 1, Applied), says(3, 1, Verified)},
			Applied, "", "", "wanted verified applied",
		},
		"twice the same": {
			[]step{want(1, newBytes), says(1, 1, Downloading), says(2, 1, Verified), says(1, 1, Downloading), says(2, 1, Verified)},
			Verified, "", "", "wanted downloading verified",
		},
		"a download in steps is one line of history": {
			[]step{want(1, newBytes), says(1, 1, Downloading), says(2, 1, Downloading), says(3, 1, Downloading)},
			Downloading, "", "", "wanted downloading",
		},
		"a report of an old deployment": {
			[]step{want(1, newBytes), want(2, oldBytes), says(5, 1, Confirmed)},
			Desired, "", "", "wanted wanted confirmed",
		},
		"an old report, repeated by the device after it confirmed, until it polls": {
			[]step{want(1, newBytes), says(4, 1, Confirmed), says(5, 1, Downloading, running(oldBytes, "0.9")), polls(6, newBytes)},
			Confirmed, "v1", "", "wanted confirmed downloading confirmed",
		},
		"an older deployment cannot come back": {[]step{want(2, newBytes), want(1, oldBytes)}, Desired, "", "", "wanted"},
		"refused":                              {[]step{want(1, newBytes), says(1, 1, Failed, because("board"))}, Failed, "", "board", "wanted failed"},
		"refused because it could not be read": {
			[]step{want(1, newBytes), says(1, 0, Failed, because("signature")), says(61, 0, Failed, because("signature"))},
			Failed, "", "signature", "wanted failed",
		},
		"rolled back": {
			slices.Concat([]step{polls(0, oldBytes), want(1, newBytes)}, update, []step{says(4, 1, RolledBack, because("crash"), running(oldBytes, "0.9"))}),
			RolledBack, "0.9", "crash", "wanted downloading verified applied rolled_back",
		},
		"tried again after it was rolled back": {
			slices.Concat([]step{want(1, newBytes)}, update, []step{
				says(4, 1, RolledBack, because("no_checkin")), says(5, 1, Downloading), says(6, 1, Verified), says(7, 1, Applied), says(8, 1, Confirmed),
			}),
			Confirmed, "v1", "", "wanted downloading verified applied rolled_back downloading verified applied confirmed",
		},
		"the next deployment after one that was rolled back": {
			[]step{want(1, newBytes), says(4, 1, RolledBack, because("crash")), want(2, newBytes)},
			Desired, "", "", "wanted wanted rolled_back",
		},
		"what is wanted runs already, under another name": {
			[]step{want(1, newBytes), says(4, 1, Confirmed), want(2, newBytes), polls(5, newBytes)},
			Confirmed, "v2", "", "wanted wanted confirmed confirmed",
		},
		"it runs what is wanted no more, without a word": {
			[]step{want(1, newBytes), says(4, 1, Confirmed), polls(9, oldBytes)},
			Desired, "", "", "wanted confirmed",
		},
		"a poll from before it confirmed changes nothing": {
			[]step{want(1, newBytes), says(4, 1, Confirmed), polls(3, oldBytes)},
			Confirmed, "v1", "", "wanted confirmed",
		},
		"a poll from before the last change changes nothing": {
			[]step{polls(5, oldBytes), polls(9, newBytes), polls(7, oldBytes), want(1, newBytes), polls(10, newBytes)},
			Confirmed, "v1", "", "wanted confirmed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Device{State: New}
			for _, s := range c.steps {
				s(d)
			}
			var states []string
			for i, h := range d.History {
				states = append(states, string(h.State))
				if i > 0 && h.At.Before(d.History[i-1].At) {
					t.Errorf("history is not in the order of time: %v", d.History)
				}
			}
			if d.State != c.state || d.RunningVersion != c.version || d.Reason != c.reason || strings.Join(states, " ") != c.history {
				t.Errorf("%s, runs %q, reason %q, history %q", d.State, d.RunningVersion, d.Reason, strings.Join(states, " "))
			}
			if d.State == Confirmed && (d.Running != d.Wanted.SHA256 || d.Board != "a:b:c") {
				t.Errorf("confirmed and runs %s on %q", d.Running, d.Board)
			}
		})
	}
}

// Whatever the order in which the reports of an update come, and however often,
// the twin ends in the same state with the same history.
func TestOrderOfReportsDoesNotMatter(t *testing.T) {
	reports := []step{
		says(1, 1, Downloading), says(2, 1, Verified), says(3, 1, Applied), says(4, 1, RolledBack, because("watchdog")), says(5, 0, Failed, because("format")),
	}
	var end *Device
	permute(reports, func(order []step) {
		d := &Device{State: New}
		want(1, newBytes)(d)
		for _, s := range slices.Concat(order, order[:2]) {
			s(d)
		}
		if end == nil {
			end = d
		}
		if d.State != Failed || d.Reason != "format" || !slices.Equal(d.History, end.History) {
			t.Fatalf("%s %s %v", d.State, d.Reason, d.History)
		}
	})
}

func permute[T any](list []T, visit func([]T)) {
	var from func(int)
	from = func(k int) {
		if k == len(list) {
			visit(list)
			return
		}
		for i := k; i < len(list); i++ {
			list[k], list[i] = list[i], list[k]
			from(k + 1)
			list[k], list[i] = list[i], list[k]
		}
	}
	from(0)
}

func TestChangedIsTold(t *testing.T) {
	d := &Device{State: New}
	for i, c := range []struct {
		step    step
		changed bool
	}{
		{polls(1, ""), true},
		{polls(2, ""), false},
		{polls(3, oldBytes), true},
		{polls(4, oldBytes), false},
		{want(1, newBytes), true},
		{want(1, newBytes), false},
		{polls(5, oldBytes), false},
		{says(6, 1, Downloading), true},
		{says(6, 1, Downloading), false},
		{polls(7, newBytes), true},
		{polls(8, newBytes), false},
	} {
		if got := c.step(d); got != c.changed {
			t.Errorf("step %d: changed = %v", i, got)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	d := &Device{State: New}
	long := strings.Repeat("x", 2048)
	for i := range 200 {
		want(int64(i+1), newBytes)(d)
		says(i, int64(i+1), Failed, because("digest"), func(r *Report) { r.Log = long })(d)
	}
	logs := 0
	for _, h := range d.History {
		logs += len(h.Log)
	}
	last := d.History[len(d.History)-1]
	if len(d.History) != maxHistory || logs != maxLogs*len(long) || last.Deployment != 200 || last.Log == "" || last.Version != "v200" {
		t.Errorf("%d entries with %d bytes of logs, the last %v", len(d.History), logs, last.Deployment)
	}
}

func TestFactsAreLearnt(t *testing.T) {
	d := &Device{State: New}
	says(2, 1, Downloading, func(r *Report) {
		r.Chip, r.SlotSize, r.FreeHeap, r.RSSI, r.Rollback, r.Agent = "ESP32-C3", 1310720, 181240, -61, "bootloader", "FlotaOTA/1.0"
	})(d)
	says(3, 1, Verified, func(r *Report) { r.RSSI = -70 })(d) // says nothing of the rest
	if d.Chip != "ESP32-C3" || d.SlotSize != 1310720 || d.FreeHeap != 181240 || d.RSSI != -70 || d.Rollback != "bootloader" || d.Agent != "FlotaOTA/1.0" {
		t.Errorf("%+v", d)
	}
}

func TestBoardOf(t *testing.T) {
	for fqbn, board := range map[string]string{
		"esp32:esp32:esp32c3": "esp32:esp32:esp32c3", "arduino:avr:mega:cpu=atmega1280": "arduino:avr:mega", "micropython": "micropython", "": "",
	} {
		if got := BoardOf(fqbn); got != board {
			t.Errorf("%q: %q", fqbn, got)
		}
	}
}
