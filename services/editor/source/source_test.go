package source_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/link"
	"github.com/flota/flota/services/editor"
	"github.com/flota/flota/services/editor/contents"
	"github.com/flota/flota/services/editor/contents/contentstest"
	"github.com/flota/flota/services/editor/source"
)

const id = "abcdefghijklmnopqrstuvwxyz" // as long as a real one

type store struct {
	build    editor.Build
	revision editor.Revision
}

func (s *store) Build(_ context.Context, want string) (*editor.Build, error) {
	if want != id {
		return nil, fault.New(fault.NotFound, "no such build")
	}
	return &s.build, nil
}

func (s *store) Revision(context.Context, string, string, int) (*editor.Revision, error) {
	return &s.revision, nil
}

func setUp(t *testing.T, files map[string]string) (*source.Server, *store, *time.Time) {
	t.Helper()
	c := contents.New(&contentstest.Blobs{}, editor.MaxFileSize, 1<<20)
	p := editor.Project{Kind: editor.Arduino}
	for path, content := range files {
		digest, err := c.Put(t.Context(), []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Put(editor.File{Path: path, Size: len(content), SHA256: digest}, nil); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(1_800_000_000, 0)
	s := &store{editor.Build{State: editor.Running, Attempt: 2}, editor.Revision{Files: p.Files}}
	ring := link.NewRing(bytes.Repeat([]byte{1}, 32), func() time.Time { return now })
	return source.New("http://editor:8080/", ring, s, c), s, &now
}

func get(s http.Handler, url string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, strings.TrimPrefix(url, "http://editor:8080"), nil))
	return w
}

var files = map[string]string{"blink.ino": "void setup() {}", "src/a.h": "#pragma once", strings.Repeat("d234567890/", 7) + strings.Repeat("n", 62) + ".h": "long"}

func TestTheSourceIsATarOfTheRevision(t *testing.T) {
	s, _, now := setUp(t, files)
	url := s.URL(id, 2, now.Add(time.Minute))
	if !strings.HasPrefix(url, "http://editor:8080/src/") || len(url) > 200 {
		t.Errorf("URL %s", url)
	}
	answer := get(s, url)
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "application/x-tar" {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	archive := bytes.Clone(answer.Body.Bytes())
	got := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || h.Typeflag != tar.TypeReg || h.Mode != 0o644 || h.ModTime.Unix() != 0 {
			t.Errorf("%+v, %v", h, err)
		}
		got[h.Name] = string(content)
	}
	for path, content := range files {
		if got[path] != content {
			t.Errorf("%s: %q", path, got[path])
		}
	}
	if len(got) != len(files) {
		t.Errorf("%d files", len(got))
	}
	other, _, later := setUp(t, files)
	if again := get(other, other.URL(id, 2, later.Add(time.Hour))); !bytes.Equal(again.Body.Bytes(), archive) {
		t.Error("the same tree gives other bytes")
	}
}

func TestRefused(t *testing.T) {
	s, st, now := setUp(t, files)
	good := s.URL(id, 2, now.Add(time.Minute))
	tampered := good[:len(good)-4] + "AAAA"
	signed := func(key byte, l link.Link) string {
		l.Subject, l.Expires = []byte(id+".2"), now.Add(time.Minute)
		return source.Prefix + link.NewRing(bytes.Repeat([]byte{key}, 32), func() time.Time { return *now }).Sign(l)
	}
	for name, test := range map[string]struct {
		url    string
		before func()
	}{
		"tampered":          {tampered, nil},
		"another service's": {signed(2, link.Link{Kind: link.Source, Audience: "compiler"}), nil},
		"another kind":      {signed(1, link.Link{Kind: link.Upload, Audience: "compiler"}), nil},
		"another audience":  {signed(1, link.Link{Kind: link.Source, Audience: "somebody"}), nil},
		"no token":          {"/src/", nil},
		"nonsense":          {"/src/nonsense", nil},
		"earlier attempt":   {s.URL(id, 1, now.Add(time.Minute)), nil},
		"later attempt":     {s.URL(id, 3, now.Add(time.Minute)), nil},
		"no such build":     {s.URL("zbcdefghijklmnopqrstuvwxyz", 2, now.Add(time.Minute)), nil},
		"the build is over": {good, func() { st.build.State = editor.Cancelled }},
		"expired":           {good, func() { *now = now.Add(time.Minute) }},
	} {
		t.Run(name, func(t *testing.T) {
			kept, keptNow := *st, *now
			defer func() { *st, *now = kept, keptNow }()
			if test.before != nil {
				test.before()
			}
			answer := get(s, test.url)
			code := `"code":"forbidden"`
			if name == "expired" {
				code = `"code":"expired"`
			}
			if answer.Code != http.StatusForbidden || answer.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(answer.Body.String(), code) {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		})
	}
	for name, url := range map[string]string{"the good one": good, "signed here": signed(1, link.Link{Kind: link.Source, Audience: "compiler"})} {
		if answer := get(s, url); answer.Code != http.StatusOK {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
}
