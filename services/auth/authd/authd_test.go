package authd_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/pkg/identity/keyfeed"
)

var loopback4 = netip.MustParsePrefix("127.0.0.0/8")

// Of many who know the token one becomes the administrator; afterwards nobody.
func TestSetupRace(t *testing.T) {
	in := install(t).start()
	if in.setupToken == "" {
		t.Fatal("no setup token was shown")
	}
	var state struct{ Needed bool }
	if in.client().must(200, "GET", "/setup", nil, &state); !state.Needed {
		t.Error("a fresh installation needs no set-up")
	}
	wrong := in.client().do("POST", "/setup", object{"token": "guess", "login": "eve", "password": "eve's password", "workspace": "Eve's"})
	if code, field := wrong.problem(); code != "forbidden" || field != "token" {
		t.Errorf("a guessed token: %s %s", code, field)
	}
	var wg sync.WaitGroup
	answers := make([]answer, 6)
	for i := range answers {
		c := in.client()
		wg.Go(func() {
			answers[i] = c.do("POST", "/setup", object{
				"token": in.setupToken, "login": fmt.Sprint("admin", i), "password": "a good password", "workspace": "Robots",
			})
		})
	}
	wg.Wait()
	won := 0
	for _, a := range answers {
		switch code, _ := a.problem(); {
		case a.StatusCode == http.StatusCreated:
			won++
		case a.StatusCode != http.StatusConflict || code != "conflict":
			t.Errorf("a loser is told %s %s", a.Status, a.body)
		}
	}
	if won != 1 {
		t.Errorf("%d administrators", won)
	}
	token := in.setupToken
	in.restart()
	if in.setupToken != "" {
		t.Error("a second start shows a setup token")
	}
	if in.client().must(200, "GET", "/setup", nil, &state); state.Needed {
		t.Error("set-up is still needed")
	}
	late := in.client().do("POST", "/setup", object{"token": token, "login": "eve", "password": "eve's password", "workspace": "Eve's"})
	if code, _ := late.problem(); code != "conflict" {
		t.Errorf("a late set-up: %s", late.body)
	}
	in.noSecretsIn(token, "a good password", "eve's password")
}

func TestPresetSetupToken(t *testing.T) {
	in := install(t)
	in.cfg.SetupToken = "preset-token"
	in.start()
	if in.setupToken != "preset-token" {
		t.Errorf("shown %q", in.setupToken)
	}
	in.setUp()
}

func TestLoginRefreshLogout(t *testing.T) {
	in := install(t).start()
	_, founded := in.setUp()
	if founded.Me.Kind != "person" || founded.Me.Role != "owner" || founded.Me.WorkspaceSlug != "robots" || len(founded.Me.Memberships) != 1 {
		t.Errorf("%+v", founded.Me)
	}
	ada := in.client()
	ada.must(401, "GET", "/me", nil, nil)
	var s session
	login := ada.must(200, "POST", "/login", object{"login": "ADA", "password": "ada's password"}, &s)
	for _, c := range login.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge <= 0 || c.Secure {
			t.Errorf("cookie %s", c)
		}
	}
	if names := cookieNames(login); names != "flota flota-session" {
		t.Errorf("cookies %s", names)
	}
	ada.must(200, "GET", "/me", nil, nil)
	in.bearer(s.AccessToken).must(200, "GET", "/me", nil, nil)
	ada.must(200, "POST", "/refresh", nil, nil)
	in.client().must(401, "POST", "/refresh", nil, nil)

	// The session outlives the daemon, and the token its key's process.
	in.restart()
	again := in.client()
	again.http.Jar = ada.http.Jar // its cookies are for 127.0.0.1, whatever the port
	again.must(200, "POST", "/refresh", nil, nil)
	again.must(200, "GET", "/me", nil, nil)

	// An access token that is no more valid does not stand in the way.
	stale := in.client()
	stale.header.Set("Cookie", "flota=eyJhbGciOiJFZERTQSJ9.e30.AAAA")
	stale.must(401, "GET", "/me", nil, nil)
	stale.must(200, "POST", "/login", object{"login": "ada", "password": "ada's password"}, nil)

	if gone := cookieNames(again.must(204, "POST", "/logout", nil, nil)); gone != "flota flota-session" {
		t.Errorf("logout touches the cookies %s", gone)
	}
	again.must(401, "GET", "/me", nil, nil)
	again.must(401, "POST", "/refresh", nil, nil)
	again.must(204, "POST", "/logout", nil, nil)
	in.noSecretsIn("ada's password", s.AccessToken)
}

