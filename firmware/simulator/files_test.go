package simulator

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/flota/flota/pkg/deviceproto"
)

// newPico is a device that takes MicroPython releases.
func newPico(t *testing.T, change ...func(*Options)) *kit {
	k := newKit(t, change...)
	delete(k.devices, k.device.keyID)
	k.p.Board = "micropython:py:rpi_pico_w"
	k.devices[k.device.keyID] = k.p
	k.boot()
	return k
}

// wantFiles makes a release of these files what the device should have.
func (k *kit) wantFiles(number int64, files map[string]string) {
	k.t.Helper()
	var parts []deviceproto.Part
	var contents [][]byte
	for _, path := range slices.Sorted(maps.Keys(files)) {
		contents = append(contents, []byte(files[path]))
		parts = append(parts, deviceproto.Part{Path: path, Size: int64(len(files[path])), SHA256: digest([]byte(files[path]))})
	}
	index, err := deviceproto.Index(parts)
	if err != nil {
		k.t.Fatal(err)
	}
	k.offer[k.p.Device] = offered{files: contents}
	k.want(k.p, number, index, anIndex)
}

func anIndex(s *deviceproto.Statement) { s.Parts[0].Kind = deviceproto.KindIndex }

// has checks which files the device fetched since the last time, and that what lies
// in the slot that runs is the release, and nothing else.
func (k *kit) has(files map[string]string, fetched ...int) {
	k.t.Helper()
	if !slices.Equal(k.fetched, fetched) {
		k.t.Errorf("fetched %v, not %v\n%s", k.fetched, fetched, strings.Join(k.lines, "\n"))
	}
	k.fetched = nil
	disk := k.storage.(Disk)
	state, err := disk.Load()
	if err != nil {
		k.t.Fatal(err)
	}
	there := map[string]string{}
	top := disk.File(state.Active, ".")
	err = filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if within, _ := filepath.Rel(top, name); within == deviceproto.IndexFile {
			if digest(data) != state.Slots[state.Active].SHA256 {
				k.t.Error("the index is not that of what runs")
			}
		} else {
			there[filepath.ToSlash(within)] = string(data)
		}
		return err
	})
	if err != nil || !maps.Equal(there, files) {
		k.t.Errorf("%v: %d files, not %d: %v", err, len(there), len(files), slices.Sorted(maps.Keys(there)))
	}
}

func twenty() map[string]string {
	files := map[string]string{"main.py": "import lib.m01\n", "empty.txt": ""}
	for i := range 18 {
		files[fmt.Sprintf("lib/m%02d.py", i)] = strings.Repeat(fmt.Sprintf("x%d = 1\n", i), 300)
	}
	return files
}

// Only what changed is fetched, from the first byte on that is missing.
func TestFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newPico(t)
		files := twenty()
		k.wantFiles(7, files)
		k.confirmed(7)
		k.has(files, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20) // the empty one needs no asking
		if got := k.said(); got != "downloading verified applied confirmed" {
			t.Error(got)
		}
		if k.polls[len(k.polls)-1].running != k.device.Running().SHA256 {
			t.Error("what runs is not named by its index")
		}

		files["lib/m05.py"] = "changed"
		k.wantFiles(8, files)
		k.confirmed(8)
		k.has(files, 7)

		// The other slot is that of 7: what it has stays, what 8 has is copied; a folder where there was a
		// file, and a file where there was a folder.
		delete(files, "empty.txt")
		files["empty.txt/a"], files["new.py"] = files["main.py"], "new"
		maps.DeleteFunc(files, func(path, _ string) bool { return strings.HasPrefix(path, "lib/") })
		files["lib"] = "no folder"
		k.wantFiles(9, files)
		k.confirmed(9)
		k.has(files, 2, 4)

		// Back: a new deployment of the files before, which the other slot still holds.
		back := twenty()
		back["lib/m05.py"] = "changed"
		k.wantFiles(10, back)
		k.confirmed(10)
		k.has(back)
	})
}

// A cut in the middle of a file and the power gone: it goes on at the same byte of
// the same file, and fetches nothing twice.
func TestFilesResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newPico(t)
		files := map[string]string{"a.py": strings.Repeat("a", 100_000), "b.py": strings.Repeat("b", 100_000), "main.py": ""}
		k.wantFiles(7, files)
		k.after = func(r *http.Request, res *http.Response) {
			if strings.HasSuffix(r.URL.Path, "/2") {
				res.Body = struct {
					io.Reader
					io.Closer
				}{io.MultiReader(io.LimitReader(res.Body, 40_000), failing{io.ErrUnexpectedEOF}), res.Body}
			}
		}
		k.step()
		k.after = nil
		k.boot()
		k.confirmed(7)
		k.has(files, 1, 2, 2)
		if last := k.images[len(k.images)-1]; last != "bytes=40000-" {
			t.Errorf("%q", k.images)
		}
	})
}

// What the device refuses after it has the index, and before the first file.
func TestIndexRefused(t *testing.T) {
	good, err := deviceproto.Index([]deviceproto.Part{{Path: "main.py", Size: 10_000, SHA256: digest(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		index  []byte
		change func(*deviceproto.Statement)
		slot   int64
		reason deviceproto.Reason
	}{
		"it fits":         {good, anIndex, 7 * 4096, ""},
		"too large":       {good, anIndex, 7*4096 - 1, deviceproto.ReasonTooLarge},
		"not an index":    {[]byte("hello\n"), anIndex, 1 << 20, deviceproto.ReasonFormat},
		"an app":          {good, func(*deviceproto.Statement) {}, 1 << 20, deviceproto.ReasonTooLarge},
		"the index alone": {bytes.Repeat([]byte("x"), 5000), anIndex, 4096, deviceproto.ReasonTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newPico(t, func(o *Options) { o.SlotSize = c.slot })
				k.offer[k.p.Device] = offered{files: [][]byte{make([]byte, 10_000)}}
				k.want(k.p, 7, c.index, c.change)
				k.step()
				last := k.reports[len(k.reports)-1]
				if c.reason == "" {
					// Its bytes are not those of the digest: three times, then not for an hour.
					if len(k.fetched) != 3 || last.Reason != deviceproto.ReasonDigest || k.device.state.Decided != 0 {
						t.Errorf("%v %+v", k.fetched, last)
					}
					return
				}
				if last.State != deviceproto.Failed || last.Reason != c.reason || k.device.state.Decided != 7 || len(k.fetched) != 0 {
					t.Errorf("%+v, decided %d, fetched %v", last, k.device.state.Decided, k.fetched)
				}
			})
		})
	}
}
