// Package intake decides which files of a user's tree reach a compiler, and
// under which names. Names come from an allow-list, because a core's recipes
// pass some files to the compiler as options, and arduino-cli reads others as
// instructions: build_opt.h with -wrapper runs programs, a sketch.yaml with a
// profile fetches an attacker's platform.
package intake

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
)

// The limits of a tree.
const (
	MaxFiles = 256
	MaxFile  = 1 << 20
	MaxTree  = 8 << 20
	maxPath  = 200
)

// segment is what each part of a path looks like: nothing hidden, nothing that a
// shell, make or an @file would read otherwise.
var segment = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}$`)

// check holds what is true of every tree; it returns the tree sorted by path.
func check(files []compiler.File) ([]compiler.File, error) {
	if len(files) == 0 {
		return nil, fault.Field("files", "the project has no files")
	}
	if len(files) > MaxFiles {
		return nil, tooLarge("files", "the project has %d files; at most %d are built", len(files), MaxFiles)
	}
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b compiler.File) int { return strings.Compare(a.Path, b.Path) })
	total := 0
	folders, names := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if err := checkPath(f.Path); err != nil {
			return nil, err
		}
		if names[f.Path] {
			return nil, fault.Field(f.Path, "there are two files of this name")
		}
		names[f.Path] = true
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
		if len(f.Data) > MaxFile {
			return nil, tooLarge(f.Path, "this file has %d bytes; at most %d are taken", len(f.Data), MaxFile)
		}
		total += len(f.Data)
	}
	if total > MaxTree {
		return nil, tooLarge("files", "the project has %d bytes; at most %d are built", total, MaxTree)
	}
	for _, f := range files {
		if folders[f.Path] {
			return nil, fault.Field(f.Path, "this is the name of a file and of a folder")
		}
	}
	return files, nil
}

func checkPath(name string) error {
	if name == "" {
		return fault.Field("files", "a file has no name")
	}
	if len(name) > maxPath {
		return fault.Field(name[:maxPath]+"…", "this path is longer than %d characters", maxPath)
	}
	if path.IsAbs(name) || name != path.Clean(name) || strings.HasPrefix(name, "..") || strings.Contains(name, `\`) {
		return fault.Field(name, "a path is relative, with slashes, and stays inside the project")
	}
	for part := range strings.SplitSeq(name, "/") {
		if !segment.MatchString(part) {
			return fault.Field(name, "%q is not a name that is built: letters, digits and _ . + - (not first) are", part)
		}
	}
	return nil
}

func tooLarge(field, format string, args ...any) error {
	err := fault.As(fault.New(fault.TooLarge, format, args...))
	err.Field = field
	return err
}
