package boardsd_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/firmware/chip"
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
	"github.com/flota/flota/services/boards/boardsd"
)

const (
	board     = "flota:virtual:esp32"
	picoBoard = "micropython:py:virtual_pico_w"
)

// patience is for what should happen at once, on a busy machine.
const patience = 60 * time.Second

// shell is an image whose sketch is the machine's shell: it does what is written to
// the board's serial port, be it ever so hostile.
func shell(t testing.TB) []byte {
	t.Helper()
	dash, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	return chip.MakeImage(dash)
}

// installation is what stands around the boards: a real bus with auth, an editor and
// the artifact service on it, and a folder.
type installation struct {
	t      *testing.T
	nats   *bustest.NATS
	auth   *bus.Conn
	editor *bus.Conn
	signer *identity.Signer
	dir    string
	cfg    boardsd.Config

	artifact *httptest.Server
	index    []byte       // of the build "pico", whose files are stored
	devices  http.Handler // what answers devices; nil: serveArtifact itself
	mu       sync.Mutex
	asked    []*http.Request   // of the artifact service
	blobs    map[string][]byte // that it has, by digest

	url  string
	stop func() // ends the daemon as SIGTERM does
}

func install(t *testing.T, change ...func(*boardsd.Config)) *installation {
	t.Helper()
	t.Parallel()
	in := &installation{t: t, nats: bustest.Server(t), dir: t.TempDir(), blobs: map[string][]byte{}}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	in.signer = identity.NewSigner("k1", private)
	in.auth, in.editor = in.nats.Connect(flow.Auth), in.nats.Connect(flow.Editor)
	if err := bus.Put(t.Context(), in.auth, flow.TokenKeys, "k1", &authv1.TokenKey{PublicKey: public}); err != nil {
		t.Fatal(err)
	}
	in.background(func(ctx context.Context) error { return bus.Serve(ctx, in.editor, flow.BuildResult, 4, in.answerBuild) })
	in.background(func(ctx context.Context) error {
		return bus.Serve(ctx, in.nats.Connect(flow.Artifact), flow.Links, 4, in.answerLinks)
	})
	in.artifact = httptest.NewServer(http.HandlerFunc(in.serveArtifact))
	t.Cleanup(in.artifact.Close)

	base := filepath.Join(in.dir, "base.bin")
	if err := os.WriteFile(base, shell(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := config.Parse(&in.cfg, nil, nil); err != nil {
		t.Fatal(err)
	}
	at, _ := url.Parse(in.artifact.URL)
	in.cfg.ArtifactURL, in.cfg.Board.Base, in.cfg.Board.Data = *at, base, filepath.Join(in.dir, "data")
	in.cfg.Board.CPUPercent = 100
	for _, c := range change {
		c(&in.cfg)
	}
	return in
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

// answerBuild is the editor: build "b-<digest>" of people's project, "own-<device>" of
// that product's, and some that cannot be flashed.
func (in *installation) answerBuild(_ context.Context, q *editorv1.BuildRequest) (*editorv1.BuildResponse, error) {
	none := fault.New(fault.NotFound, "there is no build %s", q.GetBuild())
	if q.GetWorkspace() != "w1" {
		return nil, none
	}
	digest, size := in.store(shell(in.t))
	app := &compilerv1.Output{Role: compilerv1.Role_ROLE_APP, Name: "sketch.ino.bin", Size: size, Sha256: digest}
	r := &editorv1.BuildResponse{
		Fqbn: board + ":debug=on", Kind: compilerv1.Kind_KIND_ARDUINO, Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED,
		Outputs: []*compilerv1.Output{{Role: compilerv1.Role_ROLE_ELF, Size: 9000, Sha256: strings.Repeat("a", 64)}, app},
	}
	switch kind, rest, _ := strings.Cut(q.GetBuild(), "-"); kind {
	case "good":
	case "pico":
		index, size := in.store(in.index)
		r.Fqbn, r.Kind = picoBoard+":format=py", compilerv1.Kind_KIND_MICROPYTHON
		r.Outputs = []*compilerv1.Output{{Role: compilerv1.Role_ROLE_INDEX, Name: "index", Size: size, Sha256: index}}
	case "own":
		r.ProductDevice = rest
	case "failed":
		r.Outcome = compilerv1.Outcome_OUTCOME_FAILED
	case "uno":
		r.Fqbn = "arduino:avr:uno"
	case "noapp":
		r.Outputs = r.Outputs[:1]
	case "huge":
		app.Size = 2 << 20
	case "lost":
		app.Sha256 = strings.Repeat("b", 64)
	case "forged": // the bytes are others than those that were built
		app.Sha256 = strings.Repeat("c", 64)
	case "junk":
		app.Sha256, app.Size = in.store(bytes.Repeat([]byte("junk"), 1000))
	default:
		return nil, none
	}
	return r, nil
}

func (in *installation) store(data []byte) (digest string, size uint64) {
	sum := sha256.Sum256(data)
	digest = hex.EncodeToString(sum[:])
	in.mu.Lock()
	defer in.mu.Unlock()
	in.blobs[digest] = data
	in.blobs[strings.Repeat("c", 64)] = bytes.Repeat([]byte("x"), len(data))
	return digest, uint64(len(data))
}

func (in *installation) answerLinks(_ context.Context, q *artifactv1.LinksRequest) (*artifactv1.LinksResponse, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	digest := q.GetDownload().GetSha256()
	if in.blobs[digest] == nil {
		return nil, fault.New(fault.NotFound, "there is no such blob")
	}
	return &artifactv1.LinksResponse{Url: "/dl/" + digest + "/" + q.GetDownload().GetName()}, nil
}

// serveArtifact is the artifact service: downloads, and whatever devices ask.
func (in *installation) serveArtifact(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	in.mu.Lock()
	defer in.mu.Unlock()
	if rest, ok := strings.CutPrefix(r.URL.Path, "/dl/"); ok {
		digest, _, _ := strings.Cut(rest, "/")
		_, _ = w.Write(in.blobs[digest])
		return
	}
	if in.devices != nil {
		in.devices.ServeHTTP(w, r)
		return
	}
	in.asked = append(in.asked, r)
	w.Header().Set("X-Flota-Poll", "60")
	_, _ = io.WriteString(w, "an answer")
}

// start starts the daemon on the installation's folder.
func (in *installation) start() {
	t := in.t
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(in.dir, "boards.db"))
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
	conn := in.nats.Connect(flow.Boards)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- boardsd.Run(ctx, in.cfg, boardsd.Deps{
			Log: log, Bus: conn, DB: db,
			Serve: func(ctx context.Context, h http.Handler) error {
				return httpserve.Serve(ctx, listener, h, httpserve.Options{Log: log})
			},
		})
	}()
	in.url = "http://" + listener.Addr().String()
	in.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the daemon ended with: %v", err)
		}
		conn.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { in.stop() })
	in.ready()
}

