package arduino

import (
	"fmt"
	"strings"

	"github.com/flota/flota/services/compiler"
)

// maxTranscript is how much of what the compilers say is shown, in bytes.
const maxTranscript = 256 << 10

// transcript passes the compilers' text on to the log, with the user's names in it.
type transcript struct {
	log   compiler.Log
	names names
	left  int
}

func (t *transcript) write(source compiler.Source, text string) {
	for line := range strings.Lines(text) {
		if t.left < 0 {
			return
		}
		line = t.names.inText(strings.TrimRight(line, "\r\n"))
		if t.left -= len(line) + 1; t.left < 0 {
			t.log.Line(compiler.Farm, fmt.Sprintf("… the compilers said more than %d KiB; the rest is not shown", maxTranscript>>10))
			return
		}
		t.log.Line(source, line)
	}
}
