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
	Revoked       bool     `bson:"revoked"`

	Wanted  *Wanted   `bson:"wanted,omitempty"`
	State   State     `bson:"state"`
	StateAt time.Time `bson:"state_at"`
	Percent int       `bson:"percent"`
	Reason  string    `bson:"reason"`

	Running        string `bson:"running"` // digest of the app part
	RunningVersion string `bson:"running_version"`
	Board          string `bson:"board"`

	Chip     string `bson:"chip"`
	SlotSize int64  `bson:"slot_size"`
	FreeHeap int64  `bson:"free_heap"`
	RSSI     int    `bson:"rssi"`
	Rollback string `bson:"rollback"`
	Agent    string `bson:"agent"`

	// History is bounded, newest last.
	History []HistoryEntry `bson:"history"`
}

// Wanted is what a device should run.
type Wanted struct {
	Deployment int64  `bson:"deployment"`
	Release    string `bson:"release"`
	Version    string `bson:"version"`
	Board      string `bson:"board"`
	SHA256     string `bson:"sha256"` // of the app part
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
// device protocol, and three of our own before the first of them.
type State string

// The states.
const (
	New         State = "new"  // nothing wanted, never reported
	Idle        State = "idle" // nothing wanted
	Desired     State = "wanted"
	Downloading State = "downloading"
	Verified    State = "verified"
	Applied     State = "applied"
	Confirmed   State = "confirmed"
	Failed      State = "failed"
	RolledBack  State = "rolled_back"
)

// LastSeen is a device's last poll, to within a quarter of a minute.
type LastSeen struct {
	docstore.Meta `bson:",inline"`
	At            time.Time `bson:"at"`
	Running       string    `bson:"running"`
	Address       string    `bson:"address"`
	Looping       bool      `bson:"looping"`
}

// Release is what a build becomes when somebody wants it on a device.
type Release struct {
	docstore.Meta   `bson:",inline"`
	Workspace       string    `bson:"workspace"`
	Build           string    `bson:"build"`
	Project         string    `bson:"project"`
	ProjectName     string    `bson:"project_name"`
	ProductDevice   string    `bson:"product_device"`
	Version         string    `bson:"version"`
	Board           string    `bson:"board"` // FQBN without options
	SecurityVersion int64     `bson:"security_version"`
	Parts           []Part    `bson:"parts"`
	Created         time.Time `bson:"created"`
}

// Part is one piece of a release; sizes in bytes.
type Part struct {
	Kind   string `bson:"kind"`
	Path   string `bson:"path"`
	Offset int64  `bson:"offset"`
	Size   int64  `bson:"size"`
	SHA256 string `bson:"sha256"`
}

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

// Workspace holds what a workspace signs with, and its deployment counter.
type Workspace struct {
	docstore.Meta `bson:",inline"`
	// Last is the highest deployment number given out.
	Last int64 `bson:"last"`
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
	MicroPython   bool
	// App is what a device installs over the air; nil where the board takes nothing so.
	App *Part
}

// Store keeps everything. Every query is within one workspace where it takes
// one; somebody else's thing is fault.NotFound. Changes are compare-and-set and
// therefore may call their function more than once.
type Store interface {
	Device(ctx context.Context, workspace, device string) (*Device, error)
	Devices(ctx context.Context, workspace, after string, limit int) ([]*Device, string, error)
	AddDevice(ctx context.Context, d *Device) error
	// ChangeDevice changes a twin in whatever workspace; fault.NotFound.
	ChangeDevice(ctx context.Context, device string, change func(*Device) error) (*Device, error)
	RemoveDevice(ctx context.Context, device string) error
	// EachDevice calls f for every twin there is, for rebuilding read models.
	EachDevice(ctx context.Context, f func(*Device) error) error

	Seen(ctx context.Context, devices ...string) (map[string]*LastSeen, error)
	SetSeen(ctx context.Context, s *LastSeen) error

	Release(ctx context.Context, workspace, release string) (*Release, error)
	// ReleaseOf returns the release of this build with this version; fault.NotFound.
	ReleaseOf(ctx context.Context, workspace, build, version string) (*Release, error)
	AddRelease(ctx context.Context, r *Release) error
	Releases(ctx context.Context, workspace, after string, limit int) ([]*Release, string, error)

	AddDeployment(ctx context.Context, d *Deployment) error
	Deployment(ctx context.Context, workspace string, number int64) (*Deployment, error)
	Deployments(ctx context.Context, workspace, device, after string, limit int) ([]*Deployment, string, error)

	// Workspace returns the workspace's keys and counter, made by first when there are none.
	Workspace(ctx context.Context, workspace string, first func() (*Workspace, error)) (*Workspace, error)
	// NextNumber gives out a deployment number: max(last + 1, now in unix seconds).
	NextNumber(ctx context.Context, workspace string, now time.Time) (int64, error)
}

// Outbox puts into a document's outbox what must follow it.
type Outbox interface {
	// DeviceChanged tells browsers.
	DeviceChanged(d *Device)
	// DeviceWants tells the artifact service which deployment the device should have.
	DeviceWants(d *Device)
	// Signed gives the artifact service the statement.
	Signed(d *Deployment)
}
