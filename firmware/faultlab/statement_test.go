package faultlab

import (
	"crypto/ecdsa"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/deviceproto"
)

// What is offered and must not run is refused for the right reason, before its first byte is fetched, and never
// started; what runs goes on.
func TestRefused(t *testing.T) { onEach(t, testRefused) }

func testRefused(t *testing.T, on kind) {
	type statement = *deviceproto.Statement
	change := func(c func(statement)) func(*rig, []byte) int64 {
		return func(r *rig, image []byte) int64 {
			n := r.next()
			r.kind.want(r, n, image, func(st statement) {
				st.SecurityVersion = 5
				c(st)
			})
			return n
		}
	}
	for name, c := range map[string]struct {
		offer  func(*rig, []byte) int64
		reason deviceproto.Reason
	}{
		"wrong workspace":     {change(func(st statement) { st.Workspace = "w2" }), deviceproto.ReasonTarget},
		"wrong device":        {change(func(st statement) { st.Target.Device = "idbot002" }), deviceproto.ReasonTarget},
		"wrong group":         {change(func(st statement) { st.Target = deviceproto.Target{Group: "others"} }), deviceproto.ReasonTarget},
		"wrong board":         {change(func(st statement) { st.Board = "esp32:esp32:esp32c3" }), deviceproto.ReasonBoard},
		"downgraded":          {change(func(st statement) { st.SecurityVersion = 4 }), deviceproto.ReasonDowngrade},
		"oversized":           {change(func(st statement) { st.Parts[0].Size = chip.SlotSize + 1 }), deviceproto.ReasonTooLarge},
		"oversized by far":    {change(func(st statement) { st.Parts[0].Size = 1 << 52 }), deviceproto.ReasonTooLarge},
		"a file, and no room": {change(func(st statement) { st.Parts[0].Kind, st.Parts[0].Path = deviceproto.KindFile, "a" }), deviceproto.ReasonTooLarge},
		"another format":      {change(func(st statement) { st.Format = 2 }), deviceproto.ReasonFormat},
		"no image":            {change(func(st statement) { st.Parts = nil }), deviceproto.ReasonFormat},
		"not an image":        {change(func(statement) {}), deviceproto.ReasonFormat},
		"signer's own key again": {func(r *rig, image []byte) int64 {
			first, _ := r.Keys()
			return change(func(st statement) { st.Keys = []string{deviceproto.FormatPublicKey(&first.PublicKey)} })(r, image)
		}, deviceproto.ReasonFormat},
		"replayed": {replayed, deviceproto.ReasonReplay},
		"wrongly signed": {signedBy(func(r *rig, st deviceproto.Statement) deviceproto.Signed {
			return r.Sign(st, chiptest.NewSigningKey(r.t))
		}), deviceproto.ReasonSignature},
		"signed for another payload": {signedBy(func(r *rig, st deviceproto.Statement) deviceproto.Signed {
			first, _ := r.Keys()
			a := r.Sign(st, first)
			st.Version += "x"
			b := r.Sign(st, first)
			a.Sig = b.Sig
			return a
		}), deviceproto.ReasonSignature},
		"a stranger under a trusted name": {signedBy(func(r *rig, st deviceproto.Statement) deviceproto.Signed {
			first, _ := r.Keys()
			s := r.Sign(st, chiptest.NewSigningKey(r.t))
			s.KID = r.Sign(st, first).KID
			return s
		}), deviceproto.ReasonSignature},
		"signature of zeros": {signedBy(func(r *rig, st deviceproto.Statement) deviceproto.Signed {
			first, _ := r.Keys()
			s := r.Sign(st, first)
			s.Sig = make([]byte, 64)
			return s
		}), deviceproto.ReasonSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if on == (rp2040{}) && strings.HasPrefix(name, "oversized") {
				c.reason = deviceproto.ReasonFormat // no index has so many bytes
			}
			r := newRig(t, on, "refused: "+string(c.reason)).on()
			// It runs a release with a number and a security version to be below of.
			r.number = 100
			n := r.offer(r.another(), func(st statement) { st.SecurityVersion = 5 })
			r.says(n, deviceproto.Confirmed)
			runs := r.another()
			n = r.offer(runs, func(st statement) { st.SecurityVersion = 5 })
			r.says(n, deviceproto.Confirmed)
			starts, _ := r.counted()
			images := len(r.Images())

			image := r.another() // which it may not start
			if name == "not an image" {
				image = []byte(strings.Repeat("this is no program; ", on.scale(200_000)/20))
			}
			n = c.offer(r, image)
			r.found.fault(r.class, 1)
			if reason := r.says(n, deviceproto.Failed); reason != c.reason {
				t.Errorf("refused for %q, not %q", reason, c.reason)
			}
			r.polled(3)
			if got := len(r.Images()) - images; got > 0 && name != "not an image" {
				t.Errorf("%d downloads", got)
			}
			if now, _ := r.counted(); now != starts {
				t.Errorf("%d starts", now-starts)
			}
			r.runs(runs)
			r.WantNothing(r.p)
			r.over()
			r.number = 200
			n = r.offer(r.another(), func(st statement) { st.SecurityVersion = 5 })
			r.recovers(n)
		})
	}
}

