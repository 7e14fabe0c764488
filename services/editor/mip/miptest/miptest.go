// Package miptest is a package index on loopback, for tests.
package miptest

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/flota/flota/services/editor"
)

// Index answers as https://micropython.org/pi/v2 does, with what was put there,
// and redirects at /redirect?to=, and for ever at /circle.
type Index struct {
	URL string // without a slash at the end

	mu    sync.Mutex
	files map[string]string // by path
	stuck map[string]stuck
}

type stuck struct {
	asked func()
	gone  chan struct{}
}

// New starts an index, which ends with the test.
func New(t testing.TB) *Index {
	i := &Index{files: map[string]string{}, stuck: map[string]stuck{}}
	server := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(server.Close)
	i.URL = server.URL
	return i
}

func (i *Index) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/redirect":
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
		return
	case "/circle":
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
		return
	}
	i.mu.Lock()
	content, ok := i.files[r.URL.Path]
	waits, stuck := i.stuck[r.URL.Path]
	i.mu.Unlock()
	if stuck {
		waits.asked()
		<-r.Context().Done()
		close(waits.gone)
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, content)
}

// Put makes content lie at a path.
func (i *Index) Put(path, content string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.files[path] = content
}

// Stuck lets whoever asks for a path wait for ever. It calls asked when somebody
// does, and closes gone when they went away.
func (i *Index) Stuck(path string, asked func()) (gone <-chan struct{}) {
	s := stuck{asked, make(chan struct{})}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.stuck[path] = s
	return s.gone
}

// Package describes a package.
func (i *Index) Package(name, version string, description any) {
	text, err := json.Marshal(description)
	if err != nil {
		panic(err)
	}
	i.Put(fmt.Sprintf("/package/py/%s/%s.json", name, version), string(text))
}

// Hashes puts files there, and returns them as a description has them.
func (i *Index) Hashes(files map[string]string) (rows [][2]string) {
	for _, path := range slices.Sorted(maps.Keys(files)) {
		hash := editor.Digest([]byte(files[path]))[:8]
		i.Put(fmt.Sprintf("/file/%s/%s", hash[:2], hash), files[path])
		rows = append(rows, [2]string{path, hash})
	}
	return rows
}
