package solo_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
)

// The README's first update as a stranger sees it, in a real browser: the scenarios
// of services/editor/web/e2e, first at the default address, then by a host name
// over the installation's own TLS. Pictures of every screen are kept in out/browser.
func TestInABrowser(t *testing.T) {
	chromium := os.Getenv("FLOTA_TEST_BROWSER")
	if chromium == "" {
		t.Skip("FLOTA_TEST_BROWSER is not set: it names Debian's chromium (deploy/setup/test.sh sets it)")
	}
	shots, err := filepath.Abs("out/browser")
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(shots))
	t.Logf("screenshots: %s", shots)

	s := startFresh(t, solotest.SoloOptions{Toolchain: toolchain(t)})
	env := []string{
		"FLOTA_E2E_URL=" + s.URL, "FLOTA_E2E_SETUP_TOKEN=" + s.SetupToken(), "FLOTA_E2E_CHROMIUM=" + chromium,
		"FLOTA_E2E_SIMULATOR=" + binary(t, "flota-simulator"), "FLOTA_E2E_BOARDS=yes",
	}
	scenarios(t, append(env, "FLOTA_E2E_SHOTS="+shots), "e2e/")
	_, err = s.Stop(within(t, drainTime))
	require.NoError(t, err)

	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	public := "https://" + net.JoinHostPort(hostName, port)
	startFresh(t, solotest.SoloOptions{Toolchain: toolchain(t), Data: s.Data(), Env: []string{
		"FLOTA_LISTEN=" + address, "FLOTA_PUBLIC_URL=" + public, "FLOTA_TLS_MODE=own",
	}})
	out := scenarios(t, append(env, "FLOTA_E2E_SHOTS="+shots, "FLOTA_E2E_HOST_URL="+public), "--test-name-pattern=by host name", "e2e/")
	require.Contains(t, out, "✔ it works by host name")
}

// scenarios runs node's tests, args being its options and which.
func scenarios(t *testing.T, env []string, args ...string) string {
	t.Helper()
	ctx := within(t, 8*time.Minute)
	cmd := exec.CommandContext(ctx, "node", append([]string{"--test", "--test-reporter=spec"}, args...)...)
	cmd.Dir = filepath.Join(solotest.Root(), "services", "editor", "web")
	cmd.Env = append(append(os.Environ(), "TMPDIR="+t.TempDir()), env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
	return string(out)
}