// signedBy offers what somebody signs. Nobody can know the number of what is not believed: it is 0.
func signedBy(sign func(r *rig, st deviceproto.Statement) deviceproto.Signed) func(*rig, []byte) int64 {
	return func(r *rig, image []byte) int64 {
		var signed deviceproto.Signed
		r.kind.want(r, r.next(), image, func(st *deviceproto.Statement) {
			st.SecurityVersion = 5
			signed = sign(r, *st)
		})
		r.Resign(r.p, signed)
		return 0
	}
}

// replayed offers what was right once.
func replayed(r *rig, image []byte) int64 {
	r.kind.want(r, 50, image)
	return 50
}

// A backup is restored on the server: its numbers go back. The board refuses the old ones, and takes the next, which
// the rule max(last + 1, unix seconds) makes higher than all that were given out before.
func TestBackupRestored(t *testing.T) { onEach(t, testBackupRestored) }

func testBackupRestored(t *testing.T, on kind) {
	r := newRig(t, on, "a backup is restored on the server").on()
	r.number = time.Now().Add(-time.Hour).Unix()
	old := r.another()
	r.says(r.offer(old), deviceproto.Confirmed)
	runs := r.another()
	r.number += 10
	last := r.offer(runs)
	r.says(last, deviceproto.Confirmed)
	on.want(r, last-1, old) // what the backup says
	r.found.fault(r.class, 1)
	if reason := r.says(last-1, deviceproto.Failed); reason != deviceproto.ReasonReplay {
		t.Errorf("refused for %q", reason)
	}
	r.polled(2)
	r.runs(runs)
	r.number = max(last-1, time.Now().Unix()-1)
	r.over()
	r.recovers(0)
}

// A clock that is wrong by years, the board's or the server's, changes nothing: the board asks the server, whose
// time is for its requests alone.
func TestClockWrong(t *testing.T) { onEach(t, testClockWrong) }

