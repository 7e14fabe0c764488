package arduino

import (
	"strings"
	"testing"

	"github.com/flota/flota/services/compiler"
)

func TestEnds(t *testing.T) {
	line := strings.Repeat("x", 68) // costs 100
	for name, c := range map[string]struct {
		text       string
		room       int
		head, tail int // bytes
	}{
		"nothing":            {"", 1000, 0, 0},
		"it fits":            {line, 1000, 68, 0},
		"it just fits":       {strings.Repeat(line[1:]+"\n", 10), 1000, 5 * 68, 5 * 68},
		"an odd number":      {strings.Repeat(line[1:]+"\n", 9), 900, 4 * 68, 5 * 68},
		"one too many":       {strings.Repeat(line[1:]+"\n", 11), 1000, 5 * 68, 5 * 68},
		"the end has no end": {strings.Repeat(line[1:]+"\n", 10) + "error", 500, 2 * 68, 2*68 + 5},
		"empty lines":        {strings.Repeat("\n", 100), 320, 4, 5},
		"an empty last line": {strings.Repeat(line, 9) + "\n\n", 100, 0, 1},
		"one line, too long": {strings.Repeat(line, 9), 100, 0, 0},
	} {
		head, left, tail := ends(c.text, c.room)
		if len(head) != c.head || len(tail) != c.tail || len(head)+left+len(tail) != len(c.text) ||
			!strings.HasPrefix(c.text, head) || !strings.HasSuffix(c.text, tail) {
			t.Errorf("%s: %d, %d, %d of %d", name, len(head), left, len(tail), len(c.text))
		}
	}
	if maxStdout+maxStderr+maxCompiled > compiler.MaxLog {
		t.Error("a log has no room for all of it")
	}
}
