package identity_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve/problem"
	"github.com/flota/flota/pkg/identity"
)

var pub, private, _ = ed25519.GenerateKey(rand.Reader)

func ada(life time.Duration) identity.Principal {
	return identity.Principal{
		Kind: identity.KindPerson, Subject: "u1", Name: "Ada", Workspace: "w1", Role: identity.Maintainer,
		Expires: time.Now().Add(life).Truncate(time.Second),
	}
}

func sign(t *testing.T, p identity.Principal) string {
	t.Helper()
	token, err := identity.NewSigner("k1", private).Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func verifier() *identity.Verifier {
	v := identity.NewVerifier()
	v.SetKey("k1", pub)
	return v
}

func TestRoles(t *testing.T) {
	roles := []identity.Role{identity.Owner, identity.Maintainer, identity.Viewer, identity.Product, ""}
	for i, row := range [][]bool{ // wanted: owner, maintainer, viewer, product, none
		{true, true, true, false, false},
		{false, true, true, false, false},
		{false, false, true, false, false},
		{false, false, false, true, false},
		{false, false, false, false, false},
	} {
		for j, want := range row {
			if got := roles[i].Includes(roles[j]); got != want {
				t.Errorf("%q includes %q: %v", roles[i], roles[j], got)
			}
		}
	}
}

func TestRequire(t *testing.T) {
	person := identity.NewContext(t.Context(), identity.Principal{Subject: "u1", Role: identity.Maintainer})
	product := identity.NewContext(t.Context(), identity.Principal{Subject: "d1", Role: identity.Product, Device: "d1"})
	broken := identity.NewContext(t.Context(), identity.Principal{Subject: "d1", Role: identity.Product})
	for name, test := range map[string]struct {
		ctx    context.Context
		role   identity.Role
		device string // where set, RequireFor
		want   fault.Code
	}{
		"nobody":                           {t.Context(), identity.Viewer, "", fault.Unauthenticated},
		"nobody for a device":              {t.Context(), identity.Viewer, "d1", fault.Unauthenticated},
		"enough":                           {person, identity.Viewer, "", ""},
		"not enough":                       {person, identity.Owner, "", fault.Forbidden},
		"person for a device":              {person, identity.Maintainer, "d1", ""},
		"product where a viewer may":       {product, identity.Viewer, "", fault.Forbidden},
		"product for its own device":       {product, identity.Maintainer, "d1", ""},
		"product for another device":       {product, identity.Viewer, "d2", fault.Forbidden},
		"product without a device, for d1": {broken, identity.Viewer, "d1", fault.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := identity.Require(test.ctx, test.role)
			if test.device != "" {
				p, err = identity.RequireFor(test.ctx, test.role, test.device)
			}
			if fault.CodeOf(err) != test.want || (err == nil) != (p.Subject != "") {
				t.Errorf("got %+v, %v", p, err)
			}
		})
	}
	// Things without a device belong to no product, not even to a broken one.
	if _, err := identity.RequireFor(broken, identity.Viewer, ""); !fault.Is(err, fault.Forbidden) {
		t.Errorf("no device: %v", err)
	}
}

