//go:build !race

package solotest

const raceDetector = false
