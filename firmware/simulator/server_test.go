package simulator

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

const (
	testBoard = "flota:virtual:esp32"
	testPoll  = 60 // seconds
)

// server is the artifact service as the protocol describes it, for one device or
// many that should have the same. It is reached as a http.RoundTripper, so that
// tests can let hours go by, or by a real listener.
type server struct {
	t             testing.TB
	first, second *ecdsa.PrivateKey

	mu      sync.Mutex
	devices map[string]deviceproto.Provision // by key_id
	nonces  map[string]bool
	offer   map[string]offered // by device
	tokens  map[string]offered // links that are good

	polls   []poll
	reports []deviceproto.Report
	images  []string // Range headers as asked
	fetched []int    // files of indexes

	// clock is how far the server's is ahead.
	clock time.Duration
	// before answers instead of the server, where it says so.
	before func(http.ResponseWriter, *http.Request) bool
	// after changes what the server has answered.
	after func(*http.Request, *http.Response)
}

type poll struct {
	at            time.Time
	etag, running string
}

type offered struct {
	signed deviceproto.Signed
	number int64
	image  []byte
	files  [][]byte // of an index
}

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, devices: map[string]deviceproto.Provision{}, nonces: map[string]bool{}, offer: map[string]offered{}, tokens: map[string]offered{}}
	s.first, s.second = newSigningKey(t), newSigningKey(t)
	return s
}

func newSigningKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// enrol makes a device that the server knows.
func (s *server) enrol(name string) deviceproto.Provision {
	p := deviceproto.Provision{
		Server: "http://flota.test", Workspace: "w1", Device: fmt.Sprintf("id%x", name), ProductID: name, Key: deviceproto.NewKey(), Board: testBoard,
		Keys: []string{deviceproto.FormatPublicKey(&s.first.PublicKey), deviceproto.FormatPublicKey(&s.second.PublicKey)},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices[deviceproto.KeyID(deviceproto.KeyHash(p.Key))] = p
	return p
}

// image is firmware of a size that is told from others by its seed.
func image(seed byte, size int) []byte {
	raw := make([]byte, size)
	for i := range raw {
		raw[i] = seed + byte(i*i>>7)
	}
	return raw
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// want makes a deployment what a device should have.
func (s *server) want(p deviceproto.Provision, number int64, image []byte, change ...func(*deviceproto.Statement)) {
	s.t.Helper()
	statement := deviceproto.Statement{
		Format: 1, Workspace: p.Workspace, Target: deviceproto.Target{Device: p.Device}, Board: p.Board,
		Release: "r", Version: fmt.Sprintf("v%d", number), Deployment: number,
		Parts: []deviceproto.Part{{Kind: deviceproto.KindApp, Size: int64(len(image)), SHA256: digest(image)}},
	}
	for _, c := range change {
		c(&statement)
	}
	payload, err := json.Marshal(statement)
	if err != nil {
		s.t.Fatal(err)
	}
	s.wantSigned(p, number, image, s.sign(s.first, payload))
}

func (s *server) sign(key *ecdsa.PrivateKey, payload []byte) deviceproto.Signed {
	s.t.Helper()
	signed, err := deviceproto.Sign(payload, key)
	if err != nil {
		s.t.Fatal(err)
	}
	return signed
}

func (s *server) wantSigned(p deviceproto.Provision, number int64, image []byte, signed deviceproto.Signed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offer[p.Device] = offered{signed, number, image, s.offer[p.Device].files}
}

// RoundTrip implements http.RoundTripper.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	r.RequestURI = r.URL.RequestURI()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code == noAnswer {
		return nil, errors.New("no answer")
	}
	res := w.Result()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.after != nil {
		s.after(r, res)
	}
	return res, nil
}

// noAnswer as a status stands for none.
const noAnswer = 999

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if image := s.serve(w, r); image != nil { // without the lock: it takes a device's time
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(image))
	}
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) (image []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case strings.HasPrefix(r.URL.Path, deviceproto.PathImage):
		s.images = append(s.images, r.Header.Get("Range"))
		if s.before == nil || !s.before(w, r) {
			token, part, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, deviceproto.PathImage), "/")
			wanted, ok := s.tokens[token]
			if !ok {
				w.WriteHeader(http.StatusForbidden)
			}
			if file, err := strconv.Atoi(part); err == nil {
				s.fetched = append(s.fetched, file)
				return wanted.files[file-1]
			}
			return wanted.image
		}
	case r.URL.Path == deviceproto.PathUpdate && r.Method == http.MethodGet:
		s.polls = append(s.polls, poll{time.Now(), r.Header.Get("If-None-Match"), r.Header.Get(deviceproto.HeaderRunning)})
		if s.before == nil || !s.before(w, r) {
			s.serveUpdate(w, r)
		}
	case r.URL.Path == deviceproto.PathReport && r.Method == http.MethodPost:
		if s.before == nil || !s.before(w, r) {
			s.serveReport(w, r)
		}
	default:
		s.t.Errorf("%s %s", r.Method, r.URL)
	}
	return nil
}

