package deviceapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve/problem"
	"github.com/flota/flota/pkg/link"
	"github.com/flota/flota/services/artifact"
	"github.com/flota/flota/services/artifact/artifacttest"
	"github.com/flota/flota/services/artifact/content"
	"github.com/flota/flota/services/artifact/deviceapi"
	"github.com/flota/flota/services/artifact/store"
)

const folder = "../../../firmware/vectors"

// kit is a device API on a real port, with what it stands on.
type kit struct {
	t         testing.TB
	options   deviceapi.Options
	model     *artifact.Model
	blobs     *artifacttest.Blobs
	catalog   *store.Store
	reports   *reports
	sightings *artifact.Sightings
	server    *httptest.Server
	now       time.Time
}

// reports remembers what was published.
type reports struct {
	mu   sync.Mutex
	got  []deviceproto.Report
	ids  []string
	down bool
}

func (r *reports) Publish(_ context.Context, d *artifact.Device, _ time.Time, nonce string, report deviceproto.Report) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return fault.New(fault.Unavailable, "the message bus does not answer")
	}
	r.got, r.ids = append(r.got, report), append(r.ids, d.ID+"."+nonce)
	return nil
}

func (r *reports) all() ([]deviceproto.Report, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got, r.ids
}

// newKit starts a server; change may change its options before.
func newKit(t testing.TB, change ...func(*deviceapi.Options)) *kit {
	t.Helper()
	catalog, err := store.Open(t.Context(), artifacttest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{
		t: t, model: artifact.NewModel(0), blobs: &artifacttest.Blobs{}, catalog: catalog, reports: &reports{},
		sightings: artifact.NewSightings(100), now: time.Unix(vectors.Now, 0),
	}
	now := func() time.Time { return k.now }
	k.options = deviceapi.Options{
		Model: k.model, Content: content.NewCache(catalog, k.blobs, 1<<20), Reports: k.reports, Sightings: k.sightings,
		Links: &artifact.Links{Ring: link.NewRing([]byte(strings.Repeat("k", 32)), now), Catalog: catalog, Now: now},
		Log:   zap.NewNop(), Poll: time.Minute, Metrics: prometheus.NewRegistry(), Now: now, Next: http.NotFoundHandler(),
	}
	for _, c := range change {
		c(&k.options)
	}
	k.model = k.options.Model
	k.server = httptest.NewServer(deviceapi.New(k.options))
	t.Cleanup(k.server.Close)
	return k
}

func consent(o *deviceapi.Options) { o.PlainHTTP = true }

// device adds a device with a key.
func (k *kit) device(id, product, key string) *artifact.Device {
	k.t.Helper()
	d, ok := artifact.NewDevice(id, vectors.Workspace, product, deviceproto.KeyHash(key))
	if !ok {
		k.t.Fatal("not a device")
	}
	k.model.SetDevice(d)
	return k.model.ByID(id)
}

// deploy stores parts and makes the device want them: an app, then files.
func (k *kit) deploy(device string, number int64, contents ...[]byte) {
	k.t.Helper()
	var parts []deviceproto.Part
	for i, c := range contents {
		p := k.store(deviceproto.KindApp, c)
		if i > 0 {
			p.Kind, p.Path = deviceproto.KindFile, strconv.Itoa(i)
		}
		parts = append(parts, p)
	}
	k.deployParts(device, number, parts)
}

// store keeps content as a blob of the workspace.
func (k *kit) store(kind string, content []byte) deviceproto.Part {
	k.t.Helper()
	m := artifact.NewMeasure()
	m.Write(content)
	digest := k.blobs.Add(content)
	if err := k.catalog.Add(k.t.Context(), artifact.Output{Workspace: vectors.Workspace, SHA256: digest, Facts: m.Facts(digest)}); err != nil {
		k.t.Fatal(err)
	}
	return deviceproto.Part{Kind: kind, Size: int64(len(content)), SHA256: digest}
}

func (k *kit) deployParts(device string, number int64, parts []deviceproto.Part) {
	k.t.Helper()
	payload, err := deviceproto.Statement{
		Format: 1, Workspace: vectors.Workspace, Target: deviceproto.Target{Device: device}, Board: vectors.Board,
		Release: "r", Version: "1.4.0", Deployment: number, Parts: parts,
	}.Payload()
	if err != nil {
		k.t.Fatal(err)
	}
	signed, err := deviceproto.Sign(payload, vectors.SigningKey("first"))
	if err != nil {
		k.t.Fatal(err)
	}
	d, err := artifact.NewDeployment(vectors.Workspace, number, signed, parts, 0)
	if err != nil {
		k.t.Fatal(err)
	}
	k.model.SetDeployment(d)
	k.model.SetRef(device, vectors.Workspace, number)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) code() string { return a.problem().code }

func (a answer) problem() (p struct{ code, field string }) {
	var body problem.Problem
	if json.Unmarshal(a.body, &body) == nil {
		p.code, p.field = string(body.Code), body.Field
	}
	return p
}

// send sends a request with these headers.
func (k *kit) send(method, path string, header map[string]string, body string) answer {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), method, k.server.URL+path, strings.NewReader(body))
	if err != nil {
		k.t.Fatal(err)
	}
	for name, value := range header {
		if value != "" {
			r.Header[http.CanonicalHeaderKey(name)] = []string{value}
		}
	}
	res, err := k.server.Client().Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	if len(got) > 0 && res.ContentLength < 0 {
		k.t.Errorf("%s %s: an answer without Content-Length", method, path)
	}
	if res.StatusCode >= 400 && res.Header.Get("Content-Type") != "application/problem+json" {
		k.t.Errorf("%s %s: a %d of type %s", method, path, res.StatusCode, res.Header.Get("Content-Type"))
	}
	return answer{res.StatusCode, res.Header, got}
}

// signed sends a request signed with a device key, and checks the answer's MAC
// where there must be one and that there is none elsewhere.
func (k *kit) signed(key, method, path string, header map[string]string, body string) answer {
	k.t.Helper()
	hash := deviceproto.KeyHash(key)
	r := deviceproto.Request{
		Method: method, Path: path, Nonce: deviceproto.NewNonce(), Time: strconv.FormatInt(k.now.Unix(), 10),
		Running: header[deviceproto.HeaderRunning], ETag: header["If-None-Match"], Body: []byte(body),
	}
	all := map[string]string{
		"Authorization":         deviceproto.Authorization(deviceproto.KeyID(hash), deviceproto.RequestMAC(hash, r)),
		deviceproto.HeaderNonce: r.Nonce, deviceproto.HeaderTime: r.Time,
	}
	for name, value := range header {
		all[name] = value
	}
	a := k.send(method, path, all, body)
	k.checkMAC(hash, r.Nonce, a)
	return a
}

func (k *kit) checkMAC(hash [32]byte, nonce string, a answer) {
	k.t.Helper()
	mac := a.header.Get(deviceproto.HeaderMAC)
	switch a.status {
	case 200, 204, 304:
		got := deviceproto.Answer{Nonce: nonce, Status: a.status, Poll: a.header.Get(deviceproto.HeaderPoll), ETag: a.header.Get("ETag"), Body: a.body}
		if !deviceproto.VerifyAnswer(hash, got, mac) {
			k.t.Errorf("a %d without a right MAC", a.status)
		}
	default:
		if mac != "" {
			k.t.Errorf("a %d with a MAC", a.status)
		}
	}
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func read[C any](t *testing.T, name string) []C {
	t.Helper()
	cases, err := vectors.Read[C](folder, name)
	if err != nil || len(cases) == 0 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	return cases
}
