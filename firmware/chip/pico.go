package chip

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Pico's flash.bin is its file system alone, LittleFS; MicroPython itself is no part of it.
const (
	// RP2040 as Fuses.Chip is a Pico, which runs MicroPython.
	RP2040 = "RP2040"
	// PicoFlashSize is what the rp2 port has for files on a Pico W.
	PicoFlashSize = 848 << 10
	// picoHeap leaves a program the 190 KB of an RP2040, beside what of the boot ROM is in it.
	picoHeap = "270K"
)

// CheckPicoImage tells whether a file system for a Pico has its size and LittleFS's superblock.
func CheckPicoImage(image []byte) error {
	const magic, at = "littlefs", 8 // littlefs SPEC.md: the name tag of the first entry of block 0 or 1
	if len(image) != PicoFlashSize {
		return fmt.Errorf("%w: a Pico's file system has %d bytes, not %d", ErrImage, PicoFlashSize, len(image))
	}
	for _, block := range []int{0, SectorSize} {
		if string(image[block+at:block+at+len(magic)]) == magic {
			return nil
		}
	}
	return fmt.Errorf("%w: no LittleFS", ErrImage)
}

// flashSize is a chip's.
func flashSize(chip string) int64 {
	if chip == RP2040 {
		return PicoFlashSize
	}
	return FlashSize
}

// micropython is how a Pico's process is started.
type micropython struct {
	loader string   // the interpreter's own dynamic linker, as this process sees it
	args   []string // behind the program's name
}

// findMicroPython looks into the toolchain's folder micropython.
func findMicroPython(dir, at string) (micropython, error) {
	if dir == "" {
		return micropython{}, errors.New("chip: a Pico needs Config.MicroPython")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return micropython{}, err
	}
	if at == "" {
		at = dir
	}
	loaders, _ := filepath.Glob(filepath.Join(dir, "root/usr/lib*/ld-linux-*.so.*"))
	libraries, _ := filepath.Glob(filepath.Join(dir, "root/usr/lib/*-linux-gnu"))
	if len(loaders) == 0 || len(libraries) == 0 {
		return micropython{}, fmt.Errorf("chip: there is no MicroPython in %s", dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "virtual", "rom.py")); err != nil {
		return micropython{}, fmt.Errorf("chip: there is no boot ROM: %w", err)
	}
	inside := func(name string) string { return at + strings.TrimPrefix(name, dir) }
	args := []string{
		"--library-path", inside(libraries[0]), at + "/root/usr/bin/micropython", "-X", "heapsize=" + picoHeap, at + "/virtual/rom.py",
	}
	// The ROM is told how it was started: a soft reset does it again.
	return micropython{loader: loaders[0], args: append(append(args, inside(loaders[0])), args...)}, nil
}

// remembers tells what a Pico's watchdog registers outlive: every reset that leaves the power on.
func remembers(r Reset) bool {
	switch r {
	case ResetSoftware, ResetWatchdog, ResetCrash, ResetSleep:
		return true
	default:
		return false
	}
}

// terminal writes each LF as CR LF, as the rp2 port's standard output does.
type terminal struct {
	to interface{ Write(p []byte) (int, error) }
	cr bool // the last byte was one
}

func (t *terminal) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+16)
	for _, c := range p {
		if c == '\n' && !t.cr {
			out = append(out, '\r')
		}
		out = append(out, c)
		t.cr = c == '\r'
	}
	if _, err := t.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
