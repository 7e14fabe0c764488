package simulator

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/deviceproto"
)

func write(t *testing.T, v any) (path string) {
	t.Helper()
	raw, ok := v.(string)
	if !ok {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		raw = string(text)
	}
	path = filepath.Join(t.TempDir(), "bot_001.json")
	if err := os.WriteFile(path, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadProvisions(t *testing.T) {
	good := newServer(t).enrol("bot_001")
	changed := func(change func(*deviceproto.Provision)) deviceproto.Provision {
		p := good
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		file any
		n    int
		err  string
	}{
		"one":                        {good, 1, ""},
		"a list":                     {[]deviceproto.Provision{good, good}, 2, ""},
		"an empty one":               {[]deviceproto.Provision{}, 0, "no device"},
		"no JSON":                    {"hello", 0, "not a provisioning file"},
		"no JSON in a list":          {"[hello]", 0, "not a provisioning file"},
		"a number":                   {"7", 0, "not a provisioning file"},
		"unknown fields are ignored": {strings.Replace(mustJSON(t, good), "{", `{"colour":"green",`, 1), 1, ""},
		"no server":                  {changed(func(p *deviceproto.Provision) { p.Server = "" }), 0, "device 1: server"},
		"a second without a board":   {[]deviceproto.Provision{good, changed(func(p *deviceproto.Provision) { p.Board = "" })}, 0, "device 2: board"},
		"a path for product ID":      {changed(func(p *deviceproto.Provision) { p.ProductID = "../x" }), 0, "product_id"},
		"a dot for a name":           {changed(func(p *deviceproto.Provision) { p.ProductID = "." }), 0, "product_id"},
		"two dots for a name":        {changed(func(p *deviceproto.Provision) { p.ProductID = ".." }), 0, "product_id"},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := ReadProvisions(write(t, c.file))
			if len(all) != c.n || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("%d devices, %v", len(all), err)
			}
			if err != nil && strings.Contains(err.Error(), good.Key) {
				t.Error("the error tells the key")
			}
		})
	}
	if _, err := ReadProvisions(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFaults(t *testing.T) {
	one := Image{SHA256: digest([]byte("one"))}
	for text, want := range map[string]Fault{
		"crash": Crash, "no_checkin": NoCheckin, one.SHA256[:4] + "=watchdog": Watchdog, "0000=selftest": None, one.SHA256 + "=selftest": Selftest,
	} {
		judge, err := Faults(text)
		if err != nil || judge(one) != want || judge(Image{}) != None {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"", "explode", "=", "0000=", "0000=explode"} {
		if _, err := Faults(text); err == nil {
			t.Errorf("%q is no fault", text)
		}
	}
}

// A pinned certificate is trusted, and nothing else.
func TestPinnedCertificate(t *testing.T) {
	s := newServer(t)
	https := httptest.NewUnstartedServer(s)
	https.Config.ErrorLog = log.New(io.Discard, "", 0)
	https.StartTLS()
	defer https.Close()
	p := s.enrol("bot_001")
	p.Server = https.URL
	var ca bytes.Buffer
	if err := pem.Encode(&ca, &pem.Block{Type: "CERTIFICATE", Bytes: https.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	step := func(ca string) int {
		t.Helper()
		p.CA = ca
		d, err := New(p, &Memory{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.step(t.Context()); err != nil {
			t.Fatal(err)
		}
		return d.failed
	}
	if step(ca.String()) != 0 {
		t.Error("the pinned certificate is not trusted")
	}
	if step("") == 0 {
		t.Error("another certificate is trusted")
	}
	p.CA = "none"
	if _, err := New(p, &Memory{}, Options{}); err == nil {
		t.Error("a certificate that is none was taken")
	}
	if _, ok := NewClient(x509.NewCertPool()).Transport.(*http.Transport); !ok {
		t.Error("not a client of this package")
	}
}
