package faultlab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/pkg/deviceproto"
)

// offered makes the next release what a board should have.
type offered func() (n int64)

func (r *rig) goodRelease() (n int64) { return r.offer(r.another()) }

// bytesOf an image are written to a slot; all else is the swap and its bookkeeping.
func bytesOf(w chip.Event) bool { return w.Where == "app0" || w.Where == "app1" }

// inFiles is written to a Pico's file system, which makes no such difference.
func inFiles(w chip.Event) bool { return w.Where == "fs" }

// powerAfter cuts the power of the next start that writes so much.
func (r *rig) powerAfter(bytes int64) {
	r.t.Helper()
	if err := r.CutAfter(context.Background(), bytes); err != nil {
		r.t.Fatal(err)
	}
}

// study takes a release without a cut and gives the writes of each start, from its first byte.
func (r *rig) study(offer offered, until deviceproto.State) (starts [][]chip.Event) {
	r.t.Helper()
	r.powerAfter(-1)
	r.on()
	for range 2 { // so that both slots hold what a slot does hold
		r.says(r.goodRelease(), deviceproto.Confirmed)
	}
	r.studied = r.number
	r.Off()
	n := offer()
	first, _ := r.counted()
	r.mu.Lock()
	r.writes = nil
	r.mu.Unlock()
	r.On()
	r.says(n, until)
	r.Off()
	r.mu.Lock()
	defer r.mu.Unlock()
	starts = make([][]chip.Event, r.starts-first)
	var before int64
	for _, w := range r.writes {
		i := w.Start - first - 1
		if len(starts[i]) == 0 {
			before = w.From
		}
		w.From, w.To = w.From-before, w.To-before
		starts[i] = append(starts[i], w)
	}
	r.writes = nil
	return starts
}

// cut offers a release and cuts the power of the starts that follow after these many bytes, one after the
// other (0: not that start), and waits until the board comes to the same end all the same.
func (r *rig) cut(offer offered, until deviceproto.State, after ...int64) (made int) {
	r.t.Helper()
	n := offer()
	r.powerAfter(-1)
	_, lost := r.counted()
	r.over()
	for i, bytes := range after {
		if bytes > 0 {
			r.powerAfter(bytes)
		}
		before, _ := r.counted()
		if i == 0 {
			r.On()
		}
		r.Bench.Until("start", func() bool {
			now, _ := r.counted()
			_, done := r.said(n, until)
			return now > before || done
		})
	}
	r.says(n, until)
	r.recovered()
	r.polled(1) // what is written after that report, too
	r.Off()
	r.mu.Lock()
	r.writes = nil
	r.mu.Unlock()
	_, now := r.counted()
	r.found.cut(r.class, now-lost)
	return now - lost
}

// atEach cuts in each of the writes of a start, the others before it left alone.
func (r *rig) atEach(offer offered, until deviceproto.State, start int, places []int64) {
	r.t.Helper()
	made := 0
	for _, at := range places {
		after := make([]int64, start+1)
		after[start] = at
		made += r.cut(offer, until, after...)
	}
	r.t.Logf("start %d: %d power cuts at %d places", start+1, made, len(places))
	if made < len(places)/2 {
		r.t.Errorf("only %d power cuts at %d places", made, len(places))
	}
}

// swap are the bytes before, in and behind every write that is not the image's.
func swap(writes []chip.Event) (places []int64) {
	for _, w := range writes {
		switch {
		case inFiles(w): // before it is behind the one before
			places = append(places, max(w.From, 1), w.From+(w.To-w.From)/2)
		case !bytesOf(w):
			places = append(places, max(w.From, 1), w.From+max((w.To-w.From)/2, 1), w.To)
		}
	}
	slices.Sort(places)
	return some(slices.Compact(places))
}

// some are all of them, or in a short run a few.
func some[T any](all []T) (few []T) {
	if *cuts >= full {
		return all
	}
	rng := random(fmt.Sprintf("few of %d", len(all)))
	for _, i := range rng.Perm(len(all))[:min(len(all), 4)] {
		few = append(few, all[i])
	}
	return few
}

// The power goes in every write of the swap, a Pico's in every write at all: before it, in the middle and behind it.
func TestCutsAtEveryWriteOfTheSwap(t *testing.T) { onEach(t, testCutsAtEveryWriteOfTheSwap) }