func TestSignAndVerify(t *testing.T) {
	want := ada(10 * time.Minute)
	got, err := verifier().Verify(sign(t, want))
	if err != nil || !got.Expires.Equal(want.Expires) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if got.Expires = want.Expires; got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, life := range []time.Duration{0, -time.Minute, 2 * identity.MaxLife} {
		if _, err := identity.NewSigner("k1", private).Sign(ada(life)); err == nil {
			t.Errorf("signed for %s", life)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	valid := sign(t, ada(10*time.Minute))
	head, rest, _ := strings.Cut(valid, ".")
	body, signature, _ := strings.Cut(rest, ".")
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	encode := func(v any) string {
		text, _ := json.Marshal(v)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	claims := func(issuer string, expires any) jwt.MapClaims {
		c := jwt.MapClaims{"iss": issuer, "sub": "u1", "role": "owner"}
		if expires != nil {
			c["exp"] = expires
		}
		return c
	}
	made := func(method jwt.SigningMethod, key any, kid string, c jwt.MapClaims) string {
		token := jwt.NewWithClaims(method, c)
		token.Header["kid"] = kid
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	soon := time.Now().Add(time.Minute).Unix()
	for name, token := range map[string]string{
		"empty":                     "",
		"no token":                  "hello",
		"another key's signature":   made(jwt.SigningMethodEdDSA, other, "k1", claims("flota", soon)),
		"unknown key":               made(jwt.SigningMethodEdDSA, private, "k2", claims("flota", soon)),
		"another issuer":            made(jwt.SigningMethodEdDSA, private, "k1", claims("else", soon)),
		"without expiry":            made(jwt.SigningMethodEdDSA, private, "k1", claims("flota", nil)),
		"expired":                   made(jwt.SigningMethodEdDSA, private, "k1", claims("flota", soon-3600)),
		"HMAC with the public key":  made(jwt.SigningMethodHS256, []byte(pub), "k1", claims("flota", soon)),
		"no signature":              made(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "k1", claims("flota", soon)),
		"body changed":              head + "." + encode(claims("flota", soon)) + "." + signature,
		"signature cut":             head + "." + body + "." + signature[:20],
		"header changed":            encode(map[string]string{"alg": "EdDSA", "kid": "k1"}) + "." + rest,
		"kid that is not a string":  encode(map[string]any{"alg": "EdDSA", "kid": 1}) + "." + rest,
		"header without a kid":      encode(map[string]any{"alg": "EdDSA"}) + "." + rest,
		"expiry that is no number":  made(jwt.SigningMethodEdDSA, private, "k1", claims("flota", "soon")),
		"expiry beyond all numbers": made(jwt.SigningMethodEdDSA, private, "k1", claims("flota", "1e400")),
	} {
		if p, err := verifier().Verify(token); !fault.Is(err, fault.Unauthenticated) || p != (identity.Principal{}) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestKeysComeAndGo(t *testing.T) {
	v, token := identity.NewVerifier(), sign(t, ada(time.Minute))
	if _, err := v.Verify(token); !fault.Is(err, fault.Unavailable) {
		t.Errorf("before the first key: %v", err)
	}
	if v.Ready(t.Context()) == nil {
		t.Error("ready without a key")
	}
	v.SetKey("k1", pub)
	if _, err := v.Verify(token); err != nil || v.Ready(t.Context()) != nil {
		t.Errorf("with the key: %v", err)
	}
	other, _, _ := ed25519.GenerateKey(rand.Reader)
	v.SetKey("k2", other)
	v.RemoveKey("k1")
	if _, err := v.Verify(token); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("after its removal: %v", err)
	}
}

func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, token := verifier(), sign(t, ada(time.Minute))
		time.Sleep(59 * time.Second)
		if _, err := v.Verify(token); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		if _, err := v.Verify(token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("after its time: %v", err)
		}
	})
}

// request sends one request through the middleware and returns the answer and
// the caller that the handler saw.
func request(m func(http.Handler) http.Handler, change func(*http.Request)) (*httptest.ResponseRecorder, identity.Principal) {
	var seen identity.Principal
	handler := m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen, _ = identity.From(r.Context())
	}))
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	change(r)
	handler.ServeHTTP(w, r)
	return w, seen
}

