package webapp_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/flota/flota/services/editor/web"
	"github.com/flota/flota/services/editor/webapp"
)

var built = fstest.MapFS{
	"index.html":         {Data: []byte(`<meta name="csp-nonce" nonce="__CSP_NONCE__"><meta name="device-origin" content="__DEVICE_ORIGIN__"><meta name="device-ca" content="__DEVICE_CA__"><p nonce="__CSP_NONCE__">`)},
	"icon.svg":           {Data: []byte("<svg/>")},
	"assets/a-1.js":      {Data: []byte("plain js")},
	"assets/a-1.js.br":   {Data: []byte("br js")},
	"assets/a-1.js.gz":   {Data: []byte("gz js")},
	"assets/b-2.css":     {Data: []byte("css")},
	"assets/b-2.css.gz":  {Data: []byte("gz css")},
	"assets/c-3.unknown": {Data: []byte("?")},
}

const ca = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n"

func app(t *testing.T, device string) *webapp.App {
	t.Helper()
	a, err := webapp.New(built, device, ca)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAssets(t *testing.T) {
	a := app(t, "")
	const forever, each = "public, max-age=31536000, immutable", "no-cache"
	for _, test := range []struct{ path, accept, body, encoding, contentType, cache string }{
		{"/assets/a-1.js", "", "plain js", "", "text/javascript; charset=utf-8", forever},
		{"/assets/a-1.js", "gzip, deflate, br, zstd", "br js", "br", "text/javascript; charset=utf-8", forever},
		{"/assets/a-1.js", "gzip", "gz js", "gzip", "text/javascript; charset=utf-8", forever},
		{"/assets/a-1.js", "gzip;q=0.5, br;q=0", "gz js", "gzip", "text/javascript; charset=utf-8", forever},
		{"/assets/a-1.js", "identity", "plain js", "", "text/javascript; charset=utf-8", forever},
		{"/assets/a-1.js", "brotli", "plain js", "", "text/javascript; charset=utf-8", forever},
		{"/assets/b-2.css", "br, gzip", "gz css", "gzip", "text/css; charset=utf-8", forever},
		{"/icon.svg", "br", "<svg/>", "", "image/svg+xml", each},
		{"/assets/c-3.unknown", "br", "?", "", "application/octet-stream", forever},
	} {
		got := ask(a, http.MethodGet, test.path, "Accept-Encoding", test.accept)
		h := got.Header()
		if got.Code != 200 || got.Body.String() != test.body || h.Get("Content-Encoding") != test.encoding ||
			h.Get("Content-Type") != test.contentType || h.Get("Cache-Control") != test.cache {
			t.Errorf("%s for %q: %d %q %v", test.path, test.accept, got.Code, got.Body, h)
		}
		if again := ask(a, http.MethodGet, test.path, "Accept-Encoding", test.accept, "If-None-Match", `"x", W/`+h.Get("ETag")); again.Code != 304 || again.Body.Len() > 0 {
			t.Errorf("%s asked again: %d", test.path, again.Code)
		}
		if head := ask(a, http.MethodHead, test.path, "Accept-Encoding", test.accept); head.Code != 200 || head.Body.Len() > 0 || head.Header().Get("ETag") != h.Get("ETag") {
			t.Errorf("HEAD %s: %d", test.path, head.Code)
		}
	}
	if ask(a, http.MethodGet, "/assets/a-1.js").Header().Get("ETag") == ask(a, http.MethodGet, "/assets/a-1.js", "Accept-Encoding", "br").Header().Get("ETag") {
		t.Error("two encodings share an ETag")
	}
}

func TestThePageForEveryRoute(t *testing.T) {
	a := app(t, `https://devices.test"><script>`)
	nonces := map[string]bool{}
	for _, path := range []string{"/", "/index.html", "/projects/abc", "/devices/x/y", "/login"} {
		got := ask(a, http.MethodGet, path, "Accept-Encoding", "br, gzip")
		h := got.Header()
		if got.Code != 200 || h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %d %v", path, got.Code, h)
		}
		policy := h.Get("Content-Security-Policy")
		nonce := regexp.MustCompile(`style-src 'self' 'nonce-([A-Za-z0-9+/]{22,})'`).FindStringSubmatch(policy)
		if nonce == nil || nonces[nonce[1]] {
			t.Fatalf("%s: no nonce of its own in %s", path, policy)
		}
		nonces[nonce[1]] = true
		if strings.Count(got.Body.String(), `nonce="`+nonce[1]+`"`) != 2 || strings.Contains(got.Body.String(), "__") {
			t.Errorf("%s: %s", path, got.Body)
		}
		if !strings.Contains(got.Body.String(), html.EscapeString(`https://devices.test"><script>`)) {
			t.Errorf("the devices' address: %s", got.Body)
		}
		if !strings.Contains(got.Body.String(), `name="device-ca" content="`+ca+`"`) {
			t.Errorf("the devices' certificate authority: %s", got.Body)
		}
		for _, want := range []string{
			"default-src 'self'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "object-src 'none'", "base-uri 'none'",
			"require-trusted-types-for 'script'", "trusted-types svelte-trusted-html",
		} {
			if !strings.Contains(policy+";", want+";") {
				t.Errorf("the policy lacks %s: %s", want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("policy %s", policy)
		}
		if p := h.Get("Permissions-Policy"); !strings.Contains(p, "serial=(self)") || !strings.Contains(p, "usb=(self)") {
			t.Errorf("permissions %s", p)
		}
		if head := ask(a, http.MethodHead, path); head.Code != 200 || head.Body.Len() > 0 {
			t.Errorf("HEAD %s: %d", path, head.Code)
		}
	}
}

func TestNothingHere(t *testing.T) {
	a := app(t, "")
	for _, test := range [][2]string{
		{http.MethodGet, "/missing.js"}, {http.MethodGet, "/assets/a-1.js.br"}, {http.MethodGet, "/assets/../index.htm"},
		{http.MethodGet, "/api/nothing"}, {http.MethodGet, "/api/editor/v2/x"}, {http.MethodPost, "/"}, {http.MethodPut, "/icon.svg"},
	} {
		got := ask(a, test[0], test[1])
		if got.Code != http.StatusNotFound || got.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: %d %s", test[0], test[1], got.Code, got.Body)
		}
	}
}

// What is embedded, built or not, is something to serve.
func TestTheEmbeddedBuild(t *testing.T) {
	a, err := webapp.New(web.Dist(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(a, http.MethodGet, "/"); got.Code != 200 || strings.Contains(got.Body.String(), "__CSP_NONCE__") {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if _, err := webapp.New(fstest.MapFS{}, "", ""); err == nil {
		t.Error("a build without a page was taken")
	}
}