func testClockWrong(t *testing.T, on kind) {
	const year = 365 * 24 * time.Hour
	for name, c := range map[string]struct{ board, server time.Duration }{
		"board ahead": {30 * year, 0}, "board behind": {-30 * year, 0}, "server ahead": {0, 12 * year}, "server behind": {0, -12 * year},
		"both":    {20 * year, -20 * year},
		"a while": {0, 301 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, on, "clock wrong by years", func(cfg *chip.Config) {
				cfg.Clock = func() time.Time { return time.Now().Add(c.board) }
			})
			r.SetClock(c.server)
			r.found.fault(r.class, 1)
			r.over()
			r.on().recovers(0)
			r.SetClock(-c.server / 2) // and it jumps
			r.found.fault(r.class, 1)
			r.over()
			r.recovers(0)
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// Over TLS, with the board's clock at its birth in 1970 and far ahead.
func TestClockWrongWithTLS(t *testing.T) {
	t.Parallel()
	on := esp32{}
	for _, at := range []int64{0, math.MaxInt32} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			r := newRigAt(t, on, "clock wrong by years, TLS", chiptest.NewTLSServer(t), on.build(t, good), func(cfg *chip.Config) {
				cfg.Clock = func() time.Time { return time.Unix(at, 0) }
			})
			r.found.fault(r.class, 1)
			r.over()
			r.on().recovers(0)
		})
	}
}

// Both trusted keys are changed for others, in two steps, with a power cut in each; what the old ones sign is refused then.
func TestKeysRotated(t *testing.T) { onEach(t, testKeysRotated) }

func testKeysRotated(t *testing.T, on kind) {
	r := newRig(t, on, "both trusted keys rotated, power cut in each step")
	rng := random("cuts in a rotation")
	old, oldToo := r.Keys()
	signer := old
	for range 2 + 2*len(some(make([]int, 8))) {
		next := chiptest.NewSigningKey(t)
		r.cut(func() int64 {
			return r.offer(r.another(), func(st *deviceproto.Statement) { st.Keys = []string{deviceproto.FormatPublicKey(&next.PublicKey)} })
		}, deviceproto.Confirmed, 1+rng.Int64N(200)) // the keys are the first that is written
		r.SetKeys(next, signer)
		signer = next
	}
	r.on()
	for _, gone := range []*ecdsa.PrivateKey{old, oldToo} {
		r.SetKeys(gone, signer)
		n := r.next()
		on.want(r, n, r.another())
		if reason := r.says(0, deviceproto.Failed); reason != deviceproto.ReasonSignature {
			t.Errorf("refused for %q", reason)
		}
		r.polled(2)
	}
	r.SetKeys(signer, old)
	r.over()
	r.recovers(0)
	r.never(deviceproto.RolledBack)
}

// A key that is void: the board goes on with what it runs and asks once an hour; when the key is good again it
// finds out by itself, and else somebody comes with a new one and a cable.
func TestKeyRevoked(t *testing.T) { onEach(t, testKeyRevoked) }

func testKeyRevoked(t *testing.T, on kind) {
	for _, cable := range []bool{false, true} {
		t.Run(fmt.Sprint("cable ", cable), func(t *testing.T) {
			t.Parallel()
			name := "device key revoked, and good again"
			if cable {
				name = "device key revoked, a new one by cable"
			}
			r := newRig(t, on, name).on()
			r.says(r.goodRelease(), deviceproto.Confirmed)
			const faster = 500
			r.pace(faster)
			r.polled(1)
			starts, _ := r.counted()
			r.Revoke(r.p)
			r.found.fault(r.class, 1)
			r.goodRelease() // which it may not have
			r.Server.Until("refused poll", func() bool { all := r.Polls(); return all[len(all)-1].Device == "" })
			from := len(r.Polls())
			r.polled(2)
			all := r.Polls()[from-1:]
			for i := range 2 {
				if waited := all[i+1].At.Sub(all[i].At) * faster; waited < time.Hour {
					t.Errorf("it asked again after %v", waited)
				}
			}
			if now, _ := r.counted(); now != starts {
				t.Errorf("%d starts", now-starts)
			}
			r.over()
			if cable {
				r.p = on.own(r.Enrol("bot_001"))
				r.Off()
				on.give(t, r.dir, r.p)
			} else {
				r.Restore(r.p)
				r.Server.Until("poll of a known device", func() bool { all := r.Polls(); return all[len(all)-1].Device != "" })
				r.recovered()
			}
			r.pace(hurry)
			r.over()
			r.recovers(r.number)
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}
