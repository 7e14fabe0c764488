package simulator

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

const size = 300_000

func (k *kit) slot(i int) []byte {
	k.t.Helper()
	raw, err := os.ReadFile(k.storage.(Disk).File(i, ""))
	if err != nil {
		k.t.Fatal(err)
	}
	return raw
}

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		if wait := k.step(); wait < 60*time.Second || wait > 66*time.Second { // nothing to do yet
			t.Errorf("polls again after %v", wait)
		}
		one := image(1, size)
		k.want(k.p, 7, one)
		k.after = func(_ *http.Request, res *http.Response) {
			if res.ContentLength == size {
				res.Body = slow{res.Body}
			}
		}
		k.confirmed(7)
		k.after = nil
		k.isRunning(one)
		if got := k.said(); got != "downloading verified applied confirmed" {
			t.Error(got)
		}
		var percents []int64
		for _, r := range k.reports {
			if r.State == deviceproto.Downloading {
				percents = append(percents, r.Percent)
			}
			if r.Deployment != 7 || r.Chip != "simulated" || r.SlotSize != 4<<20 || r.Rollback != "bootloader" || r.Agent == "" {
				t.Errorf("%+v", r)
			}
		}
		if len(percents) != 4 || percents[0] != 0 || percents[1] < 25 || percents[2] < 50 || percents[3] < 75 {
			t.Errorf("%v", percents)
		}

		// The next one goes into the other slot; a version, and what the device knows, are told.
		two := image(2, size/2)
		k.want(k.p, 8, two)
		k.confirmed(8)
		k.isRunning(two)
		if r := k.reports[len(k.reports)-1]; r.Running != digest(two) || r.Version != "v8" {
			t.Errorf("%+v", r)
		}

		// Back: a new deployment of old bytes, which the other slot still holds.
		asked := len(k.images)
		k.want(k.p, 9, one)
		k.confirmed(9)
		k.isRunning(one)
		if len(k.images) != asked {
			t.Errorf("bytes that are there were fetched again")
		}

		// The bytes that run already, under another name.
		k.want(k.p, 10, one)
		k.confirmed(10)
		if k.device.Running().Version != "v10" || len(k.images) != asked {
			t.Errorf("%v", k.device.Running())
		}
	})
}

// slow is a body that takes its time.
type slow struct{ io.ReadCloser }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(500 * time.Millisecond)
	return s.ReadCloser.Read(p)
}

// What the device sends as If-None-Match, and gets, while all goes well.
func TestIfNoneMatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.step()
		one := image(1, size)
		k.want(k.p, 7, one)
		k.confirmed(7)
		k.boot() // it is kept over restarts
		k.step()
		k.step()
		k.want(k.p, 8, image(2, size))
		k.after = func(r *http.Request, res *http.Response) { // the download is cut
			if res.ContentLength > deviceproto.MaxAnswer {
				res.Body = broken(res.Body, size/2)
			}
		}
		k.step()
		k.after = nil
		k.confirmed(8)
		var got []string
		for _, p := range k.polls {
			got = append(got, p.etag)
		}
		want := []string{"", "", "", `"7"`, `"7"`, `"7"`, "", ""}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		if k.polls[2].running != digest(one) || k.polls[0].running != "" {
			t.Errorf("%+v", k.polls)
		}
	})
}

// broken is a body that ends in an error after so many bytes.
func broken(body io.ReadCloser, after int64) io.ReadCloser {
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(body, after), failing{errors.New("cut")}), body}
}

type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// always answers every request with a status.
func always(code int, header ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		return true
	}
}

// span is a wait that has something random in it.
type span struct{ low, high time.Duration }

func (s span) has(d time.Duration) bool { return s.low <= d && d <= s.high }

func exactly(d time.Duration) span { return span{d, d} }

var (
	usual  = exactly(testPoll * time.Second)
	outage = span{3750 * time.Millisecond, 6250 * time.Millisecond}  // the first
	second = span{7500 * time.Millisecond, 12500 * time.Millisecond} // the next in a row
)

