package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Sealed values are: one byte format, four bytes key ID, then nonce,
// ciphertext and tag of AES-256-GCM.
const (
	boxFormat = 1
	idSize    = 4
	headSize  = 1 + idSize
)

// ErrSealed is returned by Open for a value that is damaged, was sealed with a
// key that the box does not hold, or belongs to another place.
var ErrSealed = errors.New("secret: the sealed value cannot be opened")

// Box seals small values, such as keys at rest. It is safe for concurrent use.
// Nonces are random: one key is good for 2^32 values.
type Box struct {
	current [idSize]byte
	aeads   map[[idSize]byte]cipher.AEAD
}

// NewBox returns a box that seals with key (32 bytes) and also opens what the
// older keys sealed.
func NewBox(key []byte, older ...[]byte) (*Box, error) {
	b := &Box{current: keyID(key), aeads: map[[idSize]byte]cipher.AEAD{}}
	for _, k := range append([][]byte{key}, older...) {
		if len(k) != KeySize {
			return nil, fmt.Errorf("a box's key is %d bytes, not %d", KeySize, len(k))
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, err
		}
		if b.aeads[keyID(k)], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Seal encrypts plain. The associated data aad says what the value is and
// where it belongs ("webhook/42"): Open must be given the same, so that a
// sealed value moved elsewhere does not open.
func (b *Box) Seal(plain, aad []byte) []byte {
	head := append([]byte{boxFormat}, b.current[:]...)
	return b.aeads[b.current].Seal(head, nil, plain, aad)
}

// Open returns what Seal was given, or ErrSealed.
func (b *Box) Open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < headSize || sealed[0] != boxFormat {
		return nil, ErrSealed
	}
	aead, ok := b.aeads[[idSize]byte(sealed[1:headSize])]
	if !ok {
		return nil, ErrSealed
	}
	plain, err := aead.Open(nil, nil, sealed[headSize:], aad)
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// keyID names a key without telling anything about it.
func keyID(key []byte) [idSize]byte {
	sum := sha256.Sum256(append([]byte("flota box key id "), key...))
	return [idSize]byte(sum[:])
}
