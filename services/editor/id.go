package editor

import (
	"crypto/rand"
	"strings"
)

// NewID returns a random ID that is one word of a subject and short enough for
// the subject of a link: 26 characters.
func NewID() string { return strings.ToLower(rand.Text()) }
