package chip_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
)

const virtualBoard = "flota:virtual:esp32"

// everySketch tells whether there is time to compile all of them; the others name a few.
var (
	everySketch = os.Getenv("FLOTA_TEST_FULL") != ""
	fewSketches = []string{"01-blink", "08-preferences", "14-http-json", "19-freertos-tasks", "28-crash", "32-http-update"}
)

const noTime = "only with FLOTA_TEST_FULL, as deploy/setup/slow.sh sets it: compiling takes minutes"

// Every sketch in ../virtual/sketches is compiled by the real arduino-cli, without a
// warning, and does on a board what its expect.txt tells (see the README there).
func TestSketches(t *testing.T) {
	cli := newArduino(t)
	found, err := filepath.Glob(filepath.Join(chiptest.Firmware(), "virtual", "sketches", "*", "expect.txt"))
	if err != nil || len(found) == 0 {
		t.Fatal("no sketches:", err)
	}
	var compiled, ran atomic.Int32
	t.Run("each", func(t *testing.T) {
		for _, file := range found {
			dir := filepath.Dir(file)
			t.Run(filepath.Base(dir), func(t *testing.T) {
				if !everySketch && !slices.Contains(fewSketches, filepath.Base(dir)) {
					t.Skip(noTime)
				}
				t.Parallel()
				script, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				image := cli.compile(t, dir)
				compiled.Add(1)
				play(t, image, string(script))
				if !t.Failed() {
					ran.Add(1)
				}
			})
		}
	})
	t.Logf("of %d sketches %d compiled", len(found), compiled.Load())
	if everySketch {
		t.Logf("virtual.sketches=%d", ran.Load())
	}
}

// The same sketch gives the same bytes, wherever and whenever it is compiled.
func TestSketchesAreReproducible(t *testing.T) {
	if !everySketch {
		t.Skip(noTime)
	}
	sketch := filepath.Join(chiptest.Firmware(), "virtual", "sketches", "14-http-json")
	first, second := newArduino(t).compile(t, sketch), newArduino(t).compile(t, sketch)
	if !bytes.Equal(first, second) {
		t.Errorf("%d and %d bytes, not the same", len(first), len(second))
	}
}

// arduino is arduino-cli with the toolchain of a compile worker.
type arduino struct{ toolchain, work string }

