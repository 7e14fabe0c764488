package faultlab

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/deviceproto"
)

// now is what the flash of a Pico without power holds.
func (r *rig) now() map[string]file {
	r.t.Helper()
	all, err := look(filepath.Join(r.dir, "flash.bin"))
	if err != nil {
		r.found.brick(r.class)
		r.t.Fatal(err)
	}
	return all
}

// What is lost or spoilt of the bootloader's, the agent's and the device's own file costs no release that runs. What was
// given to the device comes back by the cable; for all else nobody has to come.
func TestPicoFilesSpoilt(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/flota/slot", "/flota/agent", "/flota.json"} {
		for way, spoil := range map[string]func(*rand.Rand) []byte{
			"deleted":   func(*rand.Rand) []byte { return nil },
			"empty":     func(*rand.Rand) []byte { return []byte{} },
			"garbage":   func(rng *rand.Rand) []byte { return noise(rng, 1+rng.IntN(300)) },
			"oversized": func(*rand.Rand) []byte { return []byte(strings.Repeat(`{"garbage":[`, 300)) },
			"of another form": func(rng *rand.Rand) []byte {
				return []byte([]string{"[]", "{}", "null", "a new\n", "b pending\n", "c valid\n", `{"accepted":"x","reports":{},"trial":[1],"fetch":3}`}[rng.IntN(7)])
			},
		} {
			for moment, at := range moments {
				t.Run(path[1:]+" "+way+" "+moment, func(t *testing.T) {
					t.Parallel()
					r := newRig(t, rp2040{}, path+" "+way+", "+moment)
					rng := random(t.Name())
					n := at(r, func() {
						r.found.fault(r.class, 1)
						edit(t, r.dir, path, spoil(rng))
						r.over()
					})
					if path == "/flota.json" {
						r.mu.Lock()
						mark := r.mark
						r.mu.Unlock()
						r.After(mark, "hello\r\n") // who interrupts a Pico before that has its REPL, and no agent
						r.byCable()
					}
					r.mends(n)
				})
			}
		}
	}
}

// hostile are indexes that no device takes.
func hostile(good []byte) map[string][]byte {
	digest := strings.Repeat("ab", 32)
	line := func(path string) []byte { return fmt.Appendf(nil, "%s 10 %s\n", digest, path) }
	return map[string][]byte{
		"up":             line("../boot.py"),
		"up, later":      line("lib/../../boot.py"),
		"absolute":       line("/boot.py"),
		"here":           line("./main.py"),
		"empty segment":  line("lib//x.py"),
		"trailing slash": line("lib/"),
		"backslash":      line(`lib\x.py`),
		"control":        line("a\x01b"),
		"too long":       line(strings.Repeat("x", 129)),
		"no path":        []byte(digest + " 10 \n"),
		"upper case":     []byte(strings.ToUpper(digest) + " 10 x.py\n"),
		"short digest":   []byte(digest[2:] + " 10 x.py\n"),
		"leading zero":   []byte(digest + " 010 x.py\n"),
		"negative":       []byte(digest + " -1 x.py\n"),
		"no size":        []byte(digest + " x.py\n"),
		"CR LF":          []byte(digest + " 10 x.py\r\n"),
		"no end":         []byte(digest + " 10 x.py"),
		"twice":          append(line("x.py"), line("x.py")...),
		"falling":        append(line("y.py"), line("x.py")...),
		"257 lines": func() (all []byte) {
			for i := range 257 {
				all = append(all, line(fmt.Sprintf("%03d.py", i))...)
			}
			return all
		}(),
		"a good one, and a line": append(slices.Clone(good), "x\n"...),
		"NUL":                    make([]byte, 100),
		"a long line":            []byte(strings.Repeat("a", 5000) + "\n"),
	}
}

// Indexes that are signed and not of the form are refused; nothing in the flash is any other for them.
func TestPicoHostileIndexes(t *testing.T) {
	t.Parallel()
	r := newRig(t, rp2040{}, "index: hostile paths, other forms").on()
	runs := r.another()
	r.says(r.offer(runs), deviceproto.Confirmed)
	r.Off()
	before := r.now()
	r.On()
	all := hostile(runs)
	names := slices.Sorted(maps.Keys(all))
	rng := random("hostile indexes")
	rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names[:min(len(names), max(12, *cuts))] {
		t.Log(name)
		n := r.next()
		r.kind.want(r, n, all[name])
		r.found.fault(r.class, 1)
		if reason := r.says(n, deviceproto.Failed); reason != deviceproto.ReasonFormat {
			t.Errorf("%s: refused for %q", name, reason)
		}
	}
	n := r.next() // of the right form, and not to be had
	r.kind.want(r, n, release(t, filesOf(t, runs).with("x", []byte("a file")).with("x/y", []byte("in a folder"))))
	r.found.fault(r.class, 1)
	if reason := r.says(n, deviceproto.Failed); reason != deviceproto.ReasonFormat {
		t.Errorf("a file that is a folder: refused for %q", reason)
	}
	r.Off()
	after := r.now()
	for _, all := range []map[string]file{before, after} {
		maps.DeleteFunc(all, func(path string, _ file) bool {
			return strings.HasPrefix(path, "/flota/") || strings.HasPrefix(path, "/"+map[string]string{first: "a", second: "b"}[r.other()]+"/")
		})
	}
	if !maps.Equal(before, after) {
		r.found.half(r.class)
		t.Errorf("the flash was changed: %v, %v", before, after)
	}
	r.On()
	r.runs(runs)
	r.over()
	r.recovers(0)
}

