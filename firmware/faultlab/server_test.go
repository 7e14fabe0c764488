package faultlab

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/deviceproto"
)

// deed is what a server does with a request instead of answering it.
type deed func(r *rig, w http.ResponseWriter, req *http.Request)

type rightly struct{}

// right is the server's own answer to a request.
func (r *rig) right(req *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	r.ServeHTTP(answer, req.WithContext(context.WithValue(req.Context(), rightly{}, true)))
	return answer
}

// errs makes the server do something else with the first requests of a kind, and returns where to read how
// many there were. The fault ends with the last of them.
func (r *rig) errs(times int, so func(*http.Request) bool, do deed) *atomic.Int64 {
	var n atomic.Int64
	r.Before(func(w http.ResponseWriter, req *http.Request) bool {
		if req.Context().Value(rightly{}) != nil || !so(req) {
			return false
		}
		count := n.Add(1)
		if count > int64(times) {
			return false
		}
		r.found.fault(r.class, 1)
		do(r, w, req)
		r.over()
		return true
	})
	return &n
}

// group is what stands before the colon of a test's name: a class of faults.
func group(name string) string {
	class, _, _ := strings.Cut(name, ":")
	return class
}

func polls(req *http.Request) bool  { return req.URL.Path == deviceproto.PathUpdate }
func images(req *http.Request) bool { return strings.HasPrefix(req.URL.Path, deviceproto.PathImage) }
func rests(req *http.Request) bool  { return images(req) && req.Header.Get("Range") != "" }
func pollsOf(image []byte) func(*http.Request) bool {
	digest := chiptest.Digest(image)
	return func(req *http.Request) bool { return polls(req) && req.Header.Get(deviceproto.HeaderRunning) == digest }
}

func status(code int, header ...string) deed {
	answer := chiptest.Status(code, header...)
	return func(_ *rig, w http.ResponseWriter, req *http.Request) { answer(w, req) }
}

// raw takes the connection and writes to it as it likes, until the device has enough.
func raw(write func(r *rig, req *http.Request, out func(string) bool)) deed {
	return func(r *rig, w http.ResponseWriter, req *http.Request) {
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			r.t.Error(err)
			return
		}
		defer connection.Close()
		write(r, req, func(text string) bool {
			_ = connection.SetWriteDeadline(time.Now().Add(5 * time.Second))
			_, err := connection.Write([]byte(text))
			return err == nil
		})
	}
}

func text(texts ...string) deed {
	return raw(func(_ *rig, _ *http.Request, out func(string) bool) {
		for _, t := range texts {
			out(t)
		}
	})
}

