package content_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
	"github.com/flota/flota/services/artifact/artifacttest"
	"github.com/flota/flota/services/artifact/content"
)

func blob(blobs *artifacttest.Blobs, size int, fill byte) artifact.Facts {
	data := bytes.Repeat([]byte{fill}, size)
	for i := range data {
		data[i] += byte(i % 7)
	}
	m := artifact.NewMeasure()
	m.Write(data)
	return m.Facts(blobs.Add(data))
}

// However many want a blob at once, the object store is asked once; and who leaves
// takes it from nobody.
func TestSingleFlight(t *testing.T) {
	blobs := &artifacttest.Blobs{Wait: make(chan struct{})}
	f := blob(blobs, 1000, 1)
	cache := content.NewCache(nil, blobs, 1<<20)

	impatient, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := cache.Bytes(impatient, f.SHA256, f.Size)
		left <- err
	}()
	for blobs.Gets.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			data, err := cache.Bytes(t.Context(), f.SHA256, f.Size)
			if err != nil || int64(len(data)) != f.Size {
				t.Errorf("%d bytes, %v", len(data), err)
			}
		})
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who left: %v", err)
	}
	close(blobs.Wait)
	wg.Wait()
	if n := blobs.Gets.Load(); n != 1 {
		t.Errorf("the object store was asked %d times", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	blobs := &artifacttest.Blobs{}
	cache := content.NewCache(nil, blobs, 1000)
	var facts []artifact.Facts
	for i := range 6 {
		facts = append(facts, blob(blobs, 250, byte(i)))
	}
	get := func(i int) {
		t.Helper()
		if _, err := cache.Bytes(t.Context(), facts[i].SHA256, facts[i].Size); err != nil {
			t.Fatal(err)
		}
	}
	asked := func(what string, want int64) {
		t.Helper()
		if got := blobs.Gets.Swap(0); got != want {
			t.Errorf("%s: asked %d times, not %d", what, got, want)
		}
	}
	for i := range 4 {
		get(i)
	}
	asked("four that fit", 4)
	get(0)
	get(1)
	asked("in memory", 0)
	get(4) // 2 was used longest ago
	get(0)
	get(1)
	get(3)
	get(4)
	asked("a fifth", 1)
	get(2)
	asked("the one that was dropped", 1)
}

func TestFailuresAreNotKept(t *testing.T) {
	blobs := &artifacttest.Blobs{}
	f := blob(blobs, 100, 1)
	cache := content.NewCache(nil, blobs, 1<<20)
	blobs.Down.Store(true)
	if _, err := cache.Bytes(t.Context(), f.SHA256, f.Size); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	blobs.Down.Store(false)
	if _, err := cache.Bytes(t.Context(), f.SHA256, f.Size); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := cache.Bytes(t.Context(), "missing", 1); !fault.Is(err, fault.NotFound) {
		t.Errorf("missing: %v", err)
	}
	blobs.Set("torn", []byte("half"))
	if _, err := cache.Bytes(t.Context(), "torn", 8); !fault.Is(err, fault.Internal) {
		t.Errorf("another size: %v", err)
	}
}

// What RFC 9110 wants of ranges and conditions, from memory and from the store.
func TestServe(t *testing.T) {
	blobs := &artifacttest.Blobs{}
	small, large := blob(blobs, 1000, 1), blob(blobs, 500_000, 2)
	cache := content.NewCache(nil, blobs, 100_000)
	for name, f := range map[string]artifact.Facts{"from memory": small, "from the store": large} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := cache.Serve(w, r, f); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()
			whole, _ := io.ReadAll(must(blobs.Get(t.Context(), f.SHA256, 0, -1)))
			etag := `"` + f.SHA256 + `"`
			size := strconv.FormatInt(f.Size, 10)

			for what, test := range map[string]struct {
				method string
				header http.Header
				status int
				body   []byte
				length string
				ranged string
			}{
				"whole":              {"GET", nil, 200, whole, size, ""},
				"HEAD":               {"HEAD", nil, 200, nil, size, ""},
				"first bytes":        {"GET", http.Header{"Range": {"bytes=0-9"}}, 206, whole[:10], "10", "bytes 0-9/" + size},
				"from an offset":     {"GET", http.Header{"Range": {"bytes=700-"}}, 206, whole[700:], strconv.Itoa(len(whole) - 700), "bytes 700-" + strconv.Itoa(len(whole)-1) + "/" + size},
				"last bytes":         {"GET", http.Header{"Range": {"bytes=-5"}}, 206, whole[len(whole)-5:], "5", "bytes " + strconv.Itoa(len(whole)-5) + "-" + strconv.Itoa(len(whole)-1) + "/" + size},
				"beyond the end":     {"GET", http.Header{"Range": {"bytes=" + size + "-"}}, 416, nil, "", "bytes */" + size},
				"HEAD of a range":    {"HEAD", http.Header{"Range": {"bytes=0-9"}}, 206, nil, "10", "bytes 0-9/" + size},
				"If-Range, same":     {"GET", http.Header{"Range": {"bytes=0-9"}, "If-Range": {etag}}, 206, whole[:10], "10", "bytes 0-9/" + size},
				"If-Range, other":    {"GET", http.Header{"Range": {"bytes=0-9"}, "If-Range": {`"x"`}}, 200, whole, size, ""},
				"If-None-Match":      {"GET", http.Header{"If-None-Match": {etag}}, 304, nil, "", ""},
				"If-None-Match list": {"GET", http.Header{"If-None-Match": {`"x", ` + etag}}, 304, nil, "", ""},
				"If-None-Match not":  {"GET", http.Header{"If-None-Match": {`"x"`}}, 200, whole, size, ""},
				"If-Match not":       {"GET", http.Header{"If-Match": {`"x"`}}, 412, nil, "", ""},
			} {
				t.Run(what, func(t *testing.T) {
					r, _ := http.NewRequestWithContext(t.Context(), test.method, server.URL, nil)
					r.Header = test.header
					answer, err := server.Client().Do(r)
					if err != nil {
						t.Fatal(err)
					}
					defer answer.Body.Close()
					body, err := io.ReadAll(answer.Body)
					if err != nil {
						t.Fatal(err)
					}
					h := answer.Header
					if answer.StatusCode != test.status || h.Get("Content-Range") != test.ranged {
						t.Errorf("%d %v", answer.StatusCode, h)
					}
					if test.status < 400 && h.Get("ETag") != etag {
						t.Errorf("ETag %s", h.Get("ETag"))
					}
					if test.status >= 400 && (h.Get("Content-Type") != "application/problem+json" || !bytes.Contains(body, []byte(`"code"`))) {
						t.Errorf("%v %s", h, body)
					}
					if test.status < 300 && (!bytes.Equal(body, test.body) && test.method == "GET" || h.Get("Content-Length") != test.length) {
						t.Errorf("%d bytes, Content-Length %s", len(body), h.Get("Content-Length"))
					}
					if test.status < 300 && (h.Get("x-MD5") != f.MD5 || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") != "application/octet-stream") {
						t.Errorf("headers %v", h)
					}
				})
			}
		})
	}
}

