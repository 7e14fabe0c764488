package editord_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
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
	"github.com/flota/flota/services/editor"
	"github.com/flota/flota/services/editor/contents/contentstest"
	"github.com/flota/flota/services/editor/editord"
	"github.com/flota/flota/services/editor/httpapi"
)

const (
	soon     = 10 * time.Second
	platform = "flota_virtual_1_0_0"
	board    = "flota:virtual:esp32"
)

// kit is the whole service on a real bus and a real database, with the other
// services played by the test.
type kit struct {
	t       *testing.T
	nats    *bustest.NATS
	dir     string
	blobs   *contentstest.Blobs
	cfg     editord.Config
	signer  *identity.Signer
	worker  *bus.Conn // as the compiler
	fleet   *bus.Conn
	url     string
	stop    func()
	mu      sync.Mutex
	uploads map[string]bool // what the artifact service has, by digest
}

func start(t *testing.T, change ...func(*editord.Config)) *kit {
	t.Helper()
	t.Parallel() // each has a bus, a database and a port of its own
	k := &kit{t: t, nats: bustest.Server(t), dir: t.TempDir(), blobs: &contentstest.Blobs{}, uploads: map[string]bool{}}
	must(t, config.Parse(&k.cfg, nil, nil)) // the defaults
	k.cfg.ServiceKey = config.Secret(strings.Repeat("01", 32))
	for _, c := range change {
		c(&k.cfg)
	}
	k.worker, k.fleet = k.nats.Connect(flow.Compiler), k.nats.Connect(flow.Fleet)

	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	k.signer = identity.NewSigner("k1", private)
	auth := k.nats.Connect(flow.Auth)
	k.background(func(ctx context.Context) error {
		return bus.Keep(ctx, auth, flow.TokenKeys, time.Hour, map[string]*authv1.TokenKey{"k1": {PublicKey: public}}, nil)
	})
	k.background(func(ctx context.Context) error {
		return bus.Serve(ctx, k.nats.Connect(flow.Artifact), flow.Links, 4, k.links)
	})
	k.run()
	t.Cleanup(func() { k.stop() })
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// background runs f until the test ends, and waits for it.
func (k *kit) background(f func(context.Context) error) {
	k.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	k.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && ctx.Err() == nil {
			k.t.Error(err)
		}
	})
}

// run starts the service; stop ends it, and run starts it again on the same data.
func (k *kit) run() {
	k.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(k.t, err)
	k.url = "http://" + listener.Addr().String()
	base, err := url.Parse(k.url)
	must(k.t, err)
	k.cfg.InternalURL = *base
	db, err := sqlite.Open(k.t.Context(), filepath.Join(k.dir, "editor.db"))
	must(k.t, err)
	conn, err := bus.Connect(k.t.Context(), k.nats.Options(flow.Editor))
	must(k.t, err)

	log := zap.NewNop()
	if testing.Verbose() {
		log, _ = zap.NewDevelopment(zap.IncreaseLevel(zap.WarnLevel))
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- editord.Run(ctx, k.cfg, editord.Deps{
			Log: log, Bus: conn, DB: db, Blobs: k.blobs,
			Serve: func(ctx context.Context, h http.Handler) error {
				return httpserve.Serve(ctx, listener, h, httpserve.Options{Drain: 2 * time.Second})
			},
		})
	}()
	k.stop = func() {
		k.stop = func() {}
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				k.t.Errorf("the service ended with %v", err)
			}
		case <-time.After(soon):
			k.t.Error("the service does not end")
		}
		conn.Close()
		_ = db.Close()
	}
	eventually(k.t, "ready", func() bool {
		answer, err := http.Get(k.url + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, soon)
		}
	}
}

