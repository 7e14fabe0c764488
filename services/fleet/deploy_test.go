package fleet_test

import (
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/fleet"
)

func order(change ...func(*fleet.Order)) fleet.Order {
	o := fleet.Order{Workspace: workspace, Device: device, Build: "b1", Author: "Ada"}
	for _, c := range change {
		c(&o)
	}
	return o
}

func hasAgent(d *fleet.Device) { d.Agent = "FlotaOTA/1.0" }

// micropython makes a build one of a MicroPython project: its image is the index, and its size that of the files.
func micropython(b *fleet.Build) {
	b.Image, b.Size = &fleet.Part{Kind: "index", Size: 700, SHA256: digest}, 61440
}

func TestDeployRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		device func(*fleet.Device)
		build  func(*fleet.Build)
		order  func(*fleet.Order)
		code   fault.Code
		field  string
	}{
		"nothing wrong":          {},
		"no such device":         {order: func(o *fleet.Order) { o.Device = "d2" }, code: fault.NotFound},
		"another workspace":      {order: func(o *fleet.Order) { o.Workspace = "w2" }, code: fault.NotFound},
		"no such build":          {order: func(o *fleet.Order) { o.Build = "b2" }, code: fault.NotFound},
		"no such release":        {order: func(o *fleet.Order) { o.Build, o.Release = "", "r1" }, code: fault.NotFound},
		"neither":                {order: func(o *fleet.Order) { o.Build = "" }, code: fault.Invalid, field: "build"},
		"both":                   {order: func(o *fleet.Order) { o.Release = "r1" }, code: fault.Invalid, field: "release"},
		"failed build":           {build: func(b *fleet.Build) { b.Succeeded = false }, code: fault.Precondition, field: "build"},
		"no update over the air": {build: func(b *fleet.Build) { b.Image = nil }, code: fault.Precondition, field: "build"},
		"revoked":                {device: func(d *fleet.Device) { d.Revoked = true }, code: fault.Precondition, field: "device"},
		"board not known yet":    {device: func(d *fleet.Device) { d.Board = "" }},
		"its board":              {device: func(d *fleet.Device) { d.Board = board }},
		"another board":          {device: func(d *fleet.Device) { d.Board = "esp32:esp32:esp32" }, code: fault.Precondition, field: "build"},
		"slot of its size":       {device: func(d *fleet.Device) { d.SlotSize = 1000 }},
		"slot a byte too small":  {device: func(d *fleet.Device) { d.SlotSize = 999 }, code: fault.Precondition, field: "build"},
		"MicroPython":            {build: micropython, device: func(d *fleet.Device) { hasAgent(d); d.SlotSize = 61440 }},
		"MicroPython, too large": {build: micropython, device: func(d *fleet.Device) { d.SlotSize = 61439 }, code: fault.Precondition, field: "build"},
		"MicroPython, no agent": {
			build: func(b *fleet.Build) { micropython(b); b.Agent, b.Unmanaged = false, true },
			order: func(o *fleet.Order) { o.AcceptUnmanaged = true }, code: fault.Precondition, field: "build",
		},
		"MicroPython, its loader cannot roll back": {
			build: micropython, device: func(d *fleet.Device) { d.Rollback = "none" }, code: fault.Precondition, field: "accept_agent_only",
		},
		"bootloader rolls back": {device: func(d *fleet.Device) { d.Rollback = "bootloader" }},
		"agent only":            {device: func(d *fleet.Device) { d.Rollback = "agent-only" }, code: fault.Precondition, field: "accept_agent_only"},
		"no rollback":           {device: func(d *fleet.Device) { d.Rollback = "none" }, code: fault.Precondition, field: "accept_agent_only"},
		"agent only, with consent": {
			device: func(d *fleet.Device) { d.Rollback = "agent-only" }, order: func(o *fleet.Order) { o.AcceptAgentOnly = true },
		},
		"an agent for an agent": {device: hasAgent},
		"no agent after one": {
			device: hasAgent, build: func(b *fleet.Build) { b.Agent = false }, code: fault.Precondition, field: "accept_unmanaged",
		},
		"no agent after one, with consent": {
			device: hasAgent, build: func(b *fleet.Build) { b.Agent = false }, order: func(o *fleet.Order) { o.AcceptUnmanaged = true },
		},
		"a board that never had one": {build: func(b *fleet.Build) { b.Agent = false }},
		"opted out, for a device that has not said yet": {
			build: func(b *fleet.Build) { b.Agent, b.Unmanaged = false, true }, code: fault.Precondition, field: "accept_unmanaged",
		},
		"opted out, the sketch has its own": {device: hasAgent, build: func(b *fleet.Build) { b.Unmanaged = true }},
		"consent to one is none to the other": {
			device: func(d *fleet.Device) { hasAgent(d); d.Rollback = "agent-only" }, build: func(b *fleet.Build) { b.Agent = false },
			order: func(o *fleet.Order) { o.AcceptAgentOnly = true }, code: fault.Precondition, field: "accept_unmanaged",
		},
		"a product, its own project": {
			build: func(b *fleet.Build) { b.ProductDevice = device }, order: func(o *fleet.Order) { o.OwnProject = true },
		},
		"a product, people's project": {order: func(o *fleet.Order) { o.OwnProject = true }, code: fault.NotFound},
		"a product, another's project": {
			build: func(b *fleet.Build) { b.ProductDevice = "d2" }, order: func(o *fleet.Order) { o.OwnProject = true }, code: fault.NotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			k.enrol(device)
			if c.device != nil {
				k.change(device, c.device)
			}
			b := build()
			if c.build != nil {
				c.build(&b)
			}
			k.builds["b1"] = b
			o := order()
			if c.order != nil {
				c.order(&o)
			}
			_, err := k.Deploy(t.Context(), o)
			field := ""
			if f := fault.As(err); f != nil {
				field = f.Field
			}
			if fault.CodeOf(err) != c.code || field != c.field {
				t.Fatalf("%v", err)
			}
			list, _, listErr := k.store.Deployments(t.Context(), workspace, "", "", 10)
			if wanted := k.device(device).Wanted; listErr != nil || (wanted != nil) != (err == nil) || (len(list) == 1) != (err == nil) {
				t.Errorf("wanted %v, %d deployments, %v", wanted, len(list), listErr)
			}
			releases, _, listErr := k.store.Releases(t.Context(), workspace, "", 10)
			if o.OwnProject && err != nil && (listErr != nil || len(releases) != 0) {
				t.Errorf("a product made a release of what is not its own")
			}
		})
	}
}

