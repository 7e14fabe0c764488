package faultlab

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/deviceproto"
)

var (
	cuts    = flag.Int("cuts", 40, "random power cuts to make; from 1000 on, every place of the other classes, too")
	seed    = flag.Uint64("seed", 0, "of everything random; 0: another one each time")
	results = flag.String("results", "", "folder with results.json and RESULTS.md, to write what was found to")
)

// full is how many cuts make a full run.
const full = 1000

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "16") // boards wait most of the time
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	fmt.Printf("fault lab: -seed=%d -cuts=%d\n", *seed, *cuts)
	status := m.Run()
	for _, f := range []*report{found, pico} {
		if len(f.classes) == 0 {
			continue
		}
		fmt.Printf("%s\n%s", f.title, f.table())
		if status == 0 && *results != "" {
			if err := f.write(*results); err != nil {
				fmt.Fprintln(os.Stderr, err)
				status = 1
			}
		}
	}
	if status != 0 {
		fmt.Printf("not everything held; the same again: -args -seed=%d -cuts=%d\n", *seed, *cuts)
	}
	os.Exit(status)
}

// random gives numbers of its own to each place that asks under a name, the same for the same seed.
func random(name string) *rand.Rand {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], *seed)
	copy(key[8:], name)
	return rand.New(rand.NewChaCha8(key))
}

// builds counts the images that were made.
var builds atomic.Int64

// build makes an image that is like no other.
func build(t testing.TB, text string) []byte {
	t.Helper()
	return another(t, chiptest.Sketch(t, text))
}

// another is an image of the same program that differs from it: nobody minds what follows an executable.
func another(t testing.TB, image []byte) []byte {
	t.Helper()
	executable, _, err := chip.ParseImage(image)
	if err != nil {
		t.Fatal(err)
	}
	return chip.MakeImage(fmt.Appendf(slices.Clone(executable), "build %d", builds.Add(1)))
}

// rig is a board that runs its first image, a server that it knows, and a witness who is neither.
type rig struct {
	*chiptest.Bench
	*chiptest.Server
	t     testing.TB
	kind  kind
	dir   string
	class string
	found *report
	p     deviceproto.Provision
	first []byte
	hurry int

	mu      sync.Mutex
	allowed map[string]bool // digests of images that this board may start
	number  int64
	studied int64     // the last one before what is tested
	wanted  string    // digest of the image that was offered last
	ended   time.Time // of the fault
	starts  int
	digest  string       // of the image that was started last
	slot    string       // that was started last: first or second
	mark    int          // what the board had written by then
	lost    int          // power cuts by CutAfter
	writes  []chip.Event // while somebody asks for them
	hook    func(chip.Event)
}

// hurry is how much faster than the world's an agent's time goes here, where a test wants nothing else.
const hurry = 50

// newRig makes one, without power yet.
func newRig(t testing.TB, on kind, class string, change ...func(*chip.Config)) *rig {
	t.Helper()
	return newRigOf(t, on, class, on.build(t, good), change...)
}

func newRigOf(t testing.TB, on kind, class string, first []byte, change ...func(*chip.Config)) *rig {
	t.Helper()
	return newRigAt(t, on, class, chiptest.NewServer(t), first, change...)
}

func newRigAt(t testing.TB, on kind, class string, server *chiptest.Server, first []byte, change ...func(*chip.Config)) *rig {
	t.Helper()
	again(t)
	r := &rig{t: t, kind: on, dir: t.TempDir(), class: class, found: on.report(), Server: server, first: first, allowed: map[string]bool{}}
	r.may(r.first)
	r.p = on.own(r.Enrol("bot_001"))
	on.create(t, r.dir, r.first, r.p)
	r.open(hurry, change...)
	t.Cleanup(func() {
		if said := r.Output(); t.Failed() {
			t.Logf("the board wrote, at last:\n%s", said[max(0, len(said)-2000):])
		}
	})
	return r
}

