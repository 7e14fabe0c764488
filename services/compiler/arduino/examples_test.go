package arduino

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/flota/flota/services/compiler"
)

// Every sketch that a new project can start from compiles for its board, and
// without a warning.
func TestExamples(t *testing.T) {
	e := setup(t)
	found, err := filepath.Glob("../../editor/examples/*/example.json")
	if err != nil || len(found) == 0 {
		t.Fatal("no examples:", err)
	}
	for _, file := range found {
		var about struct{ Kind, FQBN string }
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &about)
		}
		if err != nil {
			t.Fatal(err)
		}
		if about.Kind != string(compiler.Arduino) {
			continue // checked by the package micropython
		}
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			r, err := e.Execute(t.Context(), compiler.Job{FQBN: about.FQBN, Files: folder(t, filepath.Dir(file))}, &record{})
			if err != nil || r.Outcome != compiler.Succeeded || len(r.Diagnostics) != 0 {
				t.Fatalf("%+v %v", r, err)
			}
			_ = r.Discard()
		})
	}
}

func folder(t *testing.T, dir string) []compiler.File {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []compiler.File
	for _, entry := range entries {
		if entry.Name() == "example.json" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, compiler.File{Path: entry.Name(), Data: data})
	}
	return files
}
