package chiptest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
)

// compileTimeout bounds one run of the compiler.
const compileTimeout = 10 * time.Minute

// Firmware is the repository's folder of that name.
func Firmware() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

var (
	programsMu sync.Mutex
	programs   = map[string]*program{}
)

type program struct {
	once  sync.Once
	image []byte
	err   error
	log   string
}

// Program makes an image of C++ files over board.h alone, without Arduino. The same
// files with the same flags are compiled once.
func Program(t testing.TB, flags []string, files ...string) []byte {
	t.Helper()
	key := strings.Join(append(append([]string{}, flags...), files...), "\x00")
	programsMu.Lock()
	p := programs[key]
	if p == nil {
		p = &program{}
		programs[key] = p
	}
	programsMu.Unlock()
	p.once.Do(func() { p.compile(flags, files) })
	if p.err != nil {
		t.Fatalf("%v\n%s", p.err, p.log)
	}
	return p.image
}

func (p *program) compile(flags, files []string) {
	dir, err := os.MkdirTemp("", "chiptest")
	if p.err = err; err != nil {
		return
	}
	defer os.RemoveAll(dir)
	core := filepath.Join(Firmware(), "virtual", "cores", "virtual")
	executable := filepath.Join(dir, "program")
	args := append([]string{"-std=gnu++17", "-Wall", "-Wextra", "-Werror", "-O1", "-s", "-I" + core, "-o", executable}, flags...)
	args = append(args, files...)
	args = append(args, filepath.Join(core, "board.cpp"), "-static-libstdc++", "-static-libgcc", "-lpthread")
	if p.log, p.err = run("g++", args...); p.err != nil {
		return
	}
	raw, err := os.ReadFile(executable)
	p.image, p.err = chip.MakeImage(raw), err
}

func run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), compileTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// Digest is the SHA-256 of an image, in hex.
func Digest(image []byte) string {
	sum := sha256.Sum256(image)
	return hex.EncodeToString(sum[:])
}
