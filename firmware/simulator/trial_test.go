package simulator

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

// An image that is bad at once is undone by the device alone, reported, and not
// tried again, whatever the server says and over restarts.
func TestRolledBackAtOnce(t *testing.T) {
	for _, fault := range []Fault{Crash, Watchdog, Selftest} {
		t.Run(string(fault), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				good, bad := image(1, size), image(2, size)
				k := newKit(t, func(o *Options) { o.Judge = judge(bad, fault) })
				k.want(k.p, 7, good)
				k.confirmed(7)
				k.want(k.p, 8, bad)
				k.until("rollback", func() bool { return k.last() == deviceproto.RolledBack })
				k.isRunning(good)
				if r := k.reports[len(k.reports)-1]; string(r.Reason) != string(fault) || r.Deployment != 8 || r.Running != digest(good) {
					t.Errorf("%+v", r)
				}
				asked := len(k.images)
				k.boot()
				k.step()
				k.step()
				if last := k.polls[len(k.polls)-1]; last.etag != `"8"` || len(k.images) != asked {
					t.Errorf("%+v", last)
				}
				better := image(3, size)
				k.want(k.p, 9, better)
				k.confirmed(9)
				k.isRunning(better)
			})
		})
	}
}

func judge(bad []byte, fault Fault) func(Image) Fault {
	return func(i Image) Fault {
		if i.SHA256 == digest(bad) {
			return fault
		}
		return None
	}
}

// An image that never checks in is tried three times, with a growing wait in
// which the old one runs, and is then bad.
func TestNoCheckin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good, bad := image(1, size), image(2, size)
		k := newKit(t, func(o *Options) { o.Judge = judge(bad, NoCheckin) })
		k.want(k.p, 7, good)
		k.confirmed(7)
		k.want(k.p, 8, bad)
		began := time.Now()
		k.until("rollback", func() bool { return k.last() == deviceproto.RolledBack })
		k.isRunning(good)
		if r := k.reports[len(k.reports)-1]; r.Reason != deviceproto.ReasonNoCheckin || r.Deployment != 8 {
			t.Errorf("%+v", r)
		}
		// Three times T, and waits of T and 2 T between them.
		if took := time.Since(began); took < 6*defaultCheckin || took > 6*defaultCheckin+5*time.Minute {
			t.Errorf("took %v", took)
		}
		if n := strings.Count(strings.Join(k.lines, "\n"), "no check-in within"); n != maxTries {
			t.Errorf("%d tries", n)
		}
		if len(k.images) != 2 {
			t.Errorf("%d downloads", len(k.images))
		}
		k.step()
		if last := k.polls[len(k.polls)-1]; last.etag != `"8"` {
			t.Errorf("%+v", last)
		}
	})
}

// If the old image cannot check in either, it was the network: nobody is
// blamed, however long it takes, and the new one gets its chance afterwards.
func TestAnOutagePoisonsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		good, better := image(1, size), image(2, size)
		k.want(k.p, 7, good)
		k.confirmed(7)
		k.want(k.p, 8, better)
		k.step() // downloads, restarts
		if !k.device.state.Pending {
			t.Fatal("it is not pending")
		}
		k.before = always(noAnswer)
		for began := time.Now(); time.Since(began) < 48*time.Hour; {
			time.Sleep(k.step())
		}
		if s := k.device.state; s.Pending || s.Tries != 1 || s.Decided != 7 {
			t.Errorf("%+v", s)
		}
		k.isRunning(good)
		k.before = nil
		k.confirmed(8)
		k.isRunning(better)
		if strings.Contains(k.said(), "rolled_back") {
			t.Error(k.said())
		}
	})
}

