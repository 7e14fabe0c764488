// Package toolchain knows the folder that deploy/toolchain/layout.sh makes: all
// that compiles, at /toolchain in every sandbox.
package toolchain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Root is a toolchain as laid out.
type Root struct {
	// Dir is the folder on this machine, without links: a newer layout does not
	// change it.
	Dir string
	// Digest of everything that decides what bytes come out.
	Digest string
	// MicroPython is the version, "" where there is none.
	MicroPython string
}

// With returns the digest of the toolchain together with a recipe that is not in
// it but also decides what bytes come out.
func (r Root) With(recipe string) string {
	sum := sha256.Sum256([]byte(r.Digest + "\n" + recipe))
	return hex.EncodeToString(sum[:])
}

// Open reads a laid out toolchain.
func Open(dir string) (Root, error) {
	if dir == "" {
		return Root{}, fmt.Errorf("no toolchain folder is given; deploy/toolchain/layout.sh makes one")
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return Root{}, fmt.Errorf("toolchain: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "toolchain.json"))
	if err != nil {
		return Root{}, fmt.Errorf("%s is no toolchain; deploy/toolchain/layout.sh makes one: %w", dir, err)
	}
	var said struct{ Digest, MicroPython string }
	if err := json.Unmarshal(text, &said); err != nil || said.Digest == "" {
		return Root{}, fmt.Errorf("%s/toolchain.json cannot be read: %w", dir, err)
	}
	return Root{Dir: dir, Digest: said.Digest, MicroPython: said.MicroPython}, nil
}
