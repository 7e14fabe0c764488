package deviceproto

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

const keyPrefix = "fk_"

// NewKey returns a new device key: 256 random bits as text. It is a secret,
// shown once; the server keeps only its KeyHash.
func NewKey() string {
	var b [32]byte
	rand.Read(b[:])
	return keyPrefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// ValidKey reports whether a text has the form of a device key.
func ValidKey(key string) bool {
	text, found := strings.CutPrefix(key, keyPrefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return found && err == nil && len(b) == 32 && len(text) == 43
}

// KeyHash returns K, the key of every MAC, from the device key's text.
func KeyHash(key string) [32]byte { return sha256.Sum256([]byte(key)) }

// KeyID returns the public name under which a device signs requests.
func KeyID(k [32]byte) string {
	sum := sha256.Sum256(append([]byte("flota-key-id\n"), k[:]...))
	return hex.EncodeToString(sum[:16])
}
