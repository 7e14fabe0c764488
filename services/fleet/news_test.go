package fleet_test

import (
	"errors"
	"testing"
	"time"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/fleet"
)

// Enrolments and revocations travel apart: whatever the order in which they
// come, the last word counts.
func TestNewsOfAKey(t *testing.T) {
	type news struct {
		what string
		at   int
	}
	for name, c := range map[string]struct {
		news    []news
		revoked bool
		name    string
		gone    bool
	}{
		"enrolled":                         {[]news{{"enrolled", 1}}, false, "at 1", false},
		"twice":                            {[]news{{"enrolled", 1}, {"enrolled", 1}}, false, "at 1", false},
		"renamed":                          {[]news{{"enrolled", 1}, {"enrolled", 2}}, false, "at 2", false},
		"the older name last":              {[]news{{"enrolled", 2}, {"enrolled", 1}}, false, "at 2", false},
		"revoked":                          {[]news{{"enrolled", 1}, {"revoked", 2}}, true, "at 1", false},
		"a new key after that":             {[]news{{"enrolled", 1}, {"revoked", 2}, {"enrolled", 3}}, false, "at 3", false},
		"revoked, heard after the new key": {[]news{{"enrolled", 1}, {"enrolled", 3}, {"revoked", 2}}, false, "at 3", false},
		"deleted":                          {[]news{{"enrolled", 1}, {"deleted", 2}}, false, "", true},
		"deleted twice":                    {[]news{{"enrolled", 1}, {"deleted", 2}, {"deleted", 2}}, false, "", true},
		"deleted, heard first":             {[]news{{"deleted", 2}, {"enrolled", 1}}, false, "", true},
		"deleted, revoked late":            {[]news{{"enrolled", 1}, {"deleted", 3}, {"revoked", 2}}, false, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			for _, n := range c.news {
				at := k.now.Add(time.Duration(n.at) * time.Second)
				var err error
				switch n.what {
				case "enrolled":
					err = k.Enrolled(t.Context(), fleet.Enrolment{
						Device: device, Workspace: workspace, ProductID: "bot_001", Name: "at " + string(rune('0'+n.at)), At: at,
					})
				case "revoked":
					err = k.Revoked(t.Context(), device, at)
				case "deleted":
					err = k.Deleted(t.Context(), device)
				}
				if err != nil {
					t.Fatalf("%s: %v", n.what, err)
				}
			}
			d, err := k.store.Device(t.Context(), workspace, device)
			list, _, listErr := k.store.Devices(t.Context(), workspace, "", 10)
			if listErr != nil || len(list) == 1 == c.gone {
				t.Errorf("%d devices, %v", len(list), listErr)
			}
			if c.gone {
				if !fault.Is(err, fault.NotFound) {
					t.Errorf("%+v, %v", d, err)
				}
				return
			}
			if err != nil || d.Revoked != c.revoked || d.Name != c.name {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

func TestUnknownDevices(t *testing.T) {
	k := newKit(t)
	if err := k.Revoked(t.Context(), device, k.now); !fault.Is(err, fault.NotFound) {
		t.Errorf("revoked: %v", err)
	}
	if err := k.Reported(t.Context(), device, fleet.Report{At: k.now, State: fleet.Confirmed}); !fault.Is(err, fault.NotFound) {
		t.Errorf("reported: %v", err)
	}
	if err := k.Saw(t.Context(), []fleet.LastSeen{poll(k.now, "")}); err != nil {
		t.Errorf("seen: %v", err)
	}
	if seen, err := k.store.Seen(t.Context(), device); err != nil || len(seen) != 0 {
		t.Errorf("%v, %v", seen, err)
	}
}

// A deleted device is nobody's any more: what it says is acknowledged and forgotten.
func TestADeletedDeviceIsForgotten(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	k.builds["b1"] = build()
	k.deploy(order())
	if err := k.Saw(t.Context(), []fleet.LastSeen{poll(k.now, "")}); err != nil {
		t.Fatal(err)
	}
	k.change(device, func(d *fleet.Device) { d.Outbox = nil })
	if err := k.Deleted(t.Context(), device); err != nil {
		t.Fatal(err)
	}
	told := len(k.audience.told)
	if err := k.Reported(t.Context(), device, fleet.Report{At: k.now, State: fleet.Confirmed}); err != nil {
		t.Error(err)
	}
	if err := k.Saw(t.Context(), []fleet.LastSeen{poll(k.now.Add(time.Hour), digest)}); err != nil {
		t.Error(err)
	}
	if seen, err := k.store.Seen(t.Context(), device); err != nil || len(seen) != 0 {
		t.Errorf("%v, %v", seen, err)
	}
	if len(k.audience.told) != told {
		t.Error("somebody was told of a device that is no more")
	}
	var left *fleet.Device
	err := k.store.EachDevice(t.Context(), func(d *fleet.Device) error { left = d; return nil })
	if err != nil || left == nil || left.Name != "" || left.Wanted != nil {
		t.Fatalf("%+v, %v", left, err)
	}
	checkSubjects(t, left.Outbox, "fleet.w1.device.d1", "$KV.refs.d1")
}

func poll(at time.Time, running string) fleet.LastSeen {
	return fleet.LastSeen{Meta: docstore.Meta{ID: device}, At: at, Running: running}
}

func TestSaw(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	start := k.now
	looping := func(l fleet.LastSeen) fleet.LastSeen { l.Looping = true; return l }
	another := func(l fleet.LastSeen) fleet.LastSeen { l.Looping, l.Key = true, "k2"; return l }
	for i, c := range []struct {
		poll fleet.LastSeen
		seen int  // seconds after the start that the store has afterwards
		told bool // to those who look
	}{
		{poll(start, ""), 0, true},                                            // the first
		{poll(start.Add(14*time.Second), ""), 0, false},                       // spared
		{poll(start.Add(15*time.Second), ""), 15, false},                      // noted
		{poll(start.Add(14*time.Second), ""), 15, false},                      // late
		{poll(start.Add(16*time.Second), digest), 16, true},                   // it runs something else
		{poll(start.Add(10*time.Second), ""), 16, false},                      // late
		{poll(start.Add(165*time.Second), digest), 165, false},                // still there
		{poll(start.Add(165*time.Second+fleet.OnlineFor), digest), 315, true}, // it was offline
		{looping(poll(start.Add(316*time.Second), digest)), 316, true},
		{another(poll(start.Add(317*time.Second), digest)), 317, true}, // with a new key
	} {
		told := len(k.audience.told)
		if err := k.Saw(t.Context(), []fleet.LastSeen{c.poll}); err != nil {
			t.Fatal(err)
		}
		seen, err := k.store.Seen(t.Context(), device)
		if err != nil || seen[device] == nil || !seen[device].At.Equal(start.Add(time.Duration(c.seen)*time.Second)) {
			t.Errorf("poll %d: %+v, %v", i, seen[device], err)
		}
		if (len(k.audience.told) > told) != c.told {
			t.Errorf("poll %d: told %d times", i, len(k.audience.told)-told)
		}
	}
}

// A batch may name a device twice; many devices are more than one query takes.
func TestSawABatch(t *testing.T) {
	k := newKit(t)
	var batch []fleet.LastSeen
	for i := range 1500 {
		id := "d" + string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10))
		if i < 20 || i > 1490 {
			k.enrol(id)
		}
		batch = append(batch, fleet.LastSeen{Meta: docstore.Meta{ID: id}, At: k.now})
	}
	for i := range 20 {
		again := batch[i]
		again.At = k.now.Add(time.Second)
		batch = append(batch, again)
	}
	for range 2 { // it is delivered again
		if err := k.Saw(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	ids := make([]string, len(batch))
	for i, s := range batch {
		ids[i] = s.ID
	}
	seen, err := k.store.Seen(t.Context(), ids...)
	if err != nil || len(seen) != 29 || !seen[batch[0].ID].At.Equal(k.now.Add(time.Second)) {
		t.Errorf("%d seen, %v", len(seen), err)
	}
}

// A page is told only after the twin is stored, without an outbox: where that
// fails the message comes again, and although nothing changes any more it is told.
func TestToldAgainWhereTellingFailed(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	k.builds["b1"] = build()
	d := k.deploy(order())
	r := fleet.Report{At: k.now, Deployment: d.Number, State: fleet.Downloading}
	k.audience.fail = errors.New("the bus is away")
	if err := k.Reported(t.Context(), device, r); !errors.Is(err, k.audience.fail) {
		t.Fatal(err)
	}
	k.audience.fail = nil
	if err := k.Reported(t.Context(), device, r); err != nil || len(k.audience.told) != 2 || k.audience.told[1].State != fleet.Downloading {
		t.Errorf("%v, told %v", err, k.audience.told)
	}

	k.audience.fail = errors.New("the bus is away")
	if err := k.Saw(t.Context(), []fleet.LastSeen{poll(k.now, digest)}); !errors.Is(err, k.audience.fail) {
		t.Fatal(err)
	}
	k.audience.fail = nil
	if err := k.Saw(t.Context(), []fleet.LastSeen{poll(k.now, digest)}); err != nil || len(k.audience.told) != 4 {
		t.Errorf("%v, told %d times", err, len(k.audience.told))
	}
}

func TestTags(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	if d, err := k.SetTags(t.Context(), workspace, device, []string{"lab"}); err != nil || len(d.Tags) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := k.SetTags(t.Context(), "w2", device, nil); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}
