package provisiontest

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Mpremote is the command of that name, fetched from Debian where it is not there yet
// (mpremote.sh).
func Mpremote(t testing.TB) string {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	out, err := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(self), "mpremote.sh")).Output()
	if err != nil {
		t.Fatalf("mpremote.sh: %v", err)
	}
	return strings.TrimSpace(string(out))
}