func (in *installation) ready() {
	in.t.Helper()
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
	for end := time.Now().Add(patience); !so(); time.Sleep(10 * time.Millisecond) {
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

func elsewhere(p *identity.Principal) { p.Workspace = "w2" }

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
	req, err := http.NewRequest(method, c.in.url+"/api/boards/v1"+path, bytes.NewReader(text))
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

type m = map[string]any

// shown is a board as the API shows it.
type shown struct {
	ID, Name, FQBN, Kind, Device, State, Reset, Slot, MAC string
	ProductID                                             string `json:"product_id"`
	Starts                                                int
	Pins                                                  []struct {
		Number, Value int
		Mode          string
	}
}

func (c caller) create(name string) shown {
	c.in.t.Helper()
	var b shown
	c.must("POST", "/boards", m{"name": name}, &b)
	// What is sent to a chip that has not started is lost.
	c.in.eventually("start", func() bool { return c.board(b.ID).Starts > 0 })
	return b
}

func (c caller) board(id string) (b shown) {
	c.in.t.Helper()
	c.must("GET", "/boards/"+id, nil, &b)
	return b
}

func (c caller) list() []shown {
	c.in.t.Helper()
	var l struct{ Boards []shown }
	c.must("GET", "/boards", nil, &l)
	return l.Boards
}

// serial is what the board wrote last.
func (c caller) serial(id string) (offset, end int64, text string) {
	c.in.t.Helper()
	var s struct {
		Offset, End int64
		Text        string
	}
	c.must("GET", "/boards/"+id+"/serial", nil, &s)
	return s.Offset, s.End, s.Text
}

// until waits until the board has written something.
func (c caller) until(id, text string) string {
	c.in.t.Helper()
	var all string
	defer func() {
		if c.in.t.Failed() {
			c.in.t.Logf("the board wrote:\n%s", all)
		}
	}()
	c.in.eventually("text "+text, func() bool {
		_, _, all = c.serial(id)
		return strings.Contains(all, text)
	})
	return all
}

// run has the board's shell do something, and returns what it wrote meanwhile.
func (c caller) run(id, script string) string {
	c.in.t.Helper()
	begin, end := mark(), mark()
	// What is sent to a chip before it runs is lost: it is sent until it is heard.
	c.in.eventually("shell", func() bool {
		c.must("POST", "/boards/"+id+"/serial", m{"text": "echo " + begin[:3] + "''" + begin[3:] + "\n"}, nil)
		for range 50 {
			if _, _, text := c.serial(id); strings.Contains(text, begin) {
				return true
			}
			time.Sleep(10 * time.Millisecond)
		}
		return false
	})
	script = script + "\necho " + end[:3] + "''" + end[3:] + "\n"
	for len(script) > 0 {
		n := min(len(script), 4096)
		c.must("POST", "/boards/"+id+"/serial", m{"text": script[:n]}, nil)
		script = script[n:]
	}
	text := c.until(id, end)
	text = text[strings.LastIndex(text, begin)+len(begin):]
	text, _, _ = strings.Cut(text, end)
	return strings.Trim(strings.ReplaceAll(text, "\r", ""), "\n")
}

// mark is a text that nothing else writes.
func mark() string { return strings.ToLower(rand.Text()[:12]) }