// authenticate checks who asks, as the protocol says, and answers where that fails.
func (s *server) authenticate(w http.ResponseWriter, r *http.Request, body []byte) (p deviceproto.Provision, ok bool) {
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
func answerTo(w http.ResponseWriter, r *http.Request, p deviceproto.Provision, status int, etag string, body []byte) {
	a := deviceproto.Answer{Nonce: r.Header.Get(deviceproto.HeaderNonce), Status: status, Poll: strconv.Itoa(testPoll), ETag: etag, Body: body}
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

func (s *server) serveUpdate(w http.ResponseWriter, r *http.Request) {
	p, ok := s.authenticate(w, r, nil)
	if !ok {
		return
	}
	none := http.StatusNoContent
	inm := r.Header.Get("If-None-Match")
	if inm != "" {
		none = http.StatusNotModified
	}
	wanted, ok := s.offer[p.Device]
	if !ok {
		answerTo(w, r, p, none, "", nil)
		return
	}
	etag := strconv.Quote(strconv.FormatInt(wanted.number, 10))
	if inm == etag || inm == "" && r.Header.Get(deviceproto.HeaderRunning) == digest(wanted.image) {
		answerTo(w, r, p, none, etag, nil)
		return
	}
	token := deviceproto.NewNonce()
	s.tokens[token] = wanted
	body, err := json.Marshal(deviceproto.Offer{Statement: wanted.signed, Link: deviceproto.PathImage + token})
	if err != nil {
		s.t.Error(err)
	}
	answerTo(w, r, p, http.StatusOK, etag, body)
}

func (s *server) serveReport(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	p, ok := s.authenticate(w, r, body)
	if !ok {
		return
	}
	report, err := deviceproto.ParseReport(body)
	if err != nil {
		s.t.Errorf("report %s: %v", body, fault.As(err))
	}
	s.reports = append(s.reports, report)
	answerTo(w, r, p, http.StatusNoContent, "", nil)
}

// kit is a device at a server, stepped by hand.
type kit struct {
	*server
	t       *testing.T
	p       deviceproto.Provision
	storage Storage
	options Options
	device  *Device
	lines   []string
}

func newKit(t *testing.T, change ...func(*Options)) *kit {
	t.Helper()
	s := newServer(t)
	k := &kit{server: s, t: t, p: s.enrol("bot_001"), storage: Disk{t.TempDir()}}
	k.options = Options{
		HTTP:  &http.Client{Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Print: func(line string) { k.lines = append(k.lines, line) },
	}
	for _, c := range change {
		c(&k.options)
	}
	k.boot()
	return k
}

// boot switches the device on (again): only what its storage holds is left.
func (k *kit) boot() {
	k.t.Helper()
	var err error
	if k.device, err = New(k.p, k.storage, k.options); err != nil {
		k.t.Fatal(err)
	}
	if err := k.device.boot(); err != nil {
		k.t.Fatal(err)
	}
}

// step does one round and returns how long the device waits then.
func (k *kit) step() time.Duration {
	k.t.Helper()
	wait, err := k.device.step(context.Background())
	if err != nil {
		k.t.Fatal(err)
	}
	return wait
}

// until lets the device run until something is so.
func (k *kit) until(what string, so func() bool) {
	k.t.Helper()
	for range 500 {
		wait := k.step()
		if so() {
			return
		}
		time.Sleep(wait)
	}
	k.t.Fatalf("still no %s:\n%s", what, strings.Join(k.lines, "\n"))
}

// confirmed runs until the device has confirmed a deployment.
func (k *kit) confirmed(number int64) {
	k.t.Helper()
	k.until(fmt.Sprintf("confirmation of %d", number), func() bool { return k.device.state.Decided == number && k.last() == "confirmed" })
}

func (k *kit) last() deviceproto.State {
	if len(k.reports) == 0 {
		return ""
	}
	return k.reports[len(k.reports)-1].State
}

// said are the reports that the server has, as "state:reason".
func (k *kit) said() string {
	var said []string
	for _, r := range k.reports {
		text := string(r.State)
		if r.Reason != "" {
			text += ":" + string(r.Reason)
		}
		if len(said) == 0 || said[len(said)-1] != text {
			said = append(said, text)
		}
	}
	return strings.Join(said, " ")
}

// isRunning checks what runs, and that the bytes on the disk are its bytes.
func (k *kit) isRunning(image []byte) {
	k.t.Helper()
	disk := k.storage.(Disk)
	state, err := disk.Load()
	if err != nil {
		k.t.Fatal(err)
	}
	if got := state.Slots[state.Active].SHA256; got != digest(image) {
		k.t.Errorf("%q runs, not %s:\n%s", got, digest(image), strings.Join(k.lines, "\n"))
	}
	if raw := k.slot(state.Active); !bytes.Equal(raw, image) {
		k.t.Errorf("the slot that runs holds %d other bytes", len(raw))
	}
}
