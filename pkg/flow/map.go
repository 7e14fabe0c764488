package flow

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	boardsv1 "github.com/flota/flota/pkg/pb/flota/boards/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// Streams.
var (
	Jobs = &Stream{
		Name: "JOBS", Owner: Editor, Subjects: []string{"jobs.>"},
		Doc:       "Builds that a worker may claim now: about twice the free slots, never the whole backlog.",
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxAge: 24 * time.Hour, MaxBytes: 64 * mib, MaxMessage: 4 * kib,
		Duplicates: 2 * time.Minute,
	}
	Logs = &Stream{
		Name: "LOGS", Owner: Editor, Subjects: []string{"logs.>"},
		Doc:       "Build logs while they are watched; the finished log is an object. A stream of its own, so that a flood of lines evicts no report.",
		Retention: jetstream.LimitsPolicy, MaxAge: time.Hour, MaxBytes: 256 * mib, MaxPerSubject: 4096, MaxMessage: 128 * kib,
		Duplicates: time.Minute,
	}
	Builds = &Stream{
		Name: "BUILDS", Owner: Editor, Subjects: []string{"builds.>"},
		Doc:       "What attempts say of their progress and end. Kept until the editor has handled it.",
		Retention: jetstream.InterestPolicy, Discard: jetstream.DiscardNew, MaxAge: 24 * time.Hour, MaxBytes: 256 * mib, MaxMessage: 1 * mib,
		Duplicates: 10 * time.Minute,
	}
	Projects = &Stream{
		Name: "PROJECTS", Owner: Editor, Subjects: []string{"projects.>"},
		Doc:       "What changed in a workspace's projects, for those who look at it.",
		Retention: jetstream.LimitsPolicy, MaxAge: time.Hour, MaxBytes: 64 * mib, MaxMessage: 64 * kib,
		Duplicates: 2 * time.Minute,
	}
	Devices = &Stream{
		Name: "DEVICES", Owner: Fleet, Subjects: []string{"devices.>"},
		Doc:       "Devices that came, went and reported. Kept until everybody concerned has handled it.",
		Retention: jetstream.InterestPolicy, Discard: jetstream.DiscardNew, MaxAge: 14 * 24 * time.Hour, MaxBytes: 1 * gib, MaxMessage: 16 * kib,
		// More than twice the window in which a signed report is accepted, from a clock
		// that is ahead to one that is behind: a replayed one is dropped here.
		Duplicates: 11 * time.Minute,
	}
	Seen = &Stream{
		Name: "SEEN", Owner: Fleet, Subjects: []string{"seen.>"},
		Doc:       "Batches of last-seen: in memory, oldest out, never in the way of a report.",
		Retention: jetstream.LimitsPolicy, Storage: jetstream.MemoryStorage, MaxAge: 10 * time.Minute, MaxBytes: 16 * mib, MaxMessage: 256 * kib,
		Duplicates: time.Minute,
	}
	FleetChanges = &Stream{
		Name: "FLEET", Owner: Fleet, Subjects: []string{"fleet.>"},
		Doc:       "What changed in a workspace's fleet, for those who look at it: in memory, since a page reads anew what it missed, and a write to disk for each would halve the rate of reports.",
		Retention: jetstream.LimitsPolicy, Storage: jetstream.MemoryStorage, MaxAge: time.Hour, MaxBytes: 16 * mib, MaxMessage: 64 * kib,
		Duplicates: 2 * time.Minute,
	}
	Serial = &Stream{
		Name: "SERIAL", Owner: Boards, Subjects: []string{"serial.>"},
		Doc:       "What virtual boards write on their serial ports, while it is watched: in memory, oldest out, never in the way of anything else.",
		Retention: jetstream.LimitsPolicy, Storage: jetstream.MemoryStorage, MaxAge: time.Hour, MaxBytes: 32 * mib, MaxPerSubject: 512, MaxMessage: 16 * kib,
		Duplicates: time.Minute,
	}
	BoardChanges = &Stream{
		Name: "BOARDS", Owner: Boards, Subjects: []string{"boards.>"},
		Doc:       "What changed on a workspace's virtual boards, for those who look at them.",
		Retention: jetstream.LimitsPolicy, Storage: jetstream.MemoryStorage, MaxAge: time.Hour, MaxBytes: 16 * mib, MaxPerSubject: 64, MaxMessage: 16 * kib,
		Duplicates: time.Minute,
	}
)