func cookieNames(a answer) string {
	var names []string
	for _, c := range a.Cookies() {
		names = append(names, c.Name)
	}
	return strings.Join(names, " ")
}

// A page of another site cannot act for who is logged in here.
func TestOtherSitesAreRefused(t *testing.T) {
	in := install(t).start()
	ada, _ := in.setUp()
	ada.header.Set("Sec-Fetch-Site", "cross-site")
	ada.must(403, "POST", "/logout", nil, nil)
	ada.must(403, "POST", "/login", object{"login": "ada", "password": "ada's password"}, nil)
}

// Somebody unknown cannot have much read, or anything checked.
func TestBodiesOfStrangers(t *testing.T) {
	in := install(t).start()
	in.setUp()
	stranger := in.client()
	stranger.must(413, "POST", "/login", object{"login": "ada", "password": strings.Repeat("x", 20<<10)}, nil)
	stranger.must(401, "POST", "/products", object{"products": 1}, nil)
}

// What a login does under the names that browsers know the installation by.
func TestHostNames(t *testing.T) {
	in := install(t).start()
	in.setUp()
	for _, test := range []struct {
		public, browser string
		consent         bool
		proxied         bool // TLS ends at a trusted proxy
		status          int
		cookies         string
	}{
		{"https://flota.example.org", "http://flota.example.org", false, true, 200, "__Host-flota __Secure-flota-session"},
		{"http://flota.example.org", "http://flota.example.org", false, false, 409, ""},
		{"http://flota.example.org", "http://flota.example.org", true, false, 200, "flota flota-session"},
		{"http://localhost:8080", "http://localhost:8080", false, false, 200, "flota flota-session"},
		{"", "http://127.0.0.1", false, false, 200, "flota flota-session"},
		{"", "http://[::1]:8080", false, false, 200, "flota flota-session"},
		{"", "http://flota.lan", false, false, 409, ""},
		{"", "http://flota.lan", true, false, 200, "flota flota-session"},
		{"", "http://flota.lan", false, true, 200, "__Host-flota __Secure-flota-session"},
	} {
		t.Run(fmt.Sprintf("%s as %s consent %v proxied %v", test.public, test.browser, test.consent, test.proxied), func(t *testing.T) {
			in.stop()
			public, err := url.Parse(test.public)
			if err != nil {
				t.Fatal(err)
			}
			in.cfg.PublicURL, in.cfg.PlainHTTP = *public, test.consent
			if in.cfg.TrustedProxies = nil; test.proxied {
				in.cfg.TrustedProxies = []netip.Prefix{loopback4}
			}
			in.start()
			c := in.clientAt(test.browser)
			if test.proxied {
				c.header.Set("X-Forwarded-Proto", "https")
			}
			for range map[bool]int{true: 1, false: 20}[test.status == 200] { // refused before anything is looked at, and counted
				a := c.do("POST", "/login", object{"login": "ada", "password": "ada's password"})
				if a.StatusCode != test.status || cookieNames(a) != test.cookies {
					t.Fatalf("%s %s, cookies %q", a.Status, a.body, cookieNames(a))
				}
				if code, _ := a.problem(); test.status == 409 && code != "precondition" {
					t.Error(code)
				}
			}
			if test.status != 200 || test.proxied {
				return // Go's jar, like a browser, keeps Secure cookies from plain HTTP
			}
			c.must(200, "GET", "/me", nil, nil)
			c.must(200, "POST", "/refresh", nil, nil)
		})
	}
}