func TestMiddleware(t *testing.T) {
	valid, foreign := sign(t, ada(10*time.Minute)), "eyJhbGciOiJFZERTQSJ9.e30.AAAA"
	cookie := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: value}) }
	}
	header := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	both := func(r *http.Request) { header("Bearer " + valid)(r); cookie("__Host-flota", foreign)(r) }
	for name, test := range map[string]struct {
		change  func(*http.Request)
		plain   bool
		subject string
		status  int
	}{
		"nobody":                     {func(*http.Request) {}, false, "", 200},
		"secure cookie":              {cookie("__Host-flota", valid), false, "u1", 200},
		"plain cookie, no consent":   {cookie("flota", valid), false, "", 200},
		"plain cookie, consent":      {cookie("flota", valid), true, "u1", 200},
		"empty cookie":               {cookie("__Host-flota", ""), false, "", 200},
		"false cookie":               {cookie("__Host-flota", foreign), false, "", 401},
		"false plain cookie":         {cookie("flota", foreign), true, "", 401},
		"bearer":                     {header("Bearer " + valid), false, "u1", 200},
		"bearer in lower case":       {header("bearer " + valid), false, "u1", 200},
		"bearer before cookie":       {both, false, "u1", 200},
		"false bearer":               {header("Bearer " + foreign), false, "", 401},
		"bearer without a token":     {header("Bearer"), false, "", 401},
		"basic is for others":        {header("Basic Ym90OnB3"), false, "", 200},
		"API token, none taken here": {header("Bearer flota_abc"), false, "", 401},
	} {
		t.Run(name, func(t *testing.T) {
			w, seen := request(identity.Middleware(verifier(), nil, identity.PlainCookie(test.plain)), test.change)
			if w.Code != test.status || seen.Subject != test.subject {
				t.Fatalf("status %d, caller %+v", w.Code, seen)
			}
			if w.Code != 401 {
				return
			}
			var p problem.Problem
			if err := json.NewDecoder(w.Body).Decode(&p); err != nil || p.Code != fault.Unauthenticated {
				t.Errorf("body %+v, %v", p, err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			test.change(r)
			if sent := r.Cookies(); len(sent) > 0 {
				if got := w.Result().Cookies(); len(got) != 1 || got[0].Name != sent[0].Name || got[0].MaxAge >= 0 {
					t.Errorf("the false cookie was not removed: %v", got)
				}
			}
		})
	}
}

func TestMiddlewareBeforeTheFirstKey(t *testing.T) {
	w, _ := request(identity.Middleware(identity.NewVerifier(), nil), func(r *http.Request) {
		r.AddCookie(&http.Cookie{Name: "__Host-flota", Value: "x.y.z"})
	})
	if w.Code != 503 || len(w.Result().Cookies()) != 0 {
		t.Errorf("status %d, cookies %v", w.Code, w.Result().Cookies())
	}
}

func TestAPITokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls int
		var failure error
		v := verifier()
		m := identity.Middleware(v, func(_ context.Context, token string) (string, error) {
			calls++
			if failure != nil {
				return "", failure
			}
			if token != "flota_good" {
				return "", fault.New(fault.Unauthenticated, "no such token")
			}
			p := ada(10 * time.Minute)
			p.Kind, p.Subject = identity.KindToken, "t1"
			return sign(t, p), nil
		})
		expect := func(token string, status, exchanges int) {
			t.Helper()
			calls = 0
			w, seen := request(m, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
			if w.Code != status || calls != exchanges || (status == 200) != (seen.Subject == "t1") {
				t.Errorf("status %d after %d exchanges, caller %+v", w.Code, calls, seen)
			}
		}
		expect("flota_good", 200, 1)
		expect("flota_good", 200, 0)
		expect("flota_bad", 401, 1)
		expect("flota_bad", 401, 1) // a refusal is not remembered: the token may be made now
		expect("flota_"+strings.Repeat("x", 1000), 401, 0)

		time.Sleep(9*time.Minute + 20*time.Second)
		expect("flota_good", 200, 0)
		time.Sleep(15 * time.Second) // less than half a minute is left
		expect("flota_good", 200, 1)

		failure = errors.New("timeout")
		expect("flota_good", 200, 0)
		expect("flota_other", 503, 1)
		v.RemoveKey("k1")
		v.SetKey("k2", pub)
		expect("flota_good", 503, 1) // its access token died with the key
	})
}

func TestNewCookie(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	if c := identity.NewCookie("x", soon, false); c.Name != "__Host-flota" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.MaxAge <= 0 || c.Valid() != nil {
		t.Errorf("%v", c)
	}
	if c := identity.NewCookie("x", soon, true); c.Name != "flota" || c.Secure || !c.HttpOnly {
		t.Errorf("%v", c)
	}
	for _, c := range []*http.Cookie{identity.NewCookie("", soon, false), identity.NewCookie("x", time.Now(), true)} {
		if c.MaxAge >= 0 || c.Value != "" {
			t.Errorf("%v stays", c)
		}
	}
}
