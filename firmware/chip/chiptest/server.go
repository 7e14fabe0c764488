package chiptest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

// Board is the board that enrolled devices are.
const Board = "flota:virtual:esp32"

// Server is the artifact service as the device protocol tells it, on a port of the
// loopback, for any number of devices. What it does by itself is right; its hooks and its
// network make it err. Its methods may be called from any goroutine.
type Server struct {
	URL string
	CA  string // PEM, of a server with TLS

	t       testing.TB
	http    *httptest.Server
	net     *Net
	refused refusals

	mu            sync.Mutex
	first, second *ecdsa.PrivateKey
	devices       map[string]deviceproto.Provision // by key ID
	nonces        map[string]bool
	offers        map[string]Offer // by device
	tokens        map[string]Offer
	clock         time.Duration
	poll          int
	before        func(http.ResponseWriter, *http.Request) bool
	polls         []Poll
	reports       []Report
	images        []string
	moved         chan struct{}
}

// Offer is what a device should have.
type Offer struct {
	Deployment int64
	Image      []byte   // the first part
	Files      [][]byte // that an index names, in its order
	Signed     deviceproto.Signed
}

// part is the one that a link names behind its token: "" the first, "/1" the one behind it.
func (o Offer) part(number string) []byte {
	if number == "" || number == "/0" {
		return o.Image
	}
	if i, err := strconv.Atoi(strings.TrimPrefix(number, "/")); err == nil && i > 0 && i <= len(o.Files) {
		return append([]byte{}, o.Files[i-1]...)
	}
	return nil
}

// Poll is a poll that was answered, or refused.
type Poll struct {
	At                   time.Time
	Device               string // empty where it is not known
	ETag, Running, Clock string
}

// Report is a report that was stored.
type Report struct {
	Device string
	deviceproto.Report
}

// NewServer starts a server, which ends with the test. It asks to be polled every second.
func NewServer(t testing.TB) *Server {
	s := newServer(t)
	s.http.Start()
	s.URL = s.http.URL
	return s
}

// NewTLSServer starts one with TLS at the name localhost, and an authority of its own. (mbedTLS
// 2.28 knows certificates of names only, not of addresses.)
func NewTLSServer(t testing.TB) *Server {
	s := newServer(t)
	authority, leaf := newCertificate(t)
	s.http.TLS = &tls.Config{Certificates: []tls.Certificate{leaf}}
	s.http.StartTLS()
	_, port, err := net.SplitHostPort(s.net.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "https://localhost:" + port
	s.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority}))
	return s
}

// newCertificate makes an authority, and a certificate of its for localhost.
func newCertificate(t testing.TB) (authority []byte, leaf tls.Certificate) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key := NewSigningKey(t)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "chiptest"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	authority, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	must(err)
	signer, err := x509.ParseCertificate(authority)
	must(err)
	own := NewSigningKey(t)
	template.IsCA, template.SerialNumber, template.Subject, template.DNSNames = false, big.NewInt(2), pkix.Name{}, []string{"localhost"}
	raw, err := x509.CreateCertificate(rand.Reader, &template, signer, &own.PublicKey, key)
	must(err)
	return authority, tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: own}
}

// UntilRefused waits until so many devices (or one, again and again) found the certificate wrong.
func (s *Server) UntilRefused(times int) {
	s.t.Helper()
	from := s.refused.Load()
	s.Until("refused certificate", func() bool { return s.refused.Load() >= from+int64(times) })
}

// Write counts what the HTTP server says of broken handshakes, and passes over the rest.
func (s *refusals) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("bad certificate")) || bytes.Contains(line, []byte("unknown certificate authority")) {
		s.Add(1)
	}
	return len(line), nil
}

type refusals struct{ atomic.Int64 }

