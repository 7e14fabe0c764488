// Package link makes and checks signed, expiring tokens: the part of a
// download link that a browser, a device or a worker shows instead of a
// credential. A token is at most 127 characters long.
package link

import (
	"crypto/sha256"
	"crypto/subtle"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// Kind says what a link is for; a link of one kind is refused as another.
type Kind byte

// The kinds. Their numbers are part of the tokens' format.
const (
	Download Kind = 1 // a person fetches a build's output
	Image    Kind = 2 // a device fetches its firmware
	Upload   Kind = 3 // a worker stores an output
	Source   Kind = 4 // a worker fetches a source
)

// MaxSubject is the longest subject, in bytes: a SHA-256, or a few short IDs.
const MaxSubject = 64

// Link is what a token says.
type Link struct {
	Kind     Kind
	Subject  []byte    // what the link opens: a SHA-256, raw, or a short ID
	Audience string    // whom it is for; a token carries only its hash
	Expires  time.Time // to the second

	audience [audienceSize]byte
}

// CheckAudience returns a Forbidden fault unless the verified link was made
// for this audience.
func (l Link) CheckAudience(audience string) error {
	want := hashAudience(audience)
	if subtle.ConstantTimeCompare(l.audience[:], want[:]) == 0 {
		return fault.New(fault.Forbidden, "this link was made for somebody else")
	}
	return nil
}

func hashAudience(audience string) [audienceSize]byte {
	sum := sha256.Sum256([]byte(audience))
	return [audienceSize]byte(sum[:])
}
