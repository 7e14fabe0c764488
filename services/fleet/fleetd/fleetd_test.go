package fleetd_test

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/identity"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
)

// watcher is what a page hears.
type watcher struct {
	mu     sync.Mutex
	events []*fleetv1.Changed
}

func (in *installation) watch() *watcher {
	w := &watcher{}
	in.background(func(ctx context.Context) error {
		return bus.Tail(ctx, in.editor, flow.DeviceChanged, flow.DeviceChanged.Filter("w1"), 0, func(e bus.Event[*fleetv1.Changed]) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e.Body)
			return nil
		})
	})
	return w
}

func (w *watcher) states() (states []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		if len(states) == 0 || states[len(states)-1] != e.GetState() {
			states = append(states, e.GetState())
		}
	}
	return states
}

func (w *watcher) last() *fleetv1.Changed {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events[len(w.events)-1]
}

// buckets are what artifact knows.
func (in *installation) buckets() (refs map[string]*fleetv1.DeviceRef, statements map[string]*fleetv1.Deployment) {
	in.t.Helper()
	refs, err := bus.Snapshot(in.t.Context(), in.artifact, flow.Refs)
	if err != nil {
		in.t.Fatal(err)
	}
	statements, err = bus.Snapshot(in.t.Context(), in.artifact, flow.Deployments)
	if err != nil {
		in.t.Fatal(err)
	}
	return refs, statements
}

// handedOver waits until artifact knows the deployment, and that the device should have it.
func (in *installation) handedOver(d deployment) (statement *fleetv1.Deployment) {
	in.t.Helper()
	in.eventually("statement and ref", func() bool {
		refs, statements := in.buckets()
		statement = statements["w1."+strconv.FormatInt(d.Number, 10)]
		return statement != nil && refs[d.Device].GetDeployment() == d.Number
	})
	return statement
}

