package editor

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

// Farm is what the workers say of themselves: the platform versions on offer with
// their boards, and the free slots. A worker that has not spoken for a while is
// gone. It is safe for concurrent use.
type Farm struct {
	patience time.Duration
	now      func() time.Time

	mu      sync.Mutex
	workers map[string]*seenWorker
	// catalogues are by flow.PlatformKey.
	catalogues map[string]Catalogue
	// offered is when a platform (its ID, of any version) was last on offer.
	offered map[string]time.Time
	since   time.Time
}

type seenWorker struct {
	*compilerv1.Worker
	at time.Time
}

// NewFarm returns an empty farm. A worker is gone after patience without a word.
func NewFarm(patience time.Duration, now func() time.Time) *Farm {
	return &Farm{patience: patience, now: now, workers: map[string]*seenWorker{}, catalogues: map[string]Catalogue{}, offered: map[string]time.Time{}, since: now()}
}

// Describe takes what the platform of a key (flow.PlatformKey) has to offer.
func (f *Farm) Describe(key string, c Catalogue) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.catalogues[key] = c
}

// Forget forgets what the platform of a key has to offer.
func (f *Farm) Forget(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.catalogues, key)
}

// See takes what a worker says, under the name that it claims builds by.
func (f *Farm) See(name string, w *compilerv1.Worker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.workers[name] = &seenWorker{w, f.now()}
}

// Leave forgets a worker.
func (f *Farm) Leave(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note()
	delete(f.workers, name)
}

// alive drops the workers that are gone and returns the others, by name.
func (f *Farm) alive() map[string]*seenWorker {
	f.note()
	oldest := f.now().Add(-f.patience)
	maps.DeleteFunc(f.workers, func(_ string, w *seenWorker) bool { return w.at.Before(oldest) })
	return f.workers
}

// note remembers which platforms are on offer.
func (f *Farm) note() {
	for _, w := range f.workers {
		if w.GetDraining() {
			continue
		}
		for _, p := range w.GetPlatforms() {
			if w.at.After(f.offered[p.GetId()]) {
				f.offered[p.GetId()] = w.at
			}
		}
	}
}

// Offer is a platform version that somebody offers now.
type Offer struct {
	ID, Version string
	Toolchain   string
	// Word names the platform version in subjects.
	Word string
	Catalogue
}

// Offers lists the platform versions on offer, by ID, the newest version first.
func (f *Farm) Offers() []Offer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.offers()
}

func (f *Farm) offers() []Offer {
	byWord := map[string]Offer{}
	for _, w := range f.alive() {
		if w.GetDraining() {
			continue
		}
		for _, p := range w.GetPlatforms() {
			catalogue, known := f.catalogues[flow.PlatformKey(p.GetId(), p.GetVersion(), p.GetToolchain())]
			if !known {
				continue // it is on its way: workers write it before they announce themselves
			}
			word := PlatformWord(p)
			// Where workers differ in what makes the same version, one is chosen
			// that does not depend on who spoke last.
			if old, ok := byWord[word]; !ok || p.GetToolchain() < old.Toolchain {
				byWord[word] = Offer{ID: p.GetId(), Version: p.GetVersion(), Toolchain: p.GetToolchain(), Word: word, Catalogue: catalogue}
			}
		}
	}
	offers := make([]Offer, 0, len(byWord))
	for _, o := range byWord {
		offers = append(offers, o)
	}
	slices.SortFunc(offers, func(a, b Offer) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), compareVersions(b.Version, a.Version), strings.Compare(a.Word, b.Word))
	})
	return offers
}

// PlatformWord names a platform version in subjects.
func PlatformWord(p *compilerv1.Platform) string { return flow.PlatformWord(p.GetId(), p.GetVersion()) }

// Target is where a build can be done.
type Target struct {
	FQBN      string // canonical
	Kind      Kind
	Platform  string // word
	Toolchain string
}

// Resolve finds who can build for a board, the newest version first. The fault
// is Precondition where nobody offers the board, and Invalid where the options
// are wrong; both of field "fqbn".
func (f *Farm) Resolve(fqbn string) (Target, error) {
	name, choices, err := splitFQBN(fqbn)
	if err != nil {
		return Target{}, err
	}
	offers := f.Offers()
	for _, offer := range offers {
		for _, board := range offer.Boards {
			if board.FQBN != name {
				continue
			}
			full, err := canonical(board, choices)
			if err != nil {
				return Target{}, err
			}
			return Target{FQBN: full, Kind: board.Kind, Platform: offer.Word, Toolchain: offer.Toolchain}, nil
		}
	}
	message := "no worker offers the board " + name + " now"
	if len(offers) == 0 {
		message = "no worker is running, so nothing can be compiled now"
	}
	return Target{}, &fault.Error{Code: fault.Precondition, Field: "fqbn", Message: message}
}

// remembering returns a Resolve that looks at each board once.
func (f *Farm) remembering() func(fqbn string) (Target, error) {
	type answer struct {
		target Target
		err    error
	}
	known := map[string]answer{}
	return func(fqbn string) (Target, error) {
		a, ok := known[fqbn]
		if !ok {
			a.target, a.err = f.Resolve(fqbn)
			known[fqbn] = a
		}
		return a.target, a.err
	}
}

// LastOffered is when some worker last offered the board's platform, at the
// earliest when this farm began to look.
func (f *Farm) LastOffered(fqbn string) time.Time {
	parts := strings.SplitN(fqbn, ":", 3)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note()
	if at, ok := f.offered[strings.Join(parts[:min(2, len(parts))], ":")]; ok {
		return at
	}
	return f.since
}

// Capacity is how much the farm can do.
type Capacity struct{ Workers, Slots, Free int }

// Capacity counts the workers and their slots.
func (f *Farm) Capacity() (c Capacity) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.alive() {
		c.Workers++
		c.Slots += int(w.GetSlots())
		if !w.GetDraining() {
			c.Free += int(w.GetFree())
		}
	}
	return c
}

// FreeSlots counts, for each platform version on offer, the slots that are free:
// what its workers say, but no more than is left of their slots when running
// (builds by worker) is taken away, for that is newer.
func (f *Farm) FreeSlots(running map[string]int) map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	free := map[string]int{}
	for name, w := range f.alive() {
		if w.GetDraining() {
			continue
		}
		n := max(0, min(int(w.GetFree()), int(w.GetSlots())-running[name]))
		for _, p := range w.GetPlatforms() {
			free[PlatformWord(p)] += n
		}
	}
	return free
}

// compareVersions orders "1.8.10" behind "1.8.7".
func compareVersions(a, b string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		var x, y string
		if i < len(as) {
			x = as[i]
		}
		if i < len(bs) {
			y = bs[i]
		}
		m, errM := strconv.Atoi(x)
		n, errN := strconv.Atoi(y)
		if errM == nil && errN == nil && m != n {
			return cmp.Compare(m, n)
		}
		if c := strings.Compare(x, y); (errM != nil || errN != nil) && c != 0 {
			return c
		}
	}
	return 0
}
