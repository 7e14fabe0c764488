package fleet_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/fleet"
	"github.com/flota/flota/services/fleet/natsbus"
	"github.com/flota/flota/services/fleet/store"
)

const (
	workspace = "w1"
	device    = "d1"
	board     = "flota:virtual:esp32"
	digest    = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// builds is what the editor would answer.
type builds map[string]fleet.Build

func (b builds) Build(_ context.Context, ws, id string) (fleet.Build, error) {
	build, ok := b[id]
	if !ok || ws != workspace {
		return build, fault.New(fault.NotFound, "there is no build %s", id)
	}
	build.ID = id
	return build, nil
}

func build(change ...func(*fleet.Build)) fleet.Build {
	b := fleet.Build{
		Agent:   true,
		Project: "p1", ProjectName: "Blink", Revision: 3, FQBN: board + ":debug=on", Succeeded: true,
		Image: &fleet.Part{Kind: "app", Size: 1000, SHA256: digest},
	}
	for _, c := range change {
		c(&b)
	}
	return b
}

// audience remembers what it was told.
type audience struct {
	mu   sync.Mutex
	told []fleet.Device
	fail error
}

func (a *audience) DeviceChanged(_ context.Context, d *fleet.Device, _ time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, *d)
	return a.fail
}

// kit is a fleet on a real database, with a clock that stands.
type kit struct {
	*fleet.Fleet
	t        *testing.T
	store    *store.Store
	audience *audience
	builds   builds
	now      time.Time
}

func newKit(t *testing.T) *kit {
	t.Helper()
	master, err := secret.Parse("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	box, err := secret.NewBox(master.Derive("signing-keys"))
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{t: t, audience: &audience{}, builds: builds{}, now: time.Unix(1_800_000_000, 0).UTC(), store: openStore(t)}
	k.Fleet = &fleet.Fleet{
		Store: k.store, Builds: k.builds, Outbox: natsbus.Outbox{}, Audience: k.audience, Box: box,
		Now: func() time.Time { return k.now },
	}
	return k
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "fleet.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	// The relay does not run: what is posted stays to be looked at.
	s, err := store.Open(t.Context(), db, docstore.NewRelay(nil, zap.NewNop()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (k *kit) enrol(id string) {
	k.t.Helper()
	err := k.Enrolled(k.t.Context(), fleet.Enrolment{Device: id, Workspace: workspace, ProductID: "bot_" + id, Name: id, At: k.now})
	if err != nil {
		k.t.Fatal(err)
	}
}

// change stores what a device said, without its words.
func (k *kit) change(id string, change func(*fleet.Device)) {
	k.t.Helper()
	if _, err := k.store.ChangeDevice(k.t.Context(), id, func(d *fleet.Device) error { change(d); return nil }); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) device(id string) *fleet.Device {
	k.t.Helper()
	d, err := k.store.Device(k.t.Context(), workspace, id)
	if err != nil {
		k.t.Fatal(err)
	}
	return d
}

func (k *kit) deploy(o fleet.Order) *fleet.Deployment {
	k.t.Helper()
	d, err := k.Deploy(k.t.Context(), o)
	if err != nil {
		k.t.Fatal(err)
	}
	return d
}
