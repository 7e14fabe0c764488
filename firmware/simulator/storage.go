package simulator

import (
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"errors"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/flota/flota/pkg/deviceproto"
)

// State is what a device keeps over restarts.
type State struct {
	Accepted        int64    `json:"accepted"`
	Decided         int64    `json:"decided"`
	SecurityVersion int64    `json:"security_version"`
	Keys            []string `json:"keys"`

	// Active is the slot that runs; its image may be pending.
	Active  int      `json:"active"`
	Slots   [2]Image `json:"slots"`
	Pending bool     `json:"pending"`
	// Tries counts how often the image on trial was booted without a check-in. It
	// is the pending one, or waits in the other slot.
	Tries int `json:"tries"`

	Fetch   *Fetch               `json:"fetch,omitempty"`
	Reports []deviceproto.Report `json:"reports,omitempty"`
}

// Image is what a slot holds; without a digest it is unknown, or half-written.
type Image struct {
	Deployment      int64  `json:"deployment"`
	Version         string `json:"version"`
	SHA256          string `json:"sha256"`
	SecurityVersion int64  `json:"security_version"`
}

// Fetch is a download under way: where it stands, and the hash so far.
type Fetch struct {
	Image
	Offset int64  `json:"offset"`
	Hash   []byte `json:"hash"`
	// Failed counts how often it was complete and wrong, or could not be written.
	Failed int `json:"failed"`
}

// Storage is a device's flash. A slot is written from its beginning on.
type Storage interface {
	// Load returns the zero State for a new device.
	Load() (State, error)
	// Save replaces the state as one step.
	Save(State) error
	// WriteSlot writes at an offset of a slot, and drops what was behind it.
	WriteSlot(slot int, offset int64, data []byte) error
}

// Disk is a storage in a folder: state.json, slot0.bin, slot1.bin.
type Disk struct{ Dir string }

// Load implements Storage.
func (d Disk) Load() (s State, err error) {
	raw, err := os.ReadFile(filepath.Join(d.Dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(raw, &s)
}

// Save implements Storage.
func (d Disk) Save(s State) error {
	raw, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(d.Dir, "state.json")
	if err := os.WriteFile(path+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// WriteSlot implements Storage.
func (d Disk) WriteSlot(slot int, offset int64, data []byte) error {
	f, err := os.OpenFile(d.SlotFile(slot), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(offset); err != nil {
		return err
	}
	_, err = f.WriteAt(data, offset)
	return err
}

// SlotFile is where a slot's image is.
func (d Disk) SlotFile(slot int) string {
	return filepath.Join(d.Dir, []string{"slot0.bin", "slot1.bin"}[slot])
}

// Memory is a storage that keeps the state and forgets the images, whose
// digests are checked all the same: for thousands of devices in one process.
type Memory struct{ state State }

// Load implements Storage.
func (m *Memory) Load() (State, error) { return m.state.clone(), nil }

// Save implements Storage.
func (m *Memory) Save(s State) error { m.state = s.clone(); return nil }

// WriteSlot implements Storage.
func (*Memory) WriteSlot(int, int64, []byte) error { return nil }

func (s State) clone() State {
	if s.Fetch != nil {
		fetch := *s.Fetch
		s.Fetch = &fetch
	}
	s.Reports = slices.Clone(s.Reports)
	return s
}

// resume returns the hash of the bytes that a download has already.
func (f *Fetch) resume() (hash.Hash, error) {
	h := sha256.New()
	if f.Offset == 0 {
		return h, nil
	}
	return h, h.(encoding.BinaryUnmarshaler).UnmarshalBinary(f.Hash)
}

// keep notes how far a download is.
func (f *Fetch) keep(offset int64, h hash.Hash) (err error) {
	f.Offset = offset
	f.Hash, err = h.(encoding.BinaryMarshaler).MarshalBinary()
	return err
}

// again begins a download from 0.
func (f *Fetch) again() { f.Offset, f.Hash = 0, nil }
