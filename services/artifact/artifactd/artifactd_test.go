package artifactd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/httpserve"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/artifact"
	"github.com/flota/flota/services/artifact/artifactd"
	"github.com/flota/flota/services/artifact/artifacttest"
)

const (
	serviceKey = "1111111111111111111111111111111111111111111111111111111111111111"
	sealKey    = "2222222222222222222222222222222222222222222222222222222222222222"
)

// system is the whole service on a real NATS server, with its neighbours' hands.
type system struct {
	t      *testing.T
	nats   *bustest.NATS
	auth   *bus.Conn
	fleet  *bus.Conn
	editor *bus.Conn
	blobs  *artifacttest.Blobs
	url    string
}

func start(t *testing.T, nats *bustest.NATS) *system {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, nats: nats, blobs: &artifacttest.Blobs{}, url: "http://" + listener.Addr().String()}
	s.auth, s.fleet, s.editor = nats.Connect(flow.Auth), nats.Connect(flow.Fleet), nats.Connect(flow.Editor)
	internal, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	conn := nats.Connect(flow.Artifact)
	db := artifacttest.DB(t)
	go func() {
		done <- artifactd.Run(ctx, artifactd.Config{
			ServiceKey: serviceKey, DeviceSealKey: config.Secret(sealKey), InternalURL: *internal, CacheMiB: 1, Poll: time.Minute,
		}, artifactd.Deps{
			Log: zap.NewNop(), Bus: conn, DB: db, Blobs: s.blobs,
			Serve: func(ctx context.Context, h http.Handler) error {
				return httpserve.Serve(ctx, listener, h, httpserve.Options{})
			},
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the service ended with %v", err)
		}
	})
	return s
}

// enroll publishes a device's credential as auth does.
func (s *system) enroll(id, key string) {
	s.t.Helper()
	raw, err := hex.DecodeString(sealKey)
	if err != nil {
		s.t.Fatal(err)
	}
	box, err := secret.NewBox(raw)
	if err != nil {
		s.t.Fatal(err)
	}
	hash := deviceproto.KeyHash(key)
	must(s.t, bus.Put(s.t.Context(), s.auth, flow.DeviceKeys, id, &authv1.DeviceKey{
		Device: id, Workspace: vectors.Workspace, ProductId: vectors.ProductID,
		SealedKeyHash: box.Seal(hash[:], []byte(id)), KeyId: deviceproto.KeyID(hash),
	}))
}

