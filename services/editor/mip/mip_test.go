package mip_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/outbound"
	"github.com/flota/flota/services/editor"
	"github.com/flota/flota/services/editor/mip"
	"github.com/flota/flota/services/editor/mip/miptest"
)

type m = map[string]any

func deps(words ...string) (list []editor.Dependency) {
	for _, w := range words {
		name, version, _ := strings.Cut(w, "@")
		list = append(list, editor.Dependency{Name: name, Version: version}.OrLatest())
	}
	return list
}

func source(index *miptest.Index) *mip.Source {
	return &mip.Source{Index: index.URL, Client: outbound.New(outbound.Options{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, MaxBytes: editor.MaxFileSize, Timeout: 20 * time.Second,
	})}
}

func quiet(editor.FetchProgress) {}

// What micropython-lib's index says, with what a package needs, and packages that
// lie elsewhere.
func TestFetch(t *testing.T) {
	index := miptest.New(t)
	index.Package("umqtt.simple", "latest", m{"version": "1.6.0", "hashes": index.Hashes(map[string]string{"umqtt/simple.py": "class MQTTClient: pass\n"}), "deps": [][2]string{{"ssl", "latest"}}})
	index.Package("ssl", "latest", m{"version": "0.2.1", "hashes": index.Hashes(map[string]string{"ssl.py": "import tls\n"})})
	index.Package("ssl", "0.1.0", m{"hashes": index.Hashes(map[string]string{"ssl.py": "import ussl\n"})})
	index.Put("/elsewhere/sensor/package.json", `{"urls": [["sensor/__init__.py", "src/init.py"], ["sensor/raw.py", "`+index.URL+`/elsewhere/raw.py"]], "deps": [["ssl", "latest"]]}`)
	index.Put("/elsewhere/sensor/src/init.py", "from .raw import read\n")
	index.Put("/elsewhere/raw.py", "def read(): return 1\n")
	index.Put("/elsewhere/one.py", "ONE = 1\n")

	var told []editor.FetchProgress
	got, err := source(index).Fetch(t.Context(), deps("umqtt.simple", index.URL+"/elsewhere/sensor/", index.URL+"/elsewhere/one.py"),
		func(p editor.FetchProgress) { told = append(told, p) })
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	var names []string
	for _, p := range got {
		names = append(names, p.Name[strings.LastIndexByte(strings.TrimSuffix(p.Name, "/"), '/')+1:]+" "+p.Says)
		for _, f := range p.Files {
			files[f.Path] = string(f.Content)
		}
	}
	if want := []string{"umqtt.simple 1.6.0", "sensor/ ", "one.py ", "ssl 0.2.1"}; !slices.Equal(names, want) {
		t.Errorf("packages %q", names)
	}
	if want := map[string]string{
		"lib/umqtt/simple.py": "class MQTTClient: pass\n", "lib/ssl.py": "import tls\n", "lib/sensor/__init__.py": "from .raw import read\n",
		"lib/sensor/raw.py": "def read(): return 1\n", "lib/one.py": "ONE = 1\n",
	}; !maps.Equal(files, want) {
		t.Errorf("files %q", files)
	}
	if last := told[len(told)-1]; len(told) < 9 || last.Files != 4 || last.Doing != "ssl.py of ssl" {
		t.Errorf("%d times told, at last %+v", len(told), last)
	}
	if f := got[0].Files[0]; f.Source != fmt.Sprintf("%s/file/%s/%s", index.URL, editor.Digest(f.Content)[:2], editor.Digest(f.Content)[:8]) {
		t.Errorf("its source is %s", f.Source)
	}

	got, err = source(index).Fetch(t.Context(), deps("ssl@0.1.0", "umqtt.simple"), quiet)
	if err != nil || len(got) != 2 || string(got[0].Files[0].Content) != "import ussl\n" {
		t.Errorf("the project's own wish: %+v, %v", got, err)
	}
}

