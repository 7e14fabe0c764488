package arduino

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

// agentLibrary is the library that makes a sketch able to update itself.
const agentLibrary = "FlotaOTA"

// managedFile is what the farm puts beside a managed sketch. No file of a user's
// has such a name: intake refuses what begins with the main file's.
const (
	managedFile   = intake.MainFile + ".flota.cpp"
	managedSource = "#include <FlotaOTA.h>\nFLOTA_MANAGED\n"
	// managedName is what people are told that file is.
	managedName = agentLibrary + " (added by the farm)"
)

// readAgent returns the version of FlotaOTA in a platform's folder, "" where the
// platform is laid out without.
func readAgent(platform string) (version string, err error) {
	library, err := readProperties(filepath.Join(platform, "libraries", agentLibrary, "library.properties"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return library.value["version"], err
}

// readMembers returns the archive members that every program of a platform has
// in it, as laid out; none where nobody compiled for it beforehand.
func readMembers(root, platform string) (map[string]bool, error) {
	text, err := os.ReadFile(filepath.Join(root, "members", platform))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	members := map[string]bool{}
	for name := range strings.FieldsSeq(string(text)) {
		members[name] = true
	}
	return members, nil
}

// manage adds the agent to a sketch, if it is wanted and there is one for the
// platform, and says so in the log.
func (e *Executor) manage(sketch *intake.Sketch, fqbn string, unmanaged bool, log compiler.Log) (managed bool) {
	version := e.agents[platformOf(fqbn)]
	switch {
	case version == "":
		return false
	case unmanaged:
		log.Line(compiler.Farm, "Warning: this project does without "+agentLibrary+
			". A board that runs this firmware cannot be updated over the air, nor fall back, unless the sketch does that itself.")
		return false
	}
	log.Line(compiler.Farm, fmt.Sprintf("%s %s is added", agentLibrary, version))
	sketch.Files = append(sketch.Files, compiler.File{Path: managedFile, Data: []byte(managedSource)})
	return true
}

// platformOf returns the platform of an FQBN.
func platformOf(fqbn string) string {
	parts := strings.SplitN(fqbn, ":", 3)
	return strings.Join(parts[:min(2, len(parts))], ":")
}
