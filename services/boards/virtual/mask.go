package virtual

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// echo is how long a sketch may take to print what it was sent.
const echo = 30 * time.Second

// mask takes secrets out of what is written. A nil one takes nothing.
type mask struct {
	secrets [][]byte
	rest    []byte // may be the beginning of one
}

// newMask is of secrets as they are, and as they stand in JSON.
func newMask(secrets []string) *mask {
	m := &mask{}
	for _, s := range secrets {
		if s == "" {
			continue
		}
		m.secrets = append(m.secrets, []byte(s))
		if quoted, err := json.Marshal(s); err == nil {
			m.secrets = append(m.secrets, quoted[1:len(quoted)-1])
		}
	}
	// The longer first: one may be the beginning of another.
	slices.SortFunc(m.secrets, func(a, b []byte) int { return len(b) - len(a) })
	return m
}

// left is what is still held back.
func (m *mask) left() []byte {
	if m == nil {
		return nil
	}
	return m.rest
}

// hide returns what can be shown.
func (m *mask) hide(data []byte) []byte {
	if m == nil {
		return data
	}
	data = append(m.rest, data...)
	for _, s := range m.secrets {
		data = bytes.ReplaceAll(data, s, []byte("***"))
	}
	keep := 0
	for _, s := range m.secrets {
		for n := min(len(s)-1, len(data)); n > keep; n-- {
			if bytes.HasSuffix(data, s[:n]) {
				keep = n
			}
		}
	}
	m.rest = slices.Clone(data[len(data)-keep:])
	return data[:len(data)-keep]
}
