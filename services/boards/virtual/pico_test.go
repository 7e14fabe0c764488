package virtual

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/boards"
	"github.com/flota/flota/services/boards/virtualtest"
)

// onFlash runs code on the file system in a flash, mounted at /f, and returns what it prints.
func onFlash(t *testing.T, p *Pico, flash []byte, code string) ([]byte, string) {
	t.Helper()
	at := filepath.Join(t.TempDir(), "flash.bin")
	if err := os.WriteFile(at, flash, 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), filepath.Join(p.Dir, "micropython"), "-X", "heapsize=4M", "-c", `
import os, sys, vfs
sys.path.insert(0, "`+p.Dir+`/virtual")
from flash import Flash
f = open("`+at+`", "r+b")
vfs.mount(vfs.VfsLfs2(Flash(f), progsize=256), "/f")
def put(name, text):
    with open("/f/" + name, "w") as f:
        f.write(text)
`+code)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	after, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	return after, strings.TrimSpace(string(out))
}

func TestWritePicoFlash(t *testing.T) {
	p, err := OpenPico(virtualtest.Toolchain(t))
	if err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.Open(t.Context(), sandbox.Config{}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	flash, _ := onFlash(t, p, p.Image, `
for d in ("data", "b", "a/old"): os.mkdir("/f/" + d)
for n in ("data/mine", "b/main.py", "a/old/module.py", "flota.json"): put(n, "mine")
put("flota/slot", "b valid\n")`)
	before := bytes.Clone(flash)
	files, err := release([]boards.File{{Path: "main.py", Data: []byte("print(1)\n")}, {Path: "lib/deep/x.py", Data: bytes.Repeat([]byte("x"), 9000)}, {Path: ".index", Data: []byte("i")}})
	if err != nil {
		t.Fatal(err)
	}
	after, err := p.write(t.Context(), box, flash, files)
	if err != nil || !bytes.Equal(flash, before) || len(after) != virtualtest.FlashSize {
		t.Fatalf("%v, %d bytes", err, len(after))
	}
	look := `
def tree(at):
    for n in sorted(os.listdir(at)):
        p = at + "/" + n
        if os.stat(p)[0] & 0x4000: tree(p)
        else: print(p[3:], os.stat(p)[6], end=" ")
for d in ("a", "b", "data", "flota"): tree("/f/" + d)
print(open("/f/flota/slot").read().strip(), open("/f/flota.json").read(), sorted(os.listdir("/f")))`
	_, got := onFlash(t, p, after, look)
	if got != "a/.index 1 a/lib/deep/x.py 9000 a/main.py 9 b/main.py 4 data/mine 4 flota/slot 8 a valid mine ['a', 'b', 'boot.py', 'data', 'flota', 'flota.json', 'flota_boot.py', 'main.py']" {
		t.Errorf("%q", got)
	}

	// The first flash again: the base is back, what is the board's own stays.
	if after, err = p.write(t.Context(), box, after, p.first); err != nil {
		t.Fatal(err)
	}
	_, got = onFlash(t, p, after, look)
	if !strings.Contains(got, "flota_agent.mpy") || strings.Contains(got, "a/lib") || !strings.Contains(got, "data/mine 4") || !strings.Contains(got, "a valid mine") {
		t.Errorf("%q", got)
	}

	// What does not fit is refused; a flash that holds no file system gets one.
	huge, _ := release([]boards.File{{Path: "huge", Data: make([]byte, virtualtest.FlashSize)}})
	if _, err := p.write(t.Context(), box, after, huge); !fault.Is(err, fault.Precondition) {
		t.Errorf("%v", err)
	}
	if after, err = p.write(t.Context(), box, bytes.Repeat([]byte{0xA5}, virtualtest.FlashSize), files); err != nil {
		t.Fatal(err)
	}
	if _, got := onFlash(t, p, after, `print(os.listdir("/f/a"))`); !strings.Contains(got, "main.py") {
		t.Errorf("%q", got)
	}
	for _, path := range []string{"../x", "/x", "a/../../x", "a\\b", ""} {
		if _, err := release([]boards.File{{Path: path}}); !fault.Is(err, fault.Precondition) {
			t.Errorf("%q: %v", path, err)
		}
	}
}
