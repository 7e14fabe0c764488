package pico_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/flota/flota/firmware/pico"
	"github.com/flota/flota/pkg/deviceproto"
)

// The first flash is whole: its index names what is in slot a, byte for byte.
func TestFirstFlash(t *testing.T) {
	files, err := pico.FirstFlash()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]byte{}
	for _, f := range files {
		found[f.Path] = f.Data
	}
	release, err := deviceproto.ParseIndex(found["a/.index"], nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range release {
		if data, ok := found["a/"+part.Path]; !ok || int64(len(data)) != part.Size {
			t.Errorf("%s: %v, %d bytes", part.Path, ok, len(data))
		}
		delete(found, "a/"+part.Path)
	}
	for _, name := range []string{"boot.py", "main.py", "flota_boot.py", "a/.index"} {
		if len(found[name]) == 0 {
			t.Errorf("there is no %s", name)
		}
		delete(found, name)
	}
	if slot := string(found["flota/slot"]); slot != "a valid\n" || len(found) != 1 {
		t.Errorf("%q; besides: %v", slot, found)
	}
	text := release[0].Path
	for _, part := range release {
		text += " " + part.Path
	}
	if !strings.Contains(text, "main.py") || !strings.Contains(text, "flota_agent.py") || strings.Contains(text, "flota_boot") || strings.Contains(text, "service_ota") {
		t.Errorf("the base release is %s", text)
	}
	if end := files[len(files)-1].Path; end != "flota/slot" {
		t.Errorf("written last: %s", end)
	}
}

func TestSaved(t *testing.T) {
	files, err := pico.FirstFlash()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := pico.ReadFirstFlash(dir); err == nil {
		t.Error("an empty folder is a first flash")
	}
	if err := pico.Save(dir, files); err != nil {
		t.Fatal(err)
	}
	if again, err := pico.ReadFirstFlash(dir); err != nil || !reflect.DeepEqual(again, files) {
		t.Errorf("%v", err)
	}
}
