package webapp

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// asset is one file of the build, with what it is compressed to.
type asset struct {
	contentType string
	immutable   bool
	plain       body
	encoded     []body // the better one first
}

type body struct {
	encoding string
	bytes    []byte
	etag     string
}

// The encodings by the ending that the build gives them.
var encodings = []struct{ name, ending string }{{"br", ".br"}, {"gzip", ".gz"}}

// Types that must not depend on the machine's own tables.
var types = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
	".json": "application/json", ".webmanifest": "application/manifest+json", ".woff2": "font/woff2",
	".png": "image/png", ".ico": "image/x-icon", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm",
}

func readAssets(files fs.FS) (map[string]*asset, error) {
	assets := map[string]*asset{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == "index.html" || compressed(name) {
			return err
		}
		a := &asset{contentType: contentType(name), immutable: strings.HasPrefix(name, "assets/")}
		if a.plain, err = read(files, name, ""); err != nil {
			return err
		}
		for _, e := range encodings {
			if b, err := read(files, name+e.ending, e.name); err == nil {
				a.encoded = append(a.encoded, b)
			}
		}
		assets["/"+name] = a
		return nil
	})
	return assets, err
}

func compressed(name string) bool {
	return strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz")
}

func contentType(name string) string {
	ext := path.Ext(name)
	if t, ok := types[ext]; ok {
		return t
	}
	if t := mime.TypeByExtension(ext); t != "" {
		return t
	}
	return "application/octet-stream"
}

func read(files fs.FS, name, encoding string) (body, error) {
	data, err := fs.ReadFile(files, name)
	sum := sha256.Sum256(data)
	return body{encoding, data, `"` + hex.EncodeToString(sum[:12]) + `"`}, err
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	b := a.plain
	for _, encoded := range a.encoded {
		if accepts(r.Header.Get("Accept-Encoding"), encoded.encoding) {
			b = encoded
			break
		}
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("ETag", b.etag)
	h.Set("Cache-Control", "no-cache") // kept, but asked for each time
	if a.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if len(a.encoded) > 0 {
		h.Set("Vary", "Accept-Encoding")
	}
	if matches(r.Header.Get("If-None-Match"), b.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if b.encoding != "" {
		h.Set("Content-Encoding", b.encoding)
	}
	h.Set("Content-Length", strconv.Itoa(len(b.bytes)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(b.bytes)
	}
}

// accepts reports whether a header like "gzip, br;q=0.5" takes an encoding.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		_, q, weighted := strings.Cut(params, "q=")
		weight, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return !weighted || err == nil && weight > 0
	}
	return false
}

// matches reports whether an If-None-Match header names an ETag; what a proxy
// has marked as weak is the same bytes.
func matches(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimSpace(part); part == "*" || strings.TrimPrefix(part, "W/") == etag {
			return true
		}
	}
	return false
}
