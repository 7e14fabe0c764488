// Package compiler answers one question: what firmware does this source give?
// It holds the words of the trade, the rules that need no technology, and the
// interface of what does the work; arduino and micropython do it, in sandbox.
package compiler

import "time"

// Kind is the kind of a project.
type Kind string

// The kinds.
const (
	Arduino     Kind = "arduino"
	MicroPython Kind = "micropython"
)

// File is one file of a source tree; Path is relative and uses slashes.
type File struct {
	Path string
	Data []byte
}

// Job is one build to do.
type Job struct {
	// Build names the job in logs.
	Build string
	Kind  Kind
	// FQBN is the board with its options: "arduino:avr:mega:cpu=atmega1280".
	FQBN  string
	Files []File
	// Main is the main file's path as the user named it; where it is empty, the
	// kind's own convention finds it.
	Main string
	// Verbose asks for every command in the log.
	Verbose bool
	// Limits replace the executor's where they are not zero.
	Limits Limits
}

// Limits is how far one job may go. Zero means no limit of its own.
type Limits struct {
	Wall time.Duration // from start to end
	CPU  time.Duration // of each process
	// Memory in bytes: of the whole job with a memory cgroup, else of each process.
	Memory    int64
	Processes int
	FileSize  int64 // bytes of each file that is written
	Disk      int64 // bytes of all files together
	Output    int64 // bytes of everything that the job hands back
}

// Or returns l with o's value wherever l has none.
func (l Limits) Or(o Limits) Limits {
	or := func(v *int64, other int64) {
		if *v == 0 {
			*v = other
		}
	}
	or((*int64)(&l.Wall), int64(o.Wall))
	or((*int64)(&l.CPU), int64(o.CPU))
	or(&l.Memory, o.Memory)
	or(&l.FileSize, o.FileSize)
	or(&l.Disk, o.Disk)
	or(&l.Output, o.Output)
	if l.Processes == 0 {
		l.Processes = o.Processes
	}
	return l
}

// Limit names the limit that ended a job.
type Limit string

// The limits that end a job, rather than one of its calls.
const (
	WallLimit   Limit = "wall"
	CPULimit    Limit = "cpu"
	MemoryLimit Limit = "memory"
	DiskLimit   Limit = "disk"
	OutputLimit Limit = "output"
)
