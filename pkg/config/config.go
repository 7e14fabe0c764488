// Package config fills a service's configuration struct from the environment
// and the command line, and refuses whatever it does not know.
//
// Every variable has the prefix FLOTA_, and every variable has a flag of the
// same name: FLOTA_DEVICE_LISTEN is --device-listen. Secrets have no flag.
package config

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
)

const (
	prefix     = "FLOTA_"
	testPrefix = "FLOTA_TEST_" // belongs to the test harness; never a setting
	fileSuffix = "_FILE"       // FLOTA_KEY_FILE names a file that holds FLOTA_KEY
)

// ErrHelp is returned after --help has printed its table: not a failure, but a
// reason to stop.
var ErrHelp = flag.ErrHelp

// Parse fills the struct that dst points to. Its fields carry the tags of
// caarlos0/env (`env:"LISTEN" envDefault:":8080"`; nested structs have
// envPrefix) and desc, a sentence for --help. Args is the command line without
// the program's name, environ is like os.Environ(). A flag wins over the
// environment, and an empty value means the default.
//
// Parse fails, naming the key and never a secret's value, on an unknown flag,
// an unknown FLOTA_ variable, a value that does not parse, and a secret given
// as a flag. --help prints the settings and returns ErrHelp.
func Parse(dst any, args, environ []string) error {
	settings, err := describe(dst)
	if err != nil {
		return err
	}
	values, err := fromEnvironment(settings, environ)
	if err != nil {
		return err
	}
	flags, err := fromFlags(settings, args)
	if errors.Is(err, ErrHelp) {
		printHelp(os.Stdout, settings)
	}
	if err != nil {
		return err
	}
	maps.Copy(values, flags)
	if err := readSecretFiles(settings, values); err != nil {
		return err
	}
	if err := env.ParseWithOptions(dst, env.Options{Prefix: prefix, Environment: values}); err != nil {
		return nameKeys(dst, values, err)
	}
	return nil
}

// fromEnvironment returns the settings in environ and refuses those that no
// field asks for: a misspelled key must not pass for a default.
func fromEnvironment(settings []setting, environ []string) (map[string]string, error) {
	known := map[string]bool{}
	for _, s := range settings {
		known[s.Key] = true
		if s.Secret {
			known[s.Key+fileSuffix] = true
		}
	}
	values, unknown := map[string]string{}, []string{}
	for _, entry := range environ {
		key, value, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(key, prefix) || strings.HasPrefix(key, testPrefix):
		case known[key]:
			values[key] = value
		default:
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, fmt.Errorf("unknown setting in the environment: %s (--help lists them all)", strings.Join(unknown, ", "))
	}
	return values, nil
}

// readSecretFiles replaces each KEY_FILE by KEY with the file's content.
func readSecretFiles(settings []setting, values map[string]string) error {
	for _, s := range settings {
		path := values[s.Key+fileSuffix]
		if !s.Secret || path == "" {
			continue
		}
		if values[s.Key] != "" {
			return fmt.Errorf("%s and %s%s are both set: give one", s.Key, s.Key, fileSuffix)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("%s%s: %w", s.Key, fileSuffix, err)
		}
		values[s.Key] = strings.TrimRight(string(content), "\r\n")
	}
	return nil
}

// nameKeys turns the errors of env, which name Go fields, into one that names
// the keys: it tries each value alone and says which fail.
func nameKeys(dst any, values map[string]string, err error) error {
	var failed []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		scratch := reflect.New(reflect.TypeOf(dst).Elem()).Interface()
		alone := env.Options{Prefix: prefix, Environment: map[string]string{key: values[key]}}
		var bad env.ParseError
		if errors.As(env.ParseWithOptions(scratch, alone), &bad) {
			failed = append(failed, fmt.Errorf("%s (--%s): %w", key, flagName(key), bad.Err))
		}
	}
	if len(failed) == 0 {
		return err // a required key is missing; env names it
	}
	return errors.Join(failed...)
}
