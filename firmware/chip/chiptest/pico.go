package chiptest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/pico"
	"github.com/flota/flota/pkg/deviceproto"
)

// PicoBoard is the board that a Pico of the fleet is.
const PicoBoard = "micropython:py:virtual_pico_w"

// MicroPython is what chip.Config.MicroPython of a Pico in a test is: the interpreter that
// deploy/toolchain/micropython.sh gives, and the boot ROM of this repository.
func MicroPython(t testing.TB) string {
	t.Helper()
	found, err := interpreter()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, there := range map[string]string{
		"root": filepath.Join(found, "root"), "micropython": filepath.Join(found, "micropython"), "virtual": filepath.Join(Firmware(), "pico", "virtual"),
	} {
		if err := os.Symlink(there, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	interpreter = tool("micropython.sh")
	compiler    = tool("mpy-cross.sh")
)

// tool is what a script of deploy/toolchain gives.
func tool(script string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), compileTimeout)
		defer cancel()
		out, err := exec.CommandContext(ctx, filepath.Join(Firmware(), "..", "deploy", "toolchain", script)).Output()
		if err != nil {
			err = fmt.Errorf("%s: %w", script, err)
		}
		return strings.TrimSpace(string(out)), err
	})
}

// PicoImage makes the file system of a Pico with some files, by their paths on it.
func PicoImage(t testing.TB, files map[string]string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, "files", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "files"), 0o700); err != nil {
		t.Fatal(err)
	}
	found, err := interpreter()
	if err != nil {
		t.Fatal(err)
	}
	program, image := filepath.Join(Firmware(), "pico", "virtual", "image.py"), filepath.Join(dir, "image")
	if log, err := run(filepath.Join(found, "micropython"), program, image, strconv.Itoa(chip.PicoFlashSize), filepath.Join(dir, "files")); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	raw, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// NewPico opens a Pico as NewBench does an ESP32, with files on its flash.
func NewPico(t testing.TB, files map[string]string, change ...func(*chip.Config)) *Bench {
	t.Helper()
	dir := t.TempDir()
	image := chip.Segment{Data: PicoImage(t, files)}
	if err := chip.Create(dir, chip.Fuses{Chip: chip.RP2040}, image); err != nil {
		t.Fatal(err)
	}
	return OpenPico(t, dir, change...)
}

// OpenPico is OpenBench for a Pico.
func OpenPico(t testing.TB, dir string, change ...func(*chip.Config)) *Bench {
	t.Helper()
	micropython := MicroPython(t)
	return OpenBench(t, dir, append([]func(*chip.Config){func(c *chip.Config) { c.MicroPython = micropython }}, change...)...)
}

// FleetPico is NewPico with a Pico's first flash on it (firmware/pico), and what it is given where
// that is not nil: what Provision does, at once.
func FleetPico(t testing.TB, given *deviceproto.Provision, change ...func(*chip.Config)) *Bench {
	t.Helper()
	first, err := pico.FirstFlash()
	if err != nil {
		t.Fatal(err)
	}
	base := map[string]string{}
	files := map[string]string{}
	for _, f := range first {
		if name, ok := strings.CutPrefix(f.Path, "a/"); !ok {
			files[f.Path] = string(f.Data)
		} else if !strings.HasPrefix(name, "flota_") && name != ".index" {
			base[name] = string(f.Data)
		}
	}
	release := PicoRelease(t, base)
	release[".index"], _ = Index(t, release)
	for name, data := range release {
		files["a/"+name] = string(data)
	}
	if given != nil {
		raw, err := json.Marshal(given)
		if err != nil {
			t.Fatal(err)
		}
		files["flota.json"] = string(raw)
	}
	return NewPico(t, files, change...)
}

// PicoRelease is a managed release: files, and the agent as the farm adds it, compiled.
func PicoRelease(t testing.TB, files map[string]string) map[string][]byte {
	t.Helper()
	agent, err := picoAgent()
	if err != nil {
		t.Fatal(err)
	}
	release := maps.Clone(agent)
	for name, text := range files {
		release[name] = []byte(text)
	}
	return release
}

var picoAgent = sync.OnceValues(func() (map[string][]byte, error) {
	program, err := compiler()
	if err != nil {
		return nil, err
	}
	sources, err := filepath.Glob(filepath.Join(Firmware(), "pico", "flota_*.py"))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "chiptest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	agent := map[string][]byte{}
	for _, source := range sources {
		name := filepath.Base(source)
		if name == "flota_boot.py" { // the bootloader's, which no release brings
			continue
		}
		compiled := strings.TrimSuffix(name, ".py") + ".mpy"
		if log, err := run(program, "-s", name, "-o", filepath.Join(dir, compiled), source); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, log)
		}
		if agent[compiled], err = os.ReadFile(filepath.Join(dir, compiled)); err != nil {
			return nil, err
		}
	}
	return agent, nil
})

// EnrolPico is Enrol for a Pico.
func (s *Server) EnrolPico(name string) deviceproto.Provision {
	p := s.Enrol(name)
	p.Board = PicoBoard
	return p
}
