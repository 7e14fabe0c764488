package config

import (
	"fmt"
	"io"
)

// Secret is a string that shows itself to nobody by accident: printed,
// marshalled or logged it is "***".
type Secret string

const hidden = "***"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "***".
func (Secret) String() string { return hidden }

// GoString returns "***".
func (Secret) GoString() string { return hidden }

// MarshalText returns "***".
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Format covers the verbs that pass by String: %d of a string prints it.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }
