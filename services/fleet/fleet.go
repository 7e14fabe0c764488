// Package fleet answers: which device should run what, and does it? It holds
// the devices' twins, releases and their signatures, deployments, and what the
// devices report of them.
package fleet

import (
	"context"
	"strings"
	"time"

	"github.com/flota/flota/pkg/docstore"
)

// Device is a device's twin: what it should run and what it said of itself.
// When it was last seen stands apart (LastSeen), since that changes with every poll.
type Device struct {
	docstore.Meta `bson:",inline"`
	Workspace     string   `bson:"workspace"`
	ProductID     string   `bson:"product_id"`
	Name          string   `bson:"name"`
	Tags          []string `bson:"tags"`

	Revoked bool `bson:"revoked"`
	// KeyAt is when the device was last given a key, or lost it.
	KeyAt time.Time `bson:"key_at"`
	// Deleted twins stay, with nothing else in them: what is told late of a
	// device must not bring it back.
	Deleted bool `bson:"deleted"`

	Wanted *Wanted `bson:"wanted,omitempty"`
	State  State   `bson:"state"`
	// StateAt is when the device said so; zero while it has not said anything of
	// what it should run.
	StateAt time.Time `bson:"state_at"`
	Percent int       `bson:"percent"`
	Reason  string    `bson:"reason"`

	Running        string    `bson:"running"` // digest of the app, or of the index
	RunningVersion string    `bson:"running_version"`
	RunningAt      time.Time `bson:"running_at"` // since when, as far as it is known
	Board          string    `bson:"board"`

	Chip     string `bson:"chip"`
	SlotSize int64  `bson:"slot_size"` // bytes
	FreeHeap int64  `bson:"free_heap"` // bytes
	RSSI     int    `bson:"rssi"`      // dBm
	Rollback string `bson:"rollback"`
	Agent    string `bson:"agent"`

	// History is bounded, in the order of time.
	History []HistoryEntry `bson:"history"`
}

// Wanted is what a device should run.
type Wanted struct {
	Deployment int64  `bson:"deployment"`
	Release    string `bson:"release"`
	Version    string `bson:"version"`
	Board      string `bson:"board"`
	SHA256     string `bson:"sha256"` // of the app, or of the index
}

// HistoryEntry is one step of an update.
type HistoryEntry struct {
	At         time.Time `bson:"at"`
	State      State     `bson:"state"`
	Deployment int64     `bson:"deployment"`
	Version    string    `bson:"version"`
	Reason     string    `bson:"reason"`
	Log        string    `bson:"log"`
}

// State is where a device stands with what it should run: the states of the
// device protocol, and some of our own.
type State string

// The states.
const (
	New         State = "new"    // nothing wanted, never heard of
	Idle        State = "idle"   // nothing wanted
	Desired     State = "wanted" // nothing said of it yet
	Downloading State = "downloading"
	Verified    State = "verified"
	Applied     State = "applied"
	Confirmed   State = "confirmed"
	Failed      State = "failed"
	RolledBack  State = "rolled_back"
	Gone        State = "deleted"
)

// LastSeen is a device's last poll, to within seenPrecision.
type LastSeen struct {
	docstore.Meta `bson:",inline"`
	At            time.Time `bson:"at"`
	Running       string    `bson:"running"`
	Address       string    `bson:"address"`
	// Looping says that the device fetched the static link again and again
	// without ever running what it got.
	Looping bool `bson:"looping"`
	// Key is the ID of the key that it spoke with: another board may be the device now.
	Key string `bson:"key"`
}

// Release is what a build becomes when somebody wants it on a device.
type Release struct {
	docstore.Meta   `bson:",inline"`
	Workspace       string `bson:"workspace"`
	Build           string `bson:"build"`
	Project         string `bson:"project"`
	ProjectName     string `bson:"project_name"`
	ProductDevice   string `bson:"product_device"`
	Version         string `bson:"version"`
	Board           string `bson:"board"` // FQBN without options
	SecurityVersion int64  `bson:"security_version"`
	Parts           []Part `bson:"parts"`
	// Size is how many bytes it takes in a slot; 0 in releases from before there were indexes.
	Size int64 `bson:"size"`
	// Agent: the firmware has the update agent in it. Unmanaged: its project wanted none.
	Agent     bool      `bson:"agent"`
	Unmanaged bool      `bson:"unmanaged"`
	Created   time.Time `bson:"created"`
}

// Part is one piece of a release; sizes in bytes.
type Part struct {
	Kind   string `bson:"kind"`
	Path   string `bson:"path"`
	Offset int64  `bson:"offset"`
	Size   int64  `bson:"size"`
	SHA256 string `bson:"sha256"`
}

// Takes is how many bytes of a slot the release needs.
func (r *Release) Takes() int64 { return max(r.Size, r.Parts[0].Size) }

