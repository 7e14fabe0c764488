package config

import (
	"fmt"
	"strings"
)

// fromFlags reads --name=value, --name value and, for booleans, --name.
// The standard flag package would print a refused secret's value.
func fromFlags(settings []setting, args []string) (map[string]string, error) {
	byFlag := map[string]setting{}
	for _, s := range settings {
		byFlag[flagName(s.Key)] = s
		if s.Secret {
			path := s.Key + fileSuffix
			byFlag[flagName(path)] = setting{Key: path}
		}
	}
	values := map[string]string{}
	for len(args) > 0 {
		name, value, given := strings.Cut(args[0], "=")
		args = args[1:]
		if name == "--help" || name == "-h" {
			return nil, ErrHelp
		}
		name, isFlag := strings.CutPrefix(name, "--")
		if !isFlag {
			return nil, fmt.Errorf("unexpected argument %q: settings are given as --name=value", name)
		}
		s, known := byFlag[name]
		switch {
		case !known:
			return nil, fmt.Errorf("unknown flag --%s (--help lists them all)", name)
		case s.Secret:
			return nil, fmt.Errorf("--%s: a secret is not taken from the command line, where every process can read it; set %s, or name a file in %s%s", name, s.Key, s.Key, fileSuffix)
		case given:
		case s.Bool:
			value = "true"
		case len(args) == 0:
			return nil, fmt.Errorf("--%s needs a value", name)
		default:
			value, args = args[0], args[1:]
		}
		values[s.Key] = value
	}
	return values, nil
}
