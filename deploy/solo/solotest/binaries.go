// Package solotest drives the product from the outside: it starts the real
// binaries as child processes and talks to them as browsers, programs and
// devices do. It is for whole-system tests and benchmarks.
package solotest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// Binaries is a folder of commands built from this checkout.
type Binaries struct{ Dir string }

// Path is where a command is, as "flota-solo".
func (b Binaries) Path(name string) string { return filepath.Join(b.Dir, name) }

// BuildBinaries builds main packages, named from the root of the repository,
// into a folder. The Go build cache makes the second time cheap.
func BuildBinaries(ctx context.Context, dir string, packages ...string) (Binaries, error) {
	args := append([]string{"build", "-o", dir + string(filepath.Separator)}, packages...)
	if raceDetector {
		args = append([]string{"build", "-race"}, args[1:]...)
	}
	build := exec.CommandContext(ctx, "go", args...)
	build.Dir = Root()
	build.Env = append(os.Environ(), "GOWORK="+filepath.Join(Root(), "go.work"), "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return Binaries{}, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return Binaries{dir}, nil
}

// Root is the root of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}
