package artifact

import (
	"time"
)

// Sighting is what was last seen of a device.
type Sighting struct {
	Device    string
	Workspace string
	At        time.Time
	// Running is the digest that the device says it runs, "" where it says nothing.
	Running string
	Address string
	// Deployment that the device named as known, 0 if none.
	Deployment int64
	// Looping devices fetched the same image too often; see Device.Fetch.
	Looping bool
	// Key is the ID of the key that it spoke with.
	Key string
}

// Sightings gathers what is seen of devices between two batches: the newest of
// each, the oldest devices out where there are too many. Noting costs a poll two
// atomic operations, and a place in the queue once a batch.
type Sightings struct{ queue chan *Device }

// NewSightings returns a gathering for at most limit devices a batch.
func NewSightings(limit int) *Sightings { return &Sightings{make(chan *Device, limit)} }

// Note notes that a device was seen.
func (s *Sightings) Note(d *Device, seen Sighting) {
	seen.Device, seen.Workspace, seen.Looping, seen.Key = d.ID, d.Workspace, d.Looping(), d.KeyID
	d.sighting.Store(&seen)
	if d.queued.Load() || !d.queued.CompareAndSwap(false, true) {
		return
	}
	for {
		select {
		case s.queue <- d:
			return
		default:
		}
		select {
		case oldest := <-s.queue:
			oldest.queued.Store(false)
		default:
		}
	}
}

// Take returns the next batch, of at most limit devices; nil when there is none.
func (s *Sightings) Take(limit int) []Sighting {
	var batch []Sighting
	for len(batch) < limit {
		select {
		case d := <-s.queue:
			// First the mark, then the value: what is noted in between comes again.
			d.queued.Store(false)
			batch = append(batch, *d.sighting.Load())
		default:
			return batch
		}
	}
	return batch
}