func newServer(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		t: t, devices: map[string]deviceproto.Provision{}, nonces: map[string]bool{}, poll: 1,
		offers: map[string]Offer{}, tokens: map[string]Offer{}, moved: make(chan struct{}),
	}
	s.first, s.second = NewSigningKey(t), NewSigningKey(t)
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = log.New(&s.refused, "", 0)
	s.net = &Net{Listener: s.http.Listener}
	s.http.Listener = s.net
	t.Cleanup(func() {
		s.net.Set(Link{Down: true}) // so that nothing is waited for
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// NewSigningKey makes a key for statements.
func NewSigningKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Net is the network in front of the server.
func (s *Server) Net() *Net { return s.net }

// Keys are the two that its devices trust; it signs with the first.
func (s *Server) Keys() (first, second *ecdsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, s.second
}

// SetKeys changes what it signs with, and what devices enrolled from now on trust.
func (s *Server) SetKeys(first, second *ecdsa.PrivateKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first, s.second = first, second
}

// Enrol makes a device that the server knows.
func (s *Server) Enrol(name string) deviceproto.Provision {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := deviceproto.Provision{
		Server: s.URL, Workspace: "w1", Device: "id" + strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name)), ProductID: name,
		Key: deviceproto.NewKey(), Board: Board, CA: s.CA,
		Keys: []string{deviceproto.FormatPublicKey(&s.first.PublicKey), deviceproto.FormatPublicKey(&s.second.PublicKey)},
	}
	s.devices[deviceproto.KeyID(deviceproto.KeyHash(p.Key))] = p
	return p
}

// Revoke makes a device's key void.
func (s *Server) Revoke(p deviceproto.Provision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.devices, deviceproto.KeyID(deviceproto.KeyHash(p.Key)))
}

// Restore makes it good again.
func (s *Server) Restore(p deviceproto.Provision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices[deviceproto.KeyID(deviceproto.KeyHash(p.Key))] = p
}

// Want makes an image what a device should have, under a deployment's number; change may
// make the statement another before it is signed.
func (s *Server) Want(p deviceproto.Provision, deployment int64, image []byte, change ...func(*deviceproto.Statement)) {
	s.t.Helper()
	st := deviceproto.Statement{
		Format: 1, Workspace: p.Workspace, Target: deviceproto.Target{Device: p.Device}, Board: p.Board,
		Release: "r" + strconv.FormatInt(deployment, 10), Version: fmt.Sprintf("v%d", deployment), Deployment: deployment,
		Parts: []deviceproto.Part{{Kind: deviceproto.KindApp, Size: int64(len(image)), SHA256: Digest(image)}},
	}
	for _, c := range change {
		c(&st)
	}
	first, _ := s.Keys()
	s.WantSigned(p, Offer{Deployment: deployment, Image: image, Signed: s.Sign(st, first)})
}

// WantFiles is Want for a release of files, by their paths: its one part is their index, which it gives.
func (s *Server) WantFiles(p deviceproto.Provision, deployment int64, files map[string][]byte, change ...func(*deviceproto.Statement)) (index []byte) {
	s.t.Helper()
	index, parts := Index(s.t, files)
	st := deviceproto.Statement{
		Format: 1, Workspace: p.Workspace, Target: deviceproto.Target{Device: p.Device}, Board: p.Board,
		Release: "r" + strconv.FormatInt(deployment, 10), Version: fmt.Sprintf("v%d", deployment), Deployment: deployment,
		Parts: []deviceproto.Part{{Kind: deviceproto.KindIndex, Size: int64(len(index)), SHA256: Digest(index)}},
	}
	for _, c := range change {
		c(&st)
	}
	first, _ := s.Keys()
	s.WantSigned(p, Offer{Deployment: deployment, Image: index, Files: parts, Signed: s.Sign(st, first)})
	return index
}

// Index is the index of files, and these in its order.
func Index(t testing.TB, files map[string][]byte) (index []byte, inOrder [][]byte) {
	t.Helper()
	var parts []deviceproto.Part
	for path, file := range files {
		parts = append(parts, deviceproto.Part{Kind: deviceproto.KindFile, Path: path, Size: int64(len(file)), SHA256: Digest(file)})
	}
	index, err := deviceproto.Index(parts)
	if err != nil {
		t.Fatal(err)
	}
	if parts, err = deviceproto.ParseIndex(index, nil); err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		inOrder = append(inOrder, files[p.Path])
	}
	return index, inOrder
}

