package fleetd_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/identity"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	"github.com/flota/flota/services/fleet/fleetd"
)

const (
	board    = "flota:virtual:esp32"
	oldBytes = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	newBytes = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// installation is what stands around the fleet: a real bus with auth, artifact
// and an editor on it, and a database file.
type installation struct {
	t        *testing.T
	nats     *bustest.NATS
	auth     *bus.Conn
	artifact *bus.Conn
	editor   *bus.Conn
	database string
	signer   *identity.Signer

	url  string
	stop func() // ends the daemon as SIGTERM does
}

func install(t *testing.T) *installation {
	t.Helper()
	in := &installation{t: t, database: filepath.Join(t.TempDir(), "fleet.db")}
	pub, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	in.signer = identity.NewSigner("k1", private)
	in.connect(bustest.Server(t), pub)
	return in
}

// connect puts the installation on a bus without any data.
func (in *installation) connect(nats *bustest.NATS, pub ed25519.PublicKey) {
	in.t.Helper()
	in.nats = nats
	in.auth, in.artifact, in.editor = nats.Connect(flow.Auth), nats.Connect(flow.Artifact), nats.Connect(flow.Editor)
	if err := bus.Put(in.t.Context(), in.auth, flow.TokenKeys, "k1", &authv1.TokenKey{PublicKey: pub}); err != nil {
		in.t.Fatal(err)
	}
	in.background(func(ctx context.Context) error { return bus.Serve(ctx, in.editor, flow.BuildResult, 4, answerBuild) })
}

// background runs f until the test ends.
func (in *installation) background(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f(ctx)
	}()
	in.t.Cleanup(func() { cancel(); <-done })
}

// answerBuild is the editor: build "b-<digest>" of people's project, "own-<device>"
// of that product's, "unmanaged", "failed", "python" for MicroPython.
func answerBuild(_ context.Context, q *editorv1.BuildRequest) (*editorv1.BuildResponse, error) {
	if q.GetWorkspace() != "w1" {
		return nil, fault.New(fault.NotFound, "there is no build %s", q.GetBuild())
	}
	r := &editorv1.BuildResponse{
		Project: "p1", ProjectName: "Blink", Revision: 3, Fqbn: board + ":debug=on",
		Kind: compilerv1.Kind_KIND_ARDUINO, Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED,
		Outputs: []*compilerv1.Output{
			{Role: compilerv1.Role_ROLE_ELF, Size: 9000, Sha256: oldBytes}, {Role: compilerv1.Role_ROLE_APP, Size: 1000, Sha256: newBytes},
		},
		Agent: &compilerv1.Agent{Version: "1.0.0", Flash: 100, Ram: 10},
	}
	switch kind, rest, _ := strings.Cut(q.GetBuild(), "-"); kind {
	case "b":
		r.Outputs[1].Sha256 = rest
	case "unmanaged":
		r.Agent, r.Unmanaged = nil, true
	case "python": // three files, one of a block
		r.Kind, r.Fqbn = compilerv1.Kind_KIND_MICROPYTHON, "micropython:py:rpi_pico_w:format=mpy"
		r.Outputs = []*compilerv1.Output{
			{Role: compilerv1.Role_ROLE_BUNDLE, Name: "main.bundle.tar", Size: 90000, Sha256: oldBytes},
			{Role: compilerv1.Role_ROLE_INDEX, Name: "index", Size: 200, Sha256: newBytes},
			{Role: compilerv1.Role_ROLE_FILE, Name: "lib/net.mpy", Size: 4096, Sha256: strings.Repeat("1", 64)},
			{Role: compilerv1.Role_ROLE_FILE, Name: "main.py", Size: 1, Sha256: strings.Repeat("2", 64)},
			{Role: compilerv1.Role_ROLE_FILE, Name: "none.txt", Sha256: strings.Repeat("3", 64)},
		}
	case "own":
		r.ProductDevice = rest
	case "failed":
		r.Outcome = compilerv1.Outcome_OUTCOME_FAILED
	default:
		return nil, fault.New(fault.NotFound, "there is no build %s", q.GetBuild())
	}
	return r, nil
}

