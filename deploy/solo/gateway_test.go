package solo_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
)

// Caddy with our Caddyfile, over plain HTTP and over TLS. The public name's
// certificate can't be had in a test: localhost takes the same way, but for who
// signs its certificate, and the lines for a public name are checked by Caddy.
func TestSeparateGateway(t *testing.T) {
	caddy := separate(t)["CADDY"]
	t.Run("plain HTTP, as any name", func(t *testing.T) {
		g := startGateway(t, caddy)
		g.answers(t, "http://"+g.people+"/api/auth/x", "auth http "+g.people)
		g.answers(t, "http://"+g.people+"/", "editor http "+g.people)
		g.devicesOnly(t)
		_, err := net.Dial("tcp", g.tls) //nolint:noctx // refused at once
		require.Error(t, err, "no TLS")
	})
	t.Run("TLS, as one name", func(t *testing.T) {
		g := startGateway(t, caddy, "FLOTA_SITE=localhost")
		_, port, _ := net.SplitHostPort(g.tls)
		origin := "localhost:" + port
		g.trustOwn(t)
		g.answers(t, "https://"+origin+"/api/auth/x", "auth https "+origin)
		g.answers(t, "https://"+origin+"/", "editor https "+origin)
		g.answers(t, "https://"+origin+"/d/v1/update", "artifact https "+origin)
		g.devicesOnly(t)
		_, port, _ = net.SplitHostPort(g.people)
		answer, _ := g.get(t, "http://localhost:"+port+"/projects?a=b")
		require.Equal(t, http.StatusPermanentRedirect, answer.StatusCode)
		require.Equal(t, "https://localhost/projects?a=b", answer.Header.Get("Location"), "the published port is the usual one")
	})
	t.Run("a public name", func(t *testing.T) {
		validate := exec.CommandContext(within(t, patience), caddy, "validate", "--adapter", "caddyfile", "--config", caddyfile())
		validate.Env = append(publicName(t), "HOME="+t.TempDir())
		out, err := validate.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "Valid configuration")
		require.Contains(t, string(out), "adding one to enable TLS")
		require.Contains(t, string(out), "enabling automatic HTTP->HTTPS redirects")
	})
}

func caddyfile() string { return filepath.Join(solotest.Root(), "deploy", "docker", "Caddyfile") }

// gateway is a running Caddy; each service behind it says its name, and how it was asked.
type gateway struct {
	people, tls, devices string // addresses
	dir                  string
	process              *solotest.Process
	log                  *solotest.Log
	client               *http.Client
}

func startGateway(t *testing.T, caddy string, env ...string) *gateway {
	t.Helper()
	g := &gateway{people: freeAddress(t), tls: freeAddress(t), devices: freeAddress(t), dir: t.TempDir(), log: new(solotest.Log)}
	g.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(g.client.CloseIdleConnections)
	for variable, address := range map[string]string{"GATEWAY_PORT": g.people, "GATEWAY_TLS_PORT": g.tls, "GATEWAY_DEVICE_PORT": g.devices} {
		_, port, _ := net.SplitHostPort(address)
		env = append(env, "FLOTA_"+variable+"="+port)
	}
	for _, name := range []string{"auth", "editor", "artifact", "fleet", "boards"} {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s %s", name, r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"))
		}))
		t.Cleanup(service.Close)
		env = append(env, "FLOTA_"+strings.ToUpper(name)+"="+service.Listener.Addr().String())
	}
	var err error
	g.process, err = solotest.StartProcess(solotest.ProcessOptions{
		Name: "caddy", Path: caddy, Args: []string{"run", "--adapter", "caddyfile", "--config", caddyfile()}, Log: g.log, Dir: g.dir,
		Env: append(env, "FLOTA_GATEWAY_BIND=127.0.0.1", "HOME="+g.dir, "XDG_DATA_HOME="+g.dir),
	})
	require.NoError(t, err)
	t.Cleanup(g.process.Kill)
	g.until(t, "it is healthy", func(ctx context.Context) error {
		return g.try(ctx, "http://"+g.devices+"/healthz") // as Compose asks
	})
	return g
}

// trustOwn waits until Caddy's own certificate authority has signed, and trusts it.
func (g *gateway) trustOwn(t *testing.T) {
	t.Helper()
	_, port, _ := net.SplitHostPort(g.tls)
	g.until(t, "it has a certificate", func(ctx context.Context) error {
		root, err := os.ReadFile(filepath.Join(g.dir, "caddy", "pki", "authorities", "local", "root.crt"))
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(root) {
			return fmt.Errorf("no certificate: %q", root)
		}
		g.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		return g.try(ctx, "https://localhost:"+port+"/")
	})
}

// devicesOnly: their listener is plain HTTP in either form, and theirs alone.
func (g *gateway) devicesOnly(t *testing.T) {
	t.Helper()
	g.answers(t, "http://"+g.devices+"/d/v1/update", "artifact http "+g.devices)
	for _, path := range []string{"/", "/api/auth/v1/setup", "/metrics"} {
		answer, _ := g.get(t, "http://"+g.devices+path)
		require.Equal(t, http.StatusNotFound, answer.StatusCode, path)
	}
}

func (g *gateway) answers(t *testing.T, url, want string) {
	t.Helper()
	answer, body := g.get(t, url)
	require.Equal(t, http.StatusOK, answer.StatusCode, url)
	require.Equal(t, want, body, url)
}

func (g *gateway) get(t *testing.T, url string) (answer *http.Response, body string) {
	t.Helper()
	answer, err := g.client.Get(url) //nolint:noctx // this machine's, and the test's time is limited
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer, string(text)
}

func (g *gateway) try(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := g.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return nil
}

func (g *gateway) until(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	ctx := within(t, patience)
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-g.process.Ended():
			require.FailNow(t, "caddy ended", g.log.Tail(20))
		case <-ctx.Done():
			require.FailNow(t, "not so: "+what, "%v\n%s", err, g.log.Tail(20))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
