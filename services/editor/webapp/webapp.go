// Package webapp serves the built web editor: its page with a strict content
// policy and a nonce of its own each time, its assets compressed beforehand and
// cached for ever where their name has a hash.
package webapp

import (
	"crypto/rand"
	"fmt"
	"html"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve/problem"
)

// What the built index.html has where a value goes.
const (
	noncePlaceholder  = "__CSP_NONCE__"
	devicePlaceholder = "__DEVICE_ORIGIN__"
	caPlaceholder     = "__DEVICE_CA__"
)

// App serves the files of a build. It is safe for concurrent use.
type App struct {
	index  string
	assets map[string]*asset // by path, with a slash in front
}

// New reads the files of a build. DeviceOrigin is where devices reach the
// installation, "" where that is the page's own origin; deviceCA the certificate
// authority (PEM) that they pin, "" for none. The page writes both into what a
// device is given.
func New(files fs.FS, deviceOrigin, deviceCA string) (*App, error) {
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		return nil, fmt.Errorf("the web editor has no page: %w", err)
	}
	assets, err := readAssets(files)
	if err != nil {
		return nil, err
	}
	values := strings.NewReplacer(devicePlaceholder, html.EscapeString(deviceOrigin), caPlaceholder, html.EscapeString(deviceCA))
	return &App{index: values.Replace(string(index)), assets: assets}, nil
}

// ServeHTTP answers with an asset, or with the page for any path that does not
// look like a file: the page has routes of its own.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asset := a.assets[r.URL.Path]
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead, strings.HasPrefix(r.URL.Path, "/api/"):
		problem.Write(w, r, fault.New(fault.NotFound, "there is nothing here"))
	case asset != nil:
		asset.serve(w, r)
	case path.Ext(r.URL.Path) != "" && r.URL.Path != "/index.html":
		problem.Write(w, r, fault.New(fault.NotFound, "there is no such file"))
	default:
		a.page(w, r)
	}
}

// policy lets the page load only what is its own, and run no code from text.
func policy(nonce string) string {
	return strings.Join([]string{
		"default-src 'self'",
		"script-src 'self'",
		"style-src 'self' 'nonce-" + nonce + "'",
		"img-src 'self'",
		"connect-src 'self'",
		"object-src 'none'",
		"base-uri 'none'",
		"form-action 'self'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types svelte-trusted-html",
	}, "; ")
}

func (a *App) page(w http.ResponseWriter, r *http.Request) {
	nonce := rand.Text()
	body := strings.ReplaceAll(a.index, noncePlaceholder, nonce)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", fmt.Sprint(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy(nonce))
	h.Set("Permissions-Policy", "serial=(self), usb=(self), camera=(), microphone=(), geolocation=()")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte(body))
	}
}
