package chip_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/deviceproto"
)

// The sketches of these tests, built as the farm builds them: with the agent, without a line for it.
const (
	good = `
void setup() {
  Serial.begin(115200);
  Serial.println("hello from " VERSION);
}
void loop() {}`
	crashes = `
void setup() { Serial.println("hello from " VERSION); }
void loop() { abort(); }`
	exhausts = `
void setup() { Serial.println("hello from " VERSION); }
char *volatile kept;
void loop() { for (;;) kept = new char[1000]; }`
	hangs = `
void setup() {
  FlotaOTA.onSelfTest([] { for (;;) delay(1000); return true; });
  Serial.println("hello from " VERSION);
}
void loop() {}`
	fails = `
void setup() {
  FlotaOTA.onSelfTest([] { return false; });
  Serial.println("hello from " VERSION);
}
void loop() {}`
	restarts = `
void setup() { Serial.println("hello from " VERSION); }
void loop() { ESP.restart(); }`
	busy = `
void setup() { Serial.println("hello from " VERSION); }
void loop() { for (;;) {} }`
	neverSetUp = `
void setup() {
  Serial.println("hello from " VERSION);
  for (;;) {}
}
void loop() {}`
)

func build(t testing.TB, text, version string) []byte {
	t.Helper()
	return chiptest.Sketch(t, text, chiptest.Flags(fmt.Sprintf("-DVERSION=%q", version)))
}

// updating is a board that runs its first image, knows its server and has checked in.
type updating struct {
	*chiptest.Bench
	*chiptest.Server
	p deviceproto.Provision
}

func newUpdating(t *testing.T, change ...func(*chip.Config)) *updating {
	t.Helper()
	u := &updating{Server: chiptest.NewServer(t), Bench: chiptest.NewBench(t, build(t, good, "one"), change...)}
	u.p = u.Enrol("bot_001")
	chiptest.Given(t, u.Dir, u.p)
	u.On()
	u.Server.Until("poll", func() bool { return len(u.Polls()) > 0 })
	return u
}

// runs checks what runs, by what it says and by what the bootloader thinks of it.
func (u *updating) runs(t *testing.T, slot string) {
	t.Helper()
	if got := u.State().Slot; got != slot {
		t.Errorf("%s runs, not %s", got, slot)
	}
}

// A board that was given nothing is provisioned over its cable, polls, takes one update
// after the other and stays with the last, whatever happens then.
func TestUpdate(t *testing.T) {
	server := chiptest.NewServer(t)
	p := server.Enrol("bot_001")
	p.WiFi = []deviceproto.Network{{SSID: "elsewhere", Password: "whatever it is"}, {SSID: "shed", Password: "secret of the shed"}}
	b := chiptest.NewBench(t, build(t, good, "one"), func(c *chip.Config) { c.WiFi = []chip.WiFi{{SSID: "shed", Password: "secret of the shed"}} })
	b.On()
	b.After(0, "hello from one")
	b.Provision(p)
	server.Until("poll", func() bool { return len(server.Polls()) > 0 })
	for i, version := range []string{"two", "three"} {
		image, number := build(t, good, version), int64(i+1)
		began := time.Now()
		server.Want(p, number, image)
		b.After(0, "hello from "+version)
		server.UntilSaid(p, fmt.Sprintf("%d confirmed", number))
		t.Logf("%s was confirmed after %v", version, time.Since(began).Round(time.Millisecond))
	}
	want := []string{
		"1 downloading", "1 verified", "1 applied", "1 confirmed", "2 downloading", "2 verified", "2 applied", "2 confirmed",
	}
	if got := server.Said(p); !slices.Equal(got, want) {
		t.Error(got)
	}
	starts := b.State().Starts
	b.Cut()
	b.Until("start", func() bool { return b.State().Starts > starts && b.State().Phase == chip.PhaseRunning })
	polls := len(server.Polls())
	server.Until("poll", func() bool { return len(server.Polls()) > polls })
	if got, want := server.Polls()[polls].Running, chiptest.Digest(build(t, good, "three")); got != want {
		t.Errorf("%s runs", got)
	}
}