// Subjects.
var (
	BuildJob = Subject[*compilerv1.Job]{
		Stream: Jobs, Pattern: "jobs.build.{platform}.{build}", From: []Service{Editor},
		Doc: "There is a build to claim; platform is Word(id@version).",
	}
	BuildLog = Subject[*compilerv1.LogChunk]{
		Stream: Logs, Pattern: "logs.build.{build}.{attempt}", From: []Service{Compiler}, Tail: []Service{Editor},
		Doc: "Lines of a running build.",
	}
	BuildStarted = Subject[*compilerv1.BuildStarted]{
		Stream: Builds, Pattern: "builds.{build}.{attempt}.started", From: []Service{Compiler},
		Doc: "An attempt began.",
	}
	BuildPhase = Subject[*compilerv1.BuildPhase]{
		Stream: Builds, Pattern: "builds.{build}.{attempt}.phase", From: []Service{Compiler},
		Doc: "An attempt went on to its next phase.",
	}
	BuildFinished = Subject[*compilerv1.BuildFinished]{
		Stream: Builds, Pattern: "builds.{build}.{attempt}.finished", From: []Service{Compiler},
		Doc: "An attempt ended; its outputs are uploaded.",
	}
	BuildChanged = Subject[*editorv1.BuildChanged]{
		Stream: Projects, Pattern: "projects.{workspace}.build.{build}", From: []Service{Editor}, Tail: []Service{Editor},
		Doc: "A build has another state.",
	}
	DeviceEnrolled = Subject[*authv1.DeviceEnrolled]{
		Stream: Devices, Pattern: "devices.{device}.enrolled", From: []Service{Auth},
		Doc: "A device exists, or its name changed.",
	}
	DeviceRevoked = Subject[*authv1.DeviceRevoked]{
		Stream: Devices, Pattern: "devices.{device}.revoked", From: []Service{Auth},
		Doc: "A device's key is void, or the device is gone.",
	}
	DeviceReported = Subject[*artifactv1.DeviceReported]{
		Stream: Devices, Pattern: "devices.{device}.reported", From: []Service{Artifact},
		Doc: "A device said how its update goes. The device's request is answered after this is stored.",
	}
	DevicesSeen = Subject[*artifactv1.SeenBatch]{
		Stream: Seen, Pattern: "seen.{instance}", From: []Service{Artifact},
		Doc: "Devices that polled since the last batch.",
	}
	DeviceChanged = Subject[*fleetv1.Changed]{
		Stream: FleetChanges, Pattern: "fleet.{workspace}.device.{device}", From: []Service{Fleet}, Tail: []Service{Editor},
		Doc: "A device's row looks different now.",
	}
	BoardSerial = Subject[*boardsv1.SerialChunk]{
		Stream: Serial, Pattern: "serial.{workspace}.{board}", From: []Service{Boards}, Tail: []Service{Editor},
		Doc: "A virtual board wrote on its serial port.",
	}
	BoardChanged = Subject[*boardsv1.BoardChanged]{
		Stream: BoardChanges, Pattern: "boards.{workspace}.{board}", From: []Service{Boards}, Tail: []Service{Editor},
		Doc: "A virtual board started, stopped, or moved a pin.",
	}
)

// Consumers.
var (
	CompileJobs = Consumer[*compilerv1.Job]{
		Subject: BuildJob, Name: "compile-{platform}", By: Compiler, AckWait: 30 * time.Second, MaxDeliver: 20,
		Doc: "One for each platform version on offer; a worker pulls only while it has a free slot.",
	}
	TakeStarted = Consumer[*compilerv1.BuildStarted]{
		Subject: BuildStarted, Name: "editor-started", By: Editor, AckWait: 30 * time.Second, MaxDeliver: 20,
		Doc: "Shows that an attempt runs.",
	}
	TakePhase = Consumer[*compilerv1.BuildPhase]{
		Subject: BuildPhase, Name: "editor-phase", By: Editor, AckWait: 30 * time.Second, MaxDeliver: 5,
		Doc: "Shows how far an attempt is.",
	}
	TakeFinished = Consumer[*compilerv1.BuildFinished]{
		Subject: BuildFinished, Name: "editor-finished", By: Editor, AckWait: 30 * time.Second, MaxDeliver: 50,
		Doc: "Checks attempt and digests, writes the result.",
	}
	TakeEnrolled = Consumer[*authv1.DeviceEnrolled]{
		Subject: DeviceEnrolled, Name: "fleet-enrolled", By: Fleet, AckWait: 30 * time.Second, MaxDeliver: 100,
		Doc: "Makes the device's twin.",
	}
	TakeRevoked = Consumer[*authv1.DeviceRevoked]{
		Subject: DeviceRevoked, Name: "fleet-revoked", By: Fleet, AckWait: 30 * time.Second, MaxDeliver: 100,
		Doc: "Marks or removes the twin.",
	}
	TakeReported = Consumer[*artifactv1.DeviceReported]{
		Subject: DeviceReported, Name: "fleet-reported", By: Fleet, AckWait: 30 * time.Second, MaxDeliver: 100,
		Doc: "Moves the twin's update on.",
	}
	TakeSeen = Consumer[*artifactv1.SeenBatch]{
		Subject: DevicesSeen, Name: "fleet-seen", By: Fleet, AckWait: 30 * time.Second, MaxDeliver: 3,
		Doc: "Writes last-seen, apart from the twin.",
	}
)

