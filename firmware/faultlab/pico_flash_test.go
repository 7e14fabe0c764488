package faultlab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/flota/flota/firmware/chip/chiptest"
)

// micropython is the interpreter that a Pico without hardware is.
var micropython = sync.OnceValues(func() (string, error) {
	out, err := exec.Command(filepath.Join(chiptest.Firmware(), "..", "deploy", "toolchain", "micropython.sh")).Output()
	if err != nil {
		return "", fmt.Errorf("MicroPython cannot be had: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "micropython"), nil
})

// python is that, or the end of the test.
func python(t testing.TB) string {
	t.Helper()
	name, err := micropython()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

var virtual = filepath.Join(chiptest.Firmware(), "pico", "virtual")

// The file systems of a Pico W and of a Pico 2 W, in bytes.
const (
	smallFlash = 848 << 10
	largeFlash = 2560 << 10
)

// image makes a flash that holds files.
func image(t testing.TB, size int, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		name = filepath.Join(dir, "files", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := filepath.Join(dir, "image.bin")
	cmd := exec.Command(python(t), "-X", "heapsize=16M", "image.py", out, fmt.Sprint(size), filepath.Join(dir, "files"))
	cmd.Dir = virtual
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return out
}

// file is one as it is in a flash.
type file struct {
	size   int64
	digest string
	text   string // of the bootloader's and the agent's own
}

func (f *file) UnmarshalJSON(raw []byte) error {
	members := []any{&f.size, &f.digest, &f.text}
	return json.Unmarshal(raw, &members)
}

// is tells whether it has these bytes.
func (f file) is(data []byte) bool { return f.digest == chiptest.Digest(data) }

// witness looks into images of flash: a process that only reads them, and is none of those that wrote them.
type witness struct {
	in  io.WriteCloser
	out *bufio.Reader
}

var witnesses = make(chan *witness, 16)

func newWitness() (*witness, error) {
	name, err := micropython()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(name, "-X", "heapsize=32M", filepath.Join(chiptest.Firmware(), "faultlab", "pico", "look.py"), virtual)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait() }() // it ends with its input, which ends with this process
	return &witness{in: in, out: bufio.NewReader(out)}, nil
}

func (w *witness) look(image string) (map[string]file, error) {
	if _, err := fmt.Fprintln(w.in, image); err != nil {
		return nil, err
	}
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(line, []byte(`{"error"`)) {
		return nil, fmt.Errorf("the flash cannot be read: %s", line)
	}
	files := map[string]file{}
	return files, json.Unmarshal(line, &files)
}

// look is what a flash holds, by paths that begin with a slash.
func look(image string) (map[string]file, error) {
	var w *witness
	select {
	case w = <-witnesses:
	default:
		var err error
		if w, err = newWitness(); err != nil {
			return nil, err
		}
	}
	files, err := w.look(image)
	select {
	case witnesses <- w:
	default:
		_ = w.in.Close()
	}
	return files, err
}