func must(body io.ReadCloser, _ any, err error) io.Reader {
	if err != nil {
		panic(err)
	}
	return body
}

// An error before the first byte is the caller's to answer; one in the middle cuts
// the connection.
func TestServeBrokenBlobs(t *testing.T) {
	blobs := &artifacttest.Blobs{}
	large := blob(blobs, 500_000, 1)
	cache := content.NewCache(nil, blobs, 1000)

	blobs.Down.Store(true)
	w := httptest.NewRecorder()
	if err := cache.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), large); !fault.Is(err, fault.Unavailable) || len(w.Header()) > 0 {
		t.Errorf("%v, %v", err, w.Header())
	}
	blobs.Down.Store(false)

	blobs.Set(large.SHA256, make([]byte, 1000)) // torn
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = cache.Serve(w, r, large) }))
	defer server.Close()
	answer, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Errorf("%d bytes passed for the whole", n)
	}
}

// A device may be slower than the server's limit on answers, as long as it takes
// something now and then.
func TestSlowClient(t *testing.T) {
	blobs := &artifacttest.Blobs{}
	f := blob(blobs, 16<<20, 1) // more than the buffers between the two hold
	cache := content.NewCache(nil, blobs, 128<<20)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = cache.Serve(w, r, f) }))
	server.Config.WriteTimeout = 50 * time.Millisecond
	server.Start()
	defer server.Close()
	answer, err := server.Client().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	time.Sleep(200 * time.Millisecond)
	if n, err := io.Copy(io.Discard, answer.Body); n != f.Size || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A hot 1 MB image to a client that reads as fast as it can.
func BenchmarkServeHot(b *testing.B) {
	blobs := &artifacttest.Blobs{}
	f := blob(blobs, 1<<20, 1)
	cache := content.NewCache(nil, blobs, 64<<20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = cache.Serve(w, r, f) }))
	defer server.Close()
	b.SetBytes(f.Size)
	for b.Loop() {
		answer, err := server.Client().Get(server.URL)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, answer.Body); n != f.Size || err != nil {
			b.Fatal(n, err)
		}
		answer.Body.Close()
	}
}
