package network_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/boards/network"
)

const patience = 60 * time.Second

// world is a network with a board's way out, and an artifact service that remembers
// what it is asked.
type world struct {
	t   *testing.T
	way string

	mu    sync.Mutex
	asked []request
}

type request struct {
	method, uri, host, body string
	header                  http.Header
}

func open(t *testing.T, allow ...string) *world {
	t.Helper()
	w := &world{t: t, way: filepath.Join(t.TempDir(), "out")}
	artifact := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(artifact.Close)
	at, _ := url.Parse(artifact.URL)
	n, err := network.New(network.Options{Artifact: *at, Allow: allow, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	way, err := net.Listen("unix", w.way)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() { _ = n.Run(ctx) })
	both.Go(func() { _ = n.Serve(ctx, way) })
	t.Cleanup(func() { cancel(); both.Wait() })
	return w
}

func (w *world) serve(out http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	w.asked = append(w.asked, request{r.Method, r.RequestURI, r.Host, string(body), r.Header})
	w.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/d/v1/image") {
		out.Header().Set("Content-Length", fmt.Sprint(3<<20))
		_, _ = out.Write(bytes.Repeat([]byte("x"), 3<<20))
		return
	}
	out.Header().Set("X-Flota-Mac", "proof")
	_, _ = io.WriteString(out, "answer")
}

func (w *world) requests() []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// connect says CONNECT and gives the connection, or why not.
func (w *world) connect(place string) (net.Conn, string) {
	w.t.Helper()
	c, err := net.Dial("unix", w.way)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "CONNECT %s\n", place)
	var line []byte
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(c, one); err != nil {
			w.t.Fatalf("%s: %v", place, err)
		}
		if one[0] == '\n' {
			return c, string(line)
		}
		line = append(line, one[0])
	}
}

// raw sends bytes to http://flota and gives the statuses of what is answered until the
// connection is closed, or silent.
func (w *world) raw(text string) (statuses []int) {
	w.t.Helper()
	c, said := w.connect("flota:80")
	if said != "ok" {
		w.t.Fatal(said)
	}
	defer c.Close()
	if !strings.Contains(text, "Connection: close") {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
	}
	go func() { _, _ = io.WriteString(c, text) }()
	in := bufio.NewReader(c)
	for {
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		statuses = append(statuses, answer.StatusCode)
	}
}

// What a device sends arrives as it was sent, without what is not a device's.
func TestDevicePaths(t *testing.T) {
	w := open(t)
	for _, target := range []string{
		"/d/v1/update", "/d/v1/report", "/d/v1/image/abc-DEF_1.~/3", "/firmware/bot_001.ino.bin", "/bot-1.x_y.ino.bin", "/d/v1/update?a=b&c=1.2",
	} {
		before := len(w.requests())
		status := w.raw("POST " + target + " HTTP/1.1\r\nHost: flota\r\nAuthorization: Flota1 x\r\nX-Flota-Nonce: n\r\nIf-None-Match: \"7\"\r\n" +
			"Forwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Real-IP: 1.2.3.4\r\nCookie: a=b\r\n" +
			"Connection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\n{\"a\"}")
		asked := w.requests()
		if len(status) != 1 || status[0] != 200 || len(asked) != before+1 {
			t.Errorf("%s: %v", target, status)
			continue
		}
		r := asked[before]
		if r.method != "POST" || r.uri != target || r.body != `{"a"}` || strings.HasPrefix(r.host, "flota") {
			t.Errorf("%+v", r)
		}
		for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip", "Cookie", "X-Hop"} {
			if r.header.Get(name) != "" {
				t.Errorf("%s went along", name)
			}
		}
		for name, want := range map[string]string{"Authorization": "Flota1 x", "X-Flota-Nonce": "n", "If-None-Match": `"7"`} {
			if r.header.Get(name) != want {
				t.Errorf("%s: %q", name, r.header.Get(name))
			}
		}
	}
}

// Nothing else passes, however it is written.
func TestOtherPaths(t *testing.T) {
	w := open(t)
	for _, line := range []string{
		"GET / HTTP/1.1", "GET /api/auth/v1/me HTTP/1.1", "GET /dl/x/y HTTP/1.1", "POST /up/token HTTP/1.1", "GET /metrics HTTP/1.1", "GET /readyz HTTP/1.1",
		"GET /d/v1 HTTP/1.1", "GET /d/v1/ HTTP/1.1", "GET /d/v2/update HTTP/1.1", "GET /D/v1/update HTTP/1.1",
		"GET /d/v1/../../metrics HTTP/1.1", "GET /d/v1/./update HTTP/1.1", "GET /d/v1/%2e%2e/%2e%2e/metrics HTTP/1.1", "GET /d/v1/..%2f..%2fmetrics HTTP/1.1",
		"GET /d/v1//update HTTP/1.1", "GET //d/v1/update HTTP/1.1", "GET /d/v1/update/ HTTP/1.1", "GET /d/v1\\..\\metrics HTTP/1.1", "GET /d/v1/up%64ate HTTP/1.1",
		"GET /d/v1/update;x HTTP/1.1", "GET /d/v1/update?x=%00 HTTP/1.1", "GET /firmware/a/../b HTTP/1.1", "GET /firmware/.. HTTP/1.1", "GET /x/y.ino.bin HTTP/1.1",
		"GET /..ino.bin/x HTTP/1.1", "GET http://127.0.0.1:1/d/v1/update HTTP/1.1", "GET http://flota/d/v1/update HTTP/1.1", "OPTIONS * HTTP/1.1",
		"PUT /d/v1/update HTTP/1.1", "DELETE /d/v1/update HTTP/1.1", "TRACE /d/v1/update HTTP/1.1", "CONNECT 127.0.0.1:22 HTTP/1.1", "CONNECT /d/v1/update HTTP/1.1",
	} {
		for _, s := range w.raw(line + "\r\nHost: flota\r\nConnection: close\r\n\r\n") {
			if s < 300 {
				t.Errorf("%s: %d", line, s)
			}
		}
	}
	if asked := w.requests(); len(asked) > 0 {
		t.Errorf("the artifact service was asked: %+v", asked)
	}
}

