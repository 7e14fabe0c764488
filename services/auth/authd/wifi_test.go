package authd_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/rs/xid"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/docstoretest"
	"github.com/flota/flota/pkg/docstore/mongo"
)

// wire is a way to NATS that remembers what was sent there.
type wire struct {
	url  string
	mu   sync.Mutex
	sent bytes.Buffer
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent.Write(p)
}

func (w *wire) holds(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Contains(w.sent.Bytes(), []byte(text))
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{url: "nats://" + ln.Addr().String()}
	var open sync.WaitGroup
	t.Cleanup(func() { ln.Close(); open.Wait() })
	open.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			nats, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			open.Go(func() { _, _ = io.Copy(io.MultiWriter(nats, w), client); nats.Close() })
			open.Go(func() { _, _ = io.Copy(client, nats); client.Close() })
		}
	})
	return w
}

type network struct{ SSID, Password string }

type provisioning struct {
	Workspace, Device, Key string
	ProductID              string `json:"product_id"`
	WiFi                   []network
}

func (c *client) provision(device string) provisioning {
	c.t.Helper()
	var p provisioning
	a := c.must(201, "POST", "/products/"+device+"/provisioning", nil, &p)
	if a.Header.Get("Cache-Control") != "no-store" {
		c.t.Errorf("Cache-Control %q", a.Header.Get("Cache-Control"))
	}
	return p
}

// Networks are entered, kept over a restart, and handed out in one place, in
// either kind of database; nothing else ever holds a password.
func TestWiFi(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { testWiFi(t, install(t)) })
	t.Run("mongo", func(t *testing.T) {
		uri, _ := docstoretest.Mongo(t)
		in, name := install(t), "auth_"+xid.New().String()
		in.open = func(ctx context.Context) (docstore.DB, error) { return mongo.Open(ctx, uri, name) }
		testWiFi(t, in)
	})
}

