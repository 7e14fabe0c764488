// Package journal keeps the last that each board wrote on its serial port: in memory
// to be read, and in files, to be there after the service, or the machine, was killed.
//
// A board's folder has a file or two, each named after the offset of its first byte.
package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"github.com/flota/flota/services/boards"
)

// Kept is how many bytes can be read back.
const Kept = 64 << 10

// Folder holds the journals of all boards.
type Folder struct{ Dir string }

// Open opens a board's journal, made where it is missing. Close it.
func (f Folder) Open(id string) (boards.Journal, error) {
	dir := filepath.Join(f.Dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	j := &journal{dir: dir}
	if err := j.load(); err != nil {
		return nil, fmt.Errorf("the journal of a serial port: %w", err)
	}
	return j, nil
}

// Forget removes a board's journal.
func (f Folder) Forget(id string) error { return os.RemoveAll(filepath.Join(f.Dir, id)) }

// journal implements boards.Journal.
type journal struct {
	dir string

	mu    sync.Mutex
	last  []byte // at least the last Kept bytes, at most twice as many
	end   int64
	file  *os.File // nil after trouble with it
	first int64    // the offset of its first byte
	older string   // the file before it
}

const digits = 20

// load reads what is there: the newest file, and the one before where they follow
// one another.
func (j *journal) load() error {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return err
	}
	var offsets []int64
	for _, e := range entries {
		if n, err := strconv.ParseInt(e.Name(), 10, 64); err == nil && len(e.Name()) == digits {
			offsets = append(offsets, n)
		}
	}
	slices.Sort(offsets)
	for _, offset := range offsets {
		data, err := os.ReadFile(j.path(offset))
		if err != nil {
			return err
		}
		if offset != j.end {
			j.last = nil
		}
		j.last, j.end = append(j.last, data...), offset+int64(len(data))
	}
	j.last = slices.Clone(j.last[max(0, len(j.last)-Kept):])
	for len(offsets) > 2 {
		_ = os.Remove(j.path(offsets[0]))
		offsets = offsets[1:]
	}
	if len(offsets) == 2 {
		j.older = j.path(offsets[0])
	}
	if len(offsets) == 0 {
		return j.begin()
	}
	j.first = offsets[len(offsets)-1]
	j.file, err = os.OpenFile(j.path(j.first), os.O_WRONLY|os.O_APPEND, 0o600)
	return err
}

func (j *journal) path(offset int64) string {
	return filepath.Join(j.dir, fmt.Sprintf("%0*d", digits, offset))
}

// begin begins a file at the end; the caller holds mu.
func (j *journal) begin() error {
	file, err := os.OpenFile(j.path(j.end), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if j.older != "" {
		_ = os.Remove(j.older)
		j.older = ""
	}
	if j.file != nil {
		j.older = j.file.Name()
		_ = j.file.Close()
	}
	j.file, j.first = file, j.end
	return nil
}

// Append implements boards.Journal. What a disk does not take is kept in memory.
func (j *journal) Append(data []byte) (offset int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	offset = j.end
	if j.file == nil || j.end-j.first >= Kept {
		err = j.begin()
	}
	j.end += int64(len(data))
	j.last = append(j.last, data...)
	if len(j.last) > 2*Kept {
		j.last = append(j.last[:0], j.last[len(j.last)-Kept:]...)
	}
	if err == nil {
		var n int
		if n, err = j.file.Write(data); err != nil && n < len(data) {
			// The file would lie about the offsets behind: the next one begins anew.
			err = errors.Join(err, j.file.Close())
			j.file = nil
		}
	}
	return offset, err
}

// Last implements boards.Journal.
func (j *journal) Last() (offset int64, data []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	data = slices.Clone(j.last[max(0, len(j.last)-Kept):])
	return j.end - int64(len(data)), data
}

// Close implements boards.Journal.
func (j *journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	if errors.Is(err, fs.ErrClosed) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
