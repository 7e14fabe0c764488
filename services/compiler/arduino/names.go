package arduino

import (
	"regexp"
	"strings"

	"github.com/flota/flota/services/compiler/intake"
)

const sketchDir = "/job/sketch/"

var (
	// The copies that arduino-cli makes of the user's files.
	copied = regexp.MustCompile(`^/job/cache/sketches/[0-9A-F]+/(?:preproc/)?sketch/`)
	// Where libraries and cores lie, the interesting part last.
	builtFrom = regexp.MustCompile(`^/job/cache/sketches/[0-9A-F]+(?:/|$)`)
	installed = regexp.MustCompile(`^/toolchain/(?:user/hardware/[^/]+/[^/]+|data/packages/[^/]+/hardware/[^/]+/[^/]+|data/packages/[^/]+/tools/[^/]+/[^/]+|user)/`)
)

// names maps paths as the compiler sees them to those that the user knows.
type names struct{ sketch intake.Sketch }

// place returns a path's name, and whether it is one of the user's files.
func (n names) place(path string) (string, bool) {
	rest, own := strings.CutPrefix(path, sketchDir)
	if !own {
		if prefix := copied.FindString(path); prefix != "" {
			rest, own = path[len(prefix):], true
			if rest == intake.MainFile+".cpp" || rest == intake.MainFile+".merged" {
				rest = intake.MainFile
			}
		}
	}
	if own && (rest == managedFile || rest == managedFile+".o") {
		return managedName, false
	}
	if own {
		return n.sketch.Original(rest), true
	}
	for _, prefix := range []*regexp.Regexp{builtFrom, installed} {
		if p := prefix.FindString(path); p != "" {
			return path[len(p):], false
		}
	}
	return path, false
}

// inText replaces paths inside a line of a log.
var anyPath = regexp.MustCompile(`/(?:job|toolchain)/[^\s:"',;()\x60]+`)

func (n names) inText(line string) string {
	return anyPath.ReplaceAllStringFunc(line, func(path string) string {
		name, _ := n.place(path)
		return name
	})
}

// object returns the source of an object file, given below the build folder:
// "<md5>/libraries/Wire/utility/twi.c.o".
func (n names) object(path string) string {
	_, path, _ = strings.Cut(path, "/")
	path = strings.TrimSuffix(path, ".o")
	if own, ok := strings.CutPrefix(path, "sketch/"); ok {
		if own == managedFile {
			return managedName
		}
		if own == intake.MainFile+".cpp" {
			own = intake.MainFile
		}
		return n.sketch.Original(own)
	}
	return path
}