// Deployment is a signed statement: this release, on this device.
type Deployment struct {
	docstore.Meta `bson:",inline"`
	Workspace     string    `bson:"workspace"`
	Number        int64     `bson:"number"`
	Device        string    `bson:"device"`
	Release       string    `bson:"release"`
	Version       string    `bson:"version"`
	Author        string    `bson:"author"`
	Payload       []byte    `bson:"payload"`
	KID           string    `bson:"kid"`
	Signature     []byte    `bson:"signature"`
	Parts         []Part    `bson:"parts"`
	Created       time.Time `bson:"created"`
}

// Workspace holds what a workspace signs with.
type Workspace struct {
	docstore.Meta `bson:",inline"`
	// Keys are the two key pairs that devices trust; the first one signs.
	Keys []SigningKey `bson:"keys"`
}

// SigningKey is a P-256 key pair. The private half is sealed.
type SigningKey struct {
	KID    string `bson:"kid"`
	Public string `bson:"public"` // as devices are given it
	Sealed []byte `bson:"sealed"`
}

// BoardOf returns the board of an FQBN, without options: what a device is.
func BoardOf(fqbn string) string {
	parts := strings.SplitN(fqbn, ":", 4)
	return strings.Join(parts[:min(3, len(parts))], ":")
}

// Builds tells what came out of a build. Errors: fault.NotFound for no such
// build in the workspace, fault.Unavailable.
type Builds interface {
	Build(ctx context.Context, workspace, build string) (Build, error)
}

// Build is what fleet wants to know of a build.
type Build struct {
	ID, Project, ProjectName string
	// ProductDevice is the device whose own project was built, or empty.
	ProductDevice string
	Revision      int
	FQBN          string
	Succeeded     bool
	// Agent: the firmware has the update agent in it. Unmanaged: its project
	// wanted none; firmware with neither is for a board that has no agent.
	Agent, Unmanaged bool
	// Image is what a device installs over the air: an app, or the index of a
	// MicroPython release; nil where the board takes nothing so.
	Image *Part
	// Size is how many bytes the image takes in a slot: of an index, its files.
	Size int64
}

// Store keeps everything. Every query is within one workspace where it takes
// one; somebody else's thing is fault.NotFound. Changes are compare-and-set and
// therefore may call their function more than once.
type Store interface {
	Device(ctx context.Context, workspace, device string) (*Device, error)
	// Devices lists by product ID, without deleted ones.
	Devices(ctx context.Context, workspace, after string, limit int) ([]*Device, string, error)
	// AddDevice returns fault.Conflict when there is a twin already.
	AddDevice(ctx context.Context, d *Device) error
	// ChangeDevice changes a twin in whatever workspace; fault.NotFound. An error
	// of change ends it and is returned, and nothing is stored.
	ChangeDevice(ctx context.Context, device string, change func(*Device) error) (*Device, error)
	// EachDevice calls f for every twin there is, deleted ones too.
	EachDevice(ctx context.Context, f func(*Device) error) error

	Seen(ctx context.Context, devices ...string) (map[string]*LastSeen, error)
	// SetSeen adds (revision 0) or replaces; whoever is overtaken by another writes nothing.
	SetSeen(ctx context.Context, s *LastSeen) error
	// RemoveSeen of a missing one is no error.
	RemoveSeen(ctx context.Context, device string) error

	Release(ctx context.Context, workspace, release string) (*Release, error)
	// ReleaseOf returns the release of this build with this version; fault.NotFound.
	ReleaseOf(ctx context.Context, workspace, build, version string) (*Release, error)
	// AddRelease returns fault.Conflict when ReleaseOf would find one.
	AddRelease(ctx context.Context, r *Release) error
	// Releases lists the newest first.
	Releases(ctx context.Context, workspace, after string, limit int) ([]*Release, string, error)

	// AddDeployment returns fault.Conflict when its number is taken.
	AddDeployment(ctx context.Context, d *Deployment) error
	Deployment(ctx context.Context, workspace string, number int64) (*Deployment, error)
	// Deployments lists the newest first, of one device or ("") of all.
	Deployments(ctx context.Context, workspace, device, after string, limit int) ([]*Deployment, string, error)
	// LastNumber is the highest number of a deployment, 0 for none.
	LastNumber(ctx context.Context, workspace string) (int64, error)

	// Workspace returns the workspace's keys, made by first when there are none.
	Workspace(ctx context.Context, workspace string, first func() (*Workspace, error)) (*Workspace, error)
}

// Outbox puts into a twin's outbox what must follow the change that it is about
// to be stored with.
type Outbox interface {
	// HandOver gives the artifact service the statement that the device should
	// have, and then tells it that it should.
	HandOver(device *Device, wanted *Deployment)
	// Withdraw tells the artifact service that the device should have nothing.
	Withdraw(device *Device)
	// DeviceChanged tells browsers how the device's row looks now.
	DeviceChanged(device *Device)
}

// Audience is who looks at the fleet now. What devices do is told to it after it
// is stored, without an outbox, which would double the writes: each of these
// changes answers a message, and is told (again) before that is acknowledged.
type Audience interface {
	// DeviceChanged tells how the device's row looks now; the device was last
	// heard of at seen.
	DeviceChanged(ctx context.Context, device *Device, seen time.Time) error
}