func TestRateLimit(t *testing.T) {
	in := install(t).start()
	in.setUp()
	eve := in.client()
	for i := range 10 {
		if a := eve.do("POST", "/login", object{"login": "ada", "password": "guess"}); a.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d: %s", i, a.Status)
		}
	}
	for _, password := range []string{"guess", "ada's password"} {
		a := eve.do("POST", "/login", object{"login": "ada", "password": password})
		wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if code, _ := a.problem(); a.StatusCode != http.StatusTooManyRequests || code != "rate_limited" || err != nil || wait < 1 || wait > 5 {
			t.Errorf("%s %s, Retry-After %q", a.Status, a.body, a.Header.Get("Retry-After"))
		}
	}
	// Another name is not locked, and the address of who says so is not believed.
	eve.header.Set("X-Forwarded-For", "198.51.100.1")
	for i := range 39 {
		a := eve.do("POST", "/product-login", object{"workspace": "robots", "product_id": fmt.Sprint("bot_", i), "password": "guess"})
		if a.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d: %s", i, a.Status)
		}
	}
	limited := false
	for i := range 5 { // the address gets one more each six seconds
		eve.header.Set("X-Forwarded-For", fmt.Sprint("198.51.100.", i))
		a := eve.do("POST", "/login", object{"login": fmt.Sprint("somebody", i), "password": "guess"})
		limited = limited || a.StatusCode == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("one address may try one name after the other")
	}
}

// Who may do what: each role, on each operation. A refusal changes nothing.
func TestRoles(t *testing.T) {
	in := install(t).start()
	ada, founded := in.setUp()
	for _, role := range []string{"viewer", "maintainer"} {
		ada.must(201, "POST", "/members", object{"login": role, "password": "a good password", "role": role}, nil)
	}
	bot := ada.register("bot_001", "bot_002")
	login := func(name string) *client {
		c := in.client()
		c.must(200, "POST", "/login", object{"login": name, "password": "a good password"}, nil)
		return c
	}
	product := in.client()
	product.must(200, "POST", "/product-login", object{"workspace": "robots", "product_id": "bot_001", "password": bot[0].Password}, nil)
	var ci struct{ Secret string }
	ada.must(201, "POST", "/tokens", object{"name": "ci", "role": "maintainer"}, &ci)

	callers := []*client{in.client(), product, login("viewer"), login("maintainer"), ada, in.bearer(ci.Secret)}
	names := []string{"nobody", "product", "viewer", "maintainer", "owner", "maintainer's token"}
	one, two := "/products/"+bot[0].Product.Device, "/products/"+bot[1].Product.Device
	home := object{"networks": []object{{"ssid": "home", "password": ""}}}
	for _, op := range []struct {
		method, path string
		body         any
		want         [6]int
	}{
		{"GET", "/me", nil, [6]int{401, 200, 200, 200, 200, 200}},
		{"GET", "/members", nil, [6]int{401, 403, 200, 200, 200, 200}},
		{"GET", "/tokens", nil, [6]int{401, 403, 200, 200, 200, 200}},
		{"GET", "/products", nil, [6]int{401, 403, 200, 200, 200, 200}},
		{"GET", one, nil, [6]int{401, 200, 200, 200, 200, 200}},
		{"GET", two, nil, [6]int{401, 403, 200, 200, 200, 200}},
		{"GET", "/products/nowhere", nil, [6]int{401, 403, 404, 404, 404, 404}},
		{"POST", "/members", object{"login": "eve", "password": "eve's password", "role": "nonsense"}, [6]int{401, 400, 400, 400, 400, 400}},
		{"POST", "/members", object{"login": "ada", "role": "owner"}, [6]int{401, 403, 403, 403, 409, 403}},
		{"PUT", "/members/" + founded.Me.ID, object{"role": "viewer"}, [6]int{401, 403, 403, 403, 409, 403}},
		{"DELETE", "/members/" + founded.Me.ID, nil, [6]int{401, 403, 403, 403, 409, 403}},
		{"POST", "/tokens", object{"name": "x", "role": "viewer"}, [6]int{401, 403, 201, 201, 201, 403}},
		{"POST", "/tokens", object{"name": "x", "role": "owner"}, [6]int{401, 403, 403, 403, 201, 403}},
		{"DELETE", "/tokens/nowhere", nil, [6]int{401, 403, 404, 404, 404, 404}},
		{"POST", "/workspaces", object{"name": "Mine"}, [6]int{401, 403, 201, 201, 201, 403}},
		{"PUT", "/me/workspace", object{"workspace": founded.Me.Workspace}, [6]int{401, 403, 200, 200, 200, 403}},
		{"POST", "/products", object{"products": []object{{"product_id": "bot_001"}}}, [6]int{401, 403, 403, 409, 409, 409}},
		{"PUT", two + "/password", object{"password": "12345"}, [6]int{401, 403, 403, 204, 204, 204}},
		{"POST", one + "/key", nil, [6]int{401, 403, 403, 201, 201, 201}},
		{"DELETE", one + "/key", nil, [6]int{401, 403, 403, 204, 204, 204}},
		{"GET", "/wifi", nil, [6]int{401, 403, 403, 200, 200, 200}},
		{"PUT", "/wifi", home, [6]int{401, 403, 403, 200, 200, 200}},
		{"GET", one + "/wifi", nil, [6]int{401, 200, 403, 200, 200, 200}},
		{"GET", two + "/wifi", nil, [6]int{401, 403, 403, 200, 200, 200}},
		{"PUT", one + "/wifi", home, [6]int{401, 200, 403, 200, 200, 200}},
		{"PUT", two + "/wifi", home, [6]int{401, 403, 403, 200, 200, 200}},
		{"PUT", "/products/nowhere/wifi", home, [6]int{401, 403, 403, 404, 404, 404}},
		{"POST", one + "/provisioning", nil, [6]int{401, 201, 403, 201, 201, 201}},
		{"POST", two + "/provisioning", nil, [6]int{401, 403, 403, 201, 201, 201}},
		{"POST", "/products/nowhere/provisioning", nil, [6]int{401, 403, 403, 404, 404, 404}},
		{"DELETE", "/products/nowhere", nil, [6]int{401, 403, 403, 404, 404, 404}},
		{"GET", "/keys", nil, [6]int{200, 200, 200, 200, 200, 200}},
	} {
		for i, c := range callers {
			if a := c.do(op.method, op.path, op.body); a.StatusCode != op.want[i] {
				t.Errorf("%s: %s %s %v: %d %s, want %d", names[i], op.method, op.path, op.body, a.StatusCode, a.body, op.want[i])
			}
		}
	}
}

