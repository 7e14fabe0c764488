package arduino

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flota/flota/services/compiler"
)

func TestParseBoards(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("platform.txt", "# comment\nname=Some boards\nversion=2.0.1\n")
	write("boards.txt", `
menu.speed=Speed
menu.size = Size
menu.unused=Unused

b.name=Board B
b.menu.size.big=Big one
b.menu.size.big.build.x=1
b.menu.size.small=Small
b.menu.speed.80=80 MHz
b.menu.speed.80.linux.build.f=for Linux
b.menu.speed.160.linux=160 MHz
b.menu.speed.160.macosx=160 MHz, too
b.menu.speed.240.windows=240 MHz
b.build.mcu=m
a.name=Board A
hidden.name=Hidden
hidden.hide=
generic.build.mcu=no name, no board
`)
	p, err := readPlatform(dir, "acme:chip")
	if err != nil || p.ID != "acme:chip" || p.Version != "2.0.1" || p.Name != "Some boards" {
		t.Fatalf("%+v %v", p, err)
	}
	got, _ := json.Marshal(p.Boards)
	want := `[{"FQBN":"acme:chip:b","Name":"Board B","Kind":"arduino","Options":[` +
		`{"ID":"speed","Label":"Speed","Values":[{"ID":"80","Label":"80 MHz"},{"ID":"160","Label":"160 MHz"}]},` +
		`{"ID":"size","Label":"Size","Values":[{"ID":"big","Label":"Big one"},{"ID":"small","Label":"Small"}]}]},` +
		`{"FQBN":"acme:chip:a","Name":"Board A","Kind":"arduino","Options":null}]`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// What is read from a core's files is what arduino-cli itself says of it.
func TestBoardsAgreeWithArduinoCLI(t *testing.T) {
	e := setup(t)
	cli := func(v any, args ...string) {
		t.Helper()
		dir := t.TempDir()
		config := filepath.Join(dir, "c.yaml")
		text := strings.ReplaceAll("directories: {data: D/data, downloads: D, user: ROOT/user}\n", "D/", dir+"/")
		text = strings.ReplaceAll(strings.ReplaceAll(text, "ROOT", e.cfg.Toolchain.Dir), "downloads: D,", "downloads: "+dir+",")
		if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(filepath.Join(e.cfg.Toolchain.Dir, "data"))); err != nil {
			t.Fatal(err)
		}
		if err := exec.Command("chmod", "-R", "u+w", dir).Run(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(filepath.Join(e.cfg.Toolchain.Dir, "bin/arduino-cli"), append([]string{"--config-file", config, "--json"}, args...)...).Output()
		if err == nil {
			err = json.Unmarshal(out, v)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	var said struct {
		Boards []struct{ Name, FQBN string } `json:"boards"`
	}
	cli(&said, "board", "listall")
	platforms, _ := e.Platforms(t.Context())
	ours := map[string]compiler.Board{}
	for _, p := range platforms {
		if p.Toolchain == "" || p.Version == "" || p.Name == "" {
			t.Errorf("%+v", p)
		}
		for _, b := range p.Boards {
			ours[b.FQBN] = b
		}
	}
	if len(said.Boards) < 20 || len(said.Boards) != len(ours) {
		t.Errorf("%d boards, arduino-cli has %d", len(ours), len(said.Boards))
	}
	for _, b := range said.Boards {
		if ours[b.FQBN].Name != b.Name {
			t.Errorf("%s is %q, not %q", b.FQBN, ours[b.FQBN].Name, b.Name)
		}
	}
	for _, fqbn := range []string{"arduino:avr:nano", "flota:virtual:esp32", "fixture:esp32like:board"} {
		var details struct {
			Options []struct {
				Option, Label string `json:"-"`
				ID            string `json:"option"`
				Text          string `json:"option_label"`
				Values        []struct {
					ID       string `json:"value"`
					Text     string `json:"value_label"`
					Selected bool   `json:"selected"`
				} `json:"values"`
			} `json:"config_options"`
		}
		cli(&details, "board", "details", "-b", fqbn)
		if len(details.Options) == 0 || len(details.Options) != len(ours[fqbn].Options) {
			t.Fatalf("%s: %+v, arduino-cli says %+v", fqbn, ours[fqbn].Options, details.Options)
		}
		for i, o := range details.Options {
			own := ours[fqbn].Options[i]
			if own.ID != o.ID || own.Label != o.Text || len(own.Values) != len(o.Values) {
				t.Errorf("%s: %+v, arduino-cli says %+v", fqbn, own, o)
				continue
			}
			for j, v := range o.Values {
				if own.Values[j] != (compiler.Value{ID: v.ID, Label: v.Text}) || v.Selected != (j == 0) {
					t.Errorf("%s %s: %+v, arduino-cli says %+v", fqbn, o.ID, own.Values[j], v)
				}
			}
		}
	}
}
