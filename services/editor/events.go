package editor

import "time"

// BuildChange says that a build of a workspace shows differently now.
type BuildChange struct {
	Build   string
	Project string
	State   State
	Phase   Phase
	Attempt int
}

// DeviceChange says that a device of a workspace shows differently now.
type DeviceChange struct {
	Device         string
	State          string
	Percent        int
	RunningVersion string
	WantedVersion  string
	Seen           time.Time // zero where unknown
}
