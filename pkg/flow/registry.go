package flow

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
)

// Streams lists every stream.
var Streams = []*Stream{Jobs, Logs, Builds, Projects, Devices, Seen, FleetChanges, Serial, BoardChanges}

// The untyped sides of the map, for making, drawing and permitting what is in it.
type (
	// AnySubject is a Subject.
	AnySubject struct {
		Stream  *Stream
		Pattern string
		From    []Service
		Tail    []Service
		Message string
		Doc     string
	}
	// AnyConsumer is a Consumer.
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
	// AnyRequest is a Request.
	AnyRequest struct {
		Subject         string
		By              Service
		From            []Service
		Timeout         time.Duration
		Question, Reply string
		Doc             string
	}
	// AnyBucket is a Bucket.
	AnyBucket struct {
		Name          string
		Owner, Writer Service
		Read          []Service
		TTL           time.Duration
		Storage       jetstream.StorageType
		MaxBytes      int64
		MaxValue      int32
		Message       string
		Doc           string
	}
)

// Subjects lists every subject.
var Subjects = []AnySubject{
	BuildJob.any(), BuildLog.any(), BuildStarted.any(), BuildPhase.any(), BuildFinished.any(), BuildChanged.any(),
	DeviceEnrolled.any(), DeviceRevoked.any(), DeviceReported.any(), DevicesSeen.any(), DeviceChanged.any(), BoardSerial.any(), BoardChanged.any(),
}

// Consumers lists every durable consumer.
var Consumers = []AnyConsumer{
	CompileJobs.any(), TakeStarted.any(), TakePhase.any(), TakeFinished.any(),
	TakeEnrolled.any(), TakeRevoked.any(), TakeReported.any(), TakeSeen.any(),
}

// Requests lists every request.
var Requests = []AnyRequest{Claim.any(), BuildResult.any(), Links.any(), Exchange.any()}

// Buckets lists every bucket.
var Buckets = []AnyBucket{Workers.any(), Platforms.any(), Fences.any(), TokenKeys.any(), DeviceKeys.any(), Deployments.any(), Refs.any()}

func (s Subject[T]) any() AnySubject {
	return AnySubject{
		Stream: s.Stream, Pattern: s.Pattern, From: s.From, Tail: s.Tail, Message: messageName[T](), Doc: s.Doc,
	}
}

func (c Consumer[T]) any() AnyConsumer {
	return AnyConsumer{
		Stream: c.Subject.Stream, Name: c.Name, Filter: wildcard(c.Subject.Pattern), By: c.By,
		AckWait: c.AckWait, MaxDeliver: c.MaxDeliver, Message: messageName[T](), Doc: c.Doc,
	}
}

func (r Request[Q, R]) any() AnyRequest {
	return AnyRequest{
		Subject: r.Subject, By: r.By, From: r.From, Timeout: r.Timeout,
		Question: messageName[Q](), Reply: messageName[R](), Doc: r.Doc,
	}
}

func (b Bucket[T]) any() AnyBucket {
	return AnyBucket{
		Name: b.Name, Owner: b.Owner, Writer: b.Writer, Read: b.Read, TTL: b.TTL, Storage: b.Storage,
		MaxBytes: b.MaxBytes, MaxValue: b.MaxValue, Message: messageName[T](), Doc: b.Doc,
	}
}

func messageName[T proto.Message]() string {
	var m T
	return string(m.ProtoReflect().Descriptor().FullName())
}