func TestFromEnrolmentToConfirmed(t *testing.T) {
	in := install(t)
	in.start()
	page := in.watch()
	ada := in.as(identity.Maintainer)
	if devices := ada.devices(); len(devices) != 0 {
		t.Fatalf("%+v", devices)
	}
	in.enrol("d1")
	if d := ada.devices(); len(d) != 1 || d[0].State != "new" || d[0].ProductID != "bot_001" || d[0].Name != "Robot d1" || d[0].Online {
		t.Fatalf("%+v", d)
	}
	in.saw("", "d1")
	in.eventually("sign of life", func() bool { d := ada.device("d1").Device; return d.State == "idle" && d.Online })

	made := ada.deploy(map[string]any{"device": "d1", "build": "b-" + newBytes})
	if made.Device != "d1" || made.Version != "r3" || made.Author != "Ada" {
		t.Errorf("%+v", made)
	}
	if d := ada.device("d1").Device; d.State != "wanted" || d.WantedVersion != "r3" || d.Wanted != made.Number {
		t.Errorf("%+v", d)
	}

	// What artifact has is what the device will trust.
	statement := in.handedOver(made)
	var trusted struct {
		Keys []struct {
			KID    string `json:"kid"`
			Public string `json:"public_key"`
		}
	}
	ada.must(http.MethodGet, "/keys", nil, &trusted)
	state := deviceproto.DeviceState{Workspace: "w1", Device: "d1", Board: board, Accepted: made.Number - 1, Slot: 1000}
	for _, k := range trusted.Keys {
		key, err := deviceproto.ParsePublicKey(k.Public)
		if err != nil || deviceproto.KID(key) != k.KID {
			t.Fatal(err)
		}
		state.Keys = append(state.Keys, key)
	}
	s, _, reason := deviceproto.Check(deviceproto.Signed{Payload: statement.GetPayload(), KID: statement.GetKid(), Sig: statement.GetSignature()}, state)
	if reason != "" || len(state.Keys) != 2 || s.Deployment != made.Number || s.Parts[0].SHA256 != newBytes || statement.GetParts()[0].GetSha256() != newBytes {
		t.Errorf("reason %q, %+v", reason, s)
	}

	in.report("d1", made.Number, "downloading", func(r *artifactv1.DeviceReported) { r.Percent, r.Chip, r.SlotSize = 25, "simulated", 4<<20 })
	in.eventually("download", func() bool { return ada.device("d1").Device.Percent == 25 })
	in.report("d1", made.Number, "verified")
	in.report("d1", made.Number, "applied", func(r *artifactv1.DeviceReported) { r.Log = "restarting" })
	in.eventually("restart", func() bool { return ada.device("d1").Device.State == "applied" })
	in.report("d1", made.Number, "confirmed", func(r *artifactv1.DeviceReported) { r.Running = newBytes })
	in.eventually("confirmation", func() bool { return ada.device("d1").Device.State == "confirmed" })

	d := ada.device("d1")
	if d.Device.RunningVersion != "r3" || d.Device.Board != board || d.Device.Chip != "simulated" {
		t.Errorf("%+v", d.Device)
	}
	var history []string
	for _, h := range d.History {
		history = append(history, h.State)
		if h.Version != "r3" || h.Deployment != made.Number {
			t.Errorf("%+v", h)
		}
	}
	if !slices.Equal(history, []string{"confirmed", "applied", "verified", "downloading", "wanted"}) || d.History[1].Log != "restarting" {
		t.Errorf("%v", history)
	}

	// The page followed all of it, and knows when the device was heard of.
	in.eventually("last event", func() bool { return page.last().GetState() == "confirmed" })
	states := page.states()
	if len(states) < 5 || states[0] != "new" || states[1] != "idle" || states[2] != "wanted" || states[3] != "downloading" {
		t.Errorf("%v", states)
	}
	if e := page.last(); e.GetRunningVersion() != "r3" || e.GetWantedVersion() != "r3" || time.Since(time.UnixMilli(e.GetSeenMs())) > time.Minute {
		t.Errorf("%+v", e)
	}

	// Rolled back, and back to the release before.
	next := ada.deploy(map[string]any{"device": "d1", "build": "b-" + oldBytes, "version": "2.0"})
	in.report("d1", next.Number, "rolled_back", func(r *artifactv1.DeviceReported) { r.Reason, r.Running = "crash", newBytes })
	in.eventually("rollback", func() bool { return ada.device("d1").Device.State == "rolled_back" })
	if d := ada.device("d1").Device; d.Reason != "crash" || d.RunningVersion != "r3" || d.WantedVersion != "2.0" {
		t.Errorf("%+v", d)
	}
	back := ada.deploy(map[string]any{"device": "d1", "release": made.Release})
	in.handedOver(back)
	in.saw(newBytes, "d1")
	in.eventually("confirmation by a poll alone", func() bool { return ada.device("d1").Device.State == "confirmed" })

	var list struct{ Deployments []deployment }
	ada.must(http.MethodGet, "/deployments?device=d1", nil, &list)
	if len(list.Deployments) != 3 || list.Deployments[0] != back || list.Deployments[2] != made {
		t.Errorf("%+v", list)
	}
	var releases struct {
		Releases []struct {
			ID, Build, Version, Board, SHA256 string
			Agent                             bool
		}
	}
	ada.must(http.MethodGet, "/releases", nil, &releases)
	if len(releases.Releases) != 2 || releases.Releases[0].Version != "2.0" || releases.Releases[1].ID != made.Release || !releases.Releases[1].Agent {
		t.Errorf("%+v", releases)
	}
}