// open takes the board in hand.
func (r *rig) open(hurry int, change ...func(*chip.Config)) {
	r.t.Helper()
	change = append([]func(*chip.Config){func(c *chip.Config) {
		c.Hurry = hurry
		c.Start = chip.Direct{Memory: 64 << 20}.Start
		told := c.Event
		c.Event = func(e chip.Event) {
			r.witness(e)
			if e.Kind != chip.Written {
				told(e)
			}
		}
	}}, change...)
	r.Bench = r.kind.open(r.t, r.dir, append(change, func(c *chip.Config) { r.hurry = c.Hurry })...)
}

// unhurried is for sketches that must have set their callbacks before the agent's first
// step: there is half a second of the agent's for that.
func unhurried(c *chip.Config) { c.Hurry = 10 }

// pace is a power cut, after which the agent's time goes at another speed.
func (r *rig) pace(hurry int) {
	r.t.Helper()
	if err := r.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.open(hurry)
	before, _ := r.counted()
	r.On()
	r.startedAfter(before, 1) // a poll that is on its way still may be of the start before
}

// on gives power and waits until the board has found its server.
func (r *rig) on() *rig {
	r.t.Helper()
	r.On()
	r.polled(1)
	return r
}

// polled waits for more polls.
func (r *rig) polled(more int) {
	r.t.Helper()
	before := len(r.Polls())
	r.Server.Until("poll", func() bool { return len(r.Polls()) >= before+more })
}

// witness looks at what is started, in the flash and not in what anybody says of it.
func (r *rig) witness(e chip.Event) {
	var slot, digest string
	var err error
	if e.Kind == chip.Started {
		slot, digest, err = r.kind.started(r, e)
	}
	r.mu.Lock()
	ok, hook := r.allowed[digest], r.hook
	switch {
	case e.Kind == chip.Started:
		r.starts++
		r.slot, e.Slot = slot, slot
		r.mark = r.Mark()
		r.digest = digest
	case e.Kind == chip.Stopped && e.Exit.Signal == 0 && e.Exit.Status == 99:
		r.lost++
		r.ended = time.Now()
	case e.Kind == chip.Written:
		r.writes = append(r.writes, e)
	}
	r.mu.Unlock()
	switch {
	case e.Kind == chip.Waiting, errors.Is(err, errNothingStarts):
		r.found.brick(r.class)
		r.t.Errorf("start %d: %v: %v", e.Start, errNothingStarts, e.Err)
	case e.Kind == chip.Started && ok && err != nil:
		r.found.half(r.class)
		r.t.Errorf("start %d: %s was started, and is not whole: %v", e.Start, slot, err)
	case e.Kind == chip.Started && !ok:
		r.found.unverified(r.class)
		r.t.Errorf("start %d: %s was started with an image that nobody signed for this board (%s %v)", e.Start, slot, digest, err)
	}
	if hook != nil {
		hook(e)
	}
}

// when calls something with each event from now on, before what follows from it happens.
func (r *rig) when(hook func(chip.Event)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = hook
}

// once calls something at the first event that is so.
func (r *rig) once(so func(chip.Event) bool, do func(chip.Event)) {
	done := false
	r.when(func(e chip.Event) {
		if !done && so(e) {
			done = true
			do(e)
		}
	})
}

// restarting is the moment between what an agent did and the start that it asked for.
func restarting(e chip.Event) bool {
	return e.Kind == chip.Stopped && e.Exit.Signal == 0 && e.Exit.Status == 64
}

// runsIn is the slot of what was started last.
func (r *rig) runsIn() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slot
}

// startOf is the start of a slot.
func startOf(slot string) func(chip.Event) bool {
	return func(e chip.Event) bool { return e.Kind == chip.Started && e.Slot == slot }
}

// counted is how many starts and power cuts there were.
func (r *rig) counted() (starts, lost int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.starts, r.lost
}

// startedAfter waits for more starts than there were.
func (r *rig) startedAfter(before, more int) {
	r.t.Helper()
	r.Bench.Until("start", func() bool { now, _ := r.counted(); return now >= before+more })
}

var slotOffset = map[string]int64{first: 0x10000, second: 0x150000}

// other is the slot that does not run.
func (r *rig) other() string {
	if r.runsIn() == first {
		return second
	}
	return first
}