// Loss of power and sleep count for nothing.
func TestPowerLossWhilePending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		one := image(1, size)
		k.want(k.p, 7, one)
		k.step()
		k.before = always(noAnswer)
		for range 20 {
			k.step()
			time.Sleep(defaultCheckin - time.Second)
			k.boot()
		}
		if s := k.device.state; !s.Pending || s.Tries != 0 {
			t.Errorf("%+v", s)
		}
		k.before = nil
		k.confirmed(7)
		k.isRunning(one)
	})
}

// While an image waits for its next trial something newer comes: that is
// installed instead.
func TestANewerDeploymentEndsATrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, better := image(2, size), image(3, size)
		k := newKit(t, func(o *Options) { o.Judge = judge(bad, NoCheckin) })
		k.want(k.p, 7, bad)
		k.until("trial", func() bool { return k.device.state.Tries == 1 && !k.device.state.Pending })
		k.step()
		k.step()
		if len(k.images) != 1 {
			t.Errorf("%d downloads of the image on trial", len(k.images))
		}
		k.want(k.p, 8, better)
		k.confirmed(8)
		k.isRunning(better)
		time.Sleep(time.Hour)
		k.step()
		k.step()
		if strings.Contains(k.said(), "rolled_back") {
			t.Error(k.said())
		}
	})
}

// The bytes are wrong three times: the deployment is left alone for an hour; the next one is not.
func TestDownloadsThatAreNoGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		one, other := image(1, size), image(2, size)
		k.want(k.p, 7, one)
		wanted := k.offer[k.p.Device]
		wanted.image = other
		k.offer[k.p.Device] = wanted
		k.until("refusal", func() bool { return k.last() == deviceproto.Failed })
		if r := k.reports[len(k.reports)-1]; r.Reason != deviceproto.ReasonDigest || r.Deployment != 7 || len(k.images) != 3 {
			t.Errorf("%+v after %d downloads", r, len(k.images))
		}
		for range 10 {
			time.Sleep(k.step())
		}
		if len(k.images) != 3 || k.device.state.Decided == 7 {
			t.Errorf("%d downloads, decided %d", len(k.images), k.device.state.Decided)
		}
		time.Sleep(deviceproto.MaxWait)
		k.step()
		if len(k.images) != 6 {
			t.Errorf("%d downloads an hour later", len(k.images))
		}
		k.want(k.p, 8, one)
		k.confirmed(8)
		k.isRunning(one)
	})
}

// Wrong bytes are counted over outages and restarts.
func TestWrongDigestsAreCountedOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		one, other := image(1, size), image(2, size)
		k.want(k.p, 7, one)
		wanted := k.offer[k.p.Device]
		wanted.image = other
		k.offer[k.p.Device] = wanted
		whole := 0
		k.after = func(_ *http.Request, res *http.Response) {
			if res.ContentLength == size {
				if whole++; whole == 2 || whole == 4 {
					res.Body = broken(res.Body, 0)
				}
			}
		}
		for range 10 {
			time.Sleep(k.step())
			if k.last() == deviceproto.Failed {
				break
			}
			k.boot()
		}
		if k.said() != "downloading failed:digest" || whole != 5 {
			t.Errorf("%s after %d downloads", k.said(), whole)
		}
	})
}

// worn is a flash that fails.
type worn struct {
	Disk
	failures int
}

func (w *worn) Write(slot int, path string, offset int64, data []byte) error {
	if w.failures > 0 && offset > size/2 {
		w.failures--
		return http.ErrBodyNotAllowed
	}
	return w.Disk.Write(slot, path, offset, data)
}

func TestStorageThatFails(t *testing.T) {
	for failures, said := range map[int]string{
		2: "downloading verified applied confirmed", 3: "downloading failed:storage",
	} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			k.storage = &worn{Disk{t.TempDir()}, failures}
			k.boot()
			k.want(k.p, 7, image(1, size))
			k.until("decision", func() bool { return k.device.state.Decided == 7 })
			k.step()
			if k.said() != said {
				t.Errorf("%d failures: %s", failures, k.said())
			}
		})
	}
}
