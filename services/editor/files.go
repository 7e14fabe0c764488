package editor

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/flota/flota/pkg/fault"
)

// File is one entry of a tree: a path and the digest of its content, which is
// kept once, under that digest.
type File struct {
	Path   string `bson:"path"`
	Size   int    `bson:"size"`
	SHA256 string `bson:"sha256"` // lower-case hex
}

// Files is a tree of files, sorted by path.
type Files []File

// Find returns the file of this path, if there is one.
func (f Files) Find(path string) (File, bool) {
	i, ok := f.search(path)
	if !ok {
		return File{}, false
	}
	return f[i], true
}

func (f Files) search(path string) (int, bool) {
	return slices.BinarySearchFunc(f, path, func(file File, path string) int { return strings.Compare(file.Path, path) })
}

// with returns the tree with a file added or replaced, or an Invalid or
// TooLarge fault where a rule about the whole tree forbids it.
func (f Files) with(file File) (Files, error) {
	i, exists := f.search(file.Path)
	size := file.Size
	for j, other := range f {
		if exists && i == j {
			continue
		}
		size += other.Size
		if clash(other.Path, file.Path) {
			return nil, fault.Field("path", "%s exists already, and some computers do not tell it from %s", other.Path, file.Path)
		}
	}
	if !exists && len(f) >= MaxFiles {
		return nil, &fault.Error{Code: fault.TooLarge, Field: "path", Message: fmt.Sprintf("a project has at most %d files", MaxFiles)}
	}
	if size > MaxProjectSize {
		return nil, &fault.Error{Code: fault.TooLarge, Field: "content", Message: fmt.Sprintf("a project has at most %d MiB", MaxProjectSize>>20)}
	}
	if exists {
		next := slices.Clone(f)
		next[i] = file
		return next, nil
	}
	return slices.Insert(slices.Clone(f), i, file), nil
}

// without returns the tree without a file.
func (f Files) without(path string) Files {
	i, ok := f.search(path)
	if !ok {
		return f
	}
	return slices.Delete(slices.Clone(f), i, i+1)
}

// clash reports whether two different paths cannot be kept side by side
// everywhere: they differ only in case, or one is the other's folder.
func clash(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// Tree returns the digest of the whole tree: two trees with the same files
// have the same one.
func (f Files) Tree() string {
	h := sha256.New()
	for _, file := range f {
		fmt.Fprintf(h, "%s\x00%s\n", file.Path, file.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// CheckContent returns an Invalid or TooLarge fault of field "content" unless
// a file may have this content.
func CheckContent(content string) error {
	if len(content) > MaxFileSize {
		return &fault.Error{Code: fault.TooLarge, Field: "content", Message: fmt.Sprintf("a file has at most %d MiB", MaxFileSize>>20)}
	}
	if !utf8.ValidString(content) || strings.ContainsRune(content, 0) {
		return fault.Field("content", "a file is text in UTF-8")
	}
	return nil
}

// Digest returns the SHA-256 of a content in lower-case hex.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
