package transfer_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/transfer"
)

func archive(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range names {
		if err := w.WriteHeader(&tar.Header{Name: n, Typeflag: tar.TypeReg, Size: 5, Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, "hello")
	}
	_ = w.Close()
	return b.Bytes()
}

func server(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// Trouble that passes is tried again: an error of the server, a busy one, a
// connection cut in the middle, even between two files.
func TestSourceAgain(t *testing.T) {
	whole := archive(t, "a.ino", "b.h")
	var asked atomic.Int32
	url := server(t, func(w http.ResponseWriter, _ *http.Request) {
		switch asked.Add(1) {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.Header().Set("Content-Length", "3072")
			_, _ = w.Write(whole[:1024]) // one file, whole
			panic(http.ErrAbortHandler)
		default:
			_, _ = w.Write(whole)
		}
	})
	files, err := transfer.New().Source(t.Context(), url)
	if err != nil || len(files) != 2 || asked.Load() != 3 {
		t.Errorf("%d files after %d requests: %v", len(files), asked.Load(), err)
	}
}

// What does not pass is said at once, and the link stays out of it.
func TestSourceRefused(t *testing.T) {
	var asked atomic.Int32
	for name, h := range map[string]http.HandlerFunc{
		"expired": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `{"code":"expired","detail":"this link is no longer valid"}`)
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"a link in the archive": func(w http.ResponseWriter, _ *http.Request) {
			a := tar.NewWriter(w)
			_ = a.WriteHeader(&tar.Header{Name: "x.h", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})
			_ = a.Close()
		},
	} {
		asked.Store(0)
		url := server(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); h(w, r) })
		_, err := transfer.New().Source(t.Context(), url+"/secret-token")
		if err == nil || asked.Load() != 1 || strings.Contains(err.Error(), "secret-token") {
			t.Errorf("%s: %v after %d requests", name, err, asked.Load())
		}
		if name == "expired" && !strings.Contains(err.Error(), "no longer valid") {
			t.Error(err)
		}
	}
	_, err := transfer.New().Source(t.Context(), "http://127.0.0.1:1/secret-token")
	if !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "secret-token") {
		t.Error("nobody there:", err)
	}
}

func TestUpload(t *testing.T) {
	data := []byte("firmware")
	sum := sha256.Sum256(data)
	file := filepath.Join(t.TempDir(), "x.bin")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var tries atomic.Int32
	got := make(chan string, 1)
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if tries.Add(1) == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		got <- r.Method + " " + r.URL.RequestURI() + " " + string(body)
	})
	digest := hex.EncodeToString(sum[:])
	if err := transfer.New().Upload(t.Context(), url+"/up/token", compiler.Output{Path: file, Size: 8, SHA256: digest}); err != nil {
		t.Fatal(err)
	}
	if said := <-got; said != "PUT /up/token/"+digest+" firmware" {
		t.Error(said)
	}
}
