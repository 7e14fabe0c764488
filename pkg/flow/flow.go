// Package flow is the map of everything that travels between the services:
// every stream, subject, consumer, request and bucket is one documented, typed
// value here and nowhere else. proto/README.md shows it as a picture, which a
// test keeps current; the NATS users' permissions are derived from it.
package flow

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
)

// Service names one of the services: a NATS user with only its own subjects.
type Service string

// The services.
const (
	Auth     Service = "auth"
	Editor   Service = "editor"
	Compiler Service = "compiler"
	Artifact Service = "artifact"
	Fleet    Service = "fleet"
)

// Services lists them all, in the order in which a build meets them.
var Services = []Service{Auth, Editor, Compiler, Artifact, Fleet}

// Stream is a JetStream stream. Its owner makes it, with every declared
// consumer of it, at start; the others wait until it is there.
type Stream struct {
	Name      string
	Doc       string
	Owner     Service
	Subjects  []string
	Retention jetstream.RetentionPolicy
	Storage   jetstream.StorageType
	MaxAge    time.Duration
	MaxBytes  int64
	// MaxPerSubject keeps only the newest messages of a subject; 0 = no limit.
	MaxPerSubject int64
	// MaxMessage is the size limit of one message in bytes.
	MaxMessage int32
	// Duplicates is how long a message ID is remembered.
	Duplicates time.Duration
}

// Subject is a place in a stream where messages of one type are published.
// Words of the pattern in braces are filled in by Name.
type Subject[T proto.Message] struct {
	Stream  *Stream
	Pattern string
	From    []Service
	Doc     string
}

// Name fills the braces of the pattern in order. A part that would not be one
// word of a subject is a programming error and panics: IDs are made by us.
func (s Subject[T]) Name(parts ...string) string { return fill(s.Pattern, parts) }

// Filter is Name with "*" for every part that is left out or empty.
func (s Subject[T]) Filter(parts ...string) string {
	all := make([]string, strings.Count(s.Pattern, "{"))
	for i := range all {
		all[i] = "*"
		if i < len(parts) && parts[i] != "" {
			all[i] = parts[i]
		}
	}
	return fill(s.Pattern, all)
}

// Consumer is a durable pull consumer. Where its name has braces there is one
// consumer for each value, made by whoever consumes; otherwise the stream's
// owner makes it, so that an interest stream keeps messages from the first on.
type Consumer[T proto.Message] struct {
	Subject Subject[T]
	Name    string
	By      Service
	// AckWait is the lease: a handler that stops renewing it loses the message.
	AckWait time.Duration
	// MaxDeliver is how often a message is tried at most.
	MaxDeliver int
	Doc        string
}

// Request is a question that one service answers at once.
type Request[Q, R proto.Message] struct {
	Subject string
	By      Service
	From    []Service
	Timeout time.Duration
	Doc     string
}

// Bucket is a key-value bucket: one service writes, others watch.
type Bucket[T proto.Message] struct {
	Name   string
	Owner  Service
	Writer Service
	Read   []Service
	// TTL removes a key that was not renewed; 0 = never.
	TTL     time.Duration
	Storage jetstream.StorageType
	Doc     string
}

// Key joins words to a key of a bucket.
func Key(parts ...string) string {
	for _, p := range parts {
		mustBeWord(p)
	}
	return strings.Join(parts, ".")
}

// Word makes one word of a subject from a name such as "arduino:avr@1.8.7".
func Word(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			return r
		}
		return '_'
	}, name)
}

func fill(pattern string, parts []string) string {
	words := strings.Split(pattern, ".")
	next := 0
	for i, w := range words {
		if !strings.HasPrefix(w, "{") {
			continue
		}
		if next == len(parts) {
			panic(fmt.Sprintf("flow: %s wants more than %d parts", pattern, len(parts)))
		}
		if parts[next] != "*" {
			mustBeWord(parts[next])
		}
		words[i] = parts[next]
		next++
	}
	if next != len(parts) {
		panic(fmt.Sprintf("flow: %s wants %d parts, not %d", pattern, next, len(parts)))
	}
	return strings.Join(words, ".")
}

func mustBeWord(p string) {
	if p == "" || strings.ContainsAny(p, ".*> \t\r\n") {
		panic(fmt.Sprintf("flow: %q is not one word of a subject", p))
	}
}

// wildcard is the pattern as a NATS subject with "*" for every brace.
func wildcard(pattern string) string {
	words := strings.Split(pattern, ".")
	for i, w := range words {
		if strings.HasPrefix(w, "{") {
			words[i] = "*"
		}
	}
	return strings.Join(words, ".")
}

func messageName[T proto.Message]() string {
	var m T
	return string(m.ProtoReflect().Descriptor().FullName())
}

// fillBraces fills braces inside words, as in "compile-{platform}".
func fillBraces(pattern string, parts []string) string {
	for _, p := range parts {
		mustBeWord(p)
		before, rest, _ := strings.Cut(pattern, "{")
		_, after, _ := strings.Cut(rest, "}")
		pattern = before + p + after
	}
	return pattern
}