func TestAnOldReleaseNamesTheReleaseAtFault(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	k.builds["b1"] = build()
	d := k.deploy(order())
	k.change(device, func(d *fleet.Device) { d.SlotSize = 1 })
	_, err := k.Deploy(t.Context(), order(func(o *fleet.Order) { o.Build, o.Release = "", d.Release }))
	if f := fault.As(err); f == nil || f.Code != fault.Precondition || f.Field != "release" {
		t.Error(err)
	}
}

// A release remembers whether it has an agent; its build may be long gone.
func TestAReleaseRemembersItsAgent(t *testing.T) {
	for _, agent := range []bool{true, false} {
		k := newKit(t)
		k.enrol(device)
		b := build()
		b.Agent = agent
		k.builds["b1"] = b
		d := k.deploy(order())
		delete(k.builds, "b1")
		k.change(device, hasAgent)
		_, err := k.Deploy(t.Context(), order(func(o *fleet.Order) { o.Build, o.Release = "", d.Release }))
		if f := fault.As(err); agent != (err == nil) || f != nil && f.Field != "accept_unmanaged" {
			t.Errorf("agent %t: %v", agent, err)
		}
	}
}

func TestReleaseIsReused(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	k.builds["b1"] = build()
	first := k.deploy(order())
	again := k.deploy(order())
	named := k.deploy(order(func(o *fleet.Order) { o.Version = "1.4.0" }))
	back := k.deploy(order(func(o *fleet.Order) { o.Build, o.Release = "", first.Release }))
	if first.Version != "r3" || again.Release != first.Release || named.Release == first.Release || named.Version != "1.4.0" || back.Release != first.Release {
		t.Errorf("%+v, %+v, %+v, %+v", first, again, named, back)
	}
	list, _, err := k.store.Releases(t.Context(), workspace, "", 10)
	if err != nil || len(list) != 2 {
		t.Errorf("%d releases, %v", len(list), err)
	}

	// At the same time, too.
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { k.deploy(order(func(o *fleet.Order) { o.Version = "2" })) })
	}
	group.Wait()
	if list, _, err = k.store.Releases(t.Context(), workspace, "", 10); err != nil || len(list) != 3 {
		t.Errorf("%d releases, %v", len(list), err)
	}
}

