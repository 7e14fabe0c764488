package arduino

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/flota/flota/pkg/sandbox"
)

// signs are what a compiler, or arduino-cli, says when a limit stopped it.
var signs = []struct {
	limit sandbox.Limit
	texts []string
}{
	{sandbox.MemoryLimit, []string{
		"out of memory allocating", "virtual memory exhausted", "memory exhausted", "Cannot allocate memory", "std::bad_alloc",
		"runtime: out of memory", "runtime: cannot allocate memory",
	}},
	{sandbox.CPULimit, []string{"CPU time limit exceeded", "Killed signal terminated program", "internal compiler error: Killed"}},
	{sandbox.DiskLimit, []string{"No space left on device", "File size limit exceeded", "File too large"}},
}

// exceeded finds out whether a limit ended the build: the sandbox saw it, a
// compiler says that it was stopped, or arduino-cli, which keeps all that the
// compilers say, had no more room itself.
func exceeded(exit sandbox.Exit, got collected) sandbox.Limit {
	if exit.Exceeded != "" || got.result.Success {
		return exit.Exceeded
	}
	if got.status == 128+int(syscall.SIGXCPU) {
		return sandbox.CPULimit
	}
	said := got.result.CompilerErr + got.result.Error
	if got.result.Error == "" { // no result: it broke down
		said += got.stderr
	}
	for _, s := range signs {
		for _, text := range s.texts {
			if strings.Contains(said, text) {
				return s.limit
			}
		}
	}
	return ""
}

func limitSentence(limit sandbox.Limit, l sandbox.Limits) string {
	switch limit {
	case sandbox.WallLimit:
		return fmt.Sprintf("The build took longer than %s and was stopped.", l.Wall.Round(time.Second))
	case sandbox.CPULimit:
		return fmt.Sprintf("A compiler needed more than %s of computing time and was stopped.", l.CPU.Round(time.Second))
	case sandbox.MemoryLimit:
		return fmt.Sprintf("The build needed more than %d MiB of memory and was stopped.", l.Memory>>20)
	case sandbox.DiskLimit:
		return fmt.Sprintf("The build wrote more than it may: %d MiB in a file, %d MiB in all.", l.FileSize>>20, l.Disk>>20)
	case sandbox.OutputLimit:
	}
	return "The build handed back more than it may."
}