func testCutsAtEveryWriteOfTheSwap(t *testing.T, on kind) {
	for start, name := range []string{"download", "trial"} {
		inParts(t, on, name, func(t *testing.T, part func([]int64) []int64) {
			r := newRig(t, on, "power cut at every write of the swap, "+name)
			starts := r.study(r.goodRelease, deviceproto.Confirmed)
			r.atEach(r.goodRelease, deviceproto.Confirmed, start, part(swap(starts[start])))
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// inParts runs a test on several boards at a time where there are many places to cut at: each takes its part.
func inParts(t *testing.T, on kind, name string, test func(t *testing.T, part func([]int64) []int64)) {
	parts := 1
	if on == (rp2040{}) && *cuts >= full {
		parts = 6
	}
	for i := range parts {
		t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
			t.Parallel()
			test(t, func(places []int64) (mine []int64) {
				for at := i; at < len(places); at += parts {
					mine = append(mine, places[at])
				}
				return mine
			})
		})
	}
}

// The power goes in every write of the way back from a release that is bad.
func TestCutsOnTheWayBack(t *testing.T) { onEach(t, testCutsOnTheWayBack) }

func testCutsOnTheWayBack(t *testing.T, on kind) {
	for start, name := range []string{1: "bad trial", 2: "back again"} {
		if name == "" {
			continue
		}
		inParts(t, on, name, func(t *testing.T, part func([]int64) []int64) {
			r := newRig(t, on, "power cut at every write of the way back, "+name, unhurried)
			bad := on.build(t, fails)
			offer := func() int64 { return r.offer(on.another(t, bad)) }
			starts := r.study(offer, deviceproto.RolledBack)
			r.atEach(offer, deviceproto.RolledBack, start, part(swap(starts[start])))
			r.never(deviceproto.Confirmed, deviceproto.Failed)
			r.On()
			r.over()
			r.recovers(0)
		})
	}
}

// The power goes in every class of byte of a download.
func TestCutsInADownload(t *testing.T) { onEach(t, testCutsInADownload) }

func testCutsInADownload(t *testing.T, on kind) {
	r := newRig(t, on, "power cut in every class of byte of a download")
	rng := random("bytes of a download")
	var image []chip.Event
	for _, w := range r.study(r.goodRelease, deviceproto.Confirmed)[0] {
		if bytesOf(w) || inFiles(w) {
			image = append(image, w)
		}
	}
	first, middle, last := image[0], image[len(image)/2], image[len(image)-1]
	places := []int64{
		first.From + 1, first.From + 31, first.From + 32, first.From + 33, first.To - 1, first.To, first.To + 1, // the first sectors and the image's header
		middle.From - 1, middle.From, middle.From + 1, middle.To - 1, middle.To, middle.To + 1, // borders of sectors and writes
		last.From, last.To - 33, last.To - 32, last.To - 1, last.To, // the digest at the end
	}
	for range 12 {
		places = append(places, first.From+1+rng.Int64N(last.To-first.From-1))
	}
	r.atEach(r.goodRelease, deviceproto.Confirmed, 0, some(places))
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}

// The power goes anywhere, and goes again while the board recovers.
func TestRandomCuts(t *testing.T) { onEach(t, testRandomCuts) }

func testRandomCuts(t *testing.T, on kind) {
	boards := 4
	if on == (rp2040{}) {
		boards = 12
	}
	var left atomic.Int64
	left.Store(int64(*cuts))
	for i := range boards {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, on, "power cut at random, and again while it recovers")
			starts := r.study(r.goodRelease, deviceproto.Confirmed)
			rng := random(fmt.Sprintf("cuts of board %d", i))
			for left.Load() > 0 && !t.Failed() {
				left.Add(-int64(r.cut(r.goodRelease, deviceproto.Confirmed, somewhere(rng, starts[0], starts[1])...)))
			}
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// somewhere is one to four cuts, each for a start.
func somewhere(rng *rand.Rand, download, trial []chip.Event) (after []int64) {
	total := func(writes []chip.Event) int64 { return writes[len(writes)-1].To }
	for range 1 + rng.IntN(4) {
		switch rng.IntN(4) {
		case 0: // anywhere in a download
			after = append(after, 1+rng.Int64N(total(download)))
		case 1: // near its end: verification and swap
			after = append(after, total(download)-rng.Int64N(min(9000, total(download))))
		case 2: // in a trial
			after = append(after, 1+rng.Int64N(total(trial)))
		case 3: // early: what a start writes
			after = append(after, 1+rng.Int64N(200))
		}
	}
	return after
}

// The power goes at any moment, not only when something is written.
func TestCutsAtAnyMoment(t *testing.T) { onEach(t, testCutsAtAnyMoment) }

func testCutsAtAnyMoment(t *testing.T, on kind) {
	r := newRig(t, on, "power cut at any moment").on()
	rng := random("moments")
	for range max(5, *cuts/25) {
		n := r.goodRelease()
		for range 1 + rng.IntN(4) {
			time.Sleep(time.Duration(rng.Int64N(int64(400 * time.Millisecond)))) // any moment is meant
			r.over()
			r.Cut()
			r.found.cut(r.class, 1)
		}
		r.polled(1)
		r.recovers(n)
	}
	r.never(deviceproto.RolledBack, deviceproto.Failed)
}
