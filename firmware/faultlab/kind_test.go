package faultlab

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	firstflash "github.com/flota/flota/firmware/pico"
	"github.com/flota/flota/pkg/deviceproto"
)

// kind is a kind of board, with its agent. An image is what names a release: an ESP32's app, a Pico's index.
type kind interface {
	name() string
	report() *report
	// build makes an image of a program that is like no other, another one of the same program that differs.
	build(t testing.TB, p program) []byte
	another(t testing.TB, image []byte) []byte
	// own is what a board of this kind is given.
	own(given deviceproto.Provision) deviceproto.Provision
	// create makes a board's folder, with its first flash and what it was given.
	create(t testing.TB, dir string, first []byte, given deviceproto.Provision)
	open(t testing.TB, dir string, change ...func(*chip.Config)) *chiptest.Bench
	// give is what the cable does, at once, to a board without power.
	give(t testing.TB, dir string, given deviceproto.Provision)
	// want offers an image, whatever the statement says.
	want(r *rig, n int64, image []byte, change ...func(*deviceproto.Statement))
	// started looks into the flash for what starts now, in which slot: the digest of its image, where all of it is there.
	started(r *rig, e chip.Event) (slot, digest string, err error)
	// scale turns a number of bytes of a download into as large a share of one of its own: an ESP32's has some 500 KB.
	scale(bytes int) int
}

// kinds are those of the lab.
var kinds = []kind{esp32{}, rp2040{}}

// onEach runs a test on a board of each kind.
func onEach(t *testing.T, test func(t *testing.T, on kind)) {
	t.Parallel()
	for _, on := range kinds {
		t.Run(on.name(), func(t *testing.T) {
			t.Parallel()
			test(t, on)
		})
	}
}

// first is the slot of the first flash, second the other one, as started calls them.
const (
	first  = "first"
	second = "second"
)

// errNothingStarts is a brick: no slot holds an image that starts.
var errNothingStarts = errors.New("there is no image left that starts")

// esp32 is the virtual one.
type esp32 struct{}

func (esp32) name() string                           { return "esp32" }
func (esp32) report() *report                        { return found }
func (esp32) build(t testing.TB, p program) []byte   { return build(t, sketches[p]) }
func (esp32) another(t testing.TB, im []byte) []byte { return another(t, im) }
func (esp32) scale(bytes int) int                    { return bytes }
func (esp32) open(t testing.TB, dir string, change ...func(*chip.Config)) *chiptest.Bench {
	return chiptest.OpenBench(t, dir, change...)
}
func (esp32) own(given deviceproto.Provision) deviceproto.Provision { return given }
func (esp32) give(t testing.TB, dir string, given deviceproto.Provision) {
	chiptest.Given(t, dir, given)
}

func (esp32) create(t testing.TB, dir string, first []byte, given deviceproto.Provision) {
	t.Helper()
	if err := chip.Create(dir, chip.Fuses{}, chip.FirstFlash(first)...); err != nil {
		t.Fatal(err)
	}
	chiptest.Given(t, dir, given)
}

func (esp32) want(r *rig, n int64, image []byte, change ...func(*deviceproto.Statement)) {
	r.t.Helper()
	r.Want(r.p, n, image, change...)
}

func (esp32) started(r *rig, e chip.Event) (slot, digest string, err error) {
	digest, err = startedImage(r.dir, e.Slot)
	return map[string]string{"app0": first, "app1": second}[e.Slot], digest, err
}

// rp2040 is the virtual Pico.
type rp2040 struct{}

const picoBoard = "micropython:py:virtual_pico_w"

func (rp2040) name() string        { return "pico" }
func (rp2040) report() *report     { return pico }
func (rp2040) scale(bytes int) int { return max(1, bytes*picoPayload/500_000) }
func (rp2040) open(t testing.TB, dir string, change ...func(*chip.Config)) *chiptest.Bench {
	return chiptest.OpenPico(t, dir, change...)
}

// picoPayload is how much differs from release to release.
const picoPayload = 40_000

// releases are the files of each index that was made here, by its digest.
var releases struct {
	sync.Mutex
	files map[string]files
}

// release gives files an index.
func release(t testing.TB, all files) (index []byte) {
	t.Helper()
	index, _ = chiptest.Index(t, all)
	releases.Lock()
	defer releases.Unlock()
	if releases.files == nil {
		releases.files = map[string]files{}
	}
	releases.files[chiptest.Digest(index)] = all
	return index
}

func filesOf(t testing.TB, index []byte) files {
	t.Helper()
	releases.Lock()
	defer releases.Unlock()
	all := releases.files[chiptest.Digest(index)]
	if all == nil {
		t.Fatal("nobody made that release")
	}
	return all
}

// flashed is what the cable writes to a new Pico: slot a, with the agent compiled as the farm does it, and what is none of it.
var flashed = sync.OnceValues(func() (slot, rest files) {
	all, err := firstflash.FirstFlash()
	if err != nil {
		panic(err)
	}
	slot, rest = files{}, files{}
	for _, f := range all {
		within, ok := strings.CutPrefix(f.Path, "a/")
		switch {
		case !ok:
			rest[f.Path] = f.Data
		case strings.HasPrefix(within, "flota_"):
			slot[strings.TrimSuffix(within, ".py")+".mpy"] = compiled(within, f.Data)
		case within != ".index":
			slot[within] = f.Data
		}
	}
	return slot, rest
})

// compiled is a module as mpy-cross makes it.
func compiled(name string, source []byte) []byte {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	cross, err := exec.Command(filepath.Join(chiptest.Firmware(), "..", "deploy", "toolchain", "mpy-cross.sh")).Output()
	must(err)
	dir, err := os.MkdirTemp("", "faultlab")
	must(err)
	defer os.RemoveAll(dir)
	in, out := filepath.Join(dir, name), filepath.Join(dir, "out.mpy")
	must(os.WriteFile(in, source, 0o600))
	must(exec.Command(strings.TrimSpace(string(cross)), "-s", name, "-o", out, in).Run())
	data, err := os.ReadFile(out)
	must(err)
	return data
}

