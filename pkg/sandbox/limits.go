package sandbox

import "time"

// Limits is how far one task may go. Zero means no limit of its own.
type Limits struct {
	Wall time.Duration // from start to end
	CPU  time.Duration // of each process
	// Memory in bytes: of the whole task with a memory cgroup, else of each process.
	Memory    int64
	Processes int
	FileSize  int64 // bytes of each file that is written
	Disk      int64 // bytes of all files together
	Output    int64 // bytes of everything that the task hands back
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

// Limit names the limit that ended a task.
type Limit string

// The limits that end a task, rather than one of its calls.
const (
	WallLimit   Limit = "wall"
	CPULimit    Limit = "cpu"
	MemoryLimit Limit = "memory"
	DiskLimit   Limit = "disk"
	OutputLimit Limit = "output"
)
