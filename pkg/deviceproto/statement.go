package deviceproto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flota/flota/pkg/fault"
)

// Format is the number of the payload's format.
const Format = 1

// The kinds of parts.
const (
	KindApp        = "app"
	KindFile       = "file"
	KindFilesystem = "filesystem"
	// KindIndex is a list of more files; see ParseIndex.
	KindIndex = "index"
)

// Statement is what is signed: which bytes which device shall run.
type Statement struct {
	Format     int64  `json:"format"`
	Workspace  string `json:"workspace"`
	Target     Target `json:"target"`
	Board      string `json:"board"`
	Release    string `json:"release"`
	Version    string `json:"version"`
	Deployment int64  `json:"deployment"`
	// SecurityVersion never goes down on a device.
	SecurityVersion int64  `json:"security_version"`
	Parts           []Part `json:"parts"`
	// Keys is empty or one public key, which replaces the key that did not sign.
	Keys []string `json:"keys,omitempty"`
}

// Target names a device or a group; exactly one is set.
type Target struct {
	Device string `json:"device,omitempty"`
	Group  string `json:"group,omitempty"`
}

// Part is one piece of what is installed. Sizes and offsets are bytes.
type Part struct {
	Kind   string `json:"kind"`
	Path   string `json:"path,omitempty"`
	Offset int64  `json:"offset,omitempty"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Payload returns the bytes to sign. It refuses, with an Invalid fault that names
// the field, a statement that no device would accept.
func (s Statement) Payload() ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	payload := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if len(payload) > MaxPayload {
		return nil, fault.Field("parts", "the statement has %d bytes, more than the %d that a device can take: fewer parts or shorter names", len(payload), MaxPayload)
	}
	return payload, nil
}

// ParsePayload reads the bytes that were signed and checks their form, not
// whether they are meant for anybody.
func ParsePayload(payload []byte) (Statement, error) {
	var s Statement
	if len(payload) > MaxPayload {
		return s, fault.Field("payload", "has %d bytes, more than %d", len(payload), MaxPayload)
	}
	if err := json.Unmarshal(payload, &s); err != nil {
		return s, fault.Field("payload", "is not a statement: %v", err)
	}
	return s, s.validate()
}

func (s Statement) validate() error {
	switch {
	case s.Format != Format:
		return fault.Field("format", "must be %d", Format)
	case s.Workspace == "":
		return fault.Field("workspace", "is missing")
	case (s.Target.Device == "") == (s.Target.Group == ""):
		return fault.Field("target", "must name a device or a group")
	case s.Board == "":
		return fault.Field("board", "is missing")
	case s.Deployment < 1 || s.Deployment > MaxNumber:
		return fault.Field("deployment", "must be from 1 to 2^53")
	case s.SecurityVersion < 0 || s.SecurityVersion > MaxNumber:
		return fault.Field("security_version", "must be from 0 to 2^53")
	case len(s.Parts) < 1 || len(s.Parts) > MaxParts:
		return fault.Field("parts", "must be 1 to %d", MaxParts)
	case len(s.Keys) > 1:
		return fault.Field("keys", "must be one at most")
	}
	for i, p := range s.Parts {
		if err := p.validate(i, len(s.Parts)); err != nil {
			return err
		}
		if p.Kind == KindFile && slices.ContainsFunc(s.Parts[:i], func(q Part) bool { return q.Kind == KindFile && q.Path == p.Path }) {
			return fault.Field(fmt.Sprintf("parts[%d].path", i), "is there twice")
		}
	}
	for _, key := range s.Keys {
		if _, err := ParsePublicKey(key); err != nil {
			return fault.Field("keys", "%v", err)
		}
	}
	return nil
}

func (p Part) validate(i, of int) error {
	field := func(name, format string, args ...any) error {
		return fault.Field(fmt.Sprintf("parts[%d].%s", i, name), format, args...)
	}
	switch {
	case p.Kind != KindApp && p.Kind != KindFile && p.Kind != KindFilesystem && p.Kind != KindIndex:
		return field("kind", "must be app, file, filesystem or index")
	case p.Kind == KindIndex && i != of-1:
		return field("kind", "only the last part can be the index")
	case p.Kind == KindIndex && p.Size > MaxIndex:
		return field("size", "must be at most %d of an index", MaxIndex)
	case p.Kind == KindApp && i > 0:
		return field("kind", "only the first part can be the app")
	case p.Kind == KindFile && !ValidPath(p.Path):
		return field("path", "must be relative, of at most 128 bytes, without empty segments, . and ..")
	case p.Kind != KindFile && p.Path != "":
		return field("path", "belongs to a file only")
	case p.Kind != KindFilesystem && p.Offset != 0:
		return field("offset", "belongs to a filesystem only")
	case p.Offset < 0 || p.Offset > MaxNumber:
		return field("offset", "must be from 0 to 2^53")
	case p.Size < 0 || p.Size > MaxNumber, p.Size == 0 && p.Kind != KindFile:
		return field("size", "must be from 1 to 2^53, or 0 for an empty file")
	case !ValidDigest(p.SHA256):
		return field("sha256", "must be 64 lower-case hexadecimal digits")
	}
	return nil
}

// ValidDigest reports whether a text is a SHA-256 as the protocol writes it.
func ValidDigest(text string) bool {
	if len(text) != 64 {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ValidPath reports whether a file part may have this path.
func ValidPath(path string) bool {
	if path == "" || len(path) > 128 || !utf8.ValidString(path) {
		return false
	}
	if strings.ContainsFunc(path, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}