// Requests.
var (
	Claim = Request[*editorv1.ClaimRequest, *editorv1.ClaimResponse]{
		Subject: "editor.claim", By: Editor, From: []Service{Compiler}, Timeout: 10 * time.Second,
		Doc: "A worker takes a build and gets an attempt with fresh links.",
	}
	BuildResult = Request[*editorv1.BuildRequest, *editorv1.BuildResponse]{
		Subject: "editor.build", By: Editor, From: []Service{Fleet, Boards}, Timeout: 10 * time.Second,
		Doc: "What came out of a build, to make a release of it or to write it to a virtual board.",
	}
	Links = Request[*artifactv1.LinksRequest, *artifactv1.LinksResponse]{
		Subject: "artifact.links", By: Artifact, From: []Service{Editor, Fleet, Boards}, Timeout: 10 * time.Second,
		Doc: "Fresh signed links for somebody who was allowed already.",
	}
	Exchange = Request[*authv1.ExchangeRequest, *authv1.ExchangeResponse]{
		Subject: "auth.exchange", By: Auth, From: []Service{Editor, Artifact, Fleet, Boards}, Timeout: 5 * time.Second,
		Doc: "A long-lived API token for a short-lived access token.",
	}
)

// Buckets.
var (
	Workers = Bucket[*compilerv1.Worker]{
		Name: "workers", Owner: Editor, Writer: Compiler, Read: []Service{Editor},
		TTL: 15 * time.Second, Storage: jetstream.MemoryStorage, MaxBytes: 16 * mib, MaxValue: 64 * kib,
		Doc: "Who compiles for which platforms, and how much more it could; key <worker>.",
	}
	Platforms = Bucket[*compilerv1.PlatformOffer]{
		Name: "platforms", Owner: Editor, Writer: Compiler, Read: []Service{Editor},
		// Longer than a machine sleeps: workers write again every hour that they are awake.
		TTL: 30 * 24 * time.Hour, MaxBytes: 64 * mib, MaxValue: 1 * mib,
		Doc: "The boards of a platform, and their options; key PlatformKey(id, version, toolchain).",
	}
	Fences = Bucket[*editorv1.Fence]{
		Name: "fences", Owner: Editor, Writer: Editor, Read: []Service{Compiler},
		TTL: 30 * time.Minute, Storage: jetstream.MemoryStorage, MaxBytes: 8 * mib, MaxValue: 1 * kib,
		Doc: "Attempts that are void: their workers stop; key <build>.",
	}
	TokenKeys = Bucket[*authv1.TokenKey]{
		Name: "token-keys", Owner: Auth, Writer: Auth, Read: []Service{Editor, Artifact, Fleet, Boards},
		MaxBytes: 1 * mib, MaxValue: 4 * kib,
		Doc: "Public keys that access tokens are verified with; key <kid>.",
	}
	DeviceKeys = Bucket[*authv1.DeviceKey]{
		Name: "device-keys", Owner: Auth, Writer: Auth, Read: []Service{Artifact},
		MaxBytes: 256 * mib, MaxValue: 4 * kib,
		Doc: "Read model of device credentials, rebuilt by auth at start; key <device>.",
	}
	Deployments = Bucket[*fleetv1.Deployment]{
		Name: "deployments", Owner: Fleet, Writer: Fleet, Read: []Service{Artifact},
		MaxBytes: 512 * mib, MaxValue: 256 * kib,
		Doc: "The signed statement of each deployment, once; key <workspace>.<number>.",
	}
	Refs = Bucket[*fleetv1.DeviceRef]{
		Name: "refs", Owner: Fleet, Writer: Fleet, Read: []Service{Artifact},
		MaxBytes: 256 * mib, MaxValue: 4 * kib,
		Doc: "Which deployment a device should have; key <device>.",
	}
)