// A MicroPython release is its index: that is what is signed and named, and its
// files are what must fit.
func TestMicroPythonRelease(t *testing.T) {
	in := install(t)
	in.start()
	in.enrol("d1")
	ada := in.as(identity.Maintainer)
	made := ada.deploy(map[string]any{"device": "d1", "build": "python"})
	s, err := deviceproto.ParsePayload(in.handedOver(made).GetPayload())
	if err != nil || s.Board != "micropython:py:rpi_pico_w" || len(s.Parts) != 1 ||
		s.Parts[0] != (deviceproto.Part{Kind: deviceproto.KindIndex, Size: 200, SHA256: newBytes}) {
		t.Fatalf("%v, %+v", err, s)
	}
	in.report("d1", made.Number, "downloading", func(r *artifactv1.DeviceReported) { r.Chip, r.Agent, r.SlotSize = "RP2040", "flota_agent/1.0", 4*4096 })
	in.eventually("report", func() bool { return ada.device("d1").Device.Chip == "RP2040" })
	in.saw(newBytes, "d1")
	in.eventually("confirmation by a poll alone", func() bool {
		d := ada.device("d1").Device
		return d.State == "confirmed" && d.RunningVersion == "r3"
	})

	// One block of a file, the rest among the names of two folders.
	var releases struct{ Releases []struct{ Size int64 } }
	ada.must(http.MethodGet, "/releases", nil, &releases)
	if len(releases.Releases) != 1 || releases.Releases[0].Size != 9*4096 {
		t.Errorf("%+v", releases)
	}
	status, body := ada.do(http.MethodPost, "/deployments", map[string]any{"device": "d1", "release": made.Release}, nil)
	if status != http.StatusConflict || body.Field != "release" || !strings.Contains(body.Detail, "36864") {
		t.Errorf("%d %+v", status, body)
	}
}

// A deployment is stored while the bus is away, and the daemon dies before it
// is back: artifact hears of it all the same.
func TestNothingIsLostBetweenDocumentAndBucket(t *testing.T) {
	in := install(t)
	in.start()
	in.enrol("d1")
	ada := in.as(identity.Maintainer)
	first := ada.deploy(map[string]any{"device": "d1", "build": "b-" + newBytes})
	in.handedOver(first)

	in.nats.Stop()
	second := ada.deploy(map[string]any{"device": "d1", "release": first.Release}) // needs nobody else
	in.stop()
	in.nats.Start()
	in.eventually("connection", func() bool { return in.artifact.Ready(t.Context()) == nil })
	if refs, _ := in.buckets(); refs["d1"].GetDeployment() != first.Number {
		t.Fatalf("artifact knows of %v although nobody could tell", refs["d1"])
	}
	in.start()
	in.handedOver(second)
}

// Reports that came while the daemon was away, or before the device was known,
// wait for it.
func TestReportsWait(t *testing.T) {
	in := install(t)
	in.start()
	in.enrol("d1")
	ada := in.as(identity.Maintainer)
	made := ada.deploy(map[string]any{"device": "d1", "build": "b-" + newBytes})
	in.stop()
	in.report("d1", made.Number, "downloading")
	in.report("d1", made.Number, "confirmed")
	in.report("d2", 7, "confirmed", func(r *artifactv1.DeviceReported) { r.Chip = "early" })
	in.start()
	in.enrol("d2")
	in.eventually("both reports", func() bool {
		return ada.device("d1").Device.State == "confirmed" && ada.device("d2").Device.Chip == "early"
	})
}

// A message that names another device than its subject, or no workspace, is
// nobody's word: it is dropped and changes nothing.
func TestStrayMessagesAreDropped(t *testing.T) {
	in := install(t)
	in.start()
	in.enrol("d1")
	in.report("d1", 0, "confirmed", func(r *artifactv1.DeviceReported) { r.Device, r.Chip = "d2", "stray" })
	in.report("d1", 0, "confirmed", func(r *artifactv1.DeviceReported) { r.Workspace, r.Chip = "", "stray" })
	in.report("d1", 0, "failed", func(r *artifactv1.DeviceReported) { r.Chip = "its own" })
	in.enrol("d2")
	ada := in.as(identity.Maintainer)
	in.eventually("the one report that counts", func() bool { return ada.device("d1").Device.Chip == "its own" })
	if chip := ada.device("d2").Device.Chip; chip != "" {
		t.Errorf("d2 took a stray report: chip %q", chip)
	}
}

