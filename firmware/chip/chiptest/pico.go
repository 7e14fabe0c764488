package chiptest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/flota/flota/firmware/chip"
)

// MicroPython is what chip.Config.MicroPython of a Pico in a test is: the interpreter that
// deploy/toolchain/micropython.sh gives, and the boot ROM of this repository.
func MicroPython(t testing.TB) string {
	t.Helper()
	found, err := interpreter()
	if err != nil {
		t.Fatalf("there is no MicroPython: %v", err)
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

var interpreter = sync.OnceValues(func() (string, error) {
	out, err := exec.Command(filepath.Join(Firmware(), "..", "deploy", "toolchain", "micropython.sh")).Output()
	return strings.TrimSpace(string(out)), err
})

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
		t.Fatalf("there is no MicroPython: %v", err)
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
