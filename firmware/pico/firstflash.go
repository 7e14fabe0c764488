// Package pico is the first flash of a Pico of the fleet, as files: what README.md in
// this folder says that a new device has.
package pico

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
)

//go:embed *.py base
var sources embed.FS

// File is a file on the board.
type File struct {
	Path string // from the root of its file system, without a slash before it
	Data []byte
}

// The files that are written last, in this order: a board that was cut off before
// does not start half of a first flash.
var last = []string{"flota_boot.py", "boot.py", "main.py", "flota/slot"}

// FirstFlash is what this program was built with, in the order in which to write it: the base
// release with the agent in slot a, as source, and what starts it.
func FirstFlash() ([]File, error) {
	files := []File{{"flota/slot", []byte("a valid\n")}}
	err := fs.WalkDir(sources, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		var to string
		within, isBase := strings.CutPrefix(name, "base/")
		switch {
		case isBase:
			to = "a/" + within
		case name == "boot.py" || name == "main.py" || name == "flota_boot.py":
			to = name
		case strings.HasPrefix(name, "flota_"):
			to = "a/" + name
		default: // for a Pico that stands alone
			return nil
		}
		data, err := sources.ReadFile(name)
		files = append(files, File{to, data})
		return err
	})
	if err != nil {
		return nil, err
	}
	return WithIndex(files)
}

// WithIndex is files with the index of what is in slot a, in the order in which to write them.
func WithIndex(files []File) ([]File, error) {
	var release []deviceproto.Part
	for _, f := range files {
		if within, ok := strings.CutPrefix(f.Path, "a/"); ok {
			sum := sha256.Sum256(f.Data)
			release = append(release, deviceproto.Part{Path: within, Size: int64(len(f.Data)), SHA256: hex.EncodeToString(sum[:])})
		}
	}
	index, err := deviceproto.Index(release)
	return order(append(files, File{"a/.index", index})), err
}

// ReadFirstFlash reads one from a folder: micropython/pico of a toolchain, where the
// agent is compiled. Error: one that is not whole.
func ReadFirstFlash(dir string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		within, err := filepath.Rel(dir, name)
		files = append(files, File{filepath.ToSlash(within), data})
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, needed := range append([]string{"a/.index"}, last...) {
		if !slices.ContainsFunc(files, func(f File) bool { return f.Path == needed }) {
			return nil, fmt.Errorf("%s is no first flash: there is no %s in it", dir, needed)
		}
	}
	return order(files), nil
}

func order(files []File) []File {
	slices.SortFunc(files, func(a, b File) int {
		if by := slices.Index(last, a.Path) - slices.Index(last, b.Path); by != 0 {
			return by
		}
		return strings.Compare(a.Path, b.Path)
	})
	return files
}

// Save writes files below a folder, for mpremote.
func Save(dir string, files []File) error {
	for _, f := range files {
		to := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, f.Data, 0o644); err != nil { //nolint:gosec // nothing in it is secret
			return err
		}
	}
	return nil
}
