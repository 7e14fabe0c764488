package solo_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/services/editor/mip/miptest"
)

// A MicroPython project in a real browser, from an example with a package to a REPL on
// a virtual Pico, and back from a release that raises: the scenario of
// services/editor/web/e2e/micropython.mjs. Pictures of every screen are kept in
// out/browser-micropython.
func TestMicroPythonInABrowser(t *testing.T) {
	chromium := os.Getenv("FLOTA_TEST_BROWSER")
	if chromium == "" {
		t.Skip("FLOTA_TEST_BROWSER is not set: it names Debian's chromium (deploy/setup/test.sh sets it)")
	}
	if _, err := os.Stat(filepath.Join(toolchain(t), "base", "flota-virtual-pico.bin")); err != nil {
		t.Skipf("the toolchain has no first flash for virtual Picos: %v", err)
	}
	shots, err := filepath.Abs("out/browser-micropython")
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(shots))
	t.Logf("screenshots: %s", shots)

	index := miptest.New(t)
	index.Package("greeting", "latest", map[string]any{
		"version": "1.2.0", "deps": [][2]string{{"words", "latest"}},
		"hashes": index.Hashes(map[string]string{"greeting.py": "from words import HELLO\n\n\ndef greet(name):\n    return HELLO + \", \" + name\n"}),
	})
	index.Package("words", "latest", map[string]any{"version": "0.1", "hashes": index.Hashes(map[string]string{"words.py": "HELLO = \"hello\"\n"})})

	s := startFresh(t, solotest.SoloOptions{Toolchain: toolchain(t), Env: []string{
		"FLOTA_POLL=1s", "FLOTA_BOARDS_WORKSPACE=1", "FLOTA_MIP_INDEX=" + index.URL, "FLOTA_MIP_ALLOW=127.0.0.1/32",
	}})
	scenarios(t, []string{
		"FLOTA_E2E_URL=" + s.URL, "FLOTA_E2E_SETUP_TOKEN=" + s.SetupToken(), "FLOTA_E2E_CHROMIUM=" + chromium,
		"FLOTA_E2E_SIMULATOR=" + binary(t, "flota-simulator"), "FLOTA_E2E_SHOTS=" + shots,
	}, "e2e/micropython.mjs")
}