// deploy publishes a deployment as fleet does.
func (s *system) deploy(device string, number int64, sha256 string, size int) {
	s.t.Helper()
	must(s.t, bus.Put(s.t.Context(), s.fleet, flow.Deployments, flow.Key(vectors.Workspace, strconv.FormatInt(number, 10)), &fleetv1.Deployment{
		Workspace: vectors.Workspace, Number: number, Payload: []byte("{}"), Kid: "0123456789abcdef", Signature: make([]byte, 64),
		Parts: []*fleetv1.Part{{Kind: deviceproto.KindApp, Size: uint64(size), Sha256: sha256}}, PollS: 5,
	}))
	must(s.t, bus.Put(s.t.Context(), s.fleet, flow.Refs, device, &fleetv1.DeviceRef{Device: device, Workspace: vectors.Workspace, Deployment: number}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *system) send(method, url string, header http.Header, body []byte) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, bytes.NewReader(body))
	must(s.t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	res, err := http.DefaultClient.Do(r)
	must(s.t, err)
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	must(s.t, err)
	return answer{res.StatusCode, res.Header, got}
}

// device sends a signed request, with this nonce or a new one.
func (s *system) device(key, method, path, body, nonce string) answer {
	s.t.Helper()
	if nonce == "" {
		nonce = deviceproto.NewNonce()
	}
	hash := deviceproto.KeyHash(key)
	r := deviceproto.Request{Method: method, Path: path, Nonce: nonce, Time: strconv.FormatInt(time.Now().Unix(), 10), Body: []byte(body)}
	return s.send(method, s.url+path, http.Header{
		"Authorization":         {deviceproto.Authorization(deviceproto.KeyID(hash), deviceproto.RequestMAC(hash, r))},
		deviceproto.HeaderNonce: {nonce}, deviceproto.HeaderTime: {r.Time},
	}, []byte(body))
}

func (s *system) poll(key string) answer {
	return s.device(key, "GET", deviceproto.PathUpdate, "", "")
}

// eventually waits until a condition holds.
func (s *system) eventually(what string, within time.Duration, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(within); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// links asks for links as the editor does; the service may be starting.
func (s *system) links(q *artifactv1.LinksRequest) (a *artifactv1.LinksResponse, err error) {
	s.t.Helper()
	s.eventually("links are made", 10*time.Second, func() bool {
		a, err = bus.Do(s.t.Context(), s.editor, flow.Links, q)
		return !fault.Is(err, fault.Unavailable)
	})
	return a, err
}

// upload stores bytes as a worker does.
func (s *system) upload(workspace, build string, content []byte) string {
	s.t.Helper()
	links, err := s.links(&artifactv1.LinksRequest{Workspace: workspace, Want: &artifactv1.LinksRequest_Upload{
		Upload: &artifactv1.Upload{Build: build, Attempt: 1, DeadlineMs: time.Now().Add(time.Minute).UnixMilli()},
	}})
	must(s.t, err)
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	if a := s.send(http.MethodPut, links.GetUrl()+"/"+digest, nil, content); a.status != 201 {
		s.t.Fatalf("upload: %d %s", a.status, a.body)
	}
	return digest
}

// From upload to check-in, with everything in between.
func TestWholeService(t *testing.T) {
	s := start(t, bustest.Server(t))
	image := vectors.Image("built by the farm")
	digest := s.upload(vectors.Workspace, "b1", image)
	s.enroll(vectors.DeviceID, vectors.Key)
	s.eventually("the device is known", 5*time.Second, func() bool { return s.poll(vectors.Key).status == 204 })
	s.deploy(vectors.DeviceID, vectors.Deployment, digest, len(image))
	var a answer
	s.eventually("an update is offered", 5*time.Second, func() bool { a = s.poll(vectors.Key); return a.status == 200 })
	if a.header.Get(deviceproto.HeaderPoll) != "5" {
		t.Errorf("poll again in %s", a.header.Get(deviceproto.HeaderPoll))
	}
	offer, err := deviceproto.ParseOffer(a.body)
	must(t, err)
	if got := s.send("GET", s.url+offer.Link, nil, nil); got.status != 200 || !bytes.Equal(got.body, image) {
		t.Errorf("image: %d", got.status)
	}

	reported := make(chan *artifactv1.DeviceReported, 10)
	seen := make(chan *artifactv1.Seen, 100)
	go bus.Handle(t.Context(), s.fleet, flow.TakeReported, bus.NewSlots(1), func(_ context.Context, m bus.Message[*artifactv1.DeviceReported]) error {
		reported <- m.Body
		return nil
	})
	go bus.Handle(t.Context(), s.fleet, flow.TakeSeen, bus.NewSlots(1), func(_ context.Context, m bus.Message[*artifactv1.SeenBatch]) error {
		for _, one := range m.Body.GetSeen() {
			seen <- one
		}
		return nil
	})
	nonce := deviceproto.NewNonce()
	for range 2 { // a replay is acknowledged and dropped
		if a := s.device(vectors.Key, "POST", deviceproto.PathReport, `{"deployment":1795312800,"state":"confirmed","rssi":-61}`, nonce); a.status != 204 {
			t.Fatalf("report: %d %s", a.status, a.body)
		}
	}
	if r := <-reported; r.GetDevice() != vectors.DeviceID || r.GetWorkspace() != vectors.Workspace || r.GetState() != "confirmed" || r.GetDeployment() != vectors.Deployment || r.GetRssi() != -61 {
		t.Errorf("reported %v", r)
	}
	if one := <-seen; one.GetDevice() != vectors.DeviceID || one.GetAddress() != "127.0.0.1" || one.GetLooping() {
		t.Errorf("seen %v", one)
	}
	if len(reported) != 0 {
		t.Error("a replayed report came twice")
	}

	// A revoked key stops working, and so do its links.
	must(t, bus.Remove(t.Context(), s.auth, flow.DeviceKeys, vectors.DeviceID))
	s.eventually("the key is void", 5*time.Second, func() bool { return s.poll(vectors.Key).status == 401 })
	if got := s.send("GET", s.url+offer.Link, nil, nil); got.status != 403 {
		t.Errorf("its link: %d", got.status)
	}
}

// Without NATS devices go on, and a report is not acknowledged; afterwards
// everything goes on by itself.
func TestOutageOfNATS(t *testing.T) {
	s := start(t, bustest.Server(t))
	s.enroll(vectors.DeviceID, vectors.Key)
	s.eventually("the device is known", 5*time.Second, func() bool { return s.poll(vectors.Key).status == 204 })
	const report = `{"deployment":1,"state":"failed"}`

	s.nats.Stop()
	for range 3 {
		if a := s.poll(vectors.Key); a.status != 204 || a.header.Get(deviceproto.HeaderMAC) == "" {
			t.Errorf("poll: %d", a.status)
		}
	}
	if a := s.device(vectors.Key, "POST", deviceproto.PathReport, report, ""); a.status != 503 || a.header.Get("Retry-After") == "" || a.header.Get(deviceproto.HeaderMAC) != "" {
		t.Errorf("report: %d %v", a.status, a.header)
	}
	if a := s.send("GET", s.url+"/readyz", nil, nil); a.status != 200 {
		t.Errorf("readiness: %d", a.status)
	}
	s.nats.Start()
	s.eventually("reports are stored again", 10*time.Second, func() bool {
		return s.device(vectors.Key, "POST", deviceproto.PathReport, report, "").status == 204
	})
	s.eventually("auth is connected again", 10*time.Second, func() bool {
		return bus.Remove(t.Context(), s.auth, flow.DeviceKeys, vectors.DeviceID) == nil
	})
	s.eventually("a revocation arrives again", 5*time.Second, func() bool { return s.poll(vectors.Key).status == 401 })
}

// An instance that has not read the buckets knows nobody and says so.
func TestBeforeTheBuckets(t *testing.T) {
	nats := bustest.Empty(t)
	s := start(t, nats)
	s.eventually("it answers", 5*time.Second, func() bool { return s.poll(vectors.Key).status == 503 })
	if a := s.poll(vectors.Key); a.header.Get("Retry-After") == "" {
		t.Errorf("%v", a.header)
	}
	if a := s.send("GET", s.url+"/readyz", nil, nil); a.status != 503 {
		t.Errorf("readiness: %d", a.status)
	}
	nats.Ensure()
	s.eventually("it knows that there is nobody", 10*time.Second, func() bool { return s.poll(vectors.Key).status == 401 })
}

// Credentials that were not sealed for this device open nothing.
func TestSealedKeys(t *testing.T) {
	s := start(t, bustest.Server(t))
	s.enroll(vectors.DeviceID, vectors.Key)
	s.eventually("the device is known", 5*time.Second, func() bool { return s.poll(vectors.Key).status == 204 })

	raw, err := hex.DecodeString(sealKey)
	must(t, err)
	box, err := secret.NewBox(raw)
	must(t, err)
	hash := deviceproto.KeyHash(vectors.OtherKey)
	must(t, bus.Put(t.Context(), s.auth, flow.DeviceKeys, vectors.DeviceID, &authv1.DeviceKey{
		Device: vectors.DeviceID, Workspace: vectors.Workspace, ProductId: vectors.ProductID,
		SealedKeyHash: box.Seal(hash[:], []byte("another device")), KeyId: deviceproto.KeyID(hash),
	}))
	s.eventually("the old key is void", 5*time.Second, func() bool { return s.poll(vectors.Key).status == 401 })
	if a := s.poll(vectors.OtherKey); a.status != 401 {
		t.Errorf("a key sealed for another device: %d", a.status)
	}
}

func TestDownloads(t *testing.T) {
	s := start(t, bustest.Server(t))
	content := bytes.Repeat([]byte("firmware "), 1000)
	digest := s.upload("w1", "b1", content)
	download := func(workspace string) (string, error) {
		links, err := s.links(&artifactv1.LinksRequest{Workspace: workspace, Want: &artifactv1.LinksRequest_Download{
			Download: &artifactv1.Download{Sha256: digest, Name: "blink é.bin", ValidS: 60},
		}})
		return s.url + links.GetUrl(), err
	}
	link, err := download("w1")
	must(t, err)
	if _, err := download("w2"); !fault.Is(err, fault.NotFound) {
		t.Errorf("another workspace: %v", err)
	}
	if _, err := s.links(&artifactv1.LinksRequest{Workspace: "w1"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("nothing wanted: %v", err)
	}

	a := s.send("GET", link, nil, nil)
	if a.status != 200 || !bytes.Equal(a.body, content) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for name, want := range map[string]string{
		"Content-Disposition": "attachment; filename*=utf-8''blink%20%C3%A9.bin", "Content-Type": "application/octet-stream",
		"X-Content-Type-Options": "nosniff", "ETag": `"` + digest + `"`, "Content-Length": "9000",
		"Cache-Control": "private, no-cache",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if a := s.send("HEAD", link, nil, nil); a.status != 200 || a.header.Get("Content-Length") != "9000" {
		t.Errorf("HEAD: %d", a.status)
	}
	if a := s.send("GET", link, http.Header{"Range": {"bytes=0-7"}}, nil); a.status != 206 || string(a.body) != "firmware" {
		t.Errorf("range: %d %s", a.status, a.body)
	}
	// It is a bearer link: who else comes along is not asked.
	if a := s.send("GET", link, http.Header{"Authorization": {"Bearer somebody"}, "Cookie": {"flota=somebody"}}, nil); a.status != 200 {
		t.Errorf("with a session of whomever: %d %s", a.status, a.body)
	}
}

func TestUploads(t *testing.T) {
	s := start(t, bustest.Server(t))
	links, err := s.links(&artifactv1.LinksRequest{Workspace: "w1", Want: &artifactv1.LinksRequest_Upload{
		Upload: &artifactv1.Upload{Build: "b1", Attempt: 2, DeadlineMs: time.Now().Add(time.Minute).UnixMilli()},
	}})
	must(t, err)
	sum := sha256.Sum256([]byte("firmware"))
	digest := hex.EncodeToString(sum[:])
	for what, test := range map[string]struct {
		url    string
		body   string
		status int
		code   string
	}{
		"right":           {links.GetUrl() + "/" + digest, "firmware", 201, ""},
		"a second time":   {links.GetUrl() + "/" + digest, "firmware", 201, ""},
		"another digest":  {links.GetUrl() + "/" + strings.Repeat("0", 64), "firmware", 400, "invalid"},
		"no digest":       {links.GetUrl() + "/abc", "firmware", 400, "invalid"},
		"tampered":        {strings.Replace(links.GetUrl(), "/up/", "/up/A", 1) + "/" + digest, "firmware", 403, "forbidden"},
		"upper-case path": {links.GetUrl() + "/" + strings.ToUpper(digest), "firmware", 400, "invalid"},
	} {
		a := s.send("PUT", test.url, nil, []byte(test.body))
		if a.status != test.status || !bytes.Contains(a.body, []byte(test.code)) {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}

	// Too large is refused before it is sent.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, links.GetUrl()+"/"+digest, io.LimitReader(zeros{}, artifact.MaxOutput+1))
	must(t, err)
	r.ContentLength = artifact.MaxOutput + 1
	r.Header.Set("Expect", "100-continue")
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", res.StatusCode)
	}

	if _, err := s.links(&artifactv1.LinksRequest{Workspace: "w1", Want: &artifactv1.LinksRequest_Upload{
		Upload: &artifactv1.Upload{Build: "b1", Attempt: 2, DeadlineMs: time.Now().Add(-time.Second).UnixMilli()},
	}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a deadline that is over: %v", err)
	}
	short, err := s.links(&artifactv1.LinksRequest{Workspace: "w1", Want: &artifactv1.LinksRequest_Upload{
		Upload: &artifactv1.Upload{Build: "b1", Attempt: 2, DeadlineMs: time.Now().Add(1200 * time.Millisecond).UnixMilli()},
	}})
	must(t, err)
	s.eventually("the upload link expires", 5*time.Second, func() bool {
		a := s.send("PUT", short.GetUrl()+"/"+digest, nil, []byte("firmware"))
		return a.status == 403 && bytes.Contains(a.body, []byte(`"code":"expired"`))
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestConfigIsChecked(t *testing.T) {
	good := artifactd.Config{ServiceKey: serviceKey, DeviceSealKey: sealKey, InternalURL: url.URL{Scheme: "http", Host: "h"}, Poll: time.Minute}
	for name, change := range map[string]func(*artifactd.Config){
		"FLOTA_SERVICE_KEY":     func(c *artifactd.Config) { c.ServiceKey = "short" },
		"FLOTA_DEVICE_SEAL_KEY": func(c *artifactd.Config) { c.DeviceSealKey = "" },
		"FLOTA_POLL":            func(c *artifactd.Config) { c.Poll = 0 },
		"FLOTA_INTERNAL_URL":    func(c *artifactd.Config) { c.InternalURL = url.URL{} },
	} {
		cfg := good
		change(&cfg)
		if err := artifactd.Run(t.Context(), cfg, artifactd.Deps{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
