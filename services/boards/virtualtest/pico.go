// Package virtualtest lays out, for tests, what virtual boards are made of.
package virtualtest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/flota/flota/firmware/pico"
)

// FlashSize is that of a Pico W's file system, in bytes.
const FlashSize = 848 << 10

// Pico lays out the part of a toolchain that boards with MicroPython are made of, as
// deploy/toolchain/layout.sh does, with the agent as source: the folder micropython, and
// the image of a new board's file system. It is copied from the folder $FLOTA_TEST_PICO, which holds
// both, where that is set: for those without rights.
func Pico(t testing.TB) (dir, image string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	work, err := os.MkdirTemp("", "flota-pico-") // a sandbox's user must reach it
	must(err)
	t.Cleanup(func() { _ = os.RemoveAll(work) })
	dir, image = filepath.Join(work, "micropython"), filepath.Join(work, "pico.bin")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	must(os.Chmod(work, 0o755))
	if made := os.Getenv("FLOTA_TEST_PICO"); made != "" {
		run("cp", "-r", filepath.Join(made, "micropython"), filepath.Join(made, "pico.bin"), work)
		return dir, image
	}
	_, self, _, _ := runtime.Caller(0)
	repository := filepath.Join(filepath.Dir(self), "..", "..", "..")
	found, err := exec.CommandContext(t.Context(), filepath.Join(repository, "deploy/toolchain/micropython.sh")).Output()
	must(err)
	run("cp", "-r", strings.TrimSpace(string(found)), dir)
	run("cp", "-r", filepath.Join(repository, "firmware/pico/virtual"), filepath.Join(dir, "virtual"))
	files, err := pico.FirstFlash()
	must(errors.Join(err, pico.Save(filepath.Join(dir, "pico"), files)))
	c := exec.CommandContext(t.Context(), filepath.Join(dir, "micropython"), "image.py", image, strconv.Itoa(FlashSize), filepath.Join(dir, "pico"))
	c.Dir = filepath.Join(dir, "virtual")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("image.py: %v\n%s", err, out)
	}
	return dir, image
}
