package fleet

import (
	"slices"
	"time"
)

const (
	maxHistory = 50
	// maxLogs bounds how many entries keep what the device logged, which can be long.
	maxLogs = 5
)

// progress is the order in which a device comes to its states.
var progress = []State{Desired, Downloading, Verified, Applied, Confirmed, Failed, RolledBack}

// Report is what a device said about its update.
type Report struct {
	At         time.Time // when the server took it
	Deployment int64     // 0 where the device could not read it
	State      State
	Percent    int
	Reason     string
	Running    string // digest of the image that ran when it was written
	Version    string // of that image
	Chip       string
	SlotSize   int64
	FreeHeap   int64
	RSSI       int
	Rollback   string
	Agent      string
	Log        string
}

// Want makes a deployment the device's wanted one, unless a newer one is.
func (d *Device) Want(w Wanted, at time.Time) (changed bool) {
	if d.Wanted != nil && d.Wanted.Deployment >= w.Deployment {
		return false
	}
	d.Wanted = &w
	d.enter(Desired, time.Time{})
	d.remember(HistoryEntry{At: at, State: Desired, Deployment: w.Deployment, Version: w.Version})
	return true
}

// Take moves the twin on by a report. Reports come at least once and in any
// order: the state is that of the latest one about what is wanted. One that is
// older, or about a deployment that is not wanted any more, is only remembered.
func (d *Device) Take(r Report) (changed bool) {
	// What could not be read is what is offered.
	about := d.Wanted != nil && (r.Deployment == d.Wanted.Deployment || r.Deployment == 0)
	entry := HistoryEntry{At: r.At, State: r.State, Deployment: r.Deployment, Version: d.versionOf(r.Deployment), Reason: r.Reason, Log: r.Log}
	if d.remembers(entry) {
		return false
	}
	d.remember(entry)
	if !d.isLatest(r) {
		return true
	}
	d.learn(r)
	if about {
		d.enter(r.State, r.At)
		d.Percent, d.Reason = r.Percent, r.Reason
		if r.State == Confirmed {
			d.runs(d.Wanted.SHA256, d.Wanted.Version, r.At)
		}
	} else if d.State == New {
		d.State = Idle
	}
	return true
}

// Polled notes the digest that a device named while polling (empty where it named
// none). A device that runs what is wanted has checked in with it: it is confirmed
// even if its report got lost. One that does not any more is not.
func (d *Device) Polled(running string, at time.Time) (changed bool) {
	if d.State == New {
		d.State, changed = Idle, true
	}
	if running == "" || at.Before(d.RunningAt) {
		return changed
	}
	changed = d.runs(running, "", at) || changed
	if d.Wanted == nil || at.Before(d.StateAt) {
		return changed
	}
	switch runsIt := running == d.Wanted.SHA256; {
	case runsIt && d.State != Confirmed:
		d.enter(Confirmed, at)
		d.remember(HistoryEntry{At: at, State: Confirmed, Deployment: d.Wanted.Deployment, Version: d.Wanted.Version})
	case !runsIt && d.State == Confirmed:
		d.enter(Desired, at)
	default:
		return changed
	}
	return true
}

func (d *Device) enter(s State, at time.Time) {
	d.State, d.StateAt, d.Percent, d.Reason = s, at, 0, ""
}

// isLatest reports whether nothing newer has been heard. Two reports can come
// within the clock's tick.
func (d *Device) isLatest(r Report) bool {
	if !r.At.Equal(d.StateAt) {
		return r.At.After(d.StateAt)
	}
	return slices.Index(progress, r.State) >= slices.Index(progress, d.State)
}

// learn takes over the facts that a report mentions.
func (d *Device) learn(r Report) {
	set(&d.Chip, r.Chip)
	set(&d.SlotSize, r.SlotSize)
	set(&d.FreeHeap, r.FreeHeap)
	set(&d.RSSI, r.RSSI)
	set(&d.Rollback, r.Rollback)
	set(&d.Agent, r.Agent)
	if r.Running != "" && !r.At.Before(d.RunningAt) {
		d.runs(r.Running, r.Version, r.At)
	}
}

// runs notes what the device runs. What it calls its version counts only where
// we know none.
func (d *Device) runs(digest, version string, at time.Time) (changed bool) {
	wanted := d.Wanted != nil && d.Wanted.SHA256 == digest
	switch {
	case wanted:
		version, d.Board = d.Wanted.Version, d.Wanted.Board
	case digest == d.Running && d.RunningVersion != "":
		version = d.RunningVersion
	}
	if digest == d.Running && version == d.RunningVersion {
		return false
	}
	if digest != d.Running {
		d.RunningAt = at
	}
	d.Running, d.RunningVersion = digest, version
	return true
}

// versionOf is the version of a deployment that is, or was, wanted.
func (d *Device) versionOf(deployment int64) string {
	if d.Wanted != nil && d.Wanted.Deployment == deployment {
		return d.Wanted.Version
	}
	for _, h := range d.History {
		if h.Deployment == deployment && h.Version != "" {
			return h.Version
		}
	}
	return ""
}

func (d *Device) remembers(e HistoryEntry) bool {
	return slices.ContainsFunc(d.History, func(h HistoryEntry) bool {
		return h.At.Equal(e.At) && h.State == e.State && h.Deployment == e.Deployment
	})
}

// remember adds an entry in its place; what only goes on as it was adds none.
func (d *Device) remember(e HistoryEntry) {
	i, _ := slices.BinarySearchFunc(d.History, e, func(a, b HistoryEntry) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return slices.Index(progress, a.State) - slices.Index(progress, b.State)
	})
	if i > 0 && d.History[i-1].continues(e) {
		return
	}
	d.History = slices.Insert(d.History, i, e)
	if extra := len(d.History) - maxHistory; extra > 0 {
		d.History = slices.Delete(d.History, 0, extra)
	}
	logs := 0
	for i := range slices.Backward(d.History) {
		if d.History[i].Log == "" {
			continue
		}
		if logs++; logs > maxLogs {
			d.History[i].Log = ""
		}
	}
}

func (h HistoryEntry) continues(next HistoryEntry) bool {
	return h.State == next.State && h.Deployment == next.Deployment && h.Reason == next.Reason
}

func set[T comparable](to *T, value T) {
	var none T
	if value != none {
		*to = value
	}
}
