package arduino

import (
	"fmt"
	"strings"
	"time"

	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/sandbox"
)

// exceeded finds out whether a limit ended the build: the sandbox saw it, or a
// compiler says that it was stopped.
func exceeded(exit sandbox.Exit, result cliResult) compiler.Limit {
	if exit.Exceeded != "" || result.Success {
		return exit.Exceeded
	}
	for limit, signs := range map[compiler.Limit][]string{
		compiler.MemoryLimit: {"out of memory allocating", "virtual memory exhausted", "Cannot allocate memory", "std::bad_alloc", "memory exhausted"},
		compiler.CPULimit:    {"CPU time limit exceeded", "Killed signal terminated program", "internal compiler error: Killed"},
		compiler.DiskLimit:   {"No space left on device", "File size limit exceeded", "File too large"},
	} {
		for _, sign := range signs {
			if strings.Contains(result.CompilerErr, sign) || strings.Contains(result.Error, sign) {
				return limit
			}
		}
	}
	return ""
}

func limitSentence(limit compiler.Limit, l compiler.Limits) string {
	switch limit {
	case compiler.WallLimit:
		return fmt.Sprintf("The build took longer than %s and was stopped.", l.Wall.Round(time.Second))
	case compiler.CPULimit:
		return fmt.Sprintf("A compiler needed more than %s of computing time and was stopped.", l.CPU.Round(time.Second))
	case compiler.MemoryLimit:
		return fmt.Sprintf("The build needed more than %d MiB of memory and was stopped.", l.Memory>>20)
	case compiler.DiskLimit:
		return fmt.Sprintf("The build wrote more than it may: %d MiB in a file, %d MiB in all.", l.FileSize>>20, l.Disk>>20)
	case compiler.OutputLimit:
	}
	return "The build handed back more than it may."
}
