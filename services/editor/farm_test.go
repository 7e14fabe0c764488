package editor

import (
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func newClock() *clock                { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }
func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func option(id string, values ...string) *Option {
	o := &Option{ID: id, Label: id}
	for i, v := range values {
		o.Values = append(o.Values, OptionValue{ID: v, Label: v, Default: i == 0})
	}
	return o
}

var avrBoards = []Board{
	{FQBN: "arduino:avr:uno", Name: "Uno", Kind: Arduino},
	{
		FQBN: "arduino:avr:mega", Name: "Mega", Kind: Arduino,
		Options: []*Option{option("cpu", "atmega2560", "atmega1280"), option("speed", "fast", "slow")},
	},
}

func avr(version string) Offer {
	return Offer{ID: "arduino:avr", Version: version, Toolchain: "toolchain-" + version, Catalogue: Catalogue{Name: "AVR", Boards: avrBoards}}
}

func python() Offer {
	return Offer{
		ID: "micropython:py", Version: "1.25.0", Toolchain: "py",
		Catalogue: Catalogue{Boards: []Board{{FQBN: "micropython:py:pico", Name: "Pico", Kind: MicroPython}}},
	}
}

// see makes a worker known and what it offers.
func see(f *Farm, name string, slots, free uint32, offers ...Offer) {
	f.See(name, worker(slots, free, offers...))
	for _, o := range offers {
		f.Describe(flow.PlatformKey(o.ID, o.Version, o.Toolchain), o.Catalogue)
	}
}

func worker(slots, free uint32, offers ...Offer) *compilerv1.Worker {
	w := &compilerv1.Worker{Slots: slots, Free: free}
	for _, o := range offers {
		w.Platforms = append(w.Platforms, &compilerv1.Platform{Id: o.ID, Version: o.Version, Toolchain: o.Toolchain})
	}
	return w
}

func TestResolve(t *testing.T) {
	farm := NewFarm(15*time.Second, newClock().now)
	see(farm, "w1", 2, 2, avr("1.8.7"), python())
	for _, test := range []struct {
		fqbn string
		want string // canonical
		code fault.Code
	}{
		{"arduino:avr:uno", "arduino:avr:uno", ""},
		{"arduino:avr:mega", "arduino:avr:mega", ""},
		{"arduino:avr:mega:cpu=atmega2560", "arduino:avr:mega", ""},
		{"arduino:avr:mega:cpu=atmega1280", "arduino:avr:mega:cpu=atmega1280", ""},
		{"arduino:avr:mega:speed=slow,cpu=atmega1280", "arduino:avr:mega:cpu=atmega1280,speed=slow", ""},
		{"micropython:py:pico", "micropython:py:pico", ""},
		{"arduino:avr:mega:cpu=z80", "", fault.Invalid},
		{"arduino:avr:mega:colour=red", "", fault.Invalid},
		{"arduino:avr:mega:cpu=atmega1280,cpu=atmega2560", "", fault.Invalid},
		{"arduino:avr:uno:cpu=atmega1280", "", fault.Invalid},
		{"arduino:avr:mega:cpu", "", fault.Invalid},
		{"arduino:avr:mega:", "", fault.Invalid},
		{"arduino:avr", "", fault.Invalid},
		{"", "", fault.Invalid},
		{"a:b:c:--build-property=x", "", fault.Invalid},
		{"arduino:avr:../../etc", "", fault.Invalid},
		{"arduino:avr:nano", "", fault.Precondition},
		{"esp32:esp32:esp32", "", fault.Precondition},
	} {
		target, err := farm.Resolve(test.fqbn)
		if test.code != "" {
			wantFault(t, test.fqbn, err, test.code, "fqbn")
		} else if err != nil || target.FQBN != test.want {
			t.Errorf("%s: got %q, %v; want %q", test.fqbn, target.FQBN, err, test.want)
		}
	}
	target, _ := farm.Resolve("micropython:py:pico")
	if target.Kind != MicroPython || target.Toolchain != "py" || target.Platform != "micropython_py_1_25_0" {
		t.Errorf("got %+v", target)
	}
}

func TestResolveWithoutWorkers(t *testing.T) {
	farm := NewFarm(15*time.Second, newClock().now)
	_, err := farm.Resolve("arduino:avr:uno")
	wantFault(t, "no worker", err, fault.Precondition, "fqbn")
	if !strings.Contains(err.Error(), "no worker is running") {
		t.Errorf("got %v", err)
	}
	see(farm, "w1", 1, 1, python())
	if _, err = farm.Resolve("arduino:avr:uno"); !strings.Contains(err.Error(), "no worker offers the board arduino:avr:uno") {
		t.Errorf("got %v", err)
	}
}

func TestTheNewestVersionIsChosen(t *testing.T) {
	farm := NewFarm(15*time.Second, newClock().now)
	see(farm, "w1", 1, 1, avr("1.8.7"))
	see(farm, "w2", 1, 1, avr("1.8.10"))
	see(farm, "w3", 1, 1, avr("1.8.9"))
	if target, err := farm.Resolve("arduino:avr:uno"); err != nil || target.Platform != "arduino_avr_1_8_10" {
		t.Errorf("got %+v, %v", target, err)
	}
}

// A worker that does not speak for its time is gone, as one that leaves or drains.
func TestWorkersGo(t *testing.T) {
	clock := newClock()
	farm := NewFarm(15*time.Second, clock.now)
	offered := func() bool { _, err := farm.Resolve("arduino:avr:uno"); return err == nil }
	see := func(draining bool) {
		see(farm, "w", 4, 3, avr("1"))
		w := worker(4, 3, avr("1"))
		w.Draining = draining
		farm.See("w", w)
	}

	see(false)
	clock.pass(15 * time.Second)
	if !offered() {
		t.Error("gone too early")
	}
	clock.pass(time.Second)
	if offered() {
		t.Error("a silent worker is still on offer")
	}
	last := farm.LastOffered("arduino:avr:uno")
	if got := clock.now().Sub(last); got != 16*time.Second {
		t.Errorf("last offered %s ago", got)
	}
	see(false)
	farm.Leave("w")
	if offered() {
		t.Error("a worker that left is on offer")
	}
	if !farm.LastOffered("arduino:avr:uno").Equal(clock.now()) {
		t.Error("it is forgotten that it was offered until now")
	}
	see(true)
	if c := farm.Capacity(); offered() || c != (Capacity{Workers: 1, Slots: 4, Free: 0}) {
		t.Errorf("a draining worker: offered %t, %+v", offered(), c)
	}
}

// Nothing is offered before it is known what it is, whatever comes first; when
// that is lost, the platform is not on offer until it is there again.
func TestPlatformsAreDescribed(t *testing.T) {
	clock := newClock()
	farm := NewFarm(15*time.Second, clock.now)
	key := flow.PlatformKey("arduino:avr", "1", "toolchain-1")
	check := func(what string, want bool) {
		t.Helper()
		target, err := farm.Resolve("arduino:avr:mega:cpu=atmega1280")
		if (err == nil) != want || want && target.Toolchain != "toolchain-1" {
			t.Errorf("%s: %+v, %v", what, target, err)
		}
	}
	farm.See("w", worker(1, 1, avr("1")))
	check("announced alone", false)
	if offers := farm.Offers(); len(offers) != 0 {
		t.Errorf("offers %v", offers)
	}
	farm.Describe(flow.PlatformKey("arduino:avr", "1", "another toolchain"), avr("1").Catalogue)
	check("another toolchain's", false)
	farm.Describe(key, avr("1").Catalogue)
	check("both", true)
	farm.Forget(key)
	check("lost", false)
	farm.Describe(key, avr("1").Catalogue)
	farm.Leave("w")
	check("nobody there", false)
	farm.See("w again", worker(1, 1, avr("1")))
	check("another worker of the same toolchain", true)
	clock.pass(time.Minute)
	check("expired", false)
}

// Where two workers make the same version with different toolchains, the choice
// does not depend on who spoke last, and each has its own boards.
func TestTwoToolchains(t *testing.T) {
	farm := NewFarm(15*time.Second, newClock().now)
	a, b := avr("1"), avr("1")
	a.Toolchain, b.Toolchain = "a", "b"
	b.Boards = avrBoards[:1]
	for range 2 {
		see(farm, "wb", 1, 1, b)
		see(farm, "wa", 1, 1, a)
		a, b := farm.Offers(), farm.FreeSlots(nil)
		if len(a) != 1 || a[0].Toolchain != "a" || len(a[0].Boards) != 2 || b["arduino_avr_1"] != 2 {
			t.Errorf("%v %v", a, b)
		}
	}
	farm.Leave("wa")
	if offers := farm.Offers(); len(offers) != 1 || offers[0].Toolchain != "b" || len(offers[0].Boards) != 1 {
		t.Errorf("%v", offers)
	}
}

// What a worker says may be older than what the editor knows of it.
func TestFreeSlots(t *testing.T) {
	farm := NewFarm(15*time.Second, newClock().now)
	see(farm, "w1", 4, 4, avr("1"), python())
	see(farm, "w2", 2, 0, avr("1"))
	for _, test := range []struct {
		running     map[string]int
		avr, python int
	}{
		{nil, 4, 4},
		{map[string]int{"w1": 3}, 1, 1},
		{map[string]int{"w1": 9}, 0, 0},
		{map[string]int{"w2": 2, "elsewhere": 5}, 4, 4},
	} {
		free := farm.FreeSlots(test.running)
		if free["arduino_avr_1"] != test.avr || free["micropython_py_1_25_0"] != test.python {
			t.Errorf("%v: got %v", test.running, free)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"1.8.7", "1.8.10", -1}, {"2.0.0", "1.9.9", 1}, {"1.0", "1.0", 0}, {"1.0.1", "1.0", 1}, {"3.0.0-rc1", "3.0.0", 1}, {"", "1", -1},
	} {
		if got := compareVersions(test.a, test.b); got != test.want {
			t.Errorf("%s and %s: %d", test.a, test.b, got)
		}
		if got := compareVersions(test.b, test.a); got != -test.want {
			t.Errorf("%s and %s: %d", test.b, test.a, got)
		}
	}
}
