package micropython

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/services/compiler"
)

// agent is what the farm adds to a managed release, at the top of the slot:
// flota_agent and its modules, compiled, since a board that compiles them itself
// needs the memory twice.
type agent struct {
	version string
	files   []compiler.File // by path
	size    int64           // bytes
}

// readAgent reads the toolchain's agent; nil where it is laid out without.
func readAgent(toolchain string) (*agent, error) {
	dir := filepath.Join(toolchain, "micropython/agent")
	version, err := os.ReadFile(filepath.Join(dir, "version"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := &agent{version: strings.TrimSpace(string(version))}
	a.files, err = readTree(filepath.Join(dir, "mpy"))
	for _, f := range a.files {
		a.size += int64(len(f.Data))
	}
	return a, err
}

// readTree reads the files of a folder and those below, by path.
func readTree(dir string) (files []compiler.File, err error) {
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		within, err := filepath.Rel(dir, name)
		files = append(files, compiler.File{Path: filepath.ToSlash(within), Data: data})
		return err
	})
	slices.SortFunc(files, func(a, b compiler.File) int { return strings.Compare(a.Path, b.Path) })
	return files, err
}

// own are the files that a board of the fleet writes beside its slots, as large as
// they get: what it was given, the bootloader's and the agent's state, each twice
// while it is replaced, and an older index (firmware/pico/README.md).
var own = []deviceproto.Part{
	{Path: "flota.json", Size: deviceproto.MaxLine}, {Path: "flota.json.new", Size: deviceproto.MaxLine},
	{Path: "flota/slot", Size: 16}, {Path: "flota/slot.new", Size: 16},
	{Path: "flota/agent", Size: 8192}, {Path: "flota/agent.new", Size: 8192},
	{Path: "flota/index.old", Size: 8192},
	{Path: "data/x", Size: 0},
}

// spare is what LittleFS itself needs to go on writing, in bytes; the agent leaves as
// much.
const spare = 4 * 4096

// reserved is how many bytes of a board's file system no slot can have: those of
// the first flash, outside its slots, and of what the board writes.
func reserved(toolchain string) (int64, error) {
	files, err := readTree(filepath.Join(toolchain, "micropython/pico"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	parts := own
	for _, f := range files {
		if top, _, _ := strings.Cut(f.Path, "/"); top != "a" && top != "b" && top != "flota" {
			parts = append(parts, deviceproto.Part{Path: f.Path, Size: int64(len(f.Data))})
		}
	}
	return spare + deviceproto.Footprint(parts), nil
}
