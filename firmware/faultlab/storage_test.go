package faultlab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/deviceproto"
)

// lasting are the keys of the storage that a device cannot do without: it waits for the cable, and runs what it ran.
var lasting = []string{"server", "workspace", "device", "key", "keys", "board"}

// ways in which a value in the storage is lost: key's file, whose first byte is its type.
var ways = map[string]func(rng *rand.Rand, file string) error{
	"deleted": func(_ *rand.Rand, file string) error { return os.RemoveAll(file) },
	"empty":   func(_ *rand.Rand, file string) error { return os.WriteFile(file, nil, 0o600) },
	"garbage": func(rng *rand.Rand, file string) error {
		noise := make([]byte, 1+rng.IntN(90))
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		return os.WriteFile(file, noise, 0o600)
	},
	"oversized": func(_ *rand.Rand, file string) error {
		kind := "b"
		if raw, err := os.ReadFile(file); err == nil && len(raw) > 0 {
			kind = string(raw[:1])
		}
		return os.WriteFile(file, []byte(kind+strings.Repeat("{\"garbage\":[", 300)), 0o600)
	},
	"of another byte": func(rng *rand.Rand, file string) error {
		raw, err := os.ReadFile(file)
		if err != nil || len(raw) < 2 {
			return nil //nolint:nilerr // there is none to change
		}
		raw[1+rng.IntN(len(raw)-1)] ^= byte(1 + rng.IntN(255))
		return os.WriteFile(file, raw, 0o600)
	},
}

// moments at which something happens to a board that has no power; each leaves it without, and with a release offered.
var moments = map[string]func(r *rig, spoil func()) (n int64){
	"at rest": func(r *rig, spoil func()) int64 {
		r.on()
		r.says(r.goodRelease(), deviceproto.Confirmed)
		r.Off()
		spoil()
		n := r.goodRelease()
		r.On()
		return n
	},
	"in a download": func(r *rig, spoil func()) int64 {
		r.on()
		r.says(r.goodRelease(), deviceproto.Confirmed)
		r.Off()
		n := r.goodRelease()
		r.Net().Set(chiptest.Link{CutAfter: r.kind.scale(400_000)})
		images := len(r.Images())
		r.On()
		r.Server.Until("rest of a download", func() bool { return len(r.Images()) > images+1 })
		r.Off()
		spoil()
		r.On()
		return n
	},
	"before a trial": func(r *rig, spoil func()) int64 {
		r.on()
		r.says(r.goodRelease(), deviceproto.Confirmed)
		r.once(restarting, func(chip.Event) { spoil() })
		starts, _ := r.counted()
		n := r.goodRelease()
		r.startedAfter(starts, 1)
		return n
	},
}

// agents are the keys of the agent's own that exist at a moment or another.
var agents = []string{"accepted", "decided", "secversion", "t.fetch", "t.offset", "t.trial", "t.running", "t.reports"}

// What is lost or spoilt in the storage costs no image that runs. What was given to the device comes back by
// the cable; for all else nobody has to come.
func TestStorageSpoilt(t *testing.T) {
	t.Parallel()
	given := []string{"server", "workspace", "device", "product_id", "key", "keys", "board", "groups", "wifi", "ca"}
	type spot struct{ moment, way, key string }
	var spots []spot
	for moment := range moments {
		for way := range ways {
			for _, key := range append(slices.Clone(given), agents...) {
				// A letter changed in what was given is another setting, not a lost one: NVS has a checksum for that.
				if way != "of another byte" || slices.Contains(agents, key) && key != "accepted" {
					spots = append(spots, spot{moment, way, key})
				}
			}
		}
	}
	slices.SortFunc(spots, func(a, b spot) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	rng := random("spots in the storage")
	rng.Shuffle(len(spots), func(i, j int) { spots[i], spots[j] = spots[j], spots[i] })
	if *cuts < full {
		spots = spots[:16]
	}
	for _, s := range spots {
		t.Run(s.key+" "+s.way+" "+s.moment, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, esp32{}, "NVS, "+s.moment+": value "+s.way)
			n := moments[s.moment](r, func() {
				r.found.fault(r.class, 1)
				file := filepath.Join(r.Dir, "nvs", "flota", s.key)
				if err := ways[s.way](random(t.Name()), file); err != nil {
					t.Error(err)
				}
				r.over()
			})
			if slices.Contains(lasting, s.key) {
				r.byCable()
			}
			r.mends(n)
		})
	}
}

// byCable waits until the board listens to its cable, and gives it what it needs.
func (r *rig) byCable() {
	r.t.Helper()
	r.Provision(r.p)
	r.over()
}

// mends waits until the board runs what is wanted. One that forgot which deployment that is cannot say that it is
// confirmed; then it shows so by the next.
func (r *rig) mends(n int64) {
	r.t.Helper()
	wanted := func() int { // polls of the image that is wanted
		return len(slices.DeleteFunc(r.Polls(), func(p chiptest.Poll) bool { return p.Running != r.wanted }))
	}
	r.Server.Until(fmt.Sprintf("deployment %d", n), func() bool {
		_, ok := r.said(n, deviceproto.Confirmed)
		return ok || wanted() > 20
	})
	if _, ok := r.said(n, deviceproto.Confirmed); !ok {
		n = 0
	}
	r.recovers(n)
}

