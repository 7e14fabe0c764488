package compiler

import (
	"os"
	"time"
)

// Outcome is how a build ended; trouble of the farm itself is an error instead.
type Outcome string

// The outcomes.
const (
	Succeeded Outcome = "succeeded"
	Failed    Outcome = "failed" // the compiler refused the source
	Exceeded  Outcome = "limit"  // a limit ended it
)

// Result is what came out of a job.
type Result struct {
	Outcome Outcome
	// Message is a sentence for people, where the outcome is not Succeeded.
	Message     string
	Diagnostics []Diagnostic
	Outputs     []Output
	Memory      Memory
	Times       []PhaseTime
	Libraries   []Library
	// Agent is the update agent in the firmware; nil where it has none.
	Agent *Agent
	// Flash is how esptool writes the outputs; nil where it cannot.
	Flash *FlashBy
	// Toolchain is the digest of everything besides the source that decides
	// what bytes come out.
	Toolchain string
	// Dir holds the outputs' files; see Discard.
	Dir string
}

// Discard removes the outputs' files. It is the caller's to call, once, when
// the outputs are where they should be.
func (r *Result) Discard() error {
	if r == nil || r.Dir == "" {
		return nil
	}
	return os.RemoveAll(r.Dir)
}

// Severity of a diagnostic.
type Severity string

// The severities.
const (
	Note    Severity = "note"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Diagnostic is what a compiler said of a place. File is a path of the job where
// the place is in it, else the short name of a library's or core's file, or "";
// Line and Column count from 1, 0 where unknown.
type Diagnostic struct {
	File     string
	Line     int
	Column   int
	Severity Severity
	Message  string
}

// Role is what an output is for.
type Role string

// The roles.
const (
	App        Role = "app" // what a device installs over the air
	ELF        Role = "elf"
	Map        Role = "map"
	Bootloader Role = "bootloader"
	Partitions Role = "partitions"
	OTAData    Role = "otadata" // what a first flash writes to otadata, so that the first slot starts
	Hex        Role = "hex"
	Bundle     Role = "bundle" // a MicroPython release for people: a tar with manifest.json
	Index      Role = "index"  // what a device installs over the air: the list of a MicroPython release's files
	BoardFile  Role = "file"   // one of them; its name is its path on the board
	Other      Role = "other"
)

// Output is one file that came out.
type Output struct {
	Role   Role
	Name   string // as the user will see it: "blink.ino.bin"
	Path   string // where it lies, in Result.Dir
	Size   int64
	SHA256 string // lower-case hex
	// Offset is where a first flash by cable writes it, in bytes from the start
	// of flash; 0 where the board's platform does not say. The bootloader of some
	// chips is at 0.
	Offset uint64
}

// Agent is what the update agent is and costs in a firmware: bytes of flash, and of
// RAM for its variables, that it adds; of MicroPython its files' bytes, and 0.
type Agent struct {
	Version    string
	Flash, RAM int64
}

// FlashBy is esptool's arguments, from the core's own upload recipe; what is
// empty the recipe leaves to esptool.
type FlashBy struct {
	Chip      string // "esp32c3"
	Baud      int
	Mode      string // "dio"
	Frequency string // "80m"
	Size      string // "4MB"
}

// Memory is what the firmware takes, in bytes; a maximum of 0 means that the
// board declares none.
type Memory struct {
	FlashUsed, FlashMax int64
	RAMUsed, RAMMax     int64
}

// Phase is a part of an attempt that people wait for.
type Phase string

// The phases.
const (
	Fetch   Phase = "fetch"
	Compile Phase = "compile"
	Upload  Phase = "upload"
)

// PhaseTime is how long a phase took.
type PhaseTime struct {
	Phase Phase
	Took  time.Duration
}

// Library is a library that the firmware contains.
type Library struct{ Name, Version string }
