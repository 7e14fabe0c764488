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

// picoRadio is what arduino-pico's boards.txt has where a board has the radio that
// FlotaOTA knows, that of Pico W and Pico 2 W.
const picoRadio = "PICO_CYW43_SUPPORTED=1"

// readRadioless returns the boards of a platform on which the agent cannot run,
// since they have no network: those of arduino-pico without the radio.
func readRadioless(platform, dir string) (map[string]bool, error) {
	if !strings.HasSuffix(platform, ":rp2040") {
		return nil, nil
	}
	p, err := readProperties(filepath.Join(dir, "boards.txt"))
	if err != nil {
		return nil, err
	}
	without := map[string]bool{}
	for _, key := range p.keys {
		if id, ok := strings.CutSuffix(key, ".name"); ok && !strings.Contains(p.value[id+".build.extra_flags"], picoRadio) {
			without[platform+":"+id] = true
		}
	}
	return without, nil
}

// withFileSystem returns an FQBN of which the flash has a file system, where the
// board's option "flash" has values "<bytes>_<bytes of it for the file system>",
// as arduino-pico's, and none was chosen: half of it, at most. The agent keeps
// there what it was given, and downloads into it.
func withFileSystem(board compiler.Board, fqbn string) string {
	_, options, _ := strings.Cut(strings.TrimPrefix(fqbn, board.FQBN), ":")
	best, most := "", 0
	for _, o := range board.Options {
		for _, v := range o.Values {
			var flash, files int
			if n, err := fmt.Sscanf(v.ID, "%d_%d", &flash, &files); o.ID == "flash" && n == 2 && err == nil && files <= flash/2 && files > most {
				best, most = "flash="+v.ID, files
			}
		}
	}
	switch {
	case best == "" || strings.Contains(","+options, ",flash="):
		return fqbn
	case options == "":
		return fqbn + ":" + best
	default:
		return board.FQBN + ":" + best + "," + options
	}
}

// manage adds the agent to a sketch, if it is wanted and there is one for the
// board, and says so in the log. It returns the FQBN to compile for.
func (e *Executor) manage(sketch *intake.Sketch, board compiler.Board, fqbn string, unmanaged bool, log compiler.Log) (_ string, managed bool) {
	version := e.agents[platformOf(fqbn)]
	switch {
	case version == "":
		return fqbn, false
	case e.radioless[board.FQBN]:
		log.Line(compiler.Farm, "Warning: "+board.Name+" has no Wi-Fi: this firmware goes there by cable, and so does each after it.")
		return fqbn, false
	case unmanaged:
		log.Line(compiler.Farm, "Warning: this project does without "+agentLibrary+
			". A board that runs this firmware cannot be updated over the air, nor fall back, unless the sketch does that itself.")
		return fqbn, false
	}
	log.Line(compiler.Farm, fmt.Sprintf("%s %s is added", agentLibrary, version))
	sketch.Files = append(sketch.Files, compiler.File{Path: managedFile, Data: []byte(managedSource)})
	if with := withFileSystem(board, fqbn); with != fqbn {
		log.Line(compiler.Farm, agentLibrary+" needs a file system for updates: "+with)
		fqbn = with
	}
	return fqbn, true
}

// platformOf returns the platform of an FQBN.
func platformOf(fqbn string) string {
	parts := strings.SplitN(fqbn, ":", 3)
	return strings.Join(parts[:min(2, len(parts))], ":")
}