// A role that was taken away is gone at once, however long the access token
// that tells it still lives.
func TestLostRoleIsGoneAtOnce(t *testing.T) {
	in := install(t).start()
	ada, _ := in.setUp()
	var bob struct{ User string }
	ada.must(201, "POST", "/members", object{"login": "bob", "password": "bob's password", "role": "owner"}, &bob)
	var s session
	in.client().must(200, "POST", "/login", object{"login": "bob", "password": "bob's password"}, &s)
	program := in.bearer(s.AccessToken)
	program.must(200, "GET", "/members", nil, nil)
	ada.must(200, "PUT", "/members/"+bob.User, object{"role": "viewer"}, nil)
	program.must(403, "PUT", "/members/"+bob.User, object{"role": "owner"}, nil)
	ada.must(204, "DELETE", "/members/"+bob.User, nil, nil)
	program.must(403, "GET", "/members", nil, nil)
	program.must(403, "POST", "/tokens", object{"name": "x", "role": "viewer"}, nil)
}

func TestWorkspaces(t *testing.T) {
	in := install(t).start()
	ada, founded := in.setUp()
	var second struct{ Workspace, Slug, Role string }
	ada.must(201, "POST", "/workspaces", object{"name": "Taller Ñandú"}, &second)
	if second.Slug != "taller-nandu" || second.Role != "owner" {
		t.Errorf("%+v", second)
	}
	ada.register("bot_001")
	var s session
	ada.must(200, "PUT", "/me/workspace", object{"workspace": second.Workspace}, &s)
	if s.Me.Workspace != second.Workspace || len(s.Me.Memberships) != 2 {
		t.Errorf("%+v", s.Me)
	}
	var list struct{ Products []product }
	if ada.must(200, "GET", "/products", nil, &list); len(list.Products) != 0 {
		t.Errorf("another workspace's products: %+v", list.Products)
	}
	ada.register("bot_001") // the same name, elsewhere
	ada.must(200, "POST", "/refresh", nil, &s)
	if s.Me.Workspace != second.Workspace {
		t.Error("a refresh went back to the first workspace")
	}
	ada.must(200, "PUT", "/me/workspace", object{"workspace": founded.Me.Workspace}, nil)
	ada.must(404, "PUT", "/me/workspace", object{"workspace": "nowhere"}, nil)
}

