// Package virtualtest lays out, for tests, what virtual boards are made of.
package virtualtest

import (
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

// Toolchain lays out the part of a toolchain that boards with MicroPython are made of, as
// deploy/toolchain/layout.sh does. It is a copy of the folder
// $FLOTA_TEST_PICO where that is set: for those without rights.
func Toolchain(t testing.TB) (root string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.MkdirTemp("", "flota-pico-") // a sandbox's user must reach it
	must(err)
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	dir, image := filepath.Join(root, "micropython"), filepath.Join(root, "base", "flota-virtual-pico.bin")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	must(os.Chmod(root, 0o755))
	if made := os.Getenv("FLOTA_TEST_PICO"); made != "" {
		run("cp", "-r", made+"/.", root)
		return root
	}
	must(os.Mkdir(filepath.Dir(image), 0o755))
	run("cp", "-r", tool(t, "micropython.sh"), dir)
	run("cp", "-r", filepath.Join(repository(), "firmware/pico/virtual"), filepath.Join(dir, "virtual"))
	must(pico.Save(filepath.Join(dir, "pico"), firstFlash(t)))
	c := exec.CommandContext(t.Context(), filepath.Join(dir, "micropython"), "image.py", image, strconv.Itoa(FlashSize), filepath.Join(dir, "pico"))
	c.Dir = filepath.Join(dir, "virtual")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("image.py: %v\n%s", err, out)
	}
	return root
}

func repository() string {
	_, self, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(self), "..", "..", "..")
}

// tool is what a script of deploy/toolchain makes.
func tool(t testing.TB, script string) (path string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), filepath.Join(repository(), "deploy", "toolchain", script)).Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return strings.TrimSpace(string(out))
}

// firstFlash is that of firmware/pico, with its agent compiled.
func firstFlash(t testing.TB) []pico.File {
	t.Helper()
	files, err := pico.FirstFlash()
	if err != nil {
		t.Fatal(err)
	}
	agent := Agent(t)
	var all []pico.File
	for _, f := range files {
		if !strings.HasPrefix(f.Path, "a/flota_") && f.Path != "a/.index" {
			all = append(all, f)
		}
	}
	for name, data := range agent {
		all = append(all, pico.File{Path: "a/" + name, Data: data})
	}
	if all, err = pico.WithIndex(all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Agent is what the farm adds to a managed release, by path.
func Agent(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := pico.FirstFlash()
	if err != nil {
		t.Fatal(err)
	}
	compiler, work, agent := tool(t, "mpy-cross.sh"), t.TempDir(), map[string][]byte{}
	for _, f := range files {
		name, ok := strings.CutPrefix(f.Path, "a/flota_")
		if !ok {
			continue
		}
		name = "flota_" + name
		source, compiled := filepath.Join(work, name), strings.TrimSuffix(name, ".py")+".mpy"
		if err := os.WriteFile(source, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), compiler, "-s", name, "-o", filepath.Join(work, compiled), source).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		if agent[compiled], err = os.ReadFile(filepath.Join(work, compiled)); err != nil {
			t.Fatal(err)
		}
	}
	return agent
}
