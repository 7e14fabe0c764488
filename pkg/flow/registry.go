package flow

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Streams lists every stream.
var Streams = []*Stream{Jobs, Logs, Builds, Projects, Devices, Seen, FleetChanges}

// AnySubject, AnyConsumer, AnyRequest and AnyBucket are the untyped sides of
// the map, for making, drawing and permitting what is in it.
type (
	AnySubject struct {
		Stream  *Stream
		Pattern string
		From    []Service
		Message string
		Doc     string
	}
	AnyConsumer struct {
		Stream     *Stream
		Name       string
		Filter     string
		By         Service
		AckWait    time.Duration
		MaxDeliver int
		Message    string
		Doc        string
	}
	AnyRequest struct {
		Subject         string
		By              Service
		From            []Service
		Question, Reply string
		Doc             string
	}
	AnyBucket struct {
		Name          string
		Owner, Writer Service
		Read          []Service
		TTL           time.Duration
		Storage       jetstream.StorageType
		Message       string
		Doc           string
	}
)

// Subjects lists every subject.
var Subjects = []AnySubject{
	BuildJob.any(), BuildLog.any(), BuildStarted.any(), BuildPhase.any(), BuildFinished.any(), BuildChanged.any(),
	DeviceEnrolled.any(), DeviceRevoked.any(), DeviceReported.any(), DevicesSeen.any(), DeviceChanged.any(),
}

// Consumers lists every durable consumer.
var Consumers = []AnyConsumer{
	CompileJobs.any(), TakeStarted.any(), TakePhase.any(), TakeFinished.any(),
	TakeEnrolled.any(), TakeRevoked.any(), TakeReported.any(), TakeSeen.any(),
}

// Requests lists every request.
var Requests = []AnyRequest{Claim.any(), BuildResult.any(), Links.any(), Exchange.any()}

// Buckets lists every bucket.
var Buckets = []AnyBucket{Workers.any(), TokenKeys.any(), DeviceKeys.any(), Deployments.any(), Refs.any()}

func (s Subject[T]) any() AnySubject {
	return AnySubject{s.Stream, s.Pattern, s.From, messageName[T](), s.Doc}
}

func (c Consumer[T]) any() AnyConsumer {
	return AnyConsumer{
		c.Subject.Stream, c.Name, wildcard(c.Subject.Pattern), c.By, c.AckWait, c.MaxDeliver, messageName[T](), c.Doc,
	}
}

func (r Request[Q, R]) any() AnyRequest {
	return AnyRequest{r.Subject, r.By, r.From, messageName[Q](), messageName[R](), r.Doc}
}

func (b Bucket[T]) any() AnyBucket {
	return AnyBucket{b.Name, b.Owner, b.Writer, b.Read, b.TTL, b.Storage, messageName[T](), b.Doc}
}

// Declare returns the consumer with the braces of its name, and the same words
// of its subject, filled in.
func (c Consumer[T]) Declare(name ...string) AnyConsumer {
	decl := c.any()
	if len(name) > 0 {
		decl.Name = fillBraces(c.Name, name)
		decl.Filter = c.Subject.Filter(name...)
	}
	return decl
}
