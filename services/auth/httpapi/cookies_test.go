package httpapi

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// Which cookies a login sets, by where the browser finds the installation.
func TestCookiesByHostName(t *testing.T) {
	const (
		secure = "secure"
		plain  = "plain"
		never  = "never"
	)
	for _, test := range []struct {
		public       string // FLOTA_PUBLIC_URL
		scheme, host string // of the request
		without      string // consent
		with         string
	}{
		// What counts is the public URL.
		{"https://flota.example.org", "http", "127.0.0.1:8080", secure, secure},
		{"https://flota.example.org:8443", "https", "flota.example.org:8443", secure, secure},
		{"https://localhost", "http", "localhost", secure, secure},
		{"http://127.0.0.1:8080", "http", "127.0.0.1:8080", plain, plain},
		{"http://127.0.0.1:8080", "http", "localhost:8080", plain, plain},
		{"http://localhost:8080", "http", "localhost:8080", plain, plain},
		{"http://LOCALHOST", "http", "localhost", plain, plain},
		{"http://flota.localhost:8080", "http", "flota.localhost:8080", plain, plain},
		{"http://[::1]:8080", "http", "[::1]:8080", plain, plain},
		{"http://127.8.9.1", "http", "127.8.9.1", plain, plain},
		{"http://flota.lan", "http", "127.0.0.1", never, plain},
		{"http://flota.example.org:8080", "http", "flota.example.org:8080", never, plain},
		{"http://192.168.1.7:8080", "http", "192.168.1.7:8080", never, plain},
		{"http://[fe80::1]:8080", "http", "[fe80::1]:8080", never, plain},
		{"http://localhost.example.org", "http", "localhost.example.org", never, plain},
		{"http://127.0.0.1.example.org", "http", "127.0.0.1.example.org", never, plain},
		{"http://notlocalhost", "http", "notlocalhost", never, plain},
		{"http://flota.example.org", "https", "flota.example.org", never, plain},
		// Without one, the request's own.
		{"", "https", "flota.example.org", secure, secure},
		{"", "http", "127.0.0.1:49152", plain, plain},
		{"", "http", "localhost", plain, plain},
		{"", "http", "localhost.", plain, plain},
		{"", "http", "[::1]:8080", plain, plain},
		{"", "http", "::1", plain, plain},
		{"", "http", "flota.lan:8080", never, plain},
		{"", "http", "10.0.0.1", never, plain},
		{"", "http", "", never, plain},
	} {
		public, err := url.Parse(test.public)
		if err != nil {
			t.Fatal(err)
		}
		for _, consent := range []bool{false, true} {
			want, got := test.without, secure
			if consent {
				want = test.with
			}
			isPlain, err := Cookies{PublicURL: *public, PlainHTTP: consent}.plain(test.scheme, test.host)
			switch {
			case fault.Is(err, fault.Precondition):
				got = never
			case err != nil:
				t.Error(err)
			case isPlain:
				got = plain
			}
			if got != want {
				t.Errorf("public URL %q, request %s://%s, consent %v: %s, want %s", test.public, test.scheme, test.host, consent, got, want)
			}
		}
	}
}

func TestCookieAttributes(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	for _, test := range []struct {
		cookie *http.Cookie
		name   string
		path   string
		secure bool
	}{
		{accessCookie("x", soon, false), "__Host-flota", "/", true},
		{accessCookie("x", soon, true), "flota", "/", false},
		{sessionCookie("x", soon, false), "__Secure-flota-session", "/api/auth", true},
		{sessionCookie("x", soon, true), "flota-session", "/api/auth", false},
	} {
		c := test.cookie
		if c.Name != test.name || c.Path != test.path || c.Secure != test.secure || !c.HttpOnly ||
			c.SameSite != http.SameSiteLaxMode || c.Domain != "" || c.MaxAge <= 0 || c.Valid() != nil {
			t.Errorf("%s", c)
		}
	}
	if c := sessionCookie("", soon, false); c.MaxAge >= 0 {
		t.Errorf("%s stays", c)
	}
}

// Only a proxy that is trusted can say that the browser used TLS.
func TestScheme(t *testing.T) {
	a := &API{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	for name, test := range map[string]struct {
		peer, header string
		tls          bool
		want         string
	}{
		"direct":             {"192.0.2.1:1", "", false, "http"},
		"direct, TLS":        {"192.0.2.1:1", "", true, "https"},
		"forged":             {"192.0.2.1:1", "https", false, "http"},
		"proxy":              {"10.1.2.3:1", "https", false, "https"},
		"proxy, mapped":      {"[::ffff:10.1.2.3]:1", "https", false, "https"},
		"proxy, plain":       {"10.1.2.3:1", "http", false, "http"},
		"proxy says nothing": {"10.1.2.3:1", "", false, "http"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.peer
		if test.header != "" {
			r.Header.Set("X-Forwarded-Proto", test.header)
		}
		if test.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if got := a.scheme(r); got != test.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
