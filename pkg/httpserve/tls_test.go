package httpserve_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/crypto/acme"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve"
)

func load(t *testing.T, c httpserve.TLSConfig) *tls.Config {
	t.Helper()
	config, err := c.Load(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// shake makes a handshake with the configuration and returns the certificate
// that it shows, verified against roots unless those are nil.
func shake(t *testing.T, config *tls.Config, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	t.Helper()
	s := start(t, http.NotFoundHandler(), httpserve.Options{TLS: config})
	defer s.stop()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "http://"), &tls.Config{ServerName: name, RootCAs: roots, InsecureSkipVerify: roots == nil, NextProtos: []string{"h2"}})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Errorf("protocol %q", got)
	}
	return conn.ConnectionState().PeerCertificates[0], nil
}

func pool(t *testing.T, caFile string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in " + caFile)
	}
	return roots
}

func TestOwnCA(t *testing.T) {
	c := httpserve.TLSConfig{Mode: httpserve.TLSOwn, Dir: filepath.Join(t.TempDir(), "tls"), Hosts: []string{"Flota.example", "192.0.2.7", "0:0::7"}}
	first := load(t, c)
	roots := pool(t, c.CAFile())
	var serial string
	for _, name := range []string{"flota.example", "192.0.2.7", "::7", "localhost", "127.0.0.1"} {
		cert, err := shake(t, first, name, roots)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		serial = cert.SerialNumber.String()
	}
	if _, err := shake(t, first, "other.example", roots); err == nil {
		t.Error("a name that is not in it was accepted")
	}
	for name, mode := range map[string]os.FileMode{"ca.crt": 0o644, "ca.key": 0o600, "server.pem": 0o600} {
		if info, err := os.Stat(filepath.Join(c.Dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}

	again, err := shake(t, load(t, c), "localhost", roots)
	if err != nil || again.SerialNumber.String() != serial {
		t.Errorf("a restart issued another certificate (%v)", err)
	}
	c.Hosts = []string{"new.example"}
	if _, err := shake(t, load(t, c), "new.example", roots); err != nil {
		t.Errorf("after a change of hosts, by the same CA: %v", err)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "server.pem"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := shake(t, load(t, c), "new.example", roots); err != nil {
		t.Errorf("after damage to the server's certificate: %v", err)
	}
	if err := os.Remove(filepath.Join(c.Dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Load(zap.NewNop()); err == nil {
		t.Error("a CA without its key was replaced silently")
	}
}

func TestCertificateFiles(t *testing.T) {
	made := func() string { // a certificate and its key
		c := httpserve.TLSConfig{Mode: httpserve.TLSOwn, Dir: t.TempDir()}
		load(t, c)
		return filepath.Join(c.Dir, "server.pem")
	}
	path := filepath.Join(t.TempDir(), "cert.pem")
	put := func(content []byte, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if at := time.Now().Add(-age); os.Chtimes(path, at, at) != nil {
			t.Fatal("times")
		}
	}
	read := func(path string) []byte {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	old, renewed := read(made()), read(made())
	put(old, 3*time.Hour)
	config := load(t, httpserve.TLSConfig{Mode: httpserve.TLSFiles, CertFile: path, KeyFile: path})
	shown := func() string {
		t.Helper()
		cert, err := shake(t, config, "localhost", nil)
		if err != nil {
			t.Fatal(err)
		}
		return cert.SerialNumber.String()
	}
	first := shown()
	put([]byte("half a fi"), 2*time.Hour)
	if shown() != first {
		t.Error("damaged files replaced the certificate")
	}
	put(renewed, time.Hour)
	if shown() == first {
		t.Error("the renewed certificate is not shown")
	}
	second := shown()
	if os.Remove(path); shown() != second {
		t.Error("without files the certificate went")
	}
}

func TestTLSModes(t *testing.T) {
	if config := load(t, httpserve.TLSConfig{Mode: httpserve.TLSOff}); config != nil {
		t.Error("off gives a configuration")
	}
	if (httpserve.TLSConfig{}).Enabled() || !(httpserve.TLSConfig{Mode: httpserve.TLSACME}).Enabled() {
		t.Error("Enabled")
	}
	config := load(t, httpserve.TLSConfig{Mode: httpserve.TLSACME, Dir: t.TempDir(), Hosts: []string{"flota.example"}})
	if !slices.Contains(config.NextProtos, acme.ALPNProto) {
		t.Error("ACME cannot prove its names")
	}
	if _, err := config.GetCertificate(&tls.ClientHelloInfo{ServerName: "other.example"}); err == nil {
		t.Error("ACME asks for a name that is not ours")
	}
	for name, c := range map[string]httpserve.TLSConfig{
		"misspelt":        {Mode: "on"},
		"acme, no hosts":  {Mode: httpserve.TLSACME},
		"files not there": {Mode: httpserve.TLSFiles, CertFile: "/nonexistent", KeyFile: "/nonexistent"},
		"files not named": {Mode: httpserve.TLSFiles},
	} {
		if _, err := c.Load(zap.NewNop()); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
