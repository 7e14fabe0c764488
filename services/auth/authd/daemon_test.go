package authd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/httpserve"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/auth/authd"
)

const (
	serviceKey = "1111111111111111111111111111111111111111111111111111111111111111"
	sealKey    = "2222222222222222222222222222222222222222222222222222222222222222"
)

// installation is a NATS server and a database file, with or without a daemon.
type installation struct {
	t    *testing.T
	nats *bustest.NATS
	file string
	open func(context.Context) (docstore.DB, error) // the database; file unless a test says otherwise
	wire *wire                                      // what the daemon sent to NATS
	cfg  authd.Config
	logs *observer.ObservedLogs
	log  *zap.Logger

	url  string // of the daemon's API
	addr string
	stop func()
	// setupToken is what the daemon showed at its last start.
	setupToken string
}

func install(t *testing.T) *installation {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	in := &installation{
		t: t, nats: bustest.Server(t), file: filepath.Join(t.TempDir(), "auth.db"), logs: logs, log: zap.New(core),
		cfg: authd.Config{ServiceKey: serviceKey, DeviceSealKey: sealKey, TokenKeyLife: 720 * time.Hour},
	}
	in.open = func(ctx context.Context) (docstore.DB, error) { return sqlite.Open(ctx, in.file) }
	return in
}

// start runs the daemon until the test ends, or stop is called.
func (in *installation) start() *installation {
	in.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		in.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	ready := make(chan struct{})
	in.setupToken = ""
	go func() {
		ended <- func() error {
			options := in.nats.Options(flow.Auth)
			if in.wire != nil {
				options.URL = in.wire.url
			}
			conn, err := bus.Connect(ctx, options)
			if err != nil {
				return err
			}
			defer conn.Close()
			db, err := in.open(ctx)
			if err != nil {
				return err
			}
			defer db.Close()
			return authd.Run(ctx, in.cfg, authd.Deps{
				Log: in.log, Bus: conn, DB: db,
				OnSetupToken: func(token string) { in.setupToken = token },
				Serve: func(ctx context.Context, h http.Handler) error {
					close(ready)
					return httpserve.Serve(ctx, ln, h, httpserve.Options{})
				},
			})
		}()
	}()
	var once sync.Once
	in.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				in.t.Errorf("the daemon ended: %v", err)
			}
		})
	}
	in.t.Cleanup(in.stop)
	select {
	case <-ready:
	case err := <-ended:
		in.t.Fatalf("the daemon did not start: %v", err)
	}
	in.addr = ln.Addr().String()
	in.url = "http://" + in.addr
	return in
}

func (in *installation) restart() *installation {
	in.t.Helper()
	in.stop()
	return in.start()
}

// client is a browser, or a program that sends its headers.
type client struct {
	t      *testing.T
	url    string
	http   *http.Client
	header http.Header
}

func (in *installation) client() *client {
	in.t.Helper()
	return in.clientAt(in.url)
}

// clientAt is a browser that finds the daemon under another name.
func (in *installation) clientAt(url string) *client {
	in.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		in.t.Fatal(err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, in.addr)
	}}
	in.t.Cleanup(transport.CloseIdleConnections)
	return &client{t: in.t, url: url, header: http.Header{}, http: &http.Client{Jar: jar, Transport: transport}}
}

// bearer is a program with a token.
func (in *installation) bearer(token string) *client {
	c := in.client()
	c.header.Set("Authorization", "Bearer "+token)
	return c
}

type answer struct {
	*http.Response
	body []byte
}

// do sends a request; body is encoded as JSON unless it is nil.
func (c *client) do(method, path string, body any) answer {
	c.t.Helper()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+"/api/auth/v1"+path, content)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header = c.header.Clone()
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer{response, text}
}

// must is do for a request that is answered with this status; it decodes the
// answer into into, unless that is nil.
func (c *client) must(status int, method, path string, body, into any) answer {
	c.t.Helper()
	a := c.do(method, path, body)
	if a.StatusCode != status {
		c.t.Fatalf("%s %s: %s %s, want %d", method, path, a.Status, a.body, status)
	}
	if into != nil {
		if err := json.Unmarshal(a.body, into); err != nil {
			c.t.Fatalf("%s %s: %v in %s", method, path, err, a.body)
		}
	}
	return a
}

// problem is a refused request's code and field.
func (a answer) problem() (code, field string) {
	var p struct{ Code, Field string }
	if json.Unmarshal(a.body, &p) != nil || a.Header.Get("Content-Type") != "application/problem+json" {
		return "not a problem: " + string(a.body), ""
	}
	return p.Code, p.Field
}

type object = map[string]any

type session struct {
	Me struct {
		Kind, ID, Name, Workspace, Role, Device string
		WorkspaceSlug                           string `json:"workspace_slug"`
		Memberships                             []object
	}
	AccessToken string `json:"access_token"`
}

type product struct {
	Device    string
	ProductID string `json:"product_id"`
	HasKey    bool   `json:"has_key"`
}

type made struct {
	Product       product
	Password, Key string
}

// setUp makes the administrator ada and her workspace robots, and returns her browser.
func (in *installation) setUp() (*client, session) {
	in.t.Helper()
	ada := in.client()
	var s session
	ada.must(201, "POST", "/setup", object{
		"token": in.setupToken, "login": "ada", "password": "ada's password", "workspace": "Robots",
	}, &s)
	return ada, s
}

func (c *client) register(ids ...string) []made {
	c.t.Helper()
	var list []object
	for _, id := range ids {
		list = append(list, object{"product_id": id})
	}
	var answer struct{ Products []made }
	c.must(201, "POST", "/products", object{"products": list}, &answer)
	return answer.Products
}

// shown is the bucket device-keys as the artifact service sees it.
func (in *installation) shown() map[string]*authv1.DeviceKey {
	in.t.Helper()
	return bucket(in, flow.Artifact, flow.DeviceKeys)
}

func bucket[T proto.Message](in *installation, as flow.Service, b flow.Bucket[T]) map[string]T {
	in.t.Helper()
	conn, err := bus.Connect(in.t.Context(), in.nats.Options(as))
	if err != nil {
		in.t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(in.t.Context(), 10*time.Second)
	defer cancel()
	all, complete := map[string]T{}, false
	_ = bus.Watch(ctx, conn, b, func() { complete = true; cancel() }, func(c bus.Change[T]) {
		if !c.Gone {
			all[c.Key] = c.Value
		}
	})
	if !complete {
		in.t.Fatalf("the bucket %s does not answer", b.Name)
	}
	return all
}

// keyOf returns K of a device as the artifact service opens it, "" where there is none.
func (in *installation) keyOf(device string) string {
	in.t.Helper()
	shown, ok := in.shown()[device]
	if !ok {
		return ""
	}
	box, err := secret.NewBox(bytes.Repeat([]byte{0x22}, 32))
	if err != nil {
		in.t.Fatal(err)
	}
	k, err := box.Open(shown.GetSealedKeyHash(), []byte(device))
	if err != nil {
		in.t.Fatal(err)
	}
	return string(k)
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// noSecretsIn checks that nothing logged holds any of these.
func (in *installation) noSecretsIn(secrets ...string) {
	in.t.Helper()
	var text strings.Builder
	for _, entry := range in.logs.All() {
		fmt.Fprintln(&text, entry.Message, entry.ContextMap())
	}
	for i, s := range secrets {
		if s != "" && strings.Contains(text.String(), s) {
			in.t.Errorf("secret %d was logged", i)
		}
	}
}
