package examples_test

import (
	"os"
	"testing"

	"github.com/flota/flota/services/editor"
	"github.com/flota/flota/services/editor/examples"
)

// Every folder is an example, and every example keeps the rules of a project.
func TestExamples(t *testing.T) {
	all, err := examples.All()
	if err != nil {
		t.Fatal(err)
	}
	folders := 0
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			folders++
		}
	}
	if folders != len(all) {
		t.Errorf("%d folders, %d examples", folders, len(all))
	}
	if all[0].FQBN != "flota:virtual:esp32" {
		t.Errorf("a product's own project starts from a project for %s", all[0].FQBN)
	}
	for _, e := range all {
		if e.Name == "" || e.Description == "" {
			t.Errorf("%s says nothing of itself", e.ID)
		}
		if err := editor.CheckKind(e.Kind); err != nil {
			t.Errorf("%s: %v", e.ID, err)
		}
		if err := editor.CheckFQBN(e.FQBN); err != nil {
			t.Errorf("%s: %v", e.ID, err)
		}
		p := editor.Project{Name: e.Name, Kind: e.Kind}
		for path, content := range e.Files {
			if err := editor.CheckContent(content); err != nil {
				t.Errorf("%s/%s: %v", e.ID, path, err)
			}
			if err := p.Put(editor.File{Path: path, Size: len(content), SHA256: editor.Digest([]byte(content))}, nil); err != nil {
				t.Errorf("%s/%s: %v", e.ID, path, err)
			}
		}
		if err := editor.CheckMain(p.Kind, p.Main); err != nil {
			t.Errorf("%s: %v", e.ID, err)
		}
	}
}