// startedImage is the digest of the image in a slot, as a file.
func startedImage(dir, slot string) (string, error) {
	flash, err := os.Open(filepath.Join(dir, "flash.bin"))
	if err != nil {
		return "", err
	}
	defer flash.Close()
	all := make([]byte, chip.SlotSize)
	if _, err := flash.ReadAt(all, map[string]int64{"app0": slotOffset[first], "app1": slotOffset[second]}[slot]); err != nil {
		return "", err
	}
	size := (32+int64(binary.LittleEndian.Uint32(all[28:])))/16*16 + 16 + 32 // ../virtual/README.md
	if size > int64(len(all)) {
		return "", fmt.Errorf("an image of %d bytes", size)
	}
	return chiptest.Digest(all[:size]), nil
}

// quoted is a deployment as an entity tag.
func quoted(n int64) string { return strconv.Quote(strconv.FormatInt(n, 10)) }

// next is the number of the next deployment.
func (r *rig) next() int64 {
	r.number++
	return r.number
}

// offer makes an image what the board should have; it may start it.
func (r *rig) offer(image []byte, change ...func(*deviceproto.Statement)) int64 {
	r.t.Helper()
	r.may(image)
	r.wanted = chiptest.Digest(image)
	n := r.next()
	r.kind.want(r, n, image, change...)
	return n
}

func (r *rig) may(image []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.allowed[chiptest.Digest(image)] = true
}

// over says that the fault has ended: the board must recover from now on, without help.
func (r *rig) over() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = time.Now()
}

// recovers waits until a good image that was offered, now or before as n > 0, runs and is
// confirmed, and counts how long that took in the agent's own time.
func (r *rig) recovers(n int64) {
	r.t.Helper()
	if n == 0 {
		n = r.goodRelease()
	}
	r.says(n, deviceproto.Confirmed)
	r.recovered()
}

func (r *rig) recovered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended.IsZero() {
		r.t.Error("nobody said when the fault was over")
		return
	}
	r.found.recovered(r.class, time.Since(r.ended)*time.Duration(r.hurry))
}

// said tells whether the board reported a state, and why.
func (r *rig) said(n int64, state deviceproto.State) (reason deviceproto.Reason, ok bool) {
	reports := r.Reports()
	for i := len(reports) - 1; i >= 0; i-- {
		if reports[i].Deployment == n && reports[i].State == state {
			return reports[i].Reason, true
		}
	}
	return "", false
}

// says waits for a report, and fails the test at once where the board says the contrary.
func (r *rig) says(n int64, state deviceproto.State) (reason deviceproto.Reason) {
	r.t.Helper()
	contrary := map[deviceproto.State][]deviceproto.State{
		deviceproto.Confirmed:  {deviceproto.RolledBack, deviceproto.Failed},
		deviceproto.Failed:     {deviceproto.Applied, deviceproto.Confirmed},
		deviceproto.RolledBack: {deviceproto.Confirmed},
	}[state]
	ok := false
	done := r.Within(chiptest.Patience, func() bool {
		for _, other := range contrary {
			if why, so := r.said(n, other); so {
				r.t.Fatalf("deployment %d is %s %s, and should be %s; it said %q", n, other, why, state, r.Said(r.p))
			}
		}
		reason, ok = r.said(n, state)
		return ok
	})
	if !done {
		r.UntilSaid(r.p, fmt.Sprintf("%d %s", n, state)) // it tells all that it knows
	}
	return reason
}

// never fails the test where the board ever reported one of these states, of what was offered since the study.
func (r *rig) never(states ...deviceproto.State) {
	r.t.Helper()
	for _, report := range r.Reports() {
		if report.Deployment > r.studied && slices.Contains(states, report.State) {
			r.t.Errorf("deployment %d was %s %s: %q", report.Deployment, report.State, report.Reason, r.Said(r.p))
		}
	}
}

// runs checks what runs now.
func (r *rig) runs(image []byte) {
	r.t.Helper()
	slot, digest, err := r.kind.started(r, chip.Event{Slot: r.State().Slot}) // a Pico's soft resets are its own affair
	if err != nil || digest != chiptest.Digest(image) {
		r.t.Errorf("%s runs %s, %v", slot, digest, err)
	}
}

// another is an image of the first program that is like no other.
func (r *rig) another() []byte { return r.kind.another(r.t, r.first) }
