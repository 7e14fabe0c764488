// Package examples holds what a new project can start from: a folder each, with
// its sources and an example.json.
package examples

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"

	"github.com/flota/flota/services/editor"
)

//go:embed */*
var files embed.FS

// The order in which they are offered; a product's own project starts from the
// first.
var order = []string{"blink", "wifi", "sensor", "library", "micropython-blink",
	"micropython-wifi", "micropython-sensor", "micropython-webserver", "micropython-library", "avr-blink",
}

const descriptionFile = "example.json"

// All returns the examples.
func All() ([]editor.Example, error) {
	var all []editor.Example
	for _, id := range order {
		e, err := load(id)
		if err != nil {
			return nil, fmt.Errorf("example %s: %w", id, err)
		}
		all = append(all, e)
	}
	return all, nil
}

func load(id string) (editor.Example, error) {
	var about struct{ Name, Description, Kind, FQBN string }
	data, err := files.ReadFile(path.Join(id, descriptionFile))
	if err != nil {
		return editor.Example{}, err
	}
	if err := json.Unmarshal(data, &about); err != nil {
		return editor.Example{}, err
	}
	e := editor.Example{
		ID: id, Name: about.Name, Description: about.Description, Kind: editor.Kind(about.Kind), FQBN: about.FQBN, Files: map[string]string{},
	}
	folder, err := fs.Sub(files, id)
	if err != nil {
		return editor.Example{}, err
	}
	return e, fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || name == descriptionFile {
			return err
		}
		content, err := fs.ReadFile(folder, name)
		e.Files[name] = string(content)
		return err
	})
}