// The whole storage is gone: what runs goes on running, and waits for the cable.
func TestStorageGone(t *testing.T) {
	t.Parallel()
	for moment, at := range moments {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, esp32{}, "NVS, "+moment+": all of it gone")
			at(r, func() {
				r.found.fault(r.class, 1)
				if err := os.RemoveAll(filepath.Join(r.Dir, "nvs", "flota")); err != nil {
					t.Error(err)
				}
				r.over()
			})
			if moment == "before a trial" {
				// It is on trial, and cannot check in: the old image comes back. There the cable is waited for, too.
				r.startedAfter(3, 1)
				if slot := r.runsIn(); slot != second {
					t.Errorf("%s runs", slot)
				}
			}
			r.byCable()
			r.recovers(0)
		})
	}
}

// Nobody knows any more which slot is to start: one of them does.
func TestOTADataSpoilt(t *testing.T) {
	t.Parallel()
	fill := func(value byte) func(*rand.Rand, []byte) {
		return func(_ *rand.Rand, sector []byte) {
			for i := range sector {
				sector[i] = value
			}
		}
	}
	for way, spoil := range map[string]func(*rand.Rand, []byte){
		"erased": fill(0xff), "zero": fill(0),
		"garbage": func(rng *rand.Rand, sector []byte) {
			for i := range sector {
				sector[i] = byte(rng.Uint32())
			}
		},
		"a bit flipped": func(rng *rand.Rand, sector []byte) { sector[rng.IntN(32)] ^= 1 << rng.IntN(8) },
	} {
		for moment, at := range moments {
			for _, which := range []string{"first", "second", "both"} {
				t.Run(way+" "+which+" "+moment, func(t *testing.T) {
					t.Parallel()
					r := newRig(t, esp32{}, "otadata, "+moment+": spoilt")
					n := at(r, func() {
						r.found.fault(r.class, 1)
						rng := random(t.Name())
						for i, offset := range []int64{0xe000, 0xf000} {
							if which == "both" || which == []string{"first", "second"}[i] {
								r.spoil(offset, 4096, func(sector []byte) { spoil(rng, sector) })
							}
						}
						r.over()
					})
					r.mends(n)
				})
			}
		}
	}
}

// spoil changes bytes of the flash of a board that does not run.
func (r *rig) spoil(offset, size int64, change func([]byte)) {
	r.t.Helper()
	flash, err := os.OpenFile(filepath.Join(r.Dir, "flash.bin"), os.O_RDWR, 0)
	if err != nil {
		r.t.Error(err)
		return
	}
	defer flash.Close()
	data := make([]byte, size)
	if _, err := flash.ReadAt(data, offset); err != nil {
		r.t.Error(err)
	}
	change(data)
	if _, err := flash.WriteAt(data, offset); err != nil {
		r.t.Error(err)
	}
}

// Bits flip in an image that waits to be started: it is not, and comes again.
func TestImageRotsBeforeItsTrial(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"header", "program", "digest"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, esp32{}, "bits flip in the image that waits to be started").on()
			image := r.another()
			rng := random("rot " + place)
			at := map[string]int64{
				"header": rng.Int64N(32), "program": 32 + rng.Int64N(int64(len(image))-64), "digest": int64(len(image)) - 1 - rng.Int64N(32),
			}[place]
			r.once(restarting, func(chip.Event) {
				r.found.fault(r.class, 1)
				r.spoil(slotOffset[second]+at, 1, func(data []byte) { data[0] ^= 1 << rng.IntN(8) })
				r.over()
			})
			n := r.offer(image)
			r.recovers(n)
			r.runs(image)
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// Bits flip in what was downloaded so far, while the power is off.
func TestDownloadRots(t *testing.T) {
	t.Parallel()
	r := newRig(t, esp32{}, "bits flip in half a download").on()
	rng := random("half a download")
	for range some(make([]int, 8)) {
		r.Net().Set(chiptest.Link{CutAfter: r.kind.scale(400_000)})
		images := len(r.Images())
		n := r.goodRelease()
		r.Server.Until("rest of a download", func() bool { return len(r.Images()) > images+1 })
		r.Off()
		r.found.fault(r.class, 1)
		r.spoil(slotOffset[r.other()]+rng.Int64N(300_000), 1, func(data []byte) { data[0] ^= 1 << rng.IntN(8) })
		r.over()
		r.On()
		r.polled(1)
		r.recovers(n)
	}
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}

// Bits flip in the image that runs: the other slot's starts instead, and takes the next release.
func TestRunningImageRots(t *testing.T) {
	t.Parallel()
	r := newRig(t, esp32{}, "bits flip in the image that runs").on()
	rng := random("the image that runs")
	for range some(make([]int, 6)) {
		image := r.another()
		r.says(r.offer(image), deviceproto.Confirmed)
		slot := r.runsIn()
		r.Off()
		r.found.fault(r.class, 1)
		r.spoil(slotOffset[slot]+rng.Int64N(int64(len(image))), 1, func(data []byte) { data[0] ^= 1 << rng.IntN(8) })
		r.over()
		starts, _ := r.counted()
		r.On()
		r.startedAfter(starts, 1)
		if now := r.runsIn(); now == slot {
			t.Errorf("%s runs", now)
		}
		r.recovers(0)
	}
}

// Somebody erases flash and storage by the cable, and writes the first image anew, as for a new board.
func TestErasedByCable(t *testing.T) {
	t.Parallel()
	r := newRig(t, esp32{}, "everything erased, and flashed by cable").on()
	r.says(r.goodRelease(), deviceproto.Confirmed)
	r.Off()
	r.found.fault(r.class, 1)
	ctx, cancel := context.WithTimeout(context.Background(), chiptest.Patience)
	defer cancel()
	if err := r.Erase(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.Flash(ctx, chip.FirstFlash(r.first)...); err != nil {
		t.Fatal(err)
	}
	r.On()
	r.byCable()
	r.recovers(0)
}