// A release that is bad is undone, for the right reason, and not tried again; what ran before runs.
func TestBadReleases(t *testing.T) {
	for _, c := range []struct{ name, sketch, said string }{
		{"crash", crashes, "1 rolled_back:crash"},
		{"heap", exhausts, "1 rolled_back:crash"},
		{"hang", hangs, "1 rolled_back:watchdog"},
		{"selftest", fails, "1 rolled_back:selftest"},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newUpdating(t, hurry(10), func(c *chip.Config) { c.Start = chip.Direct{Memory: 64 << 20}.Start })
			u.Want(u.p, 1, build(t, c.sketch, "two"))
			u.UntilSaid(u.p, c.said)
			u.runs(t, "app0")
			if got := u.Said(u.p); slices.Contains(got, "1 confirmed") {
				t.Error(got)
			}
			u.Want(u.p, 2, build(t, good, "three"))
			u.UntilSaid(u.p, "2 confirmed")
			u.runs(t, "app1")
		})
	}
}

func hurry(factor int) func(*chip.Config) { return func(c *chip.Config) { c.Hurry = factor } }

// An image that cannot check in, where the old one can, is given up after three trials; one that
// restarts by itself counts likewise.
func TestNoCheckin(t *testing.T) {
	for name, sketch := range map[string]string{"silent": good, "restarts": restarts} {
		t.Run(name, func(t *testing.T) {
			image := build(t, sketch, "two")
			u := newUpdating(t, hurry(150))
			u.Before(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get(deviceproto.HeaderRunning) != chiptest.Digest(image) {
					return false
				}
				w.WriteHeader(http.StatusInternalServerError)
				return true
			})
			u.Want(u.p, 1, image)
			u.UntilSaid(u.p, "1 rolled_back:no_checkin")
			u.runs(t, "app0")
			trials := 0
			for _, e := range u.Events() {
				if e.Kind == chip.Started && e.Slot == "app1" {
					trials++
				}
			}
			if trials != 3 {
				t.Errorf("%d trials", trials)
			}
		})
	}
}

// Code that never gives way is no hang: the agent goes on beside it, and updates it.
func TestBusySketch(t *testing.T) {
	for name, sketch := range map[string]string{"loop": busy, "setup": neverSetUp} {
		t.Run(name, func(t *testing.T) {
			u := newUpdating(t, hurry(10))
			u.Want(u.p, 1, build(t, sketch, "two"))
			u.UntilSaid(u.p, "1 confirmed")
			time.Sleep(7 * time.Second) // longer than its watchdog
			u.Want(u.p, 2, build(t, good, "three"))
			u.UntilSaid(u.p, "2 confirmed")
			for _, e := range u.Events() {
				if e.Kind == chip.Watchdog {
					t.Error("the watchdog bit")
				}
			}
		})
	}
}

