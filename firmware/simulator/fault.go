package simulator

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is what goes wrong with an image once it boots.
type Fault string

// The faults; they are the protocol's reasons for rolling back.
const (
	None      Fault = ""
	Crash     Fault = "crash"
	Watchdog  Fault = "watchdog"
	Selftest  Fault = "selftest"
	NoCheckin Fault = "no_checkin"
)

// Faults reads "crash", or "<sha256 prefix>=crash": what goes wrong with every
// new image, or with that one.
func Faults(text string) (func(Image) Fault, error) {
	prefix, fault, found := strings.Cut(text, "=")
	if !found {
		prefix, fault = "", text
	}
	if !slices.Contains([]Fault{Crash, Watchdog, Selftest, NoCheckin}, Fault(fault)) {
		return nil, fmt.Errorf("no such fault: %q (crash, watchdog, selftest or no_checkin)", fault)
	}
	return func(i Image) Fault {
		if i.SHA256 == "" || !strings.HasPrefix(i.SHA256, prefix) {
			return None
		}
		return Fault(fault)
	}, nil
}