// The table of the protocol, for polls.
func TestAnswersToAPoll(t *testing.T) {
	for name, c := range map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		after  func(*http.Request, *http.Response)
		wait   span
	}{
		"400":                           {always(400), nil, usual},
		"403":                           {always(403), nil, usual},
		"404":                           {always(404), nil, usual},
		"413":                           {always(413), nil, usual},
		"416":                           {always(416), nil, usual},
		"401":                           {always(401), nil, exactly(time.Hour)},
		"401 with a clock, every time":  {always(401, "X-Flota-Clock", "1"), nil, exactly(time.Hour)},
		"401 with a clock that is none": {always(401, "X-Flota-Clock", "noon"), nil, exactly(time.Hour)},
		"429":                           {always(429), nil, exactly(time.Minute)},
		"429 in 5 s":                    {always(429, "Retry-After", "5"), nil, exactly(5 * time.Second)},
		"503 in a day":                  {always(503, "Retry-After", "86400"), nil, exactly(time.Hour)},
		"503 some day":                  {always(503, "Retry-After", "tomorrow"), nil, exactly(time.Minute)},
		"500":                           {always(500), nil, outage},
		"302, which is not followed":    {always(302, "Location", "/elsewhere"), nil, outage},
		"200 without a MAC":             {always(200, "Content-Length", "0"), nil, outage},
		"204 without a MAC":             {always(204), nil, outage},
		"no answer":                     {always(noAnswer), nil, outage},
		"a wrong MAC": {nil, func(_ *http.Request, res *http.Response) {
			res.Header.Set(deviceproto.HeaderMAC, fmt.Sprintf("%064d", 1))
		}, outage},
		"another interval":       {nil, func(_ *http.Request, res *http.Response) { res.Header.Set(deviceproto.HeaderPoll, "1") }, outage},
		"chunked":                {nil, func(_ *http.Request, res *http.Response) { res.ContentLength = -1 }, outage},
		"cut":                    {nil, func(_ *http.Request, res *http.Response) { res.Body = broken(res.Body, 100) }, outage},
		"longer than 4096 bytes": {nil, func(_ *http.Request, res *http.Response) { res.Body = io.NopCloser(io.MultiReader(res.Body, zeros{})) }, outage},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				k.want(k.p, 7, image(1, size))
				k.before, k.after = c.before, c.after
				if wait := k.step(); !c.wait.has(wait) {
					t.Errorf("waits %v", wait)
				}
				if len(k.images) > 0 || k.device.state.Accepted != 0 {
					t.Error("it believed the answer")
				}
				if name == "401 with a clock, every time" && len(k.polls) != 2 {
					t.Errorf("%d polls", len(k.polls))
				}
				k.before, k.after = nil, nil // nothing of it lasts
				k.confirmed(7)
			})
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		k.before = always(noAnswer)
		for _, seconds := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600} {
			d := seconds * time.Second
			if wait := k.step(); wait < d*3/4 || wait > d*5/4 {
				t.Errorf("waits %v, not about %v", wait, d)
			}
		}
		k.before = nil
		k.step()
		k.before = always(noAnswer)
		if wait := k.step(); !outage.has(wait) {
			t.Errorf("waits %v after an answer in between", wait)
		}
	})
}

// A device without a clock, or with a wrong one, learns it and asks again at once.
func TestClock(t *testing.T) {
	for _, ahead := range []time.Duration{-24 * time.Hour, -301 * time.Second, 299 * time.Second, 302 * time.Second, 20 * 365 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			k := newKit(t)
			k.clock = ahead
			k.want(k.p, 7, image(1, size))
			k.confirmed(7)
			polls := 2 // and the check-in
			if ahead.Abs() > 300*time.Second {
				polls++
			}
			if len(k.polls) != polls {
				t.Errorf("%v ahead: %d polls", ahead, len(k.polls))
			}
		})
	}
}

