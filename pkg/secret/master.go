// Package secret keeps the installation's master key, derives from it the key
// of each service and purpose, and seals small values at rest.
package secret

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// KeySize is the length of every key here, in bytes.
const KeySize = 32

// Master is a key from which others are derived: the installation's own, or
// the one that a service was given. It prints as "***".
type Master struct{ key [KeySize]byte }

// Parse reads a master key from 64 hexadecimal digits.
func Parse(text string) (Master, error) {
	key, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != KeySize {
		return Master{}, fmt.Errorf("a key is %d hexadecimal digits", 2*KeySize)
	}
	return Master{[KeySize]byte(key)}, nil
}

// LoadOrCreate reads the master key in the file at path, or makes a random one
// there (mode 0600) if no such file exists. It refuses a file that others may
// read. Two callers at once get the same key.
func LoadOrCreate(path string) (Master, error) {
	master, err := load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return master, err
	}
	if err := create(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return Master{}, fmt.Errorf("make the master key: %w", err)
	}
	return load(path)
}

func load(path string) (Master, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Master{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return Master{}, fmt.Errorf("the key file %s may be read by others: chmod 600 it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Master{}, err
	}
	master, err := Parse(string(text))
	if err != nil {
		return Master{}, fmt.Errorf("the key file %s is damaged: %w", path, err)
	}
	return master, nil
}

// create writes a new key aside, syncs it, and links it into place: a crash
// leaves either no key or a whole one, and an existing key is never replaced.
func create(path string) error {
	var master Master
	rand.Read(master.key[:])

	dir := filepath.Dir(path)
	aside, err := os.CreateTemp(dir, ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(aside.Name()) }()
	_, err = fmt.Fprintln(aside, master.Hex())
	if err := errors.Join(err, aside.Sync(), aside.Close()); err != nil {
		return err
	}
	if err := os.Link(aside.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Derive returns the 32-byte key for a purpose, by HKDF-SHA256. The same name
// gives the same key for ever: names are part of the data's format.
func (m Master) Derive(name string) []byte {
	key, err := hkdf.Key(sha256.New, m.key[:], nil, "flota/"+name, KeySize)
	if err != nil {
		panic(err) // only for a length beyond 255 hashes
	}
	return key
}

// Hex returns the key itself, as Parse reads it.
func (m Master) Hex() string { return hex.EncodeToString(m.key[:]) }

// Format hides the key from every verb of fmt.
func (Master) Format(f fmt.State, _ rune) { io.WriteString(f, "***") }