func testWiFi(t *testing.T, in *installation) {
	const shed, home, barn, digits = "the shed's password", "<home> & \"password\"", "the barn's password", "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"
	in.wire = newWire(t, in.nats.Addr())
	in.start()
	ada, founded := in.setUp()
	bots := ada.register("bot_001", "bot_002")
	one, two := bots[0].Product.Device, bots[1].Product.Device
	bot := in.client()
	bot.must(200, "POST", "/product-login", object{"workspace": "robots", "product_id": "bot_001", "password": bots[0].Password}, nil)

	var shown strings.Builder // every answer but those that hand out
	set := func(c *client, path string, networks ...object) {
		t.Helper()
		shown.Write(c.must(200, "PUT", path, object{"networks": append([]object{}, networks...)}, nil).body)
	}
	names := func(c *client, path, want string) {
		t.Helper()
		a := c.must(200, "GET", path, nil, nil)
		shown.Write(a.body)
		if got := strings.TrimSpace(string(a.body)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	given := func(c *client, device string, want ...network) {
		t.Helper()
		p := c.provision(device)
		if len(p.WiFi)+len(want) > 0 && !reflect.DeepEqual(p.WiFi, want) {
			t.Errorf("%s gets %+v, want %+v", device, p.WiFi, want)
		}
		if p.Workspace != founded.Me.Workspace || p.Device != device || !deviceproto.ValidKey(p.Key) || in.keyOf(device) != hash(p.Key) {
			t.Errorf("%s gets another key than the artifact service", device)
		}
		in.noSecretsIn(p.Key)
	}

	names(ada, "/wifi", `{"networks":[]}`)
	given(ada, one)
	if p := ada.provision(one); p.ProductID != "bot_001" || p.WiFi == nil {
		t.Errorf("%+v", p)
	}
	set(ada, "/wifi", object{"ssid": "shed", "password": shed}, object{"ssid": "yard", "password": ""})
	names(ada, "/wifi", `{"networks":[{"ssid":"shed"},{"ssid":"yard"}]}`)
	names(bot, "/products/"+one+"/wifi", `{"networks":[]}`)
	given(bot, one, network{"shed", shed}, network{"yard", ""})
	set(bot, "/products/"+one+"/wifi", object{"ssid": "home", "password": home}, object{"ssid": "fort", "password": digits})
	names(bot, "/products/"+one+"/wifi", `{"networks":[{"ssid":"home"},{"ssid":"fort"}]}`)
	given(bot, one, network{"home", home}, network{"fort", digits})
	given(ada, two, network{"shed", shed}, network{"yard", ""})

	// Whoever has no password to give keeps the one that is there, in a new order.
	set(ada, "/wifi", object{"ssid": "barn", "password": barn}, object{"ssid": "yard"}, object{"ssid": "shed"})
	given(ada, two, network{"barn", barn}, network{"yard", ""}, network{"shed", shed})

	for field, networks := range map[string][]object{
		"networks":            {{"ssid": "a", "password": ""}, {"ssid": "b", "password": ""}, {"ssid": "c", "password": ""}, {"ssid": "d", "password": ""}, {"ssid": "e", "password": ""}},
		"networks.0.ssid":     {{"ssid": "", "password": ""}},
		"networks.1.ssid":     {{"ssid": "a", "password": ""}, {"ssid": "a", "password": ""}},
		"networks.2.ssid":     {{"ssid": "a", "password": ""}, {"ssid": "b", "password": ""}, {"ssid": strings.Repeat("ñ", 17), "password": ""}},
		"networks.0.password": {{"ssid": "unknown"}},
		"networks.1.password": {{"ssid": "shed"}, {"ssid": "b", "password": "badpass"}},
		"networks.2.password": {{"ssid": "shed"}, {"ssid": "yard"}, {"ssid": "b", "password": strings.Repeat("badpass", 10)}},
		"networks.3.password": {{"ssid": "shed"}, {"ssid": "yard"}, {"ssid": "barn"}, {"ssid": "home"}}, // which is the product's
	} {
		a := ada.do("PUT", "/wifi", object{"networks": networks})
		if code, got := a.problem(); code != "invalid" || got != field {
			t.Errorf("%s: %s", field, a.body)
		}
		shown.Write(a.body)
	}
	// A product keeps nothing of its workspace's.
	if code, field := ada.do("PUT", "/products/"+two+"/wifi", object{"networks": []object{{"ssid": "shed"}}}).problem(); code != "invalid" || field != "networks.0.password" {
		t.Errorf("%s %s", code, field)
	}

	in.restart()
	again, botAgain := in.client(), in.client()
	again.http.Jar, botAgain.http.Jar = ada.http.Jar, bot.http.Jar
	names(again, "/wifi", `{"networks":[{"ssid":"barn"},{"ssid":"yard"},{"ssid":"shed"}]}`)
	given(again, two, network{"barn", barn}, network{"yard", ""}, network{"shed", shed})
	given(botAgain, one, network{"home", home}, network{"fort", digits})
	set(botAgain, "/products/"+one+"/wifi") // none: the workspace's count
	given(botAgain, one, network{"barn", barn}, network{"yard", ""}, network{"shed", shed})
	set(botAgain, "/products/"+one+"/wifi", object{"ssid": "home", "password": home})

	// Strangers: the owner of another workspace.
	var second struct{ Workspace string }
	again.must(201, "POST", "/workspaces", object{"name": "Elsewhere"}, &second)
	again.must(200, "PUT", "/me/workspace", object{"workspace": second.Workspace}, nil)
	names(again, "/wifi", `{"networks":[]}`)
	for _, c := range []struct{ method, path string }{{"GET", "/wifi"}, {"PUT", "/wifi"}, {"POST", "/provisioning"}} {
		body := any(object{"networks": []object{{"ssid": "home"}}})
		if c.method != "PUT" {
			body = nil
		}
		again.must(404, c.method, "/products/"+two+c.path, body, nil)
	}

	handedOut := 0
	for _, entry := range in.logs.All() {
		if entry.Message == "a device's key and Wi-Fi were handed out" {
			handedOut++
			if fields := entry.ContextMap(); fields["device"] == nil || fields["to"] == nil || fields["workspace"] != founded.Me.Workspace {
				t.Errorf("the log says %v", fields)
			}
		}
	}
	if handedOut != 9 {
		t.Errorf("%d times handed out, says the log", handedOut)
	}
	secrets := []string{shed, home, barn, digits, "badpass"}
	in.noSecretsIn(secrets...)
	in.stop()
	files, err := filepath.Glob(in.file + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if strings.Contains(shown.String(), s) || strings.Contains(shown.String(), strings.ReplaceAll(s, `"`, `\"`)) {
			t.Errorf("an answer tells %q", s)
		}
		if in.wire.holds(s) {
			t.Errorf("a message holds %q", s)
		}
		for _, file := range files {
			if content, err := os.ReadFile(file); err != nil || bytes.Contains(content, []byte(s)) {
				t.Errorf("%s holds %q, or cannot be read: %v", filepath.Base(file), s, err)
			}
		}
	}
	if !in.wire.holds("bot_001") {
		t.Error("the wire remembers nothing")
	}
}