func newArduino(t *testing.T) arduino {
	t.Helper()
	toolchain := os.Getenv("FLOTA_TEST_TOOLCHAIN")
	if toolchain == "" {
		t.Skip("FLOTA_TEST_TOOLCHAIN is not set: it names what deploy/toolchain/layout.sh --with-fixture prints")
	}
	a := arduino{toolchain, t.TempDir()}
	config := fmt.Sprintf(`directories: {data: %[1]s/data, downloads: %[2]s, user: %[1]s/user}
build_cache: {path: %[2]s/cache, compilations_before_purge: 0}
metrics: {enabled: false}
updater: {enable_notification: false}
`, toolchain, a.work)
	if err := os.WriteFile(filepath.Join(a.work, "arduino-cli.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	// What all have in common is compiled once.
	core := filepath.Join(a.work, "core")
	if err := os.MkdirAll(core, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(core, "core.ino"), []byte("void setup() {}\nvoid loop() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a.compile(t, core)
	return a
}

func (a arduino) compile(t *testing.T, sketch string) []byte {
	t.Helper()
	build := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(a.toolchain, "bin", "arduino-cli"), "--config-file", filepath.Join(a.work, "arduino-cli.yaml"),
		"compile", "--no-color", "--warnings", "all", "-b", virtualBoard, "--build-path", build, sketch)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=946684800", "LC_ALL=C")
	said, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(said, []byte("warning:")) {
		t.Fatalf("%v\n%s", err, said)
	}
	image, err := os.ReadFile(filepath.Join(build, filepath.Base(sketch)+".ino.bin"))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// stage is a board that a sketch plays on, and its audience.
type stage struct {
	*chiptest.Bench
	t      *testing.T
	at     int // in the output
	pins   int // in the events
	starts int
	served map[string]http.HandlerFunc // by host:port and URI
	tls    *httptest.Server
}

// before are the words about what is there before the board has power.
var before = []string{"serve", "tls", "ca", "stranger", "image"}

// play does what a script says, line by line.
func play(t *testing.T, image []byte, script string) {
	s := &stage{t: t, starts: 1, served: map[string]http.HandlerFunc{}}
	s.Bench = chiptest.NewBench(t, image, func(c *chip.Config) { c.Network = chip.NetworkProxy })
	s.openNetwork()
	var never []string
	on, ended := false, false
	for i, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		if !slices.Contains(before, word) && !on {
			s.On()
			on = true
		}
		switch word {
		case "=":
			s.at = s.After(s.at, rest)
		case "~":
			s.match(regexp.MustCompile(rest))
		case ">":
			s.Send(rest + "\n")
		case "never":
			never = append(never, rest)
		case "set":
			var pin, value int
			s.scan(rest, "%d %d", &pin, &value)
			s.do(s.SetPin(t.Context(), pin, value))
		case "pin":
			s.pin(rest)
		case "start":
			s.starts++
			if e := s.Started(s.starts); string(e.Reset) != rest {
				t.Fatalf("start %d because of %s, not %s", s.starts, e.Reset, rest)
			}
		case "sleeping":
			s.Until("deep sleep", func() bool { return s.State().Phase == chip.PhaseSleeping })
		case "get", "post", "upload":
			s.ask(word, rest)
		case "serve", "tls":
			f := strings.SplitN(rest, " ", 4)
			body := f[3]
			if size, err := strconv.Atoi(strings.TrimPrefix(body, "*")); err == nil {
				body = strings.Repeat("x", size)
			}
			s.serve(f[0]+f[1], f[2], body)
		case "ca":
			s.certificate(rest, s.tls.Certificate().Raw)
		case "stranger":
			s.certificate(rest, stranger(t))
		case "image":
			s.offer(strings.ReplaceAll(rest, " ", ""), image)
		case "end":
			ended = true
			state := s.State()
			if rest == "running" && (state.Phase != chip.PhaseRunning || state.Starts != s.starts) {
				t.Errorf("%s after %d starts, not running after %d", state.Phase, state.Starts, s.starts)
			}
		default:
			t.Fatalf("line %d of expect.txt: %q", i+1, line)
		}
	}
	if !ended {
		t.Fatal("expect.txt does not say what is at the end")
	}
	for _, text := range never {
		if strings.Contains(s.Output(), text) {
			t.Errorf("the sketch wrote %q:\n%s", text, s.Output())
		}
	}
}

func (s *stage) scan(text, format string, to ...any) {
	s.t.Helper()
	if _, err := fmt.Sscanf(text, format, to...); err != nil {
		s.t.Fatalf("%q in expect.txt: %v", text, err)
	}
}

func (s *stage) do(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) match(what *regexp.Regexp) {
	s.t.Helper()
	s.Until(what.String(), func() bool {
		found := what.FindStringIndex(s.Output()[s.at:])
		if found == nil {
			return false
		}
		s.at += found[1]
		return true
	})
}

// pin waits until the sketch has set a pin so, after the last pin that was waited for.
func (s *stage) pin(text string) {
	s.t.Helper()
	var want chip.Pin
	s.scan(text, "%d %s %d", &want.Number, &want.Mode, &want.Value)
	s.Until("pin "+text, func() bool {
		for i, e := range s.Events()[s.pins:] {
			if e.Kind == chip.PinChanged && e.Pin == want {
				s.pins += i + 1
				return true
			}
		}
		return false
	})
}

// openNetwork is the world that the board sees: what the script serves, everything else is refused.
func (s *stage) openNetwork() {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if !strings.Contains(host, ":") && r.TLS != nil {
			host += ":443"
		} else if !strings.Contains(host, ":") {
			host += ":80"
		}
		if serve := s.served[host+r.URL.RequestURI()]; serve != nil {
			serve(w, r)
			return
		}
		http.NotFound(w, r)
	})
	plain := httptest.NewServer(answer)
	s.t.Cleanup(plain.Close)
	// Its certificate is for example.com and signs itself.
	s.tls = httptest.NewUnstartedServer(answer)
	s.tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.tls.StartTLS()
	s.t.Cleanup(s.tls.Close)
	listener, err := net.Listen("unix", filepath.Join(s.Dir, "net", "out"))
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := chip.Proxy{Dial: func(ctx context.Context, host string, port int) (net.Conn, error) {
		for name := range s.served {
			if strings.HasPrefix(name, fmt.Sprintf("%s:%d/", host, port)) {
				server := plain
				if port == 443 {
					server = s.tls
				}
				return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
			}
		}
		return nil, fmt.Errorf("%s is not permitted", host)
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- proxy.Serve(ctx, listener) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
}

func (s *stage) serve(where, kind, body string) {
	s.served[where] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body)
	}
}

func (s *stage) certificate(where string, der []byte) {
	s.serve(strings.ReplaceAll(where, " ", ""), "application/x-pem-file", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// stranger is a certificate that signed nothing but itself, in the same name.
func stranger(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"example.com"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &about, &about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// offer serves the image itself as arduino-esp32's HTTPUpdate wants it: 304 to the board that runs it from the other slot.
func (s *stage) offer(where string, image []byte) {
	sum := md5.Sum(image)
	digest := hex.EncodeToString(sum[:])
	asked := 0
	s.served[where] = func(w http.ResponseWriter, r *http.Request) {
		asked++
		if got := r.Header.Get("x-ESP32-sketch-md5"); got != digest {
			s.t.Errorf("the board says that it runs %s, not %s", got, digest)
		}
		if asked > 1 {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("x-MD5", digest)
		w.Header().Set("Content-Length", strconv.Itoa(len(image)))
		_, _ = w.Write(image)
	}
}

// ask sends a request to a server of the sketch's:
//
//	get PORT [USER:PASSWORD@]URI STATUS [TEXT]
//	post PORT URI FORM STATUS [TEXT]
//	upload PORT URI NAME SIZE STATUS [TEXT]
//
// and wants the status, and the text somewhere in the answer's body.
func (s *stage) ask(how, rest string) {
	s.t.Helper()
	fields := map[string]int{"get": 4, "post": 5, "upload": 6}[how]
	f := append(strings.SplitN(rest, " ", fields), "")
	port, uri := f[0], f[1]
	credential, path, private := strings.Cut(uri, "@")
	if private {
		uri = path
	}
	method, kind, body := http.MethodGet, "", []byte(nil)
	switch how {
	case "post":
		method, kind, body = http.MethodPost, "application/x-www-form-urlencoded", []byte(f[2])
	case "upload":
		size, err := strconv.Atoi(f[3])
		s.do(err)
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		part, err := w.CreateFormFile("file", f[2])
		s.do(err)
		_, err = part.Write(bytes.Repeat([]byte("\r\n--"), size/4))
		s.do(err)
		s.do(w.Close())
		method, kind, body = http.MethodPost, w.FormDataContentType(), form.Bytes()
	}
	status, text := f[fields-2], f[fields-1]

	client := http.Client{Timeout: chiptest.Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(s.Dir, "net", port))
		}}}
	request, err := http.NewRequestWithContext(s.t.Context(), method, "http://board"+uri, bytes.NewReader(body))
	s.do(err)
	if kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	if user, password, _ := strings.Cut(credential, ":"); private {
		request.SetBasicAuth(user, password)
	}
	response, err := client.Do(request)
	s.do(err)
	defer response.Body.Close()
	got, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	s.do(err)
	if strconv.Itoa(response.StatusCode) != status || !strings.Contains(string(got), text) {
		s.t.Errorf("%s %s: %s\n%s\nwant %s %q", how, rest, response.Status, got, status, text)
	}
}