// Sign signs a statement, whatever it says.
func (s *Server) Sign(st deviceproto.Statement, key *ecdsa.PrivateKey) deviceproto.Signed {
	s.t.Helper()
	payload, err := json.Marshal(st)
	if err != nil {
		s.t.Fatal(err)
	}
	signed, err := deviceproto.Sign(payload, key)
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

// WantSigned is Want for an offer as it is.
func (s *Server) WantSigned(p deviceproto.Provision, o Offer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offers[p.Device] = o
}

// Resign offers what a device should have under another signature, of whomever.
func (s *Server) Resign(p deviceproto.Provision, signed deviceproto.Signed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	offer := s.offers[p.Device]
	offer.Signed = signed
	s.offers[p.Device] = offer
}

// WantNothing takes back what a device should have.
func (s *Server) WantNothing(p deviceproto.Provision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.offers, p.Device)
}

// SetPoll is when devices shall poll next, in seconds.
func (s *Server) SetPoll(seconds int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poll = seconds
}

// SetClock is how far the server's clock is ahead of the machine's.
func (s *Server) SetClock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = ahead
}

// ExpireLinks makes every link that was given out so far one that is too old.
func (s *Server) ExpireLinks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Before sets what is asked before the server answers: true says that it has answered
// itself. nil: nothing.
func (s *Server) Before(answer func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = answer
}

// Status is an answer for Before.
func Status(code int, header ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		return true
	}
}

// Polls are those that came, Reports those that were stored, Images the Range headers of
// the downloads.
func (s *Server) Polls() []Poll {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Poll(nil), s.polls...)
}

// Reports are those that were stored.
func (s *Server) Reports() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Report(nil), s.reports...)
}

// Images are the Range headers of the downloads, empty where there was none.
func (s *Server) Images() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.images...)
}

// Said are a device's reports, as "deployment state" or "deployment state:reason",
// repetitions left out.
func (s *Server) Said(p deviceproto.Provision) (said []string) {
	for _, r := range s.Reports() {
		text := fmt.Sprintf("%d %s", r.Deployment, r.State)
		if r.Reason != "" {
			text += ":" + string(r.Reason)
		}
		if r.Device == p.Device && (len(said) == 0 || said[len(said)-1] != text) {
			said = append(said, text)
		}
	}
	return said
}

// Moved is closed at the next poll, report or download.
func (s *Server) Moved() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}

// Until waits until something is so, asking whenever a device asked something; the test
// fails where that takes longer than Patience.
func (s *Server) Until(what string, so func() bool) {
	s.t.Helper()
	deadline := time.After(Patience)
	for {
		moved := s.Moved()
		if so() {
			return
		}
		select {
		case <-moved:
		case <-time.After(50 * time.Millisecond):
		case <-deadline:
			s.t.Fatalf("still no %s; polls %d, downloads %q, reports %+v", what, len(s.Polls()), s.Images(), s.Reports())
		}
	}
}

// UntilSaid waits for a report, as in Said.
func (s *Server) UntilSaid(p deviceproto.Provision, text string) {
	s.t.Helper()
	s.Until(fmt.Sprintf("report %q", text), func() bool {
		for _, said := range s.Said(p) {
			if said == text {
				return true
			}
		}
		return false
	})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 8192))
	if err != nil {
		return
	}
	s.mu.Lock()
	before := s.before
	s.note(r)
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if image := s.serve(w, r, body); image != nil { // without the lock: it takes a device's time
		w.Header().Set("ETag", strconv.Quote(Digest(image)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(image))
	}
}