func TestProductLogin(t *testing.T) {
	in := install(t).start()
	ada, _ := in.setUp()
	ada.must(201, "POST", "/products", object{"products": []object{{"product_id": "bot_001", "password": "12345", "name": "Bot"}}}, nil)
	login := func(password string) (*client, answer) {
		c := in.client()
		return c, c.do("POST", "/product-login", object{"workspace": "robots", "product_id": "bot_001", "password": password})
	}
	if _, a := login("54321"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("wrong password: %s", a.Status)
	}
	bot, a := login("12345")
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	var me struct {
		Kind, Role, Device, ID string
		Memberships            []object
	}
	if bot.must(200, "GET", "/me", nil, &me); me.Kind != "product" || me.Role != "product" || me.Device == "" || me.ID != me.Device || len(me.Memberships) != 0 {
		t.Errorf("%+v", me)
	}
	bot.must(200, "POST", "/refresh", nil, nil)
	ada.must(204, "PUT", "/products/"+me.Device+"/password", object{"password": "54321"}, nil)
	bot.must(401, "POST", "/refresh", nil, nil)
	if _, a := login("12345"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old password: %s", a.Status)
	}
	bot, a = login("54321")
	if a.StatusCode != http.StatusOK {
		t.Fatalf("the new password: %s", a.Status)
	}
	ada.must(204, "DELETE", "/products/"+me.Device, nil, nil)
	bot.must(401, "POST", "/refresh", nil, nil)
	bot.must(401, "GET", "/me", nil, nil)
}

// Another service exchanges an API token, and verifies what it gets with the
// published keys alone.
func TestExchange(t *testing.T) {
	in := install(t).start()
	ada, founded := in.setUp()
	var ci struct {
		Token  struct{ ID string }
		Secret string
	}
	ada.must(201, "POST", "/tokens", object{"name": "ci", "role": "viewer", "expires_at": time.Now().Add(time.Hour)}, &ci)

	conn := in.nats.Connect(flow.Editor)
	verifier := identity.NewVerifier()
	go keyfeed.Run(t.Context(), conn, verifier)
	eventually(t, "the keys come", func() bool { return verifier.Ready(t.Context()) == nil })
	exchange := keyfeed.Exchange(conn)
	access, err := exchange(t.Context(), ci.Secret)
	if err != nil {
		t.Fatal(err)
	}
	p, err := verifier.Verify(access)
	if err != nil || p.Kind != identity.KindToken || p.Role != identity.Viewer || p.Workspace != founded.Me.Workspace || p.Subject != ci.Token.ID {
		t.Errorf("%+v, %v", p, err)
	}
	var tokens struct{ Tokens []object }
	if ada.must(200, "GET", "/tokens", nil, &tokens); len(tokens.Tokens) != 1 || tokens.Tokens[0]["used_at"] == nil || tokens.Tokens[0]["secret"] != nil {
		t.Errorf("%v", tokens)
	}
	program := in.bearer(ci.Secret)
	program.must(200, "GET", "/products", nil, nil)
	ada.must(204, "DELETE", "/tokens/"+ci.Token.ID, nil, nil)
	if _, err := exchange(t.Context(), ci.Secret); err == nil {
		t.Error("a void token was exchanged")
	}
	program.must(401, "GET", "/products", nil, nil)
	in.noSecretsIn(ci.Secret)
}

// The published keys are the same over HTTP and on the bus, survive a restart,
// and come back when the bus lost its data.
func TestTokenKeys(t *testing.T) {
	in := install(t).start()
	ada, _ := in.setUp()
	var set struct {
		Keys []struct{ Kid, Kty, Crv, X, Use, Alg string }
	}
	in.client().must(200, "GET", "/keys", nil, &set)
	published := bucket(in, flow.Editor, flow.TokenKeys)
	if len(set.Keys) != 1 || len(published) != 1 || len(published[set.Keys[0].Kid].GetPublicKey()) != 32 || set.Keys[0].Kty != "OKP" {
		t.Fatalf("%+v, %v", set, published)
	}
	in.stop()
	in.nats.Stop()
	in.nats.Wipe()
	in.nats.Start()
	in.nats.Ensure()
	in.start()
	if again := bucket(in, flow.Editor, flow.TokenKeys); again[set.Keys[0].Kid] == nil {
		t.Error("the key was not published again")
	}
	again := in.client()
	again.http.Jar = ada.http.Jar
	again.must(200, "GET", "/me", nil, nil)
}
