package compiler

import (
	"strings"

	"github.com/flota/flota/pkg/fault"
)

// Platform is a core at one version, as installed.
type Platform struct {
	ID      string // packager and architecture: "arduino:avr"
	Version string
	Name    string
	// Toolchain is the digest of everything that decides what bytes come out.
	Toolchain string
	Boards    []Board
}

// Board is something to build for.
type Board struct {
	FQBN    string // without options
	Name    string
	Kind    Kind
	Options []Option
}

// Option is a choice that a board offers; its first value is the default.
type Option struct {
	ID     string
	Label  string
	Values []Value
}

// Value is one of an option's values.
type Value struct{ ID, Label string }

// Resolve finds the board of an FQBN among platforms and returns it with the
// FQBN in canonical form: options in the board's order, defaults left out. What
// the platforms do not list is a fault of field "fqbn".
func Resolve(platforms []Platform, fqbn string) (Board, string, error) {
	parts := strings.SplitN(fqbn, ":", 4)
	if len(parts) < 3 {
		return Board{}, "", fault.Field("fqbn", "%q is not packager:architecture:board[:options]", fqbn)
	}
	board, ok := find(platforms, strings.Join(parts[:3], ":"))
	if !ok {
		return Board{}, "", fault.Field("fqbn", "no installed core has the board %q", strings.Join(parts[:3], ":"))
	}
	chosen := map[string]string{}
	if len(parts) == 4 {
		for choice := range strings.SplitSeq(parts[3], ",") {
			id, value, _ := strings.Cut(choice, "=")
			if _, twice := chosen[id]; twice {
				return Board{}, "", fault.Field("fqbn", "the option %q is given twice", id)
			}
			chosen[id] = value
		}
	}
	var options []string
	for _, o := range board.Options {
		value, given := chosen[o.ID]
		if !given {
			continue
		}
		delete(chosen, o.ID)
		if !o.has(value) {
			return Board{}, "", fault.Field("fqbn", "%q is not a value of the option %q of %s", value, o.ID, board.Name)
		}
		if value != o.Values[0].ID {
			options = append(options, o.ID+"="+value)
		}
	}
	for id := range chosen {
		return Board{}, "", fault.Field("fqbn", "%s has no option %q", board.Name, id)
	}
	if len(options) == 0 {
		return board, board.FQBN, nil
	}
	return board, board.FQBN + ":" + strings.Join(options, ","), nil
}

func find(platforms []Platform, fqbn string) (Board, bool) {
	for _, p := range platforms {
		for _, b := range p.Boards {
			if b.FQBN == fqbn {
				return b, true
			}
		}
	}
	return Board{}, false
}

func (o Option) has(value string) bool {
	for _, v := range o.Values {
		if v.ID == value {
			return true
		}
	}
	return false
}