// start starts the daemon on the installation's database.
func (in *installation) start() {
	t := in.t
	t.Helper()
	db, err := sqlite.Open(t.Context(), in.database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := zap.NewNop()
	if testing.Verbose() {
		log, _ = zap.NewDevelopment(zap.IncreaseLevel(zap.WarnLevel), zap.AddStacktrace(zap.FatalLevel))
	}
	conn := in.nats.Connect(flow.Fleet)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- fleetd.Run(ctx, fleetd.Config{ServiceKey: config.Secret(strings.Repeat("ab", 32))}, fleetd.Deps{
			Log: log, Bus: conn, DB: db,
			Serve: func(ctx context.Context, h http.Handler) error {
				return httpserve.Serve(ctx, listener, h, httpserve.Options{Log: log})
			},
		})
	}()
	in.url = "http://" + listener.Addr().String()
	stopped := false
	in.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended with: %v", err)
		}
		conn.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(in.stop)
	in.eventually("readiness", func() bool {
		res, err := http.Get(in.url + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// eventually waits until something is so.
func (in *installation) eventually(what string, so func() bool) {
	in.t.Helper()
	for end := time.Now().Add(15 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			in.t.Fatalf("still no %s", what)
		}
	}
}

// caller is somebody with an access token.
type caller struct {
	in    *installation
	token string
}

func (in *installation) as(role identity.Role, change ...func(*identity.Principal)) caller {
	in.t.Helper()
	p := identity.Principal{
		Kind: identity.KindPerson, Subject: "u1", Name: "Ada", Workspace: "w1", Role: role, Expires: time.Now().Add(10 * time.Minute),
	}
	for _, c := range change {
		c(&p)
	}
	token, err := in.signer.Sign(p)
	if err != nil {
		in.t.Fatal(err)
	}
	return caller{in, token}
}

func product(device string) func(*identity.Principal) {
	return func(p *identity.Principal) { p.Kind, p.Subject, p.Device = identity.KindProduct, device, device }
}

// problem is what a refusal looks like.
type problem struct {
	Code, Field, Detail string
}

// do asks the API and decodes the answer, if it is what was wanted.
func (c caller) do(method, path string, body, answer any) (status int, p problem) {
	c.in.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.in.t.Fatal(err)
	}
	req, err := http.NewRequest(method, c.in.url+"/api/fleet/v1"+path, bytes.NewReader(text))
	if err != nil {
		c.in.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.in.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.in.t.Fatal(err)
	}
	if res.StatusCode >= 400 {
		answer = &p
	}
	if answer != nil {
		if err := json.Unmarshal(raw, answer); err != nil {
			c.in.t.Fatalf("%s %s: %d %q: %v", method, path, res.StatusCode, raw, err)
		}
	}
	return res.StatusCode, p
}

// must is do for what has to work.
func (c caller) must(method, path string, body, answer any) {
	c.in.t.Helper()
	if status, p := c.do(method, path, body, answer); status >= 300 {
		c.in.t.Fatalf("%s %s: %d %+v", method, path, status, p)
	}
}

// What the API shows of a device.
type shown struct {
	Device         string   `json:"device"`
	ProductID      string   `json:"product_id"`
	Name           string   `json:"name"`
	State          string   `json:"state"`
	Percent        int      `json:"percent"`
	Reason         string   `json:"reason"`
	RunningVersion string   `json:"running_version"`
	WantedVersion  string   `json:"wanted_version"`
	Wanted         int64    `json:"wanted_deployment"`
	Board          string   `json:"board"`
	Chip           string   `json:"chip"`
	Tags           []string `json:"tags"`
	Online         bool     `json:"online"`
	Revoked        bool     `json:"revoked"`
}

type deployment struct {
	Number  int64  `json:"number"`
	Device  string `json:"device"`
	Release string `json:"release"`
	Version string `json:"version"`
	Author  string `json:"author"`
}

func (c caller) device(id string) (d struct {
	Device  shown `json:"device"`
	History []struct {
		State, Version, Reason, Log string
		Deployment                  int64
	} `json:"history"`
}) {
	c.in.t.Helper()
	c.must(http.MethodGet, "/devices/"+id, nil, &d)
	return d
}

func (c caller) devices() []shown {
	c.in.t.Helper()
	var list struct{ Devices []shown }
	c.must(http.MethodGet, "/devices", nil, &list)
	return list.Devices
}

func (c caller) deploy(body map[string]any) (d deployment) {
	c.in.t.Helper()
	c.must(http.MethodPost, "/deployments", body, &d)
	return d
}

// enrol is auth: it tells of devices, and waits until the fleet has heard.
func (in *installation) enrol(devices ...string) {
	in.t.Helper()
	for i, d := range devices {
		err := bus.Publish(in.t.Context(), in.auth, flow.DeviceEnrolled, &authv1.DeviceEnrolled{
			Device: d, Workspace: "w1", ProductId: fmt.Sprintf("bot_%03d", i+1), Name: "Robot " + d,
		}, "", d)
		if err != nil {
			in.t.Fatal(err)
		}
	}
	owner := in.as(identity.Owner)
	in.eventually("twin", func() bool {
		status, _ := owner.do(http.MethodGet, "/devices/"+devices[len(devices)-1], nil, nil)
		return status == 200
	})
}

func (in *installation) revoke(device string, deleted bool) {
	in.t.Helper()
	err := bus.Publish(in.t.Context(), in.auth, flow.DeviceRevoked, &authv1.DeviceRevoked{Device: device, Workspace: "w1", Deleted: deleted}, "", device)
	if err != nil {
		in.t.Fatal(err)
	}
}

// report is artifact: it publishes what a device said and returns when that is safe.
func (in *installation) report(device string, deployment int64, state string, change ...func(*artifactv1.DeviceReported)) {
	in.t.Helper()
	r := &artifactv1.DeviceReported{Device: device, Workspace: "w1", AtMs: time.Now().UnixMilli(), Deployment: deployment, State: state}
	for _, c := range change {
		c(r)
	}
	if err := bus.Publish(in.t.Context(), in.artifact, flow.DeviceReported, r, "", device); err != nil {
		in.t.Error(err)
	}
}

// saw is artifact: a batch of polls.
func (in *installation) saw(running string, devices ...string) {
	in.t.Helper()
	batch := &artifactv1.SeenBatch{}
	for _, d := range devices {
		batch.Seen = append(batch.Seen, &artifactv1.Seen{Device: d, Workspace: "w1", AtMs: time.Now().UnixMilli(), Running: running, Address: "192.0.2.7"})
	}
	if err := bus.Publish(in.t.Context(), in.artifact, flow.DevicesSeen, batch, "", "a1"); err != nil {
		in.t.Error(err)
	}
}
