package artifact_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/link"
	"github.com/flota/flota/services/artifact"
	"github.com/flota/flota/services/artifact/artifacttest"
	"github.com/flota/flota/services/artifact/store"
)

type clock struct{ now time.Time }

func newLinks(t *testing.T) (*artifact.Links, *artifact.Uploads, *artifacttest.Blobs, *clock) {
	t.Helper()
	catalog, err := store.Open(t.Context(), artifacttest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{time.Unix(vectors.Now, 0)}
	now := func() time.Time { return c.now }
	blobs := &artifacttest.Blobs{}
	internal := &url.URL{Scheme: "http", Host: "artifact:8080"}
	links := &artifact.Links{Ring: link.NewRing(make([]byte, 32), now), Catalog: catalog, Internal: internal, Now: now}
	return links, &artifact.Uploads{Blobs: blobs, Catalog: catalog, Now: now}, blobs, c
}

func digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func upload(t *testing.T, u *artifact.Uploads, g artifact.Grant, content string) error {
	t.Helper()
	return u.Store(t.Context(), g, digest(content), strings.NewReader(content), int64(len(content)))
}

func TestDownloadLinks(t *testing.T) {
	links, uploads, _, c := newLinks(t)
	if err := upload(t, uploads, artifact.Grant{Workspace: "w1", Build: "b1", Attempt: 1}, "firmware"); err != nil {
		t.Fatal(err)
	}
	path, expires, err := links.Download(t.Context(), "w1", digest("firmware"), "blink é.bin", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if len(path) >= deviceproto.MaxPath || !expires.Equal(c.now.Add(time.Minute)) {
		t.Errorf("%s until %v", path, expires)
	}
	words := strings.Split(path, "/")
	name, err := url.PathUnescape(words[3])
	if err != nil || words[1] != "dl" || name != "blink é.bin" {
		t.Errorf("%s: %v", path, err)
	}
	if got, err := links.OpenDownload(words[2], name); err != nil || got != digest("firmware") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := links.OpenDownload(words[2], "invoice.exe"); !fault.Is(err, fault.Forbidden) {
		t.Errorf("under another name: %v", err)
	}
	for asked, want := range map[time.Duration]time.Duration{0: time.Hour, -time.Second: time.Hour, time.Hour: time.Hour, 24 * time.Hour: time.Hour} {
		if _, expires, err := links.Download(t.Context(), "w1", digest("firmware"), name, asked); err != nil || !expires.Equal(c.now.Add(want)) {
			t.Errorf("for %v: until %v, %v", asked, expires, err)
		}
	}
	c.now = c.now.Add(time.Minute)
	if _, err := links.OpenDownload(words[2], name); !fault.Is(err, fault.Expired) {
		t.Errorf("a minute later: %v", err)
	}

	for what, test := range map[string]struct {
		workspace, sha256, name string
		want                    fault.Code
	}{
		"another workspace": {"w2", digest("firmware"), "a.bin", fault.NotFound},
		"another blob":      {"w1", digest("other"), "a.bin", fault.NotFound},
		"no digest":         {"w1", "x", "a.bin", fault.Invalid},
		"upper-case digest": {"w1", strings.ToUpper(digest("firmware")), "a.bin", fault.Invalid},
		"no name":           {"w1", digest("firmware"), "", fault.Invalid},
		"a path":            {"w1", digest("firmware"), "../a", fault.Invalid},
		"dots":              {"w1", digest("firmware"), "..", fault.Invalid},
		"line break":        {"w1", digest("firmware"), "a\r\nX: y", fault.Invalid},
		"long name":         {"w1", digest("firmware"), strings.Repeat("a", 129), fault.Invalid},
	} {
		if _, _, err := links.Download(t.Context(), test.workspace, test.sha256, test.name, 0); fault.CodeOf(err) != test.want {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestUploadLinks(t *testing.T) {
	links, _, _, c := newLinks(t)
	want := artifact.Grant{
		Workspace: "d2k1v0h5q8s0c7a1b2c3", Build: strings.Repeat("b", 26), Attempt: 4_000_000_000, Expires: c.now.Add(time.Minute),
	}
	text, _, err := links.Upload(want)
	if err != nil {
		t.Fatal(err)
	}
	token, found := strings.CutPrefix(text, "http://artifact:8080/up/")
	if !found || len(token) > 160 {
		t.Fatalf("%s", text)
	}
	if got, err := links.OpenUpload(token); err != nil || got.String() != want.String() || !got.Expires.Equal(want.Expires) {
		t.Errorf("%+v, %v", got, err)
	}
	c.now = want.Expires
	if _, err := links.OpenUpload(token); !fault.Is(err, fault.Expired) {
		t.Errorf("after the deadline: %v", err)
	}
	for what, bad := range map[string]artifact.Grant{
		"no workspace":       {Build: "b", Expires: c.now.Add(time.Minute)},
		"no build":           {Workspace: "w", Expires: c.now.Add(time.Minute)},
		"a slash":            {Workspace: "w", Build: "a/b", Expires: c.now.Add(time.Minute)},
		"too long":           {Workspace: "w", Build: strings.Repeat("b", 64), Expires: c.now.Add(time.Minute)},
		"deadline over":      {Workspace: "w", Build: "b", Expires: c.now},
		"deadline forgotten": {Workspace: "w", Build: "b"},
	} {
		if _, _, err := links.Upload(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// No link opens what a link of another kind is for.
func TestKindsOfLinks(t *testing.T) {
	links, uploads, _, c := newLinks(t)
	if err := upload(t, uploads, artifact.Grant{Workspace: "w1", Build: "b1", Attempt: 1}, "firmware"); err != nil {
		t.Fatal(err)
	}
	path, _, err := links.Download(t.Context(), "w1", digest("firmware"), "a", 0)
	if err != nil {
		t.Fatal(err)
	}
	up, _, err := links.Upload(artifact.Grant{Workspace: "w1", Build: "b1", Attempt: 1, Expires: c.now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	download := strings.Split(path, "/")[2]
	uploadToken := up[strings.LastIndex(up, "/")+1:]
	image := links.Image(device(t, vectors.DeviceID, "w1", vectors.Key), 1<<53)

	if id, number, err := links.OpenImage(image); err != nil || id != vectors.DeviceID || number != 1<<53 {
		t.Errorf("%s %d %v", id, number, err)
	}
	for _, token := range []string{uploadToken, image, ""} {
		if _, err := links.OpenDownload(token, "a"); !fault.Is(err, fault.Forbidden) {
			t.Errorf("as a download: %v", err)
		}
	}
	for _, token := range []string{download, image} {
		if _, err := links.OpenUpload(token); !fault.Is(err, fault.Forbidden) {
			t.Errorf("as an upload: %v", err)
		}
	}
	for _, token := range []string{download, uploadToken} {
		if _, _, err := links.OpenImage(token); !fault.Is(err, fault.Forbidden) {
			t.Errorf("as an image: %v", err)
		}
	}
	if n := len(deviceproto.PathImage + image + "/15"); n >= deviceproto.MaxPath {
		t.Errorf("a link of %d characters", n)
	}
}
