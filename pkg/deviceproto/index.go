package deviceproto

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flota/flota/pkg/fault"
)

// Index is the text of an index over files, which it puts into the protocol's
// order. Error: an Invalid fault, where no device would take it.
func Index(files []Part) ([]byte, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b Part) int { return strings.Compare(a.Path, b.Path) })
	var text bytes.Buffer
	for _, f := range files {
		fmt.Fprintf(&text, "%s %d %s\n", f.SHA256, f.Size, f.Path)
	}
	_, err := ParseIndex(text.Bytes(), nil)
	return text.Bytes(), err
}

// ParseIndex reads an index whose size and digest were right already. Parts are
// those of its statement, whose paths it must not repeat. The file of line j,
// from 0, is part len(parts)+j of the link. Error: an Invalid fault with the line.
func ParseIndex(text []byte, parts []Part) ([]Part, error) {
	if len(text) == 0 || len(text) > MaxIndex {
		return nil, fault.Field("index", "has %d bytes, not 1 to %d", len(text), MaxIndex)
	}
	var files []Part
	for line := range bytes.Lines(text) {
		wrong := func(format string, args ...any) error {
			return fault.Field(fmt.Sprintf("index:%d", len(files)+1), format, args...)
		}
		whole, ended := bytes.CutSuffix(line, []byte("\n"))
		sha256, rest, two := strings.Cut(string(whole), " ")
		digits, path, three := strings.Cut(rest, " ")
		size, err := strconv.ParseUint(digits, 10, 64)
		switch {
		case len(files) == MaxIndexLines:
			return nil, wrong("there are more than %d lines", MaxIndexLines)
		case !ended:
			return nil, wrong("ends without a line feed")
		case !two || !three || !ValidDigest(sha256):
			return nil, wrong("must be a digest, a size and a path")
		case err != nil || size > MaxNumber || strconv.FormatUint(size, 10) != digits:
			return nil, wrong("the size must be from 0 to 2^53, without leading zeros")
		case !ValidPath(path):
			return nil, wrong("the path must be relative, of at most 128 bytes, without empty segments, . and ..")
		case len(files) > 0 && files[len(files)-1].Path >= path:
			return nil, wrong("the paths must rise, byte by byte")
		case slices.ContainsFunc(parts, func(p Part) bool { return p.Kind == KindFile && p.Path == path }):
			return nil, wrong("the statement has this path already")
		}
		files = append(files, Part{Kind: KindFile, Path: path, Size: int64(size), SHA256: sha256})
	}
	return files, nil
}
