// Package flow is the map of everything that travels between the services:
// every stream, subject, consumer, request and bucket is one documented, typed
// value here and nowhere else. proto/README.md shows it as a picture, which a
// test keeps current; the NATS users' permissions are derived from it.
package flow

import (
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
	Boards   Service = "boards"
)

// Services lists them all, in the order in which a build meets them.
var Services = []Service{Auth, Editor, Compiler, Artifact, Fleet, Boards}

// What the server may store for all streams and buckets together, in bytes.
// Every stream and bucket has a limit of its own, reserved when it is made, so
// that none can take the room of another; their sum stays below these.
const (
	MaxFileStore   = 4 * gib
	MaxMemoryStore = 128 * mib
)

// Stream is a JetStream stream. Its owner makes it, with every declared
// consumer of it, at start; the others wait until it is there.
type Stream struct {
	Name      string
	Doc       string
	Owner     Service
	Subjects  []string
	Retention jetstream.RetentionPolicy
	Storage   jetstream.StorageType
	// Discard says what a full stream does: drop its oldest message, or, where
	// none may be lost, refuse the new one, so that its sender keeps it.
	Discard  jetstream.DiscardPolicy
	MaxAge   time.Duration
	MaxBytes int64
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
	// Tail are the services that read along without consuming.
	Tail []Service
	Doc  string
}

// Name fills the braces of the pattern in order. A part that would not be one
// word of a subject is a programming error and panics: IDs are made by us.
func (s Subject[T]) Name(parts ...string) string { return fill(s.Pattern, parts, false) }

// Filter is Name with "*" for every part that is left out, empty or "*".
func (s Subject[T]) Filter(parts ...string) string { return fill(s.Pattern, parts, true) }

// Consumer is a durable pull consumer. Where its name has braces there is one
// consumer for each value, made by whoever consumes; otherwise the stream's
// owner makes it, so that an interest stream keeps messages from the first on.
type Consumer[T proto.Message] struct {
	Subject Subject[T]
	Name    string
	By      Service
	// AckWait is the lease: a handler that stops renewing it loses the message.
	AckWait time.Duration
	// MaxDeliver is how often a message is tried at most. One that was tried that
	// often stays in its stream, untouched, until its MaxAge.
	MaxDeliver int
	Doc        string
}

// Declare returns the consumer with the braces of its name, and the same words
// of its subject, filled in.
func (c Consumer[T]) Declare(name ...string) AnyConsumer {
	decl := c.any()
	decl.Name = fill(c.Name, name, false)
	decl.Filter = c.Subject.Filter(name...)
	return decl
}

// Request is a question that one service answers at once.
type Request[Q, R proto.Message] struct {
	Subject string
	By      Service
	From    []Service
	// Timeout is how long the asker waits and the handler may take.
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
	// MaxBytes limits the bucket, MaxValue one value. A full bucket takes no new
	// key and loses none.
	MaxBytes int64
	MaxValue int32
	Doc      string
}
