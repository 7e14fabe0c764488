package artifact

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

// Device is a device that may speak, as the service knows it without asking
// anybody. All of its methods may be called at the same time.
type Device struct {
	ID        string
	Workspace string
	ProductID string
	KeyID     string
	K         [32]byte

	wanted  atomic.Pointer[Deployment]
	fetched atomic.Pointer[fetches]
	reports rate

	// What was last seen of it, and whether it waits in Sightings' queue.
	sighting atomic.Pointer[Sighting]
	queued   atomic.Bool
}

// fetches counts downloads of one image in a row by a stock client.
type fetches struct {
	sha256 string
	n      int
}

// maxFetches is how often a device gets the same image in a row without ever
// saying that it runs it.
const maxFetches = 3

// NewDevice returns a device that nothing is wanted of. It must fit an image link.
func NewDevice(id, workspace, productID string, k [32]byte) (*Device, bool) {
	if id == "" || workspace == "" || len(id) > maxDeviceID {
		return nil, false
	}
	return &Device{ID: id, Workspace: workspace, ProductID: productID, KeyID: deviceproto.KeyID(k), K: k}, true
}

// Wanted is the deployment that the device should have; nil for none.
func (d *Device) Wanted() *Deployment { return d.wanted.Load() }

// Fetch counts one more download of an image by a stock client and reports whether
// the device may have it: not when it got the same one three times in a row.
func (d *Device) Fetch(sha256 string) bool {
	for {
		old := d.fetched.Load()
		next := &fetches{sha256, 1}
		if old != nil && old.sha256 == sha256 {
			next.n = min(old.n+1, maxFetches+1)
		}
		if d.fetched.CompareAndSwap(old, next) {
			return next.n <= maxFetches
		}
	}
}

// Runs notes that the device says it runs this image: it does not loop.
func (d *Device) Runs(sha256 string) {
	if f := d.fetched.Load(); f != nil && f.sha256 == sha256 {
		d.fetched.CompareAndSwap(f, nil)
	}
}

// Looping reports whether the device was refused one more download of what is
// wanted.
func (d *Device) Looping() bool {
	f, w := d.fetched.Load(), d.Wanted()
	return f != nil && w != nil && f.n > maxFetches && f.sha256 == w.Parts[0].SHA256
}

// maxReports is how many reports a device may send in a minute.
const maxReports = 60

// MayReport counts one more report and tells whether it is not too many.
func (d *Device) MayReport(now time.Time) bool { return d.reports.allow(now, maxReports) }

// rate counts what happens in the current minute.
type rate struct{ state atomic.Uint64 } // the minute, then 24 bits of count

func (r *rate) allow(now time.Time, limit uint64) bool {
	minute := uint64(now.Unix()/60) << 24
	for {
		old := r.state.Load()
		next := minute + 1
		if old&^(1<<24-1) == minute {
			if old&(1<<24-1) >= limit {
				return false
			}
			next = old + 1
		}
		if r.state.CompareAndSwap(old, next) {
			return true
		}
	}
}

// Known is what a stock client says of the image that it runs.
type Known struct {
	MD5    string // x-ESP32-sketch-md5
	SHA256 string // x-ESP32-sketch-sha256
	ETag   string // If-None-Match
}

// IsThis reports whether what the client runs is the blob with these facts. A
// client's digest is in any case; its SHA-256 is that of the file or the one
// appended to the image.
func (k Known) IsThis(f Facts) bool {
	return k.MD5 != "" && strings.EqualFold(k.MD5, f.MD5) ||
		k.SHA256 != "" && (strings.EqualFold(k.SHA256, f.Appended) || strings.EqualFold(k.SHA256, f.SHA256)) ||
		k.ETag == `"`+f.SHA256+`"`
}
