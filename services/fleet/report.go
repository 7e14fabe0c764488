package fleet

import (
	"time"
)

const maxHistory = 50

// Report is what a device said about its update.
type Report struct {
	At         time.Time // when the server took it
	Deployment int64
	State      State
	Percent    int
	Reason     string
	Running    string
	Version    string
	Chip       string
	SlotSize   int64
	FreeHeap   int64
	RSSI       int
	Rollback   string
	Agent      string
	Log        string
}

// Take moves the twin on by a report and says whether its row looks different.
// Reports come at least once and in any order: one that is older than the
// state, or about a deployment that is not wanted any more, is only remembered
// in the history.
func (d *Device) Take(r Report) (changed bool) {
	entry := HistoryEntry{At: r.At, State: r.State, Deployment: r.Deployment, Version: r.Version, Reason: r.Reason, Log: r.Log}
	if d.remembers(entry) {
		return false
	}
	current := d.Wanted != nil && d.Wanted.Deployment == r.Deployment
	if current {
		entry.Version = d.Wanted.Version
	}
	d.remember(entry)
	if !r.At.Before(d.StateAt) {
		d.learn(r)
		if current {
			d.State, d.StateAt, d.Percent, d.Reason = r.State, r.At, r.Percent, r.Reason
		} else if d.Wanted == nil && d.State == New {
			d.State = Idle
		}
	}
	return true
}

// learn takes over the facts that a report mentions.
func (d *Device) learn(r Report) {
	set(&d.Chip, r.Chip)
	set(&d.SlotSize, r.SlotSize)
	set(&d.FreeHeap, r.FreeHeap)
	set(&d.RSSI, r.RSSI)
	set(&d.Rollback, r.Rollback)
	set(&d.Agent, r.Agent)
	if r.Running != "" {
		d.runs(r.Running, r.Version)
	}
}

// Runs notes the digest that a device named while polling, and says whether
// that is news. A device that runs what is wanted checked in with it: it is
// confirmed even if its report got lost.
func (d *Device) Runs(digest string, at time.Time) (changed bool) {
	if digest == "" || digest == d.Running && !(d.wants(digest) && d.State != Confirmed) {
		return false
	}
	d.runs(digest, "")
	switch {
	case d.wants(digest) && d.State != Confirmed && !at.Before(d.StateAt):
		d.State, d.StateAt, d.Percent, d.Reason = Confirmed, at, 100, ""
		d.remember(HistoryEntry{At: at, State: Confirmed, Deployment: d.Wanted.Deployment, Version: d.Wanted.Version})
	case d.Wanted == nil && d.State == New:
		d.State = Idle
	}
	return true
}

func (d *Device) runs(digest, version string) {
	if d.Running != digest {
		d.RunningVersion = version
	}
	d.Running = digest
	if d.wants(digest) {
		d.RunningVersion = d.Wanted.Version
		d.Board = d.Wanted.Board
	} else if version != "" && d.RunningVersion == "" {
		d.RunningVersion = version
	}
}

func (d *Device) wants(digest string) bool { return d.Wanted != nil && d.Wanted.SHA256 == digest }

// Want makes a deployment the device's wanted one, unless a newer one is.
func (d *Device) Want(w Wanted, at time.Time) (changed bool) {
	if d.Wanted != nil && d.Wanted.Deployment >= w.Deployment {
		return false
	}
	d.Wanted = &w
	d.State, d.StateAt, d.Percent, d.Reason = Desired, at, 0, ""
	d.remember(HistoryEntry{At: at, State: Desired, Deployment: w.Deployment, Version: w.Version})
	return true
}

func (d *Device) remembers(e HistoryEntry) bool {
	for _, h := range d.History {
		if h.At.Equal(e.At) && h.State == e.State && h.Deployment == e.Deployment {
			return true
		}
	}
	return false
}

// remember adds to the history; progress within a state replaces the entry.
func (d *Device) remember(e HistoryEntry) {
	if n := len(d.History); n > 0 {
		if last := &d.History[n-1]; last.State == e.State && last.Deployment == e.Deployment && e.State == Downloading {
			return
		}
	}
	d.History = append(d.History, e)
	if extra := len(d.History) - maxHistory; extra > 0 {
		d.History = d.History[extra:]
	}
}

func set[T comparable](to *T, value T) {
	var none T
	if value != none {
		*to = value
	}
}