func (s *Server) note(r *http.Request) {
	switch {
	case r.URL.Path == deviceproto.PathUpdate:
		keyID, _, _ := deviceproto.ParseAuthorization(r.Header.Get("Authorization"))
		s.polls = append(s.polls, Poll{
			At: time.Now(), Device: s.devices[keyID].Device, ETag: r.Header.Get("If-None-Match"),
			Running: r.Header.Get(deviceproto.HeaderRunning), Clock: r.Header.Get(deviceproto.HeaderTime),
		})
	case strings.HasPrefix(r.URL.Path, deviceproto.PathImage):
		s.images = append(s.images, r.Header.Get("Range"))
	}
	s.wake()
}

func (s *Server) wake() {
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, body []byte) (image []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, deviceproto.PathImage):
		link := strings.TrimPrefix(r.URL.Path, deviceproto.PathImage)
		token, _, _ := strings.Cut(link, "/")
		wanted, ok := s.tokens[token]
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			return nil
		}
		if image = wanted.part(strings.TrimPrefix(link, token)); image == nil {
			w.WriteHeader(http.StatusNotFound)
		}
		return image
	case r.URL.Path == deviceproto.PathUpdate && r.Method == http.MethodGet:
		s.serveUpdate(w, r)
	case r.URL.Path == deviceproto.PathReport && r.Method == http.MethodPost:
		s.serveReport(w, r, body)
	default:
		s.t.Errorf("%s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
	}
	return nil
}

// authenticate checks who asks, and answers where that fails.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, body []byte) (p deviceproto.Provision, ok bool) {
	h := r.Header
	nonce := h.Get(deviceproto.HeaderNonce)
	if !deviceproto.ValidNonce(nonce) || s.nonces[nonce] {
		s.t.Errorf("nonce %q is not one, or was used before", nonce)
	}
	s.nonces[nonce] = true
	keyID, mac, formed := deviceproto.ParseAuthorization(h.Get("Authorization"))
	p, known := s.devices[keyID]
	signed := deviceproto.Request{
		Method: r.Method, Path: r.RequestURI, Nonce: nonce, Time: h.Get(deviceproto.HeaderTime),
		Running: h.Get(deviceproto.HeaderRunning), ETag: h.Get("If-None-Match"), Body: body,
	}
	if !formed || !known || !deviceproto.VerifyRequest(deviceproto.KeyHash(p.Key), signed, mac) {
		w.WriteHeader(http.StatusUnauthorized)
		return p, false
	}
	if now := time.Now().Add(s.clock); !deviceproto.Fresh(signed.Time, now) {
		w.Header().Set(deviceproto.HeaderClock, strconv.FormatInt(now.Unix(), 10))
		w.WriteHeader(http.StatusUnauthorized)
		return p, false
	}
	return p, true
}

