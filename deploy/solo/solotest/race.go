//go:build race

package solotest

// The binaries run under the race detector where the tests do.
const raceDetector = true
