package simulator

import (
	"crypto/sha256"
	"encoding"
	"encoding/json"
	"errors"
	"hash"
	"io/fs"
	"maps"
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
	// Files are what lies in each slot of a board that takes indexes: digests by path.
	Files [2]map[string]string `json:"files,omitzero"`
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

// Fetch is an image under way, piece by piece: where its download stands, and the
// hash of the piece so far.
type Fetch struct {
	Image
	Piece  int    `json:"piece,omitempty"` // as the link counts them
	Offset int64  `json:"offset"`
	Hash   []byte `json:"hash"`
	// Have of All bytes are there, in pieces that are whole.
	Have int64 `json:"have,omitempty"`
	All  int64 `json:"all,omitempty"`
	// Failed counts how often it was complete and wrong, or could not be written.
	Failed int `json:"failed"`
}

// Storage is a device's flash. A slot holds an image, or files; the image's path is "".
type Storage interface {
	// Load returns the zero State for a new device.
	Load() (State, error)
	// Save replaces the state as one step.
	Save(State) error
	// Write writes at an offset of a file, and drops what was behind it.
	Write(slot int, path string, offset int64, data []byte) error
	// Read returns the index of a slot.
	Read(slot int, path string) ([]byte, error)
	// Copy copies a file from the other slot.
	Copy(slot int, path, from string) error
	// Remove removes a file of a slot, and the folders that are empty without it.
	Remove(slot int, path string) error
}

// Disk is a storage in a folder: state.json, slot0.bin or the folder slot0, and the same with 1.
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

// Write implements Storage.
func (d Disk) Write(slot int, path string, offset int64, data []byte) error {
	name := d.File(slot, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
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

// Read implements Storage.
func (d Disk) Read(slot int, path string) ([]byte, error) { return os.ReadFile(d.File(slot, path)) }

// Copy implements Storage.
func (d Disk) Copy(slot int, path, from string) error {
	data, err := d.Read(1-slot, from)
	if err != nil {
		return err
	}
	return d.Write(slot, path, 0, data)
}

// Remove implements Storage.
func (d Disk) Remove(slot int, path string) error {
	name, top := d.File(slot, path), filepath.Join(d.Dir, slotNames[slot])
	err := os.Remove(name)
	for name = filepath.Dir(name); err == nil && name != top && os.Remove(name) == nil; {
		name = filepath.Dir(name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

var slotNames = [2]string{"slot0", "slot1"}

// File is where a slot's image is, or one of its files.
func (d Disk) File(slot int, path string) string {
	if path == "" {
		return filepath.Join(d.Dir, slotNames[slot]+".bin")
	}
	return filepath.Join(d.Dir, slotNames[slot], filepath.FromSlash(path))
}

// Memory is a storage that keeps the state and the indexes, and forgets images and
// files, whose digests are checked all the same: for thousands of devices in one process.
type Memory struct {
	state State
	index [2][]byte
}

// Load implements Storage.
func (m *Memory) Load() (State, error) { return m.state.clone(), nil }

// Save implements Storage.
func (m *Memory) Save(s State) error { m.state = s.clone(); return nil }

// Write implements Storage.
func (m *Memory) Write(slot int, path string, offset int64, data []byte) error {
	if path == deviceproto.IndexFile {
		m.index[slot] = append(m.index[slot][:offset:offset], data...)
	}
	return nil
}

// Read implements Storage.
func (m *Memory) Read(slot int, _ string) ([]byte, error) { return m.index[slot], nil }

// Copy implements Storage.
func (*Memory) Copy(int, string, string) error { return nil }

// Remove implements Storage.
func (*Memory) Remove(int, string) error { return nil }

func (s State) clone() State {
	if s.Fetch != nil {
		fetch := *s.Fetch
		s.Fetch = &fetch
	}
	s.Reports = slices.Clone(s.Reports)
	s.Files = [2]map[string]string{maps.Clone(s.Files[0]), maps.Clone(s.Files[1])}
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

// again begins a piece from 0.
func (f *Fetch) again() { f.Offset, f.Hash = 0, nil }

// next begins with another piece, where it is not the one under way.
func (f *Fetch) next(p piece) {
	if f.Piece != p.number {
		f.Piece, f.Failed = p.number, 0
		f.again()
	}
}
