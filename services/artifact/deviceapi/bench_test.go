package deviceapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
)

// BenchmarkPoll measures polls with nothing new, against a bare net/http handler
// that checks the same credential and answers 304: poll.vs_nethttp is the ratio of
// the two rates, as a median of pairs in one run. Run it with -cpu 1.
func BenchmarkPoll(b *testing.B) {
	k := newKit(b)
	k.now = time.Now()
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	k.deploy(vectors.DeviceID, 1, image)

	hash := deviceproto.KeyHash(vectors.Key)
	var keys sync.Map
	keys.Store(deviceproto.KeyID(hash), hash)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keyID, mac, _ := deviceproto.ParseAuthorization(r.Header.Get("Authorization"))
		key, _ := keys.Load(keyID)
		known, ok := key.([32]byte)
		request := deviceproto.Request{
			Method: r.Method, Path: r.RequestURI, Nonce: r.Header.Get(deviceproto.HeaderNonce), Time: r.Header.Get(deviceproto.HeaderTime),
			Running: r.Header.Get(deviceproto.HeaderRunning), ETag: r.Header.Get("If-None-Match"),
		}
		if !ok || !deviceproto.VerifyRequest(known, request, mac) || !deviceproto.Fresh(request.Time, k.now) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNotModified)
	}))
	defer bare.Close()

	request := deviceproto.Request{
		Method: "GET", Path: deviceproto.PathUpdate, Nonce: deviceproto.NewNonce(), Time: strconv.FormatInt(k.now.Unix(), 10),
		Running: digest(image), ETag: `"1"`,
	}
	raw := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: flota.local:8081\r\nUser-Agent: FlotaOTA/1.0\r\nAuthorization: %s\r\nX-Flota-Nonce: %s\r\nX-Flota-Time: %s\r\nX-Flota-Running: %s\r\nIf-None-Match: %s\r\n\r\n",
		request.Path, deviceproto.Authorization(deviceproto.KeyID(hash), deviceproto.RequestMAC(hash, request)), request.Nonce, request.Time, request.Running, request.ETag)

	for name, server := range map[string]*httptest.Server{"flota": k.server, "nethttp": bare} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			poll(b, server.Listener.Addr().String(), raw)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "polls/s")
		})
	}
	b.Run("ratio", func(b *testing.B) {
		var ratios []float64
		const turn = 2000
		for b.Loop() {
			flota := timed(func() { pollN(b, k.server.Listener.Addr().String(), raw, turn) })
			ratios = append(ratios, float64(timed(func() { pollN(b, bare.Listener.Addr().String(), raw, turn) }))/float64(flota))
		}
		slices.Sort(ratios)
		b.ReportMetric(ratios[len(ratios)/2], "poll.vs_nethttp")
	})
}

// timed is the processor's time for f, both sides of the connection together: on a
// busy machine the clock on the wall measures the others.
func timed(f func()) time.Duration {
	begin := processTime()
	f()
	return processTime() - begin
}

func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// poll sends b.N polls over one connection.
func poll(b *testing.B, address, raw string) {
	c := connect(b, address, raw)
	defer c.conn.Close()
	for b.Loop() {
		c.burst(b, 1)
	}
}

func pollN(b *testing.B, address, raw string, n int) {
	c := connect(b, address, raw)
	defer c.conn.Close()
	for range n / burst {
		c.burst(b, burst)
	}
}

// burst is how many requests are under way at a time: with one, the two sides
// would mostly wait for each other.
const burst = 50

type client struct {
	conn   net.Conn
	in     *bufio.Reader
	raw    string
	answer int // bytes
	buffer []byte
}

// connect makes one poll to see that it is answered 304 and how long the answer is.
func connect(b *testing.B, address, raw string) *client {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), raw: strings.Repeat(raw, burst)}
	io.WriteString(conn, raw)
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		if c.answer == 0 && !strings.HasPrefix(line, "HTTP/1.1 304") {
			b.Fatal(line)
		}
		c.answer += len(line)
		if line == "\r\n" {
			c.buffer = make([]byte, burst*c.answer)
			return c
		}
	}
}

func (c *client) burst(b *testing.B, n int) {
	if _, err := io.WriteString(c.conn, c.raw[:n*len(c.raw)/burst]); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(c.in, c.buffer[:n*c.answer]); err != nil {
		b.Fatal(err)
	}
}