// One request is one request to both.
func TestSmuggling(t *testing.T) {
	w := open(t)
	const hidden = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, text := range map[string]string{
		"both lengths":        "POST /d/v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"two lengths":         "POST /d/v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nabcde" + hidden,
		"odd encoding":        "POST /d/v1/report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nabcde" + hidden,
		"space before colon":  "POST /d/v1/report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\nabcde" + hidden,
		"negative":            "POST /d/v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nabcde" + hidden,
		"newline in a header": "GET /d/v1/update HTTP/1.1\r\nHost: x\r\nX-A: b\nX-Forwarded-For: 1.2.3.4\r\n\r\n" + hidden,
		"chunk extension":     "POST /d/v1/report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;\r\na=b\r\nabcde\r\n0\r\n\r\n" + hidden,
		"upgrade":             "GET /d/v1/update HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + hidden,
		"in line":             "GET /d/v1/update HTTP/1.1\r\nHost: x\r\n\r\n" + hidden,
		"a body with GET":     "GET /d/v1/update HTTP/1.1\r\nHost: x\r\nContent-Length: " + fmt.Sprint(len(hidden)) + "\r\n\r\n" + hidden,
	} {
		w.raw(text)
		for _, r := range w.requests() {
			if strings.Contains(r.uri, "metrics") || r.header.Get("X-Forwarded-For") != "" || r.header.Get("Upgrade") != "" {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	w := open(t)
	if s := w.raw("GET /d/v1/update HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 64<<10) + "\r\nConnection: close\r\n\r\n"); len(s) != 1 || s[0] != 431 {
		t.Errorf("long headers: %v", s)
	}
	if s := w.raw("POST /d/v1/report HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"); len(s) != 1 || s[0] != 413 {
		t.Errorf("a stated length: %v", s)
	}
	chunk := "4000\r\n" + strings.Repeat("x", 0x4000) + "\r\n"
	if s := w.raw("POST /d/v1/report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, 20) + "0\r\n\r\n"); len(s) != 1 || s[0] != 413 {
		t.Errorf("chunks: %v", s)
	}
	// What is large on its way to a board passes.
	c, _ := w.connect("flota:80")
	_, _ = io.WriteString(c, "GET /d/v1/image/token HTTP/1.1\r\nHost: flota\r\nConnection: close\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); n != 3<<20 || err != nil || answer.ContentLength != 3<<20 {
		t.Errorf("%d %v", n, err)
	}
}

// A board has so many connections at a time: those that say nothing keep others of
// the same board waiting, and nobody else.
func TestConnections(t *testing.T) {
	w := open(t)
	var open []net.Conn
	for range 8 {
		c, said := w.connect("flota:80")
		if said != "ok" {
			t.Fatal(said)
		}
		open = append(open, c)
	}
	one := make(chan string, 1)
	c, err := net.Dial("unix", w.way)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "CONNECT flota:80\n")
	go func() {
		said, _ := bufio.NewReader(c).ReadString('\n')
		one <- said
	}()
	select {
	case said := <-one:
		t.Errorf("a ninth: %q", said)
	case <-time.After(100 * time.Millisecond):
	}
	open[3].Close()
	select {
	case said := <-one:
		if said != "ok\n" {
			t.Errorf("%q", said)
		}
	case <-time.After(patience):
		t.Error("the ninth waits for ever")
	}
}

// Nowhere else, but where the operator says so.
func TestOtherPlaces(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	at := echo.Addr().String()
	_, port, _ := net.SplitHostPort(at)
	w := open(t, at, "localhost:"+port)

	c, said := w.connect(at)
	if said != "ok" {
		t.Fatal(said)
	}
	_, _ = io.WriteString(c, "hello\n")
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "hello\n" {
		t.Errorf("%q %v", line, err)
	}
	for _, place := range []string{
		"localhost:" + port, // allowed by name, and then not public
		"127.0.0.1:1", "127.0.0.2:" + port, "[::1]:" + port, "0.0.0.0:" + port, "[::ffff:127.0.0.1]:" + port, "flota:443", "flota:8080", "artifact:8080",
		"example.com:80", "169.254.169.254:80", "/etc/passwd:80", "x@flota:80", "flota:80 ", "flota:080x",
	} {
		if _, said := w.connect(place); !strings.HasPrefix(said, "refused ") {
			t.Errorf("%s: %q", place, said)
		}
	}
	for _, place := range []string{"flota:80", "FLOTA:80", "flota.:80"} {
		if _, said := w.connect(place); said != "ok" {
			t.Errorf("%s: %q", place, said)
		}
	}
	for _, bad := range []string{"example.com", ":80", "a:b", "x:99999"} {
		if _, err := network.New(network.Options{Allow: []string{bad}, Log: zap.NewNop()}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// The artifact service is away: a board hears so, in the protocol's words.
func TestArtifactIsAway(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	n, err := network.New(network.Options{Artifact: url.URL{Scheme: "http", Host: gone.Addr().String()}, Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, way: filepath.Join(t.TempDir(), "out")}
	way, err := net.Listen("unix", w.way)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	both.Go(func() { _ = n.Run(ctx) })
	both.Go(func() { _ = n.Serve(ctx, way) })
	defer both.Wait()
	defer cancel()
	if s := w.raw("GET /d/v1/update HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); len(s) != 1 || s[0] != 503 {
		t.Errorf("%v", s)
	}
}
