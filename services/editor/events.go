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

// BoardChange says that a virtual board of a workspace shows differently now.
type BoardChange struct {
	Board  string
	Device string // which it was provisioned as; empty before
	Exists bool
	State  string
	Starts int
	Reset  string
	Slot   string
	Pins   []BoardPin
}

// BoardPin is a pin of a virtual board.
type BoardPin struct {
	Number int
	Mode   string
	Value  int
}

// BoardSerial is what a virtual board wrote on its serial port.
type BoardSerial struct {
	Board  string
	Device string // which it was provisioned as; empty before
	Offset int64  // of the first byte, since the board was made
	Data   []byte
}