// The trigger button makes the agent poll at once.
func TestButton(t *testing.T) {
	u := newUpdating(t)
	u.SetPoll(3600)
	polls := len(u.Polls())
	u.Server.Until("poll", func() bool { return len(u.Polls()) > polls })
	u.Want(u.p, 1, build(t, good, "two"))
	if err := u.Press(t.Context(), 0, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	u.After(0, "hello from two")
	u.UntilSaid(u.p, "1 confirmed")
}

// Over TLS the certificate that was given is trusted, and no other.
func TestTLS(t *testing.T) {
	server, other := chiptest.NewTLSServer(t), chiptest.NewTLSServer(t)
	p := server.Enrol("bot_001")
	b := chiptest.NewBench(t, build(t, good, "one"), hurry(20))
	chiptest.Given(t, b.Dir, p)
	b.On()
	server.Want(p, 1, build(t, good, "two"))
	server.UntilSaid(p, "1 confirmed")

	b.Off()
	p.CA = other.CA
	chiptest.Given(t, b.Dir, p)
	polls := len(server.Polls())
	b.On()
	server.UntilRefused(3)
	if got := len(server.Polls()); got != polls {
		t.Errorf("%d polls", got-polls)
	}
}

// What is cut short goes on where it stopped: the network, and the power.
func TestDownloadGoesOn(t *testing.T) {
	u := newUpdating(t, hurry(10))
	image := build(t, good, "two")
	u.Net().Set(chiptest.Link{CutAfter: 300_000, BytesPerSecond: 400_000})
	u.Want(u.p, 1, image)
	u.Server.Until("second request", func() bool { return len(u.Images()) > 1 })
	u.Net().Set(chiptest.Link{BytesPerSecond: 100_000})
	time.Sleep(time.Second)
	u.Cut()
	u.Net().Set(chiptest.Link{})
	u.UntilSaid(u.p, "1 confirmed")
	ranges := u.Images()
	if len(ranges) < 3 || ranges[0] != "" && ranges[0] != "bytes=0-" || ranges[1] == "" || ranges[2] == "" || ranges[1] == ranges[2] {
		t.Errorf("%q", ranges)
	}
}

// What the real arduino-cli makes runs and updates just so.
func TestArduino(t *testing.T) {
	sketch := func(version string) []byte {
		dir := filepath.Join(t.TempDir(), "sketch")
		text := "#include <FlotaOTA.h>\nFLOTA_MANAGED\n" + strings.Replace(good, "VERSION", strconv.Quote(version), 1)
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "sketch.ino"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		return chiptest.Arduino(t, dir)
	}
	one, two := sketch("one"), sketch("two")
	server := chiptest.NewServer(t)
	p := server.Enrol("bot_001")
	b := chiptest.NewBench(t, one)
	b.On()
	b.After(0, "hello from one")
	b.Provision(p)
	server.Want(p, 1, two)
	b.After(0, "hello from two")
	server.UntilSaid(p, "1 confirmed")
}

// Whenever the power goes in an update, from the first byte of the download to the last of the confirmation,
// the board comes back by itself and ends with the new image.
func TestPowerCuts(t *testing.T) {
	one, two := build(t, good, "one"), build(t, good, "two")
	update := func(cut int64) *updating {
		t.Helper()
		u := &updating{Server: chiptest.NewServer(t), Bench: chiptest.NewBench(t, one, hurry(20))}
		u.p = u.Enrol("bot_001")
		chiptest.Given(t, u.Dir, u.p)
		u.Want(u.p, 1, two)
		if err := u.CutAfter(t.Context(), cut); err != nil {
			t.Fatal(err)
		}
		u.On()
		u.UntilSaid(u.p, "1 confirmed")
		u.Off()
		u.runs(t, "app1")
		return u
	}
	var swap, total int64 // where the last byte of the image is written, and the last of all
	for _, e := range update(-1).Events() {
		if e.Kind == chip.Written {
			if e.Where == "app1" {
				swap = e.To
			}
			total = e.To
		}
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d; the image ends at %d, all at %d", seed, swap, total)
	random := rand.New(rand.NewPCG(uint64(seed), 0)) //nolint:gosec // no secret
	all := 0
	for i := range 30 {
		cut := random.Int64N(swap)
		if i%2 == 0 {
			cut = swap + random.Int64N(total-swap)
		}
		cuts := 0 // none where that update wrote a little less than the first
		for _, e := range update(cut).Events() {
			if e.Kind == chip.Stopped && e.Exit.Status == 99 {
				cuts++
			}
		}
		if cuts > 1 {
			t.Errorf("%d cuts at %d", cuts, cut)
		}
		all += cuts
	}
	if all < 20 {
		t.Errorf("%d cuts", all)
	}
}
