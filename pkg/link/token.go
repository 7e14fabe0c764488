package link

import (
	"encoding/base64"
	"encoding/binary"
	"time"
)

// A token is base64url of: kind (1 byte), key number (2), expiry in unix
// seconds (4, good until 2106), hash of the audience (8), subject (0 to 64),
// and the MAC (16) over all before it.
const (
	audienceSize = 8
	macSize      = 16
	headSize     = 1 + 2 + 4 + audienceSize
	maxToken     = headSize + MaxSubject + macSize
)

// Strict refuses a last character whose unused bits are not zero: one token
// has one spelling.
var encoding = base64.RawURLEncoding.Strict()

type token struct {
	raw [maxToken]byte
	n   int
}

// decode reads text into t and reports whether it has a token's shape.
func (t *token) decode(text string) bool {
	size := encoding.DecodedLen(len(text))
	if size < headSize+macSize || size > maxToken {
		return false
	}
	n, err := encoding.Decode(t.raw[:], []byte(text))
	t.n = n
	return err == nil && encoding.EncodedLen(n) == len(text) // the decoder skips line breaks
}

func (t *token) signed() []byte  { return t.raw[:t.n-macSize] }
func (t *token) mac() []byte     { return t.raw[t.n-macSize : t.n] }
func (t *token) epoch() uint16   { return binary.BigEndian.Uint16(t.raw[1:]) }
func (t *token) subject() []byte { return t.raw[headSize : t.n-macSize] }

func (t *token) link() Link {
	return Link{
		Kind:     Kind(t.raw[0]),
		Subject:  append([]byte(nil), t.subject()...),
		Expires:  time.Unix(int64(binary.BigEndian.Uint32(t.raw[3:])), 0),
		audience: [audienceSize]byte(t.raw[7:]),
	}
}