// answer gives an answer that proves to be the server's.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, p deviceproto.Provision, status int, etag string, body []byte) {
	a := deviceproto.Answer{
		Nonce: r.Header.Get(deviceproto.HeaderNonce), Status: status, Poll: strconv.Itoa(s.poll), ETag: etag, Body: body,
	}
	h := w.Header()
	h.Set(deviceproto.HeaderPoll, a.Poll)
	h.Set(deviceproto.HeaderMAC, deviceproto.AnswerMAC(deviceproto.KeyHash(p.Key), a))
	if etag != "" {
		h.Set("ETag", etag)
	}
	if len(body) > 0 {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (s *Server) serveUpdate(w http.ResponseWriter, r *http.Request) {
	p, ok := s.authenticate(w, r, nil)
	if !ok {
		return
	}
	none := http.StatusNoContent
	decided := r.Header.Get("If-None-Match")
	if decided != "" {
		none = http.StatusNotModified
	}
	wanted, ok := s.offers[p.Device]
	if !ok {
		s.answer(w, r, p, none, "", nil)
		return
	}
	etag := strconv.Quote(strconv.FormatInt(wanted.Deployment, 10))
	if decided == etag || decided == "" && r.Header.Get(deviceproto.HeaderRunning) == Digest(wanted.Image) {
		s.answer(w, r, p, none, etag, nil)
		return
	}
	token := deviceproto.NewNonce()
	s.tokens[token] = wanted
	body, err := json.Marshal(deviceproto.Offer{Statement: wanted.Signed, Link: deviceproto.PathImage + token})
	if err != nil {
		s.t.Error(err)
	}
	s.answer(w, r, p, http.StatusOK, etag, body)
}

func (s *Server) serveReport(w http.ResponseWriter, r *http.Request, body []byte) {
	p, ok := s.authenticate(w, r, body)
	if !ok {
		return
	}
	report, err := deviceproto.ParseReport(body)
	if err != nil {
		s.t.Errorf("report %s: %v", body, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.reports = append(s.reports, Report{p.Device, report})
	s.wake()
	s.answer(w, r, p, http.StatusNoContent, "", nil)
}

// Net is a listener whose connections fare as they are told.
type Net struct {
	net.Listener
	mu   sync.Mutex
	link Link
	all  map[*conn]struct{}
}

// Link is how a network fares.
type Link struct {
	// Down: connections are closed as soon as they are there, those that are there at once.
	Down bool
	// Silent: nothing goes either way, and nothing ends.
	Silent bool
	// BytesPerSecond that the server sends over each connection; 0: no limit.
	BytesPerSecond int
	// CutAfter so many bytes that the server sent, over all connections from now on, each is
	// closed, and the network is whole again; 0: never.
	CutAfter int
}

// Set changes how the network fares from now on.
func (n *Net) Set(l Link) {
	n.mu.Lock()
	n.link = l
	var closing []*conn
	if l.Down {
		for c := range n.all {
			closing = append(closing, c)
		}
	}
	n.mu.Unlock()
	for _, c := range closing {
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (n *Net) Accept() (net.Conn, error) {
	for {
		raw, err := n.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: raw, net: n, closed: make(chan struct{})}
		n.mu.Lock()
		down := n.link.Down
		if !down {
			if n.all == nil {
				n.all = map[*conn]struct{}{}
			}
			n.all[c] = struct{}{}
		}
		n.mu.Unlock()
		if !down {
			return c, nil
		}
		raw.Close()
	}
}

type conn struct {
	net.Conn
	net    *Net
	once   sync.Once
	closed chan struct{}
}

func (c *conn) Close() error {
	c.once.Do(func() {
		c.net.mu.Lock()
		delete(c.net.all, c)
		c.net.mu.Unlock()
		close(c.closed)
	})
	return c.Conn.Close()
}

// pass waits until something may go, and says how much of it.
func (c *conn) pass(size int) (allowed int, pause time.Duration, cut bool) {
	for {
		c.net.mu.Lock()
		link := c.net.link
		if !link.Silent {
			allowed = size
			if link.BytesPerSecond > 0 {
				allowed = min(allowed, max(1, link.BytesPerSecond/50))
				pause = time.Duration(allowed) * time.Second / time.Duration(link.BytesPerSecond)
			}
			if link.CutAfter > 0 {
				allowed = min(allowed, link.CutAfter)
				if c.net.link.CutAfter -= allowed; c.net.link.CutAfter == 0 {
					cut = true
				}
			}
			c.net.mu.Unlock()
			return allowed, pause, cut
		}
		c.net.mu.Unlock()
		select {
		case <-c.closed:
			return 0, 0, true
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (c *conn) Write(p []byte) (n int, err error) {
	for n < len(p) {
		allowed, pause, cut := c.pass(len(p) - n)
		m, err := c.Conn.Write(p[n : n+allowed])
		n += m
		if err != nil {
			return n, err
		}
		if cut {
			_ = c.Close()
			return n, net.ErrClosed
		}
		if pause > 0 {
			select {
			case <-c.closed:
				return n, net.ErrClosed
			case <-time.After(pause):
			}
		}
	}
	return n, nil
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for err == nil {
		c.net.mu.Lock()
		silent := c.net.link.Silent
		c.net.mu.Unlock()
		if !silent {
			break
		}
		select {
		case <-c.closed:
			return 0, net.ErrClosed
		case <-time.After(10 * time.Millisecond):
		}
	}
	return n, err
}