// head is the head of an answer with some headers changed, or left out where the new one is "".
func head(a *httptest.ResponseRecorder, change ...string) string {
	h := a.Header().Clone()
	if h.Get("Content-Length") == "" && a.Body.Len() > 0 {
		h.Set("Content-Length", strconv.Itoa(a.Body.Len()))
	}
	for i := 0; i+1 < len(change); i += 2 {
		h.Set(change[i], change[i+1])
		if change[i+1] == "" {
			h.Del(change[i])
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.Code, http.StatusText(a.Code))
	_ = h.Write(&b)
	return b.String() + "\r\n"
}

// rightBut is the right answer, with its bytes changed on the way.
func rightBut(change func(a *httptest.ResponseRecorder) string) deed {
	return raw(func(r *rig, req *http.Request, out func(string) bool) { out(change(r.right(req))) })
}

func chunked(a *httptest.ResponseRecorder) string {
	return head(a, "Content-Length", "", "Transfer-Encoding", "chunked") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", a.Body.Len(), a.Body)
}

func endless(line string) deed {
	return raw(func(_ *rig, _ *http.Request, out func(string) bool) {
		out("HTTP/1.1 200 OK\r\n")
		for range 1 << 16 {
			if !out(line) {
				return
			}
		}
	})
}

func garbage(r *rig, w http.ResponseWriter, req *http.Request) {
	noise := make([]byte, 3000)
	rng := random(fmt.Sprint("garbage ", time.Now().UnixNano())) // each time other noise
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	text(string(noise))(r, w, req)
}

func never(_ *rig, _ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }

// flipped changes one bit of the body.
func flipped(a *httptest.ResponseRecorder) string {
	body := a.Body.Bytes()
	at := random(fmt.Sprint("flipped of ", len(body))).IntN(len(body))
	body[at] ^= 1 << (at % 8)
	return head(a) + string(body)
}

// Whatever a server does with a poll that is not an answer of its own, the board goes on
// with what it runs, and updates when the server is well again.
func TestServerErrsOnPolls(t *testing.T) { onEach(t, testServerErrsOnPolls) }

func testServerErrsOnPolls(t *testing.T, on kind) {
	elsewhere := "/elsewhere" // whoever follows is told on by the server
	for name, do := range map[string]deed{
		"errors: 500":                      status(500),
		"errors: 502":                      status(502),
		"errors: 400":                      status(400),
		"errors: 404":                      status(404),
		"errors: 403":                      status(403),
		"redirects: 301":                   status(301, "Location", elsewhere),
		"redirects: 302":                   status(302, "Location", elsewhere),
		"redirects: 307":                   status(307, "Location", elsewhere),
		"redirects: 308":                   status(308, "Location", elsewhere),
		"forged: 204 without a MAC":        status(204, deviceproto.HeaderPoll, "86400"),
		"forged: 304 without a MAC":        status(304),
		"forged: 204 with a wrong MAC":     status(204, deviceproto.HeaderPoll, "86400", deviceproto.HeaderMAC, strings.Repeat("ab", 32)),
		"framing: chunked":                 rightBut(chunked),
		"framing: no Content-Length":       rightBut(func(a *httptest.ResponseRecorder) string { return head(a, "Content-Length", "") + a.Body.String() }),
		"corrupted: a bit":                 rightBut(flipped),
		"truncated: body":                  rightBut(func(a *httptest.ResponseRecorder) string { return head(a) + a.Body.String()[:a.Body.Len()/2] }),
		"truncated: head":                  rightBut(func(a *httptest.ResponseRecorder) string { return head(a)[:100] }),
		"truncated: nothing":               text(""),
		"garbage: noise":                   garbage,
		"truncated: status line":           text("HTTP/1."),
		"garbage: another protocol":        text("SSH-2.0-OpenSSH_9.2\r\n"),
		"garbage: 100 for ever":            text(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000)),
		"garbage: endless headers":         endless("X-More: and more\r\n"),
		"garbage: endless header":          endless("and more "),
		"framing: endless body":            text("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", strings.Repeat("x", 100_000)),
		"framing: negative Content-Length": text("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
		"framing: two Content-Lengths": rightBut(func(a *httptest.ResponseRecorder) string {
			return strings.Replace(head(a), "\r\n", "\r\nContent-Length: 3\r\n", 1) + a.Body.String()
		}),
		"never: no answer":                   never,
		"forged: the answer to another poll": replay(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, on, "server, polls: "+group(name)).on()
			times := 3
			if group(name) == "never" {
				times = 2
			}
			starts, _ := r.counted()
			bad := r.errs(times, polls, do)
			n := r.goodRelease()
			r.Server.Until("faults", func() bool { return bad.Load() >= int64(times) })
			if _, said := r.said(n, deviceproto.Downloading); said && bad.Load() == int64(times) {
				t.Error("it began a download")
			}
			r.recovers(n)
			if now, _ := r.counted(); now != starts+1 {
				t.Errorf("%d starts", now-starts)
			}
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// replay answers with what was right for an earlier poll.
func replay() deed {
	var kept atomic.Pointer[string]
	return func(r *rig, w http.ResponseWriter, req *http.Request) {
		a := r.right(req)
		whole := head(a) + a.Body.String()
		if kept.CompareAndSwap(nil, &whole) {
			whole = "" // the first is lost
		} else {
			whole = *kept.Load()
		}
		text(whole)(r, w, req)
	}
}

// Whatever a server does with a download, the image that is started is the one that was signed.
func TestServerErrsOnImages(t *testing.T) { onEach(t, testServerErrsOnImages) }

func testServerErrsOnImages(t *testing.T, on kind) {
	type fault struct {
		do    deed
		so    func(*http.Request) bool
		times int
	}
	first := func(do deed) fault { return fault{do: do, so: images, times: 3} }
	rest := func(times int, change func(a *httptest.ResponseRecorder) string) fault {
		return fault{do: rightBut(change), so: rests, times: times}
	}
	shifted := func(a *httptest.ResponseRecorder) string {
		body := a.Body.String()
		return head(a) + body[1:] + body[:1]
	}
	for name, f := range map[string]fault{
		"errors: 500":                first(status(500)),
		"errors: 404":                first(status(404)),
		"errors: 403":                first(status(403)),
		"errors: 416":                first(status(416)),
		"redirects: 302":             first(status(302, "Location", "/elsewhere")),
		"framing: chunked":           first(rightBut(chunked)),
		"framing: no Content-Length": first(rightBut(func(a *httptest.ResponseRecorder) string { return head(a, "Content-Length", "") + a.Body.String() })),
		"framing: another Content-Length": first(rightBut(func(a *httptest.ResponseRecorder) string {
			return head(a, "Content-Length", strconv.Itoa(a.Body.Len()/2)) + a.Body.String()[:a.Body.Len()/2]
		})),
		"truncated: half":                   first(rightBut(func(a *httptest.ResponseRecorder) string { return head(a) + a.Body.String()[:a.Body.Len()/2] })),
		"truncated: a byte":                 first(rightBut(func(a *httptest.ResponseRecorder) string { return head(a) + a.Body.String()[:a.Body.Len()-1] })),
		"truncated: head":                   first(rightBut(func(a *httptest.ResponseRecorder) string { return head(a)[:40] })),
		"garbage: noise":                    first(garbage),
		"truncated: nothing":                first(text("")),
		"garbage: endless headers":          first(endless("X-More: and more\r\n")),
		"garbage: endless header":           first(endless("and more ")),
		"never: no answer":                  {do: never, so: images, times: 2},
		"corrupted: a bit":                  {do: rightBut(flipped), so: images, times: 2},
		"rest of a download: a bit flipped": rest(1, flipped),
		"rest of a download: another place": rest(1, shifted),
		"rest of a download: another range": rest(2, func(a *httptest.ResponseRecorder) string {
			return head(a, "Content-Range", "bytes 0-9/10") + a.Body.String()
		}),
		"rest of a download: without its range": rest(2, func(a *httptest.ResponseRecorder) string { return head(a, "Content-Range", "") + a.Body.String() }),
		"rest of a download: the whole again": {so: rests, times: 2, do: func(r *rig, w http.ResponseWriter, req *http.Request) {
			whole := req.Clone(req.Context())
			whole.Header.Del("Range")
			a := r.right(whole)
			text(head(a)+a.Body.String()[:r.kind.scale(200_000)])(r, w, req)
		}},
		"rest of a download: 416": {so: rests, times: 1, do: status(416)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, on, "server, downloads: "+group(name)).on()
			bad := r.errs(f.times, f.so, f.do)
			if group(name) == "rest of a download" {
				r.Net().Set(chiptest.Link{CutAfter: on.scale(300_000)}) // so that there is one
			}
			n := r.goodRelease()
			r.Server.Until("faults", func() bool {
				if _, done := r.said(n, deviceproto.Confirmed); done {
					t.Fatalf("it was done after %d faults", bad.Load())
				}
				return bad.Load() >= int64(f.times)
			})
			r.recovers(n)
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// Whoever forges an answer that makes an image on trial wait does not use its trial up.
func TestForgedWaits(t *testing.T) { onEach(t, testForgedWaits) }

func testForgedWaits(t *testing.T, on kind) {
	for name, do := range map[string]deed{
		"later": status(503, "Retry-After", "3600"), "unknown": status(401), "outages": status(500),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, on, "forged waits while an image is on trial").on()
			image := r.another()
			const times = 4
			forged := r.errs(times, pollsOf(image), do)
			n := r.offer(image)
			r.recovers(n)
			if starts, _ := r.counted(); starts != 2 || forged.Load() < times {
				t.Errorf("%d starts, %d forged answers", starts, forged.Load())
			}
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}

// An image that comes with another digest three times is left alone for an hour; then it is tried again, and another at once.
func TestServerKeepsWrongImage(t *testing.T) { onEach(t, testServerKeepsWrongImage) }

func testServerKeepsWrongImage(t *testing.T, on kind) {
	r := newRig(t, on, "server, downloads: corrupted for ever", func(c *chip.Config) { c.Hurry = 100 }).on()
	var begun atomic.Int64
	r.errs(1000, func(req *http.Request) bool {
		if images(req) && !rests(req) {
			begun.Add(1)
		}
		return images(req)
	}, rightBut(flipped))
	n := r.goodRelease()
	if reason := r.says(n, deviceproto.Failed); reason != deviceproto.ReasonDigest {
		t.Errorf("for %s", reason)
	}
	if begun.Load() != 3 {
		t.Errorf("%d downloads", begun.Load())
	}
	r.runs(r.first)
	r.Before(nil)
	r.over()
	r.recovers(0)
	r.errs(1<<30, images, rightBut(flipped))
	n = r.goodRelease()
	r.says(n, deviceproto.Failed)
	r.Before(nil)
	r.over()
	r.Bench.Until("the same deployment, an hour later", func() bool { _, ok := r.said(n, deviceproto.Confirmed); return ok })
	r.recovered()
}

// A server that has too much to do says when to come again, and is obeyed.
func TestRetryAfter(t *testing.T) { onEach(t, testRetryAfter) }

func testRetryAfter(t *testing.T, on kind) {
	for _, c := range []struct {
		code    int
		after   string
		seconds float64 // of the board's
		hurry   int
	}{
		{429, "120", 120, hurry}, {503, "90", 90, hurry}, {429, "", 60, hurry}, {503, "soon", 60, hurry}, {503, "999999", 3600, 600},
	} {
		t.Run(fmt.Sprint(c.code, " ", c.after), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, on, fmt.Sprintf("server, polls: %d with Retry-After", c.code)).on()
			if c.hurry != r.hurry {
				r.pace(c.hurry)
			}
			const times = 2
			answer := status(c.code)
			if c.after != "" {
				answer = status(c.code, "Retry-After", c.after)
			}
			at := make(chan time.Time, 100)
			r.errs(times, func(req *http.Request) bool {
				if polls(req) && len(at) <= times {
					at <- time.Now()
				}
				return polls(req)
			}, answer)
			r.Server.Until("polls", func() bool { return len(at) > times })
			before := <-at
			for range times {
				now := <-at
				if waited := now.Sub(before).Seconds() * float64(r.hurry); waited < c.seconds {
					t.Errorf("it waited for %.1f s, not %.0f", waited, c.seconds)
				}
				before = now
			}
			if c.hurry != hurry {
				r.recovered()
				r.pace(hurry)
			}
			r.recovers(0)
		})
	}
}

// A link that expires in the middle of a download is changed for a fresh one, and the download goes on at the same place.
func TestExpiredLink(t *testing.T) { onEach(t, testExpiredLink) }

func testExpiredLink(t *testing.T, on kind) {
	r := newRig(t, on, "link expires in mid-download").on()
	speed := on.scale(200_000)
	if on == (rp2040{}) {
		speed /= 6 // it takes 3 s of the world's at least
	}
	r.Net().Set(chiptest.Link{BytesPerSecond: speed}) // 717 KB take minutes of the board's, and a request ends after 15 s
	const times = 4
	asked := 1
	n := r.goodRelease()
	for range times {
		r.Server.Until("download", func() bool { return len(r.Images()) >= asked })
		r.ExpireLinks()
		r.found.fault(r.class, 1)
		asked = len(r.Images()) + 2 // with the old link, and with a fresh one
	}
	r.Server.Until("download", func() bool { return len(r.Images()) >= asked })
	r.Net().Set(chiptest.Link{})
	r.over()
	r.recovers(n)
	var before int64 = -1
	same := 0
	for i, asked := range r.Images() {
		if on == (rp2040{}) && asked == "" {
			continue // another file
		}
		var at int64
		if _, err := fmt.Sscanf(asked, "bytes=%d-", &at); err != nil && i > 0 {
			t.Errorf("request %d has the range %q: %q", i, asked, r.Images())
		}
		if at < before {
			t.Errorf("it went back: %q", r.Images())
		}
		if at == before {
			same++
		}
		before = at
	}
	enough := times
	if on == (rp2040{}) {
		enough = 1 // at the beginning of a file none tells itself from another
	}
	if same < enough {
		t.Errorf("%d of %d expired links were changed for fresh ones at the same place: %q", same, times, r.Images())
	}
	r.never(deviceproto.Failed, deviceproto.RolledBack)
}

// What is no answer of the server's is no check-in: an image on trial that gets only such ones goes back, is blamed for
// nothing while the old one gets no better ones, and stays when the right ones come again.
func TestForgedCheckins(t *testing.T) { onEach(t, testForgedCheckins) }

func testForgedCheckins(t *testing.T, on kind) {
	for name, do := range map[string]deed{
		"without a MAC":    status(204, deviceproto.HeaderPoll, "1"),
		"with another MAC": status(204, deviceproto.HeaderPoll, "1", deviceproto.HeaderMAC, strings.Repeat("00", 32)),
		"not modified":     status(304),
		"of another poll":  replay(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, on, "forged answers while an image is on trial").on()
			image := r.another()
			forged := r.errs(1<<30, func(req *http.Request) bool {
				starts, _ := r.counted()
				return polls(req) && starts > 1
			}, do)
			n := r.offer(image)
			r.startedAfter(1, 2) // on trial, and back, for nobody answers
			if slot := r.runsIn(); slot != first {
				t.Errorf("%s runs", slot)
			}
			seen := forged.Load()
			r.Server.Until("more forged answers", func() bool { return forged.Load() > seen })
			if _, said := r.said(n, deviceproto.Confirmed); said {
				t.Error("it was confirmed")
			}
			r.Before(nil)
			r.over()
			r.recovers(n)
			r.never(deviceproto.RolledBack, deviceproto.Failed)
		})
	}
}