// A hostile or broken package is refused by a sentence that names it.
func TestRefused(t *testing.T) {
	index := miptest.New(t)
	many := map[string]string{}
	for i := range 130 {
		many[fmt.Sprintf("f%d.py", i)] = "x\n"
	}
	large := map[string]string{}
	for i := range 5 {
		large[fmt.Sprintf("l%d.py", i)] = strings.Repeat("#", 1<<20)
	}
	good := index.Hashes(map[string]string{"a.py": "x = 1\n"})
	one := func(path string) m { return m{"hashes": [][2]string{{path, good[0][1]}}} }
	for name, d := range map[string]any{
		"traversal": one("../main.py"), "absolute": one("/main.py"), "hidden": one(".index"), "deep": one("a/../../main.py"), "backslash": one(`..\main.py`),
		"control": one("a\n.py"), "binary-name": one("a.bin"), "compiled": one("a.mpy"), "no-name": one(""),
		"wrong-hash":  m{"hashes": [][2]string{{"a.py", "00000000"}}},
		"short-hash":  m{"hashes": [][2]string{{"a.py", "00"}}},
		"hash-path":   m{"hashes": [][2]string{{"a.py", "../../../secret"}}},
		"gone":        m{"hashes": [][2]string{{"a.py", "0123456789abcdef"}}},
		"many":        m{"hashes": index.Hashes(many)},
		"large":       m{"hashes": index.Hashes(large)},
		"huge":        m{"hashes": index.Hashes(map[string]string{"h.py": strings.Repeat("#", 1<<20+1)})},
		"not-text":    m{"hashes": index.Hashes(map[string]string{"h.py": "\xff\xfe"})},
		"self":        m{"deps": [][2]string{{"self", "latest"}}},
		"cycle-a":     m{"deps": [][2]string{{"cycle-b", "latest"}}},
		"cycle-b":     m{"deps": [][2]string{{"cycle-a", "latest"}}},
		"two":         m{"deps": [][2]string{{"left", "latest"}, {"right", "latest"}}},
		"left":        m{"deps": [][2]string{{"fine", "1"}}},
		"right":       m{"deps": [][2]string{{"fine", "2"}}},
		"fine":        one("a.py"),
		"odd-dep":     m{"deps": [][2]string{{"../../etc/passwd", "latest"}}},
		"odd-version": m{"deps": [][2]string{{"fine", "../x"}}},
		"odd-form":    m{"deps": "fine"},
		"loopback":    m{"urls": [][2]string{{"a.py", "https://127.0.0.2/a.py"}}},
		"metadata":    m{"urls": [][2]string{{"a.py", "https://169.254.169.254/latest/meta-data"}}},
		"plain":       m{"urls": [][2]string{{"a.py", "http://example.com/a.py"}}},
		"file":        m{"urls": [][2]string{{"a.py", "file:///etc/passwd"}}},
		"password":    m{"urls": [][2]string{{"a.py", "https://me:secret@example.com/a.py"}}},
		"redirect":    m{"urls": [][2]string{{"a.py", index.URL + "/redirect?to=" + url.QueryEscape("http://127.0.0.2:1/")}}},
		"circle":      m{"urls": [][2]string{{"a.py", index.URL + "/circle"}}},
		"long-text":   m{"version": strings.Repeat("1", 65)},
		"github":      m{"urls": [][2]string{{"a.py", "github:org/../x.py"}}},
	} {
		index.Package(name, "latest", d)
	}
	for i := range 10 {
		index.Package(fmt.Sprintf("chain%d", i), "latest", m{"deps": [][2]string{{fmt.Sprintf("chain%d", i+1), "latest"}}})
	}
	for i := range 70 {
		index.Package(fmt.Sprintf("swarm%d", i), "latest", m{})
	}
	var swarm [][2]string
	for i := range 64 {
		swarm = append(swarm, [2]string{fmt.Sprintf("swarm%d", i), "latest"})
	}
	index.Package("swarm", "latest", m{"deps": swarm})
	index.Package("fine", "1", one("a.py"))
	index.Package("fine", "2", one("b.py"))
	index.Put("/package/py/no-json/latest.json", "<html>")
	index.Put("/package/py/long/latest.json", strings.Repeat(" ", 300<<10)+"{}")

	for name, want := range map[string]struct {
		code  fault.Code
		words string
	}{
		"traversal": {fault.Invalid, "cannot be in a project"}, "absolute": {fault.Invalid, "cannot be in a project"},
		"hidden": {fault.Invalid, "cannot be in a project"}, "deep": {fault.Invalid, "cannot be in a project"},
		"backslash": {fault.Invalid, "cannot be in a project"}, "control": {fault.Invalid, "cannot be in a project"},
		"binary-name": {fault.Invalid, "cannot be in a project"}, "no-name": {fault.Invalid, "cannot be in a project"},
		"compiled": {fault.Invalid, "compiled already"}, "wrong-hash": {fault.NotFound, "nothing at"}, "gone": {fault.NotFound, "nothing at"},
		"short-hash": {fault.Invalid, "no SHA-256"}, "hash-path": {fault.Invalid, "no SHA-256"},
		"many": {fault.TooLarge, "more than 128 files"}, "large": {fault.TooLarge, "more than 4 MiB"}, "huge": {fault.TooLarge, "larger than"},
		"not-text": {fault.Invalid, "text in UTF-8"}, "self": {fault.Invalid, "self needs itself: self → self"},
		"cycle-a": {fault.Invalid, "cycle-a → cycle-b → cycle-a"}, "two": {fault.Invalid, "wanted as 1 and as 2"},
		"odd-dep": {fault.Invalid, "neither the name"}, "odd-version": {fault.Invalid, "no version"}, "odd-form": {fault.Invalid, "no description"},
		"loopback": {fault.Forbidden, "127.0.0.2 is not on the public Internet"}, "metadata": {fault.Forbidden, "not on the public Internet"},
		"plain": {fault.Invalid, "plain HTTP"}, "file": {fault.Invalid, "no address"}, "password": {fault.Invalid, "readable for everybody"},
		"redirect": {fault.Forbidden, "127.0.0.2 is not on the public Internet"}, "circle": {fault.Forbidden, "redirects"},
		"long-text": {fault.TooLarge, "too long"}, "github": {fault.Invalid, "organisation/repository/path"},
		"chain0": {fault.TooLarge, "more than 8 packages away"}, "swarm": {fault.TooLarge, "more than 64 packages"},
		"no-json": {fault.Invalid, "no description"}, "long": {fault.TooLarge, "larger than 256 KiB"}, "missing": {fault.NotFound, "nothing at"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := source(index).Fetch(t.Context(), deps(name), quiet)
			f := fault.As(err)
			if f == nil || f.Code != want.code || f.Field != "deps" || !strings.Contains(f.Message, want.words) || got != nil {
				t.Errorf("got %v, %v; want %s with %q", got, err, want.code, want.words)
			}
			if err != nil && strings.Contains(err.Error(), "secret@") {
				t.Errorf("the password is told: %v", err)
			}
		})
	}
	// A file that is another than its name says.
	index.Put("/file/00/00000000", "x = 2\n")
	if _, err := source(index).Fetch(t.Context(), deps("wrong-hash"), quiet); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "does not begin with 00000000") {
		t.Errorf("a wrong hash: %v", err)
	}
}