// The bus lost its data: artifact learns anew what every device should have.
func TestReadModelsAreRebuilt(t *testing.T) {
	in := install(t)
	in.start()
	in.enrol("d1", "d2", "d3")
	ada := in.as(identity.Maintainer)
	old := ada.deploy(map[string]any{"device": "d1", "build": "b-" + oldBytes})
	in.handedOver(old)
	one := ada.deploy(map[string]any{"device": "d1", "build": "b-" + newBytes})
	two := ada.deploy(map[string]any{"device": "d2", "build": "b-" + oldBytes})
	in.handedOver(one)
	in.handedOver(two)

	// A part of it, under way. This also tells of what nobody wants any more.
	conn := in.nats.Connect(flow.Fleet)
	if err := bus.Remove(t.Context(), conn, flow.Refs, "d2"); err != nil {
		t.Fatal(err)
	}
	in.handedOver(two)
	in.eventually("removal of the statement that was replaced", func() bool { _, statements := in.buckets(); return len(statements) == 2 })

	// All of it.
	in.stop()
	pub := tokenKey(t, in)
	in.connect(bustest.Server(t), pub)
	if refs, statements := in.buckets(); len(refs)+len(statements) != 0 {
		t.Fatal("the new bus is not new")
	}
	in.start()
	in.handedOver(one)
	in.handedOver(two)
	if refs, statements := in.buckets(); len(refs) != 2 || len(statements) != 2 {
		t.Errorf("%v, %v", refs, statements)
	}
}

func tokenKey(t *testing.T, in *installation) []byte {
	t.Helper()
	keys, err := bus.Snapshot(t.Context(), in.artifact, flow.TokenKeys)
	if err != nil || keys["k1"] == nil {
		t.Fatal(err)
	}
	return keys["k1"].GetPublicKey()
}

func TestRevokedAndDeleted(t *testing.T) {
	in := install(t)
	in.start()
	in.enrol("d1", "d2")
	ada := in.as(identity.Maintainer)
	in.handedOver(ada.deploy(map[string]any{"device": "d1", "build": "b-" + newBytes}))

	in.revoke("d1", false)
	in.eventually("revocation", func() bool { return ada.device("d1").Device.Revoked })
	if status, p := ada.do(http.MethodPost, "/deployments", map[string]any{"device": "d1", "build": "b-" + newBytes}, nil); status != 409 || p.Code != "precondition" {
		t.Errorf("deploy to a revoked device: %d %+v", status, p)
	}
	err := bus.Publish(t.Context(), in.auth, flow.DeviceEnrolled, &authv1.DeviceEnrolled{Device: "d1", Workspace: "w1", ProductId: "bot_001", Name: "again"}, "", "d1")
	if err != nil {
		t.Fatal(err)
	}
	in.eventually("new key", func() bool { d := ada.device("d1").Device; return !d.Revoked && d.Name == "again" })

	in.revoke("d1", true)
	in.eventually("deletion", func() bool { status, _ := ada.do(http.MethodGet, "/devices/d1", nil, nil); return status == 404 })
	in.eventually("withdrawal", func() bool { refs, _ := in.buckets(); return refs["d1"].GetDeployment() == 0 })
	if d := ada.devices(); len(d) != 1 || d[0].Device != "d2" {
		t.Errorf("%+v", d)
	}
	// What still comes of it is taken and forgotten.
	in.report("d1", 7, "confirmed")
	in.saw(newBytes, "d1", "d2")
	in.eventually("the other's poll", func() bool { return ada.device("d2").Device.Online })
	if d := ada.devices(); len(d) != 1 {
		t.Errorf("%+v", d)
	}
	// After a restart nothing of it is left on the bus.
	in.stop()
	in.start()
	in.eventually("clean buckets", func() bool { refs, statements := in.buckets(); return len(refs)+len(statements) == 0 })
}
