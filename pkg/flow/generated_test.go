package flow

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the files that are made from the map")

// proto/README.md shows the map between its markers.
func TestDiagram(t *testing.T) {
	const begin, end = "<!-- flow:begin -->\n", "<!-- flow:end -->"
	generated(t, "../../proto/README.md", func(old string) string {
		before, rest, found := strings.Cut(old, begin)
		_, after, closed := strings.Cut(rest, end)
		if !found || !closed {
			t.Fatalf("no %q and %q", begin, end)
		}
		return before + begin + Diagram() + end + after
	})
}

func TestNATSConf(t *testing.T) {
	generated(t, "../../deploy/nats/nats.conf", func(string) string { return NATSConf() })
}

// generated compares a file with what it should be, or writes it with -update.
func generated(t *testing.T, path string, make func(old string) string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil && (!*update || !os.IsNotExist(err)) {
		t.Fatal(err)
	}
	want := make(string(old))
	if string(old) == want {
		return
	}
	if !*update {
		t.Fatalf("%s is out of date: make gen", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
