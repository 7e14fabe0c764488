package artifact

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/flota/flota/pkg/fault"
)

// Model is what the service knows of devices: who they are and what they should
// run. It is read without locks and fed by one or more writers at a time.
type Model struct {
	byKey       sync.Map // key ID → *Device
	byID        sync.Map // device → *Device
	deployments sync.Map // workspace.number → *Deployment
	unread      atomic.Int32

	mu   sync.Mutex           // of writers
	refs map[string]ref       // device → what it should run
	of   map[string]deviceIDs // workspace.number → who refers to it
}

type (
	ref struct {
		workspace  string
		deployment string // workspace.number, "" for none
	}
	deviceIDs map[string]struct{}
)

// NewModel returns an empty model that is ready once this many sources have been
// read for the first time.
func NewModel(sources int) *Model {
	m := &Model{refs: map[string]ref{}, of: map[string]deviceIDs{}}
	m.unread.Store(int32(sources))
	return m
}

// SourceRead says that one source has been read completely.
func (m *Model) SourceRead() { m.unread.Add(-1) }

var errUnread = fault.New(fault.Unavailable, "this instance does not know the devices yet; try again")

// Ready returns an Unavailable fault until all sources have been read. Later
// outages change nothing: what is known goes on being served.
func (m *Model) Ready() error {
	if m.unread.Load() > 0 {
		return errUnread
	}
	return nil
}

// ByKey returns the device that signs with this key ID, or nil.
func (m *Model) ByKey(keyID string) *Device { return lookup(&m.byKey, keyID) }

// ByID returns the device, or nil.
func (m *Model) ByID(id string) *Device { return lookup(&m.byID, id) }

// Deployment returns a deployment, or nil.
func (m *Model) Deployment(workspace string, number int64) *Deployment {
	d, _ := m.deployments.Load(deploymentKey(workspace, number))
	found, _ := d.(*Deployment)
	return found
}

func lookup(m *sync.Map, key string) *Device {
	d, _ := m.Load(key)
	found, _ := d.(*Device)
	return found
}

// SetDevice adds a device or replaces its credential.
func (m *Model) SetDevice(d *Device) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.ByID(d.ID); old != nil {
		if old.K == d.K && old.Workspace == d.Workspace && old.ProductID == d.ProductID {
			return // told again, as after an outage: keep what is counted of it
		}
		m.byKey.CompareAndDelete(old.KeyID, old)
	}
	m.byID.Store(d.ID, d)
	m.settle(d.ID)
	m.byKey.Store(d.KeyID, d)
}

// RemoveDevice makes a device's credential void.
func (m *Model) RemoveDevice(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if old := m.ByID(id); old != nil {
		m.byKey.CompareAndDelete(old.KeyID, old)
		m.byID.Delete(id)
	}
}

// SetRef says which deployment a device should have; 0 for none.
func (m *Model) SetRef(device, workspace string, number int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(device)
	r := ref{workspace: workspace}
	if number != 0 {
		r.deployment = deploymentKey(workspace, number)
		if m.of[r.deployment] == nil {
			m.of[r.deployment] = deviceIDs{}
		}
		m.of[r.deployment][device] = struct{}{}
	}
	m.refs[device] = r
	m.settle(device)
}

// RemoveRef says that nothing is wanted of a device.
func (m *Model) RemoveRef(device string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forget(device)
	m.settle(device)
}

func (m *Model) forget(device string) {
	r := m.refs[device]
	delete(m.refs, device)
	delete(m.of[r.deployment], device)
	if len(m.of[r.deployment]) == 0 {
		delete(m.of, r.deployment)
	}
}

// SetDeployment adds a deployment. It may come before or after what refers to it.
func (m *Model) SetDeployment(d *Deployment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := deploymentKey(d.Workspace, d.Number)
	m.deployments.Store(key, d)
	for device := range m.of[key] {
		m.settle(device)
	}
}

// RemoveDeployment removes a deployment by its workspace and number.
func (m *Model) RemoveDeployment(workspace string, number int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := deploymentKey(workspace, number)
	m.deployments.Delete(key)
	for device := range m.of[key] {
		m.settle(device)
	}
}

// settle points a device to the deployment that it should have, if both are known
// and belong to the same workspace.
func (m *Model) settle(device string) {
	d := m.ByID(device)
	if d == nil {
		return
	}
	r := m.refs[device]
	found, _ := m.deployments.Load(r.deployment)
	wanted, _ := found.(*Deployment)
	if r.workspace != d.Workspace {
		wanted = nil
	}
	d.wanted.Store(wanted)
}

func deploymentKey(workspace string, number int64) string {
	return workspace + "." + strconv.FormatInt(number, 10)
}