// links plays the artifact service.
func (k *kit) links(_ context.Context, q *artifactv1.LinksRequest) (*artifactv1.LinksResponse, error) {
	if up := q.GetUpload(); up != nil {
		return &artifactv1.LinksResponse{Url: fmt.Sprintf("http://artifact.test/up/%s-%d", up.GetBuild(), up.GetAttempt())}, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	down := q.GetDownload()
	if strings.Contains(down.GetName(), "/") {
		return nil, fault.Field("name", "must be a file name")
	}
	if !k.uploads[down.GetSha256()] {
		return nil, fault.New(fault.NotFound, "no such blob")
	}
	expires := time.Now().Add(time.Duration(down.GetValidS()) * time.Second)
	return &artifactv1.LinksResponse{Url: "/dl/token/" + down.GetName(), ExpiresMs: expires.UnixMilli()}, nil
}

func (k *kit) upload(content string) *compilerv1.Output {
	o := &compilerv1.Output{Role: compilerv1.Role_ROLE_APP, Name: content + ".bin", Size: uint64(len(content)), Sha256: editor.Digest([]byte(content))}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.uploads[o.Sha256] = true
	return o
}

// token is an access token of somebody.
func (k *kit) token(p identity.Principal) string {
	k.t.Helper()
	if p.Expires.IsZero() {
		p.Expires = time.Now().Add(time.Minute)
	}
	text, err := k.signer.Sign(p)
	must(k.t, err)
	return text
}

func person(role identity.Role) identity.Principal {
	return identity.Principal{Kind: identity.KindPerson, Subject: "u1", Name: "Ada", Workspace: "w1", Role: role}
}

func product(device string) identity.Principal {
	return identity.Principal{Kind: identity.KindProduct, Subject: device, Name: "bot_" + device, Workspace: "w1", Role: identity.Product, Device: device}
}

// call asks as somebody and returns the status; out, where it is not nil, takes
// the answer.
func (k *kit) call(who, method, path string, in, out any) int {
	k.t.Helper()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		must(k.t, err)
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(k.t.Context(), method, k.url+httpapi.Base+path, body)
	must(k.t, err)
	r.Header.Set("Content-Type", "application/json")
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	answer, err := http.DefaultClient.Do(r)
	must(k.t, err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	must(k.t, err)
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			k.t.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, data)
		}
	}
	return answer.StatusCode
}

// owner asks as an owner and wants a status.
func (k *kit) owner(method, path string, in, out any, want int) {
	k.t.Helper()
	var raw json.RawMessage
	got := k.call(k.token(person(identity.Owner)), method, path, in, noBody(want, &raw))
	if got != want {
		k.t.Fatalf("%s %s: %d %s", method, path, got, raw)
	}
	if out != nil {
		must(k.t, json.Unmarshal(raw, out))
	}
}

func noBody(status int, raw *json.RawMessage) any {
	if status == http.StatusNoContent {
		return nil
	}
	return raw
}

type m = map[string]any

func (k *kit) project(example string) (p httpapi.Project) {
	k.t.Helper()
	k.owner("POST", "/projects", m{"name": "Blink", "example": example}, &p, 201)
	return p
}

func (k *kit) build(project string, wish m) (b httpapi.Build) {
	k.t.Helper()
	k.owner("POST", "/projects/"+project+"/builds", wish, &b, 201)
	return b
}

func (k *kit) getBuild(id string) (b httpapi.Build) {
	k.t.Helper()
	k.owner("GET", "/builds/"+id, nil, &b, 200)
	return b
}

func (k *kit) wait(id string, state httpapi.BuildState) (b httpapi.Build) {
	k.t.Helper()
	eventually(k.t, "the build is "+string(state), func() bool { b = k.getBuild(id); return b.State == state })
	return b
}

