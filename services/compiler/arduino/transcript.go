package arduino

import (
	"fmt"
	"strings"

	"github.com/flota/flota/services/compiler"
)

// How much of compiler.MaxLog each may take. Errors have a room of their own, which the commands of a verbose
// build cannot take from them; what is left is for the farm's other lines.
const (
	maxStdout   = 3 << 20
	maxStderr   = 512 << 10
	maxCompiled = 400 << 10 // the names of compiled files
)

// transcript passes the compilers' text on to the log, with the user's names in it.
type transcript struct {
	log   compiler.Log
	names names
}

func (t transcript) write(source compiler.Source, text string, room int) {
	head, left, tail := ends(t.names.inText(text), room)
	t.lines(source, head)
	if left > 0 {
		t.log.Line(compiler.Farm, fmt.Sprintf("… %d bytes of what the compilers wrote to %s are left out here; a log shows about %d KiB of it", left, source, room>>10))
	}
	t.lines(source, tail)
}

func (t transcript) lines(source compiler.Source, text string) {
	for line := range strings.Lines(text) {
		t.log.Line(source, strings.TrimRight(line, "\r\n"))
	}
}

// ends returns as much of a text's beginning and of its end as there is room for, in whole lines, and how many
// bytes are left out between them: what went wrong is told at either end.
func ends(text string, room int) (head string, left int, tail string) {
	begin, end := 0, len(text)
	half := room / 2
	for line := range strings.Lines(text) {
		cost := compiler.LogCost(line)
		if room-cost < half {
			break
		}
		room -= cost
		begin += len(line)
	}
	for end > begin {
		start := begin + strings.LastIndexByte(text[begin:end-1], '\n') + 1
		if room -= compiler.LogCost(text[start:end]); room < 0 {
			break
		}
		end = start
	}
	return text[:begin], end - begin, text[end:]
}
