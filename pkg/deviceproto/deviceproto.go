// Package deviceproto is the device protocol, version 1, as pure functions:
// keys, MACs, signed statements, the device's decision about one, and reports.
// firmware/README.md describes it; firmware/vectors, made here by go generate,
// shows it. The server, the simulator and the tests share this code; firmware in
// other languages runs the same vectors.
//
// Sources: HMAC is RFC 2104 with SHA-256 (FIPS 180-4); signatures are ECDSA over
// P-256 (FIPS 186-5), made with the deterministic nonce of RFC 6979; points are
// uncompressed as in SEC 1, 2.3.3; base64 is RFC 4648, section 4, with padding.
package deviceproto

import "time"

//go:generate go run ./genvectors ../../firmware/vectors

// Headers of requests and answers.
const (
	HeaderNonce   = "X-Flota-Nonce"
	HeaderTime    = "X-Flota-Time"
	HeaderRunning = "X-Flota-Running"
	HeaderClock   = "X-Flota-Clock"
	HeaderPoll    = "X-Flota-Poll"
	HeaderMAC     = "X-Flota-Mac"
)

// Paths of the server.
const (
	PathUpdate = "/d/v1/update"
	PathReport = "/d/v1/report"
	PathImage  = "/d/v1/image/" // then the token, and "/<i>" for a part other than the first
)

// Limits that both sides hold.
const (
	// ClockWindow is how far a request's time may be from the server's.
	ClockWindow = 300 * time.Second
	// MaxWait is the longest that a device waits between two polls.
	MaxWait = time.Hour
	// DefaultWait is what a device waits where Retry-After is missing.
	DefaultWait = 60 * time.Second
	// LinkLife is how long an image link is good.
	LinkLife = 15 * time.Minute
	// MaxPath is the length that paths and links stay below, in characters.
	MaxPath = 200
	// MaxAnswer and MaxReport are the largest bodies, in bytes.
	MaxAnswer = 4096
	MaxReport = 4096
	// MaxPayload is the largest payload of a statement, in bytes: with base64 and
	// the link around it, it still fits MaxAnswer.
	MaxPayload = 2800
	// MaxParts is how many parts a statement has at most.
	MaxParts = 16
	// MaxIndex and MaxIndexLines are the bytes and the files of an index at most.
	MaxIndex      = 65536
	MaxIndexLines = 256
	// IndexFile is the index's name among the files that it names.
	IndexFile = ".index"
	// MaxNumber is the largest integer in any body: one that is exact in a double.
	MaxNumber = 1 << 53
)