// announce says that a worker with this many free slots is there, and waits
// until the editor knows.
func (k *kit) announce(name string, slots, free int) {
	k.t.Helper()
	said := &compilerv1.Worker{
		Worker: name, Slots: uint32(slots), Free: uint32(free),
		Platforms: []*compilerv1.Platform{{Id: "flota:virtual", Version: "1.0.0", Toolchain: "chain-1"}},
	}
	offer := &compilerv1.PlatformOffer{
		Name: "Virtual", Boards: []*compilerv1.Board{{Fqbn: board, Name: "Virtual ESP32", Kind: compilerv1.Kind_KIND_ARDUINO}},
	}
	eventually(k.t, "the bus takes it", func() bool {
		ctx, cancel := context.WithTimeout(k.t.Context(), time.Second)
		defer cancel()
		return bus.Put(ctx, k.worker, flow.Platforms, flow.PlatformKey("flota:virtual", "1.0.0", "chain-1"), offer) == nil &&
			bus.Put(ctx, k.worker, flow.Workers, name, said) == nil
	})
	eventually(k.t, "the worker is known", func() bool {
		var farm httpapi.Farm
		k.owner("GET", "/boards", nil, &farm, 200)
		return farm.Free >= free && len(farm.Platforms) == 1
	})
}

// claim claims as a worker does.
func (k *kit) claim(build, worker string, job uint64, delivered uint32) *editorv1.ClaimResponse {
	k.t.Helper()
	answer, err := bus.Do(k.t.Context(), k.worker, flow.Claim, &editorv1.ClaimRequest{Build: build, Worker: worker, Job: job, Delivered: delivered})
	must(k.t, err)
	return answer
}

func (k *kit) say(build string, attempt uint32, lines ...string) {
	k.t.Helper()
	chunk := &compilerv1.LogChunk{AtMs: time.Now().UnixMilli()}
	for _, text := range lines {
		chunk.Lines = append(chunk.Lines, &compilerv1.LogLine{Source: compilerv1.LogSource_LOG_SOURCE_STDOUT, Text: text})
	}
	must(k.t, bus.Publish(k.t.Context(), k.worker, flow.BuildLog, chunk, "", build, fmt.Sprint(attempt)))
}

func (k *kit) enter(build string, attempt uint32, phase compilerv1.Phase) {
	k.t.Helper()
	must(k.t, bus.Publish(k.t.Context(), k.worker, flow.BuildPhase, &compilerv1.BuildPhase{Build: build, Attempt: attempt, Phase: phase}, "", build, fmt.Sprint(attempt)))
}

func (k *kit) finish(f *compilerv1.BuildFinished) {
	k.t.Helper()
	must(k.t, bus.Publish(k.t.Context(), k.worker, flow.BuildFinished, f, "", f.GetBuild(), fmt.Sprint(f.GetAttempt())))
}

// compiler plays a worker that takes jobs, one at a time, and does each.
func (k *kit) compiler(name string, do func(context.Context, bus.Message[*compilerv1.Job], *editorv1.ClaimResponse) error) {
	k.t.Helper()
	k.announce(name, 1, 1)
	slots := bus.NewSlots(1)
	k.background(func(ctx context.Context) error {
		return bus.Handle(ctx, k.worker, flow.CompileJobs, slots, func(ctx context.Context, job bus.Message[*compilerv1.Job]) error {
			answer, err := bus.Do(ctx, k.worker, flow.Claim, &editorv1.ClaimRequest{
				Build: job.Body.GetBuild(), Worker: name, Job: job.Sequence, Delivered: uint32(job.Delivered),
			})
			if err != nil || !answer.GetGranted() {
				return err
			}
			return do(ctx, job, answer)
		}, platform)
	})
}

// source fetches what a worker was pointed to.
func (k *kit) source(link string) (files map[string]string, status int) {
	k.t.Helper()
	answer, err := http.Get(link)
	must(k.t, err)
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, answer.StatusCode
	}
	files = map[string]string{}
	for r := tar.NewReader(answer.Body); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, answer.StatusCode
		}
		must(k.t, err)
		content, err := io.ReadAll(r)
		must(k.t, err)
		files[h.Name] = string(content)
	}
}
