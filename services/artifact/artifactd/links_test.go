package artifactd_test

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/httpserve/problem"
	"github.com/flota/flota/pkg/link"
	"github.com/flota/flota/pkg/secret"
)

// Of each kind, a link that is tampered with, expired or foreign opens nothing: 403
// and a problem that says which.
func TestLinksThatOpenNothing(t *testing.T) {
	s := start(t, bustest.Server(t))
	content := vectors.Image("built by the farm")
	digest := s.upload(vectors.Workspace, "b1", content)
	s.enroll(vectors.DeviceID, vectors.Key)
	s.enroll("another", vectors.OtherKey)
	s.deploy(vectors.DeviceID, vectors.Deployment, digest, len(content))
	s.eventually("the devices are known, and what one of them is to have", 10*time.Second, func() bool {
		return s.poll(vectors.Key).status == 200 && s.poll(vectors.OtherKey).status == 204
	})
	blob, err := hex.DecodeString(digest)
	must(t, err)
	ring := func(key string) *link.Ring {
		service, err := secret.Parse(key)
		must(t, err)
		return link.NewRing(service.Derive("links"), time.Now)
	}
	own, foreign := ring(serviceKey), ring(strings.Repeat("3", 64))

	const (
		download = link.Download
		upload   = link.Upload
		image    = link.Image
	)
	good := map[link.Kind]link.Link{
		download: {Subject: blob, Audience: "blink.bin"},
		upload:   {Subject: []byte(vectors.Workspace + "/b1/1")},
		image:    {Subject: append(binary.BigEndian.AppendUint64(nil, vectors.Deployment), vectors.DeviceID...)},
	}
	sign := func(r *link.Ring, as, kind link.Kind, life time.Duration) string {
		l := good[kind]
		l.Kind, l.Expires = as, time.Now().Add(life)
		return r.Sign(l)
	}
	path := func(kind link.Kind, token string) string {
		return map[link.Kind]string{
			download: "/dl/" + token + "/blink.bin", upload: "/up/" + token + "/" + digest, image: deviceproto.PathImage + token,
		}[kind]
	}
	ask := func(kind link.Kind, path string) answer {
		if kind == upload {
			return s.send(http.MethodPut, s.url+path, nil, content)
		}
		return s.send(http.MethodGet, s.url+path, nil, nil)
	}
	refused := func(what string, kind link.Kind, a answer, code string) {
		t.Helper()
		var p problem.Problem
		err := json.Unmarshal(a.body, &p)
		if err != nil || a.status != 403 || a.header.Get("Content-Type") != "application/problem+json" || string(p.Code) != code || p.Status != 403 || p.Detail == "" {
			t.Errorf("kind %d, %s: %d %s", kind, what, a.status, a.body)
		}
	}

	for kind := range good {
		right := sign(own, kind, kind, time.Minute)
		if a := ask(kind, path(kind, right)); a.status != 200 && a.status != 201 {
			t.Errorf("kind %d, as it should be: %d %s", kind, a.status, a.body)
		}
		for _, at := range []int{0, len(right) / 2, len(right) - 2} {
			changed := byte('A')
			if right[at] == changed {
				changed = 'B'
			}
			refused("a character changed", kind, ask(kind, path(kind, right[:at]+string(changed)+right[at+1:])), "forbidden")
		}
		refused("cut short", kind, ask(kind, path(kind, right[:len(right)-1])), "forbidden")
		refused("expired", kind, ask(kind, path(kind, sign(own, kind, kind, -time.Second))), "expired")
		refused("another installation's", kind, ask(kind, path(kind, sign(foreign, kind, kind, time.Minute))), "forbidden")
		for other := range good {
			if other != kind {
				refused("one for something else", kind, ask(kind, path(kind, sign(own, other, kind, time.Minute))), "forbidden")
			}
		}
	}

	renamed := strings.Replace(path(download, sign(own, download, download, time.Minute)), "blink.bin", "invoice.exe", 1)
	refused("under another name", download, ask(download, renamed), "forbidden")
	theirs := path(image, sign(own, image, image, time.Minute))
	refused("with another device's credential", image, s.device(vectors.OtherKey, http.MethodGet, theirs, "", ""), "forbidden")
	if a := s.device(vectors.Key, http.MethodGet, theirs, "", ""); a.status != 200 {
		t.Errorf("with the device's own credential: %d %s", a.status, a.body)
	}
}