func (k rp2040) build(t testing.TB, p program) []byte {
	t.Helper()
	all, _ := flashed()
	all = maps.Clone(all)
	for path, text := range programs[p] {
		delete(all, strings.TrimSuffix(path, ".py")+".mpy")
		all[path] = text
	}
	if programs[p] == nil {
		t.Fatalf("a Pico has no program %q", p)
	}
	return k.another(t, release(t, all))
}

func (rp2040) another(t testing.TB, image []byte) []byte {
	t.Helper()
	data := make([]byte, picoPayload)
	_, _ = rand.Read(data)
	all := filesOf(t, image).with("payload.bin", data)
	return release(t, all.with("main.py", fmt.Appendf(slices.Clone(all["main.py"]), "# build %d\n", builds.Add(1))))
}

func (k rp2040) create(t testing.TB, dir string, first []byte, given deviceproto.Provision) {
	t.Helper()
	_, rest := flashed()
	all := maps.Clone(rest)
	for path, data := range filesOf(t, first) {
		all["a/"+path] = data
	}
	all["a/.index"] = first
	all["flota.json"] = k.storage(t, given)
	flash, err := os.ReadFile(image(t, smallFlash, all))
	if err != nil {
		t.Fatal(err)
	}
	if err := chip.Create(dir, chip.Fuses{Chip: chip.RP2040}, chip.Segment{Data: flash}); err != nil {
		t.Fatal(err)
	}
}

func (rp2040) own(given deviceproto.Provision) deviceproto.Provision {
	given.Board = picoBoard
	given.WiFi = []deviceproto.Network{{SSID: "lab", Password: "password"}}
	return given
}

// storage is /flota.json.
func (rp2040) storage(t testing.TB, given deviceproto.Provision) []byte {
	t.Helper()
	raw, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (k rp2040) give(t testing.TB, dir string, given deviceproto.Provision) {
	t.Helper()
	edit(t, dir, "/flota.json", k.storage(t, given))
}

// edit puts a file into the flash of a Pico without power; nil: removes it.
func edit(t testing.TB, dir, path string, data []byte) {
	t.Helper()
	what := "-"
	if data != nil {
		what = filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(what, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit := filepath.Join(chiptest.Firmware(), "faultlab", "pico", "edit.py")
	if said, err := exec.Command(python(t), edit, virtual, filepath.Join(dir, "flash.bin"), path, what).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", path, err, said)
	}
}

func (rp2040) want(r *rig, n int64, image []byte, change ...func(*deviceproto.Statement)) {
	r.t.Helper()
	releases.Lock()
	all := releases.files[chiptest.Digest(image)]
	releases.Unlock()
	if all != nil {
		r.WantFiles(r.p, n, all, change...)
		return
	}
	index := func(st *deviceproto.Statement) { st.Parts[0].Kind = deviceproto.KindIndex } // of whatever form
	r.Want(r.p, n, image, append([]func(*deviceproto.Statement){index}, change...)...)
}

var picoSlots = map[string]string{"a": first, "b": second}

// started follows the bootloader's rules (../pico/README.md) on what is in the flash.
func (rp2040) started(r *rig, _ chip.Event) (slot, digest string, err error) {
	all, err := look(filepath.Join(r.dir, "flash.bin"))
	if err != nil {
		return "", "", err
	}
	_, cable := flashed()
	for path, data := range cable {
		if path != "flota/slot" && !all["/"+path].is(data) {
			pico.half(r.class)
			return "", "", fmt.Errorf("/%s is not what the cable wrote", path)
		}
	}
	there := func(slot string) bool { return all["/"+slot+"/.index"].digest != "" }
	other := map[string]string{"a": "b", "b": "a"}
	var state string
	name := ""
	if n, _ := fmt.Sscanf(all["/flota/slot"].text, "%s %s", &name, &state); n != 2 || other[name] == "" {
		name = ""
	}
	switch state {
	case "pending", "aborted":
		name = other[name]
	case "new":
		if !there(name) {
			name = other[name]
		}
	case "valid":
	default:
		name = ""
	}
	if name == "" || !there(name) {
		i := slices.IndexFunc([]string{"a", "b"}, func(slot string) bool {
			_, err := r.fits(all, slot)
			return err == nil
		})
		if i < 0 {
			return "", "", errNothingStarts
		}
		name = []string{"a", "b"}[i]
	}
	digest, err = r.fits(all, name)
	return picoSlots[name], digest, err
}

// fits is the digest of a slot's index, where the slot holds each of its files, byte for byte, and nothing else.
func (r *rig) fits(all map[string]file, slot string) (digest string, err error) {
	index := all["/"+slot+"/.index"]
	named, err := deviceproto.ParseIndex([]byte(index.text), nil)
	if err != nil {
		return index.digest, err
	}
	rest := maps.Clone(all)
	maps.DeleteFunc(rest, func(path string, _ file) bool {
		return !strings.HasPrefix(path, "/"+slot+"/") || path == "/"+slot+"/.index"
	})
	for _, f := range named {
		path := "/" + slot + "/" + f.Path
		if got, ok := rest[path]; !ok || got.size != f.Size || got.digest != f.SHA256 {
			return index.digest, fmt.Errorf("%s has %d bytes, %s", path, got.size, got.digest)
		}
		delete(rest, path)
	}
	for path := range rest {
		return index.digest, fmt.Errorf("%s is in no release", path)
	}
	return index.digest, nil
}
