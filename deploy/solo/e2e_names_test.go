package solo_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/pkg/fault"
)

const hostName = "flota.test"

// byName resolves flota.test to this machine, and trusts the CA of a file, if any.
func byName(t *testing.T, caFile string) *http.Transport {
	t.Helper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			if host == hostName {
				host = "127.0.0.1"
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(host, port))
		},
	}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		require.NoError(t, err)
		pool := x509.NewCertPool()
		require.True(t, pool.AppendCertsFromPEM(pem))
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// named is a client that comes by the host name.
func (s *server) named(t *testing.T, scheme, caFile string) *solotest.Client {
	t.Helper()
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	s.seen.transport = byName(t, caFile)
	return solotest.NewClient(scheme+"://"+net.JoinHostPort(hostName, u.Port()), s.DeviceURL, s.seen)
}

// freeAddress is one that nobody listens on, where the port must be known before.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := solotest.FreeAddress()
	require.NoError(t, err)
	return address
}

// A browser's session in cookies alone, at every service.
func requireCookies(t *testing.T, c *solotest.Client) {
	t.Helper()
	for _, path := range []string{"/api/auth/v1/me", "/api/editor/v1/projects", "/api/fleet/v1/devices"} {
		answer, err := c.HTTP.Get(c.Origin + path)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusOK, answer.StatusCode, path)
	}
}

func TestCookiesOnThisMachine(t *testing.T) {
	s := start(t)
	requireCookies(t, s.admin)
	require.NoError(t, s.admin.Refresh(t.Context()))
	requireCookies(t, s.admin)
	require.NoError(t, s.admin.Logout(t.Context()))
	answer, err := s.admin.HTTP.Get(s.URL + "/api/editor/v1/projects")
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
}

// By a host name over plain HTTP a password would travel readable: without consent
// nobody can log in, whether the name was configured or just resolves.
func TestPlainHTTPByNameNeedsConsent(t *testing.T) {
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	for name, env := range map[string][]string{
		"the name is not configured": nil,
		"the name is configured":     {"FLOTA_LISTEN=" + address, "FLOTA_PUBLIC_URL=http://" + net.JoinHostPort(hostName, port)},
	} {
		t.Run(name, func(t *testing.T) {
			s := startFresh(t, solotest.SoloOptions{Env: env})
			c := s.named(t, "http", "")
			for _, try := range []error{
				c.Setup(t.Context(), s.SetupToken(), login, password, "Greenhouse"),
				c.Login(t.Context(), login, password),
				c.ProductLogin(t.Context(), "greenhouse", "bot_001", "1234"),
			} {
				p := requireProblem(t, try, http.StatusConflict, fault.Precondition)
				require.Contains(t, p.Detail, "FLOTA_PLAIN_HTTP=true")
			}
			answer, err := c.HTTP.Get(c.Origin + "/")
			require.NoError(t, err, "the page itself says so")
			require.NoError(t, answer.Body.Close())
			require.Equal(t, http.StatusOK, answer.StatusCode)
		})
	}
}

func TestPlainHTTPByNameWithConsent(t *testing.T) {
	s := startFresh(t, solotest.SoloOptions{Env: []string{"FLOTA_PLAIN_HTTP=true"}})
	c := s.named(t, "http", "")
	require.NoError(t, c.Setup(t.Context(), s.SetupToken(), login, password, "Greenhouse"))
	requireCookies(t, c)
}

func TestOwnTLSByName(t *testing.T) {
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	public := "https://" + net.JoinHostPort(hostName, port)
	s := startFresh(t, solotest.SoloOptions{Env: []string{"FLOTA_LISTEN=" + address, "FLOTA_PUBLIC_URL=" + public, "FLOTA_TLS_MODE=own"}})
	require.Equal(t, public, s.URL)
	c := s.named(t, "https", s.CAFile)
	require.NoError(t, c.Setup(t.Context(), s.SetupToken(), login, password, "Greenhouse"))
	requireCookies(t, c)
	u, err := url.Parse(c.Origin)
	require.NoError(t, err)
	for _, cookie := range c.HTTP.Jar.Cookies(u) {
		require.Contains(t, cookie.Name, "__Host-", "over TLS browsers hold a cookie to its host")
	}

	stranger := &http.Client{Transport: byName(t, "")}
	_, err = stranger.Get(c.Origin)
	require.ErrorAs(t, err, new(*tls.CertificateVerificationError))

	// The CA stays the same, and so do the sessions.
	s.Kill()
	require.NoError(t, s.Start(t.Context()))
	requireCookies(t, s.namedAgain(c))
}

// namedAgain is the same browser after a restart.
func (s *server) namedAgain(c *solotest.Client) *solotest.Client {
	s.seen.transport.(*http.Transport).CloseIdleConnections()
	return c
}