// filled fills the flash until so many bytes are left, with what the program has of its own.
func (r *rig) filled(left int) {
	r.t.Helper()
	blocks := 0
	for _, f := range r.now() {
		if f.size > 512 { // smaller ones are in their folder's blocks
			blocks += int(f.size+4095) / 4096
		}
	}
	size := smallFlash - 4096*(blocks+24) - left
	edit(r.t, r.dir, "/data/filler.bin", noise(random("filler"), size))
}

// A flash without room: the release is refused before its first file, and the one that runs goes on, also through power
// cuts; with room again, the next is taken.
func TestPicoFullFlash(t *testing.T) {
	t.Parallel()
	r := newRig(t, rp2040{}, "flash full").on()
	runs := r.another()
	r.says(r.offer(runs), deviceproto.Confirmed)
	r.Off()
	r.filled(8 << 10)
	r.On()
	for range 2 {
		images := len(r.Images())
		n := r.next()
		large := filesOf(t, runs).with("large.bin", noise(random("large"), 120_000))
		r.kind.want(r, n, release(t, large))
		r.found.fault(r.class, 1)
		if reason := r.says(n, deviceproto.Failed); reason != deviceproto.ReasonTooLarge {
			t.Errorf("refused for %q", reason)
		}
		if more := len(r.Images()) - images; more != 1 {
			t.Errorf("%d parts were fetched of what has no room: its index alone was to be", more)
		}
		r.Cut()
		r.polled(2)
		r.runs(runs)
	}
	r.Off()
	edit(t, r.dir, "/data/filler.bin", nil)
	r.On()
	r.over()
	r.recovers(0)
}

// A flash with just the room that an update takes, or a little less, and power cuts besides: it is taken whole, or refused.
func TestPicoNearlyFullFlash(t *testing.T) {
	t.Parallel()
	rng := random("nearly full")
	r := newRig(t, rp2040{}, "flash nearly full, power cut at random")
	r.on()
	for range 2 {
		r.says(r.goodRelease(), deviceproto.Confirmed)
	}
	r.Off()
	for range max(3, *cuts/25) {
		edit(t, r.dir, "/data/filler.bin", nil)
		r.filled(rng.IntN(2 * picoPayload))
		n := r.goodRelease()
		for range 1 + rng.IntN(2) {
			before, lost := r.counted()
			r.powerAfter(1 + rng.Int64N(60_000))
			r.On()
			r.Bench.Until("start or verdict", func() bool {
				now, _ := r.counted()
				_, done := r.said(n, deviceproto.Confirmed)
				_, refused := r.said(n, deviceproto.Failed)
				return now > before+1 || done || refused
			})
			r.Off()
			_, now := r.counted()
			r.found.cut(r.class, now-lost)
		}
		r.powerAfter(-1)
		r.over()
		r.On()
		var why deviceproto.Reason
		refused := false
		r.Server.Until("verdict", func() bool {
			_, done := r.said(n, deviceproto.Confirmed)
			why, refused = r.said(n, deviceproto.Failed)
			return done || refused
		})
		if refused && why != deviceproto.ReasonTooLarge && why != deviceproto.ReasonStorage {
			t.Errorf("refused for %q", why)
		}
		r.recovered()
		r.polled(1)
		r.Off()
	}
	edit(t, r.dir, "/data/filler.bin", nil)
	r.On()
	r.over()
	r.recovers(0)
	r.never(deviceproto.RolledBack)
}

// Blocks of the flash that keep nothing: the release is installed where the others are, or refused for the storage; what runs
// goes on, and takes the next release on a flash that is whole again.
func TestPicoWornFlash(t *testing.T) {
	t.Parallel()
	rng := random("worn blocks")
	r := newRig(t, rp2040{}, "blocks worn out").on()
	worn := filepath.Join(r.dir, "worn")
	for range max(3, *cuts/25) {
		r.Off()
		var blocks []int
		for range 1 + rng.IntN(40) {
			blocks = append(blocks, 2+rng.IntN(smallFlash/4096-2)) // without the first two LittleFS is lost on a real one, too
		}
		raw, err := json.Marshal(blocks)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(worn, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		r.found.fault(r.class, len(blocks))
		n := r.goodRelease()
		r.On()
		r.polled(1)
		why := deviceproto.Reason("")
		refused := false
		r.Server.Until("verdict", func() bool {
			_, done := r.said(n, deviceproto.Confirmed)
			why, refused = r.said(n, deviceproto.Failed)
			return done || refused
		})
		if refused && why != deviceproto.ReasonStorage && why != deviceproto.ReasonTooLarge {
			t.Errorf("with worn blocks %v: refused for %q", blocks, why)
		}
		r.Off()
		if err := os.Remove(worn); err != nil {
			t.Fatal(err)
		}
		r.over()
		r.On()
		r.recovers(0)
	}
	r.never(deviceproto.RolledBack)
}

// A file as large as the flash has room for twice, with the heap of a Pico.
func TestPicoLargeFile(t *testing.T) {
	t.Parallel()
	r := newRig(t, rp2040{}, "a file of 250 KB").on()
	for i := range 2 {
		image := release(t, filesOf(t, r.another()).with("payload.bin", noise(random(fmt.Sprint("large ", i)), 250_000)))
		r.found.fault(r.class, 1)
		r.over()
		r.recovers(r.offer(image))
		r.runs(image)
	}
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}

// Programs that are no fault: asleep for ever, at their end, or gone.
func TestPicoProgramsThatAreFine(t *testing.T) {
	t.Parallel()
	for _, p := range []program{sleeps, returns} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, rp2040{}, "no fault: a program that "+string(p)).on()
			starts, _ := r.counted()
			r.over()
			r.recovers(r.offer(r.kind.build(t, p)))
			r.polled(10)
			if now, _ := r.counted(); now != starts+1 {
				t.Errorf("%d starts", now-starts)
			}
			r.over()
			r.recovers(0)
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}