func TestCancel(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if got, err := source(&miptest.Index{URL: server.URL}).Fetch(ctx, deps("slow"), quiet); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

// The short forms lead to the hosts' own addresses of a file.
func TestShortForms(t *testing.T) {
	asked := ""
	s := &mip.Source{Index: "https://micropython.org/pi/v2", Client: &http.Client{Transport: trip(func(r *http.Request) {
		asked = r.URL.String()
	})}}
	for address, want := range map[string]string{
		"github:org/repo":                  "https://raw.githubusercontent.com/org/repo/HEAD/package.json",
		"github:org/repo/@v1.2":            "https://raw.githubusercontent.com/org/repo/v1.2/package.json",
		"github:org/repo/src/x.json@dev/a": "https://raw.githubusercontent.com/org/repo/dev/a/src/x.json",
		"github:org/repo/src/x.py":         "https://raw.githubusercontent.com/org/repo/HEAD/src/x.py",
		"gitlab:org/repo@main":             "https://gitlab.com/org/repo/-/raw/main/package.json",
		"codeberg:org/repo@main":           "https://codeberg.org/api/v1/repos/org/repo/raw/package.json?ref=main",
		"https://example.com/x/":           "https://example.com/x/package.json",
		"umqtt.simple@1.0":                 "https://micropython.org/pi/v2/package/py/umqtt.simple/1.0.json",
	} {
		asked = ""
		if _, err := s.Fetch(t.Context(), deps(address), quiet); asked != want {
			t.Errorf("%s leads to %q (%v), want %q", address, asked, err, want)
		}
	}
}

type trip func(*http.Request)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	w := httptest.NewRecorder()
	w.WriteHeader(http.StatusNotFound)
	return w.Result(), nil
}

func TestForms(t *testing.T) {
	for text, want := range map[string]any{
		`{}`: 0, `{"deps": [["a", "1"], ["b"]]}`: 2, `{"deps": [["a"], ["a"]]}`: "twice", `{"deps": [[]]}`: "is written", `{"deps": [["a", "1", "2"]]}`: "is written",
		`{"deps": ["a"]}`: "is written", `{"deps": [[""]]}`: "has a name", `nonsense`: "not as it should be",
	} {
		got, err := editor.ParseDependencies([]byte(text))
		if n, ok := want.(int); ok && (err != nil || len(got) != n) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
		if words, ok := want.(string); ok && (!fault.Is(err, fault.Invalid) || fault.As(err).Field != "deps" || !strings.Contains(err.Error(), words)) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if text, _ := json.Marshal(editor.Dependency{Name: "a", Version: "1"}); string(text) != `["a","1"]` {
		t.Errorf("written as %s", text)
	}
}
