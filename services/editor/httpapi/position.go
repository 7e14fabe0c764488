package httpapi

import (
	"fmt"
	"strconv"
	"strings"
)

// position is where a client is in the event stream: the sequence number of the
// last message of each stream that it was given, whose log and whose serial port it
// reads. As text it is the `id:` of an event, opaque to clients.
type position struct {
	builds, devices, boards, log, serial uint64
	build, board                         string
}

func (p position) String() string {
	return fmt.Sprintf("%d-%d-%d-%d-%d-%s-%s", p.builds, p.devices, p.boards, p.log, p.serial, p.build, p.board)
}

// parsePosition reports false for what String never gave.
func parsePosition(text string) (p position, ok bool) {
	parts := strings.Split(text, "-")
	if len(parts) != 7 {
		return position{}, false
	}
	for i, n := range []*uint64{&p.builds, &p.devices, &p.boards, &p.log, &p.serial} {
		var err error
		if *n, err = strconv.ParseUint(parts[i], 10, 64); err != nil {
			return position{}, false
		}
	}
	p.build, p.board = parts[5], parts[6]
	return p, true
}
