package provision

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"

	"github.com/flota/flota/pkg/deviceproto"
)

// listen puts every answer in what a port reads into answers, and closes that at
// the port's end. Where nobody takes them the oldest go.
func listen(port io.Reader, answers chan answer) {
	defer close(answers)
	lines := bufio.NewReaderSize(port, deviceproto.MaxLine+2)
	for long := false; ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // longer than any of the dialogue's
			long = true
			continue
		case errors.Is(err, io.ErrNoProgress): // a port with a timeout of its own
			continue
		case err != nil:
			return
		case long: // its end
			long = false
			continue
		}
		for _, a := range find(line) {
			for sent := false; !sent; {
				select {
				case answers <- a:
					sent = true
				default:
					select {
					case <-answers:
					default:
					}
				}
			}
		}
	}
}

var beginning = regexp.MustCompile(`\{\s*"flota"\s*:`)

// find returns the answers in a line. There is one at most in order, and then it is
// all of the line; but a sketch that prints as it likes may leave its output on either
// side.
func find(line []byte) []answer {
	var all []answer
	for _, at := range beginning.FindAllIndex(line, -1) {
		var members map[string]json.RawMessage
		var word string
		if json.NewDecoder(bytes.NewReader(line[at[0]:])).Decode(&members) == nil && json.Unmarshal(members["flota"], &word) == nil {
			all = append(all, answer{word, members})
		}
	}
	return all
}
