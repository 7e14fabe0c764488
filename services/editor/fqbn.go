package editor

import (
	"regexp"
	"slices"
	"strings"

	"github.com/flota/flota/pkg/fault"
)

var fqbnPart = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

// choice is one option in an FQBN.
type choice struct{ option, value string }

// splitFQBN takes "arduino:avr:mega:cpu=atmega1280" apart. The fault is Invalid,
// of field "fqbn".
func splitFQBN(fqbn string) (board string, choices []choice, err error) {
	parts := strings.SplitN(fqbn, ":", 4)
	if len(parts) < 3 || slices.ContainsFunc(parts[:3], func(p string) bool { return !fqbnPart.MatchString(p) }) {
		return "", nil, fault.Field("fqbn", "a board is named packager:architecture:board, with options behind another colon")
	}
	board = strings.Join(parts[:3], ":")
	if len(parts) == 3 {
		return board, nil, nil
	}
	for text := range strings.SplitSeq(parts[3], ",") {
		option, value, _ := strings.Cut(text, "=")
		if !fqbnPart.MatchString(option) || !fqbnPart.MatchString(value) {
			return "", nil, fault.Field("fqbn", "an option is written name=value")
		}
		if slices.ContainsFunc(choices, func(c choice) bool { return c.option == option }) {
			return "", nil, fault.Field("fqbn", "the option %s is given twice", option)
		}
		choices = append(choices, choice{option, value})
	}
	return board, choices, nil
}

// CheckFQBN returns an Invalid fault of field "fqbn" for what cannot be the
// name of a board; whether there is such a board is another question.
func CheckFQBN(fqbn string) error {
	_, _, err := splitFQBN(fqbn)
	return err
}

// canonical returns the board's FQBN with the chosen options: in the board's
// own order, defaults left out. The fault is Invalid, of field "fqbn".
func canonical(board Board, choices []choice) (string, error) {
	var options []string
	known := 0
	for _, option := range board.Options {
		i := slices.IndexFunc(choices, func(c choice) bool { return c.option == option.ID })
		if i < 0 {
			continue
		}
		known++
		j := slices.IndexFunc(option.Values, func(v OptionValue) bool { return v.ID == choices[i].value })
		if j < 0 {
			return "", fault.Field("fqbn", "%s is not a value of the option %s of %s", choices[i].value, option.ID, board.Name)
		}
		if !option.Values[j].Default {
			options = append(options, option.ID+"="+choices[i].value)
		}
	}
	if known < len(choices) {
		i := slices.IndexFunc(choices, func(c choice) bool {
			return !slices.ContainsFunc(board.Options, func(o *Option) bool { return o.ID == c.option })
		})
		return "", fault.Field("fqbn", "%s has no option %s", board.Name, choices[i].option)
	}
	if len(options) == 0 {
		return board.FQBN, nil
	}
	return board.FQBN + ":" + strings.Join(options, ","), nil
}
