package virtual

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/boards"
)

// Pico is what boards with MicroPython are made of: parts of a toolchain.
type Pico struct {
	// Dir is the toolchain's folder micropython: the interpreter, the boot ROM (virtual)
	// and the first flash as files (pico).
	Dir string
	// Image is the file system of a new board; every board's has its size.
	Image []byte

	loader string // the interpreter's own, which starts it
	run    []string
	first  []boards.File
}

// OpenPico reads what a toolchain has. Error: something is missing.
func OpenPico(toolchain string) (_ *Pico, err error) {
	dir, err := filepath.Abs(filepath.Join(toolchain, "micropython"))
	if err != nil {
		return nil, err
	}
	p, image := &Pico{Dir: dir}, filepath.Join(toolchain, "base", "flota-virtual-pico.bin")
	if p.Image, err = os.ReadFile(image); err != nil {
		return nil, err
	}
	if err := chip.CheckPicoImage(p.Image); err != nil {
		return nil, fmt.Errorf("%s: %w", image, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "virtual", "rom.py")); err != nil {
		return nil, err
	}
	loaders, _ := filepath.Glob(filepath.Join(dir, "root/usr/lib*/ld-linux-*.so.*"))
	libraries, _ := filepath.Glob(filepath.Join(dir, "root/usr/lib/*-linux-gnu"))
	if len(loaders) == 0 || len(libraries) == 0 {
		return nil, fmt.Errorf("there is no MicroPython in %s", dir)
	}
	p.loader = loaders[0]
	p.run = []string{"--library-path", micropython + strings.TrimPrefix(libraries[0], dir), micropython + "/root/usr/bin/micropython"}
	p.first, err = readTree(filepath.Join(dir, "pico"))
	return p, err
}

// micropython is where Pico.Dir is in a sandbox.
const micropython = "/micropython"

// readTree reads the files below a folder.
func readTree(dir string) (files []boards.File, err error) {
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		within, _ := filepath.Rel(dir, name)
		files = append(files, boards.File{Path: filepath.ToSlash(within), Data: data})
		return err
	})
	return files, err
}

//go:embed write.py
var writer []byte

// Limits of a program of ours that works on a stranger's file system.
const (
	writeMemory = 64 << 20
	writeTime   = 30 * time.Second
	maxSaid     = 4 << 10
)

// errFull is that files do not fit.
var errFullFlash = &fault.Error{Code: fault.Precondition, Field: "build", Message: "the board's flash has no room for it beside what else is on it: erase it first"}

// write makes of a flash another one, with files put on it: a slot's all together, each in
// place of what was there. Neither slice is changed. Error: Precondition where they do not fit.
func (p *Pico) write(ctx context.Context, box *sandbox.Sandbox, flash []byte, files []boards.File) (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "flota-flash-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.Chmod(dir, 0o755); err != nil { // in the sandbox it is another user's
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	for _, f := range append([]boards.File{{Path: "write.py", Data: writer}}, below("files", files)...) {
		if err := errors.Join(root.MkdirAll(path.Dir(f.Path), 0o755), root.WriteFile(f.Path, f.Data, 0o644)); err != nil {
			return nil, err
		}
	}
	// Alone in its folder: the sandbox may own that.
	if err := errors.Join(root.WriteFile("flash.bin", flash, 0o600)); err != nil {
		return nil, err
	}
	said, status, err := p.program(ctx, box, dir, "/work/write.py", "/flash.bin", "/work/files")
	switch {
	case err != nil:
		return nil, err
	case status != 0 && strings.TrimSpace(said) == "errno 28":
		return nil, errFullFlash
	case status != 0:
		return nil, fmt.Errorf("write to a Pico's flash: status %d: %s", status, said)
	}
	f, err := root.OpenFile("flash.bin", os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	after, err := io.ReadAll(io.LimitReader(f, int64(len(flash))+1))
	if err == nil && len(after) != len(flash) {
		err = fmt.Errorf("a Pico's flash has %d bytes", len(after))
	}
	return after, err
}

func below(folder string, files []boards.File) []boards.File {
	moved := make([]boards.File, len(files))
	for i, f := range files {
		moved[i] = boards.File{Path: folder + "/" + f.Path, Data: f.Data}
	}
	return moved
}

// program runs one of ours in the sandbox, on the file flash.bin of a folder.
func (p *Pico) program(ctx context.Context, box *sandbox.Sandbox, dir string, args ...string) (said string, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	loader, err := os.Open(p.loader)
	if err != nil {
		return "", 0, err
	}
	defer loader.Close()
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return "", 0, err
	}
	defer nothing.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return "", 0, err
	}
	defer r.Close()
	process, err := box.Start(ctx, sandbox.Program{
		Executable: loader, Args: append(append([]string{}, p.run...), append([]string{"-X", "heapsize=4M"}, args...)...),
		Env:   []string{"PATH=/usr/bin:/bin"},
		Files: []*os.File{nothing, w, w},
		Mounts: []sandbox.Mount{
			{From: p.Dir, To: micropython}, {From: dir, To: "/work"},
			{From: filepath.Join(dir, "flash.bin"), To: "/flash.bin", Writable: true},
		},
		Limits: sandbox.Limits{Memory: writeMemory, Processes: processes, FileSize: int64(len(p.Image)), Disk: scratch},
		Stack:  stack,
	})
	w.Close()
	if err != nil {
		return "", 0, err
	}
	text, _ := io.ReadAll(io.LimitReader(r, maxSaid))
	status, _ = process.Wait()
	if ctx.Err() != nil {
		return "", status, context.Cause(ctx)
	}
	return string(bytes.TrimSpace(text)), status, nil
}

// release is what a slot gets, and that it starts. Error: Precondition, where a file cannot be on a board.
func release(files []boards.File) ([]boards.File, error) {
	for _, f := range files {
		if !deviceproto.ValidPath(f.Path) {
			return nil, &fault.Error{Code: fault.Precondition, Field: "build", Message: "a file of the build has a path that no board takes"}
		}
	}
	return append(below("a", files), boards.File{Path: "flota/slot", Data: []byte("a valid\n")}), nil
}

// flashPico writes files to the board, which is without power meanwhile.
func (m *machine) flashPico(ctx context.Context, f boards.Firmware, erase bool) (err error) {
	files := m.pico.first
	if f.Files != nil {
		if files, err = release(f.Files); err != nil {
			return err
		}
	}
	on := m.board.State().Phase != chip.PhaseOff
	if err := m.board.PowerOff(ctx); err != nil {
		return err
	}
	if on {
		defer func() { err = errors.Join(err, m.board.PowerOn(context.WithoutCancel(ctx))) }()
	}
	flash := m.pico.Image
	if !erase {
		if flash, err = m.board.ReadFlash(ctx, 0, chip.PicoFlashSize); err != nil {
			return err
		}
	}
	if !erase || f.Files != nil { // else the image is what is wanted
		if flash, err = m.pico.write(ctx, m.shop.Box, flash, files); err != nil {
			return err
		}
	}
	return m.board.Flash(ctx, chip.Segment{Data: flash})
}
