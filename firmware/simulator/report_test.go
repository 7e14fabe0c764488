package simulator

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/flota/flota/pkg/deviceproto"
)

// Reports that are not taken are kept, over restarts too, and sent in order
// when they can be; an update goes on without them.
func TestReportsAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		said   string // of one update in the end
	}{
		"no answer": {always(noAnswer), "downloading verified applied confirmed"},
		"401":       {always(401), "downloading verified applied confirmed"},
		"503":       {always(503), "downloading verified applied confirmed"},
		"404":       {always(404), "downloading verified applied confirmed"},
		"no MAC":    {always(204), "downloading verified applied confirmed"},
		"400":       {always(400), ""},
		"413":       {always(413), ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				one := image(1, size)
				k.want(k.p, 7, one)
				k.before = func(w http.ResponseWriter, r *http.Request) bool {
					return r.URL.Path == deviceproto.PathReport && c.before(w, r)
				}
				k.after = func(_ *http.Request, res *http.Response) {
					if res.ContentLength == size {
						res.Body = slow{res.Body}
					}
				}
				k.until("confirmation", func() bool { return k.device.state.Decided == 7 })
				k.isRunning(one)
				k.boot()
				k.before = nil
				k.step()
				if c.said != "" && (k.reports[0].State != deviceproto.Downloading || k.reports[0].Percent < 75 || len(k.reports) != 4) {
					t.Errorf("an older report of the same state was kept: %+v", k.reports)
				}
				if k.said() != c.said || len(k.device.state.Reports) != 0 {
					t.Errorf("%q, %d left", k.said(), len(k.device.state.Reports))
				}
			})
		})
	}
}

// At most eight are kept, the newest.
func TestKeptReportsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.before = func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.Path == deviceproto.PathReport && always(503)(w, r)
		}
		for number := int64(1); number <= 5; number++ {
			k.want(k.p, number, image(byte(number), size))
			k.until("confirmation", func() bool { return k.device.state.Decided == number })
		}
		kept := k.device.state.Reports
		if len(kept) != 8 || kept[0].Deployment != 4 || kept[0].State != deviceproto.Downloading || kept[7].Deployment != 5 || kept[7].State != deviceproto.Confirmed {
			t.Errorf("%+v", kept)
		}
	})
}

// A report whose answer is lost is sent again as another request.
func TestARepeatedReportHasANonceOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t) // its server fails a test that sends a nonce twice
		k.want(k.p, 7, image(1, size))
		lost := 0
		k.after = func(r *http.Request, res *http.Response) {
			if r.URL.Path == deviceproto.PathReport && lost < 3 {
				lost++
				res.Header.Del(deviceproto.HeaderMAC)
			}
		}
		k.confirmed(7)
		if lost != 3 || k.device.state.Reports != nil {
			t.Errorf("%d answers lost, %v left", lost, k.device.state.Reports)
		}
	})
}

// A report that the server finds wrong is dropped, and does not stand in the
// way of the others.
func TestAWrongReportIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.want(k.p, 7, image(1, size))
		k.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != deviceproto.PathReport {
				return false
			}
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			return bytes.Contains(body, []byte(`"verified"`)) && always(400)(w, r)
		}
		k.confirmed(7)
		if k.said() != "downloading applied confirmed" {
			t.Error(k.said())
		}
	})
}
