package intake

import (
	"slices"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
)

// Names in a MicroPython project that are the farm's.
const (
	// MicroPythonMain is what a board starts.
	MicroPythonMain = "main.py"
	// Manifest and Package are the files that a bundle adds. A project's own Package
	// says what it depends on, and packageLock what came of that: both are read before
	// a build, and nothing on a board reads them.
	Manifest    = "manifest.json"
	Package     = "package.json"
	packageLock = "package.lock.json"
	// Index is what the list of a release's files is called among the outputs.
	Index = "index"
	// agentPrefix begins the names of the update agent's modules.
	agentPrefix = "flota_"
)

// MicroPython checks a tree of a MicroPython project and returns what of it is for
// the board, sorted.
func MicroPython(files []compiler.File, main string) ([]compiler.File, error) {
	files, err := check(files)
	if err != nil {
		return nil, err
	}
	if main != "" && main != MicroPythonMain {
		return nil, fault.Field("main", "%q cannot be the main file: a board starts %s", main, MicroPythonMain)
	}
	if !slices.ContainsFunc(files, func(f compiler.File) bool { return f.Path == MicroPythonMain }) {
		return nil, fault.Field("main", "the project has no %s, which a board starts", MicroPythonMain)
	}
	for _, f := range files {
		switch {
		case f.Path == Manifest:
			return nil, fault.Field(f.Path, "this name is reserved for the list of the bundle's files")
		case f.Path == Index:
			return nil, fault.Field(f.Path, "this name is reserved for the list of the release's files")
		case strings.HasPrefix(strings.ToLower(f.Path), agentPrefix):
			return nil, fault.Field(f.Path, "this name is reserved: what begins with %s belongs to the update agent", agentPrefix)
		case !deviceproto.ValidPath(f.Path):
			return nil, fault.Field(f.Path, "a path on a board has at most 128 characters")
		}
	}
	return slices.DeleteFunc(files, func(f compiler.File) bool { return f.Path == Package || f.Path == packageLock }), nil
}