func TestNumbers(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	k.builds["b1"] = build()
	number := func(want int64) {
		t.Helper()
		if got := k.deploy(order()).Number; got != want {
			t.Errorf("number %d, not %d", got, want)
		}
	}
	now := k.now.Unix()
	number(now)
	number(now + 1)
	number(now + 2)
	k.now = k.now.Add(time.Hour)
	number(now + 3600)
	k.now = k.now.Add(-2 * time.Hour) // a clock set back
	number(now + 3601)

	// A backup from before all of that, put back: devices have accepted up to now + 3601.
	backup := newKit(t)
	backup.enrol(device)
	backup.builds["b1"] = build()
	backup.now = time.Unix(now+3602, 0)
	if got := backup.deploy(order()).Number; got <= now+3601 {
		t.Errorf("number %d was given out already", got)
	}
}

// Two processes of the service, one database: the deployment's ID decides.
func TestNumbersOfTwoProcesses(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	k.builds["b1"] = build()
	other := &fleet.Fleet{Store: k.store, Builds: k.builds, Outbox: k.Outbox, Audience: k.audience, Box: k.Box, Now: k.Now}
	var group sync.WaitGroup
	for range 20 {
		for _, f := range []*fleet.Fleet{k.Fleet, other} {
			group.Go(func() {
				if _, err := f.Deploy(t.Context(), order()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	group.Wait()
	list, _, err := k.store.Deployments(t.Context(), workspace, device, "", 100)
	if err != nil || len(list) != 40 {
		t.Fatalf("%d deployments, %v", len(list), err)
	}
	if last := list[0]; last.Number != k.device(device).Wanted.Deployment {
		t.Errorf("%d is wanted, not the last, %d", k.device(device).Wanted.Deployment, last.Number)
	}
}

func TestStatementIsSigned(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	k.builds["b1"] = build()
	d := k.deploy(order())
	keys, err := k.Keys(t.Context(), workspace)
	if err != nil || len(keys) != 2 || keys[0].KID == keys[1].KID {
		t.Fatalf("%v, %v", keys, err)
	}
	first, err := deviceproto.ParsePublicKey(keys[0].Public)
	if err != nil {
		t.Fatal(err)
	}
	signed := deviceproto.Signed{Payload: d.Payload, KID: d.KID, Sig: d.Signature}
	s, err := deviceproto.ParsePayload(d.Payload)
	if !signed.Verify(first) || err != nil {
		t.Fatalf("signature or payload: %v", err)
	}
	if s.Workspace != workspace || s.Target.Device != device || s.Board != board || s.Deployment != d.Number || s.Release != d.Release ||
		s.Version != "r3" || len(s.Parts) != 1 || s.Parts[0].SHA256 != digest || s.Parts[0].Size != 1000 {
		t.Errorf("%+v", s)
	}
	for _, key := range keys {
		if _, err := k.Box.Open(key.Sealed, []byte("another workspace")); err == nil {
			t.Error("a signing key opens for another workspace")
		}
	}
	if again, err := k.Keys(t.Context(), workspace); err != nil || again[0].Public != keys[0].Public {
		t.Errorf("other keys the second time: %v", err)
	}
	if other, err := k.Keys(t.Context(), "w2"); err != nil || other[0].Public == keys[0].Public {
		t.Errorf("another workspace has the same key: %v", err)
	}
}

// What the artifact service is told stands in the twin's outbox: the statement first.
func TestHandOverIsCommittedWithTheWish(t *testing.T) {
	k := newKit(t)
	k.enrol(device)
	k.change(device, func(d *fleet.Device) { d.Outbox = nil })
	k.builds["b1"] = build()
	k.deploy(order())
	k.checkOutbox("$KV.deployments.w1.1800000000", "$KV.refs.d1", "fleet.w1.device.d1")

	k.change(device, func(d *fleet.Device) { d.Outbox = nil })
	if err := k.HandOver(t.Context(), k.device(device)); err != nil {
		t.Fatal(err)
	}
	k.checkOutbox("$KV.deployments.w1.1800000000", "$KV.refs.d1")

	// Once more for a wish that is not the device's any more.
	old := k.device(device)
	k.deploy(order())
	k.change(device, func(d *fleet.Device) { d.Outbox = nil })
	if err := k.HandOver(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	k.checkOutbox()
}

func (k *kit) checkOutbox(subjects ...string) {
	k.t.Helper()
	checkSubjects(k.t, k.device(device).Outbox, subjects...)
}

func checkSubjects(t *testing.T, outbox []docstore.Message, subjects ...string) {
	t.Helper()
	ids := map[string]bool{}
	for i, m := range outbox {
		if len(outbox) != len(subjects) || m.Subject != subjects[i] || ids[m.ID] {
			t.Fatalf("message %d: %s for %s", i, m.ID, m.Subject)
		}
		ids[m.ID] = true
	}
	if len(outbox) != len(subjects) {
		t.Fatalf("%d messages, not %d", len(outbox), len(subjects))
	}
}
