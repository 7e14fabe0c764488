package intake

import (
	"path"
	"slices"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
)

// Manifest is the file that a bundle adds to a MicroPython project.
const Manifest = "manifest.json"

// MicroPython checks a tree of a MicroPython project and returns it sorted, with
// its main file's name.
func MicroPython(files []compiler.File, main string) ([]compiler.File, string, error) {
	files, err := check(files)
	if err != nil {
		return nil, "", err
	}
	if main == "" {
		main = "main.py"
	}
	at := slices.IndexFunc(files, func(f compiler.File) bool { return f.Path == main })
	if at < 0 || path.Ext(main) != ".py" {
		return nil, "", fault.Field("main", "the project has no Python file %q", main)
	}
	for _, f := range files {
		if f.Path == Manifest {
			return nil, "", fault.Field(f.Path, "this name is reserved for the list of the bundle's files")
		}
	}
	return files, main, nil
}
