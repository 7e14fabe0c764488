package artifact_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
)

func device(t testing.TB, id, workspace, key string) *artifact.Device {
	t.Helper()
	d, ok := artifact.NewDevice(id, workspace, vectors.ProductID, deviceproto.KeyHash(key))
	if !ok {
		t.Fatal("not a device")
	}
	return d
}

// In whatever order the buckets are read, the device gets what it should.
func TestModelInAnyOrder(t *testing.T) {
	steps := []func(*artifact.Model){
		func(m *artifact.Model) { m.SetDevice(device(t, "d1", vectors.Workspace, vectors.Key)) },
		func(m *artifact.Model) { m.SetRef("d1", vectors.Workspace, 7) },
		func(m *artifact.Model) { m.SetDeployment(deployment(t, 7)) },
	}
	for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		m := artifact.NewModel(0)
		for _, i := range order {
			steps[i](m)
		}
		d := m.ByID("d1")
		if d == nil || d != m.ByKey(d.KeyID) || d.Wanted() == nil || d.Wanted().Number != 7 {
			t.Errorf("order %v: %+v", order, d)
		}
	}
}

func TestModelChanges(t *testing.T) {
	m := artifact.NewModel(0)
	wants := func(what string, want int64) {
		t.Helper()
		got := int64(0)
		if w := m.ByID("d1").Wanted(); w != nil {
			got = w.Number
		}
		if got != want {
			t.Errorf("%s: %d, not %d", what, got, want)
		}
	}
	m.SetDevice(device(t, "d1", vectors.Workspace, vectors.Key))
	m.SetDeployment(deployment(t, 7))
	wants("no reference", 0)
	m.SetRef("d1", vectors.Workspace, 7)
	wants("a reference", 7)
	m.SetRef("d1", vectors.Workspace, 8)
	wants("a deployment not there yet", 0)
	m.SetDeployment(deployment(t, 8))
	wants("it came", 8)
	m.RemoveDeployment(vectors.Workspace, 8)
	wants("it went", 0)
	m.SetRef("d1", vectors.Workspace, 7)
	m.SetRef("d1", vectors.Workspace, 0)
	wants("nothing is wanted", 0)
	m.SetRef("d1", vectors.Workspace, 7)
	m.RemoveRef("d1")
	wants("the reference went", 0)

	// A reference of another workspace leads nowhere, whatever its number.
	m.SetRef("d1", "other", 7)
	wants("another workspace's reference", 0)
	m.SetRef("d1", vectors.Workspace, 7)

	// A new key: the old one is void at once, the rest stays.
	old := m.ByID("d1")
	m.SetDevice(device(t, "d1", vectors.Workspace, vectors.OtherKey))
	if m.ByKey(old.KeyID) != nil {
		t.Error("the old key works")
	}
	wants("a new key", 7)
	m.RemoveDevice("d1")
	if m.ByID("d1") != nil || m.ByKey(deviceproto.KeyID(deviceproto.KeyHash(vectors.OtherKey))) != nil {
		t.Error("a removed device works")
	}
}

// What is counted of a device survives that the bucket is told again.
func TestModelKeepsWhatItCounts(t *testing.T) {
	m := artifact.NewModel(0)
	m.SetDevice(device(t, "d1", vectors.Workspace, vectors.Key))
	before := m.ByID("d1")
	m.SetDevice(device(t, "d1", vectors.Workspace, vectors.Key))
	if m.ByID("d1") != before {
		t.Error("another device")
	}
}

func TestModelReady(t *testing.T) {
	m := artifact.NewModel(2)
	for range 2 {
		if err := m.Ready(); !fault.Is(err, fault.Unavailable) {
			t.Errorf("%v", err)
		}
		m.SourceRead()
	}
	if err := m.Ready(); err != nil {
		t.Error(err)
	}
}

// Readers and writers at the same time; the race detector watches.
func TestModelConcurrently(t *testing.T) {
	m := artifact.NewModel(0)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 100 {
				id := fmt.Sprint("d", n)
				switch i {
				case 0:
					m.SetDevice(device(t, id, vectors.Workspace, vectors.Key+id))
				case 1:
					m.SetRef(id, vectors.Workspace, int64(n%3))
				case 2:
					m.SetDeployment(deployment(t, int64(n%3)))
				case 3:
					if d := m.ByID(id); d != nil {
						d.Wanted().Answer("", "")
					}
				}
			}
		})
	}
	wg.Wait()
	for n := range 100 {
		d := m.ByID(fmt.Sprint("d", n))
		if want := int64(n % 3); want != 0 && (d.Wanted() == nil || d.Wanted().Number != want) {
			t.Errorf("%s wants %v", d.ID, d.Wanted())
		}
	}
}
