package intake

import (
	"path"
	"slices"
	"strings"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
)

// Sketch is an Arduino project as arduino-cli gets it: the main file is called
// sketch.ino, whatever the user calls it, so that every job has the same path.
type Sketch struct {
	Files []compiler.File
	// Main is the user's name of sketch.ino.
	Main string
}

// MainFile is the name that every sketch's main file has for arduino-cli.
const MainFile = "sketch.ino"

// Original returns the user's name of one of the sketch's files.
func (s Sketch) Original(name string) string {
	if name == MainFile {
		return s.Main
	}
	return name
}

// sources are the kinds of file that an Arduino build may read, by extension.
// The last row is data that sources include as text.
var sources = map[string]bool{
	".ino": true, ".c": true, ".cc": true, ".cpp": true, ".cxx": true, ".s": true,
	".h": true, ".hh": true, ".hpp": true, ".hxx": true, ".inc": true, ".inl": true, ".ipp": true, ".tpp": true, ".def": true,
	".txt": true, ".md": true, ".adoc": true, ".json": true, ".html": true, ".htm": true, ".css": true, ".js": true, ".svg": true,
}

// leftOut are files that a project may have and no compiler gets to see:
// sketch.yaml is read by the product itself.
var leftOut = map[string]bool{"sketch.yaml": true, "sketch.yml": true, "LICENSE": true, "README": true}

// Arduino checks a tree and gives it the names that arduino-cli sees.
func Arduino(files []compiler.File, main string) (Sketch, error) {
	files, err := check(files)
	if err != nil {
		return Sketch{}, err
	}
	main, err = findMain(files, main)
	if err != nil {
		return Sketch{}, err
	}
	sketch := Sketch{Main: main}
	for _, f := range files {
		switch {
		case leftOut[path.Base(f.Path)], strings.HasPrefix(f.Path, "data/"):
			continue
		case f.Path == main:
			f.Path = MainFile
		case strings.EqualFold(f.Path, MainFile):
			return Sketch{}, fault.Field(f.Path, "this name is taken while the main file is %s; rename the file", main)
		default:
			if err := checkSource(f.Path); err != nil {
				return Sketch{}, err
			}
		}
		sketch.Files = append(sketch.Files, f)
	}
	return sketch, nil
}

// findMain returns the main file: the named one, else sketch.ino, else the only
// .ino file that is not in a folder.
func findMain(files []compiler.File, main string) (string, error) {
	var tabs []string
	for _, f := range files {
		if path.Ext(f.Path) == ".ino" && !strings.Contains(f.Path, "/") {
			tabs = append(tabs, f.Path)
		}
	}
	switch {
	case main != "" && slices.Contains(tabs, main):
		return main, nil
	case main != "":
		return "", fault.Field("main", "%q is not an .ino file at the top of the project", main)
	case slices.Contains(tabs, MainFile):
		return MainFile, nil
	case len(tabs) == 1:
		return tabs[0], nil
	case len(tabs) == 0:
		return "", fault.Field("main", "the project has no .ino file at its top")
	}
	return "", fault.Field("main", "several .ino files (%s): say which is the main one", strings.Join(tabs, ", "))
}

func checkSource(name string) error {
	base := strings.ToLower(path.Base(name))
	switch {
	case name == "partitions.csv":
		return nil // a custom partition table, as arduino-esp32 reads it
	case base == "build_opt.h", base == "file_opts", strings.HasSuffix(base, ".globals.h"):
		return fault.Field(name, "this name is reserved: such a file would change how the compiler is called; use #define in a header of your own")
	case base == "platform.txt", base == "boards.txt", base == "programmers.txt", strings.HasSuffix(base, ".local.txt"):
		return fault.Field(name, "this name is reserved for the parts of a core")
	case strings.HasPrefix(base, MainFile+"."):
		return fault.Field(name, "this name is reserved for what the compiler makes of the main file")
	case base == "compile_commands.json", base == "build.options.json", base == "includes.cache", base == "libraries.cache":
		return fault.Field(name, "this name is reserved for the compiler's own notes")
	case !sources[strings.ToLower(path.Ext(name))]:
		return fault.Field(name, "files of this kind are not compiled; what a board's file system should hold belongs in the folder data")
	}
	return nil
}