// What a link can answer, in the middle of a download.
func TestAnswersToALink(t *testing.T) {
	one := image(1, size)
	onImage := func(answer func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return r.URL.Path != deviceproto.PathUpdate && r.URL.Path != deviceproto.PathReport && answer(w, r)
		}
	}
	change := func(change func(*http.Response)) func(*http.Request, *http.Response) {
		return func(r *http.Request, res *http.Response) {
			if r.URL.Path != deviceproto.PathUpdate && r.URL.Path != deviceproto.PathReport {
				change(res)
			}
		}
	}
	for name, c := range map[string]struct {
		before func(http.ResponseWriter, *http.Request) bool
		after  func(*http.Request, *http.Response)
		wait   span
		images int    // requests for it in that round
		then   string // what the next request asks for
	}{
		"403: a fresh link at once, once":  {onImage(always(403)), nil, usual, 2, "on"},
		"404":                              {onImage(always(404)), nil, usual, 1, "on"},
		"416: not the same question twice": {onImage(always(416)), nil, usual, 1, ""},
		"429":                              {onImage(always(429, "Retry-After", "7")), nil, exactly(7 * time.Second), 1, "on"},
		"503":                              {onImage(always(503)), nil, exactly(time.Minute), 1, "on"},
		"500":                              {onImage(always(500)), nil, second, 1, "on"},
		"302":                              {onImage(always(302, "Location", "/")), nil, second, 1, "on"},
		"no answer":                        {onImage(always(noAnswer)), nil, second, 1, "on"},
		"chunked":                          {nil, change(func(res *http.Response) { res.ContentLength = -1 }), second, 1, "on"},
		"another range":                    {nil, change(func(res *http.Response) { res.Header.Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", size-1, size)) }), second, 1, "on"},
		"another length":                   {nil, change(func(res *http.Response) { res.ContentLength-- }), second, 1, "on"},
		"204":                              {onImage(always(204)), nil, second, 1, "on"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				k.want(k.p, 7, one)
				k.after = change(func(res *http.Response) { res.Body = broken(res.Body, size/2) })
				k.step()
				k.before, k.after, k.images = c.before, c.after, nil
				if wait := k.step(); !c.wait.has(wait) {
					t.Errorf("waits %v", wait)
				}
				if len(k.images) != c.images {
					t.Errorf("%d requests for the image", len(k.images))
				}
				k.before, k.after, k.images = nil, nil, nil
				k.confirmed(7)
				k.isRunning(one)
				if c.then == "on" {
					c.then = fmt.Sprintf("bytes=%d-", size/2)
				}
				if len(k.images) != 1 || k.images[0] != c.then {
					t.Errorf("goes on with %q", k.images)
				}
				if k.said() != "downloading verified applied confirmed" {
					t.Error(k.said())
				}
			})
		})
	}
}

// A link that expires in the middle is replaced, and the download goes on at
// the same offset; a server that knows no ranges gives all of it again.
func TestResume(t *testing.T) {
	for name, ranges := range map[string]bool{"with ranges": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				one := image(1, size)
				k.want(k.p, 7, one)
				cuts := []int64{100, 70_000, 250_000}
				expired := false
				k.before = func(w http.ResponseWriter, r *http.Request) bool {
					if len(k.images) == 3 && !expired {
						expired = true
						clear(k.tokens)
					}
					if !ranges {
						r.Header.Del("Range")
					}
					return false
				}
				k.after = func(_ *http.Request, res *http.Response) {
					if res.ContentLength > deviceproto.MaxAnswer && len(cuts) > 0 {
						res.Body = broken(res.Body, cuts[0])
						cuts = cuts[1:]
					}
				}
				k.confirmed(7)
				k.isRunning(one)
				want := []string{"", "bytes=100-", "bytes=70100-", "bytes=70100-"}
				if ranges && !slices.Equal(k.images, want) || !ranges && len(k.images) != 5 {
					t.Errorf("%q", k.images)
				}
			})
		})
	}
}

// A server that says nothing more does not hold a device.
func TestNoProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		one := image(1, size)
		k.want(k.p, 7, one)
		k.after = func(r *http.Request, res *http.Response) {
			if res.ContentLength > deviceproto.MaxAnswer {
				half := res.Body
				res.Body = struct {
					io.Reader
					io.Closer
				}{io.MultiReader(io.LimitReader(half, size/2), silent{r}), half}
			}
		}
		began := time.Now()
		k.step()
		if took := time.Since(began); took != noProgress {
			t.Errorf("gave up after %v", took)
		}
		k.after = nil
		k.confirmed(7)
		k.isRunning(one)
	})
}

// silent says nothing until its request is ended.
type silent struct{ r *http.Request }

func (s silent) Read([]byte) (int, error) {
	<-s.r.Context().Done()
	return 0, s.r.Context().Err()
}

// The power is cut in the middle of a download: it goes on from what the disk has.
func TestRestartInTheMiddleOfADownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		one := image(1, size)
		k.want(k.p, 7, one)
		k.after = func(_ *http.Request, res *http.Response) {
			if res.ContentLength == size {
				res.Body = io.NopCloser(io.MultiReader(io.LimitReader(res.Body, size*2/3), cut{}))
			}
		}
		func() {
			defer func() { _ = recover() }()
			k.step()
		}()
		k.after = nil
		state, err := k.storage.Load()
		if err != nil || state.Fetch == nil || state.Fetch.Offset < size/2 || state.Fetch.Offset > size*2/3 {
			t.Fatalf("%+v, %v", state.Fetch, err)
		}
		k.images = nil
		k.boot()
		k.confirmed(7)
		k.isRunning(one)
		if want := []string{fmt.Sprintf("bytes=%d-", state.Fetch.Offset)}; !slices.Equal(k.images, want) {
			t.Errorf("%q, not %q", k.images, want)
		}
	})
}

// cut ends everything.
type cut struct{}

func (cut) Read([]byte) (int, error) { panic("power cut") }
