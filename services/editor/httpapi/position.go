package httpapi

import (
	"fmt"
	"strconv"
	"strings"
)

// position is where a client is in the event stream: the sequence number of the
// last message of each stream that it was given, and whose log it reads. As
// text it is the `id:` of an event, opaque to clients.
type position struct {
	builds, devices, log uint64
	build                string
}

func (p position) String() string {
	return fmt.Sprintf("%d-%d-%d-%s", p.builds, p.devices, p.log, p.build)
}

// parsePosition reports false for what String never gave.
func parsePosition(text string) (p position, ok bool) {
	parts := strings.Split(text, "-")
	if len(parts) != 4 {
		return position{}, false
	}
	for i, n := range []*uint64{&p.builds, &p.devices, &p.log} {
		var err error
		if *n, err = strconv.ParseUint(parts[i], 10, 64); err != nil {
			return position{}, false
		}
	}
	p.build = parts[3]
	return p, true
}
