package toolchain_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/arduino"
	"github.com/flota/flota/services/compiler/toolchain"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"", dir, filepath.Join(dir, "missing")} {
		if _, err := toolchain.Open(d); err == nil || !strings.Contains(err.Error(), "toolchain") {
			t.Errorf("%q: %v", d, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "toolchain.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := toolchain.Open(dir); err == nil {
		t.Error("a toolchain without a digest")
	}
}

// The way of `make cores`, with a board manager on this machine in the place of
// the internet's: install a core, lay out, compile for its board. Then the same
// without anybody there: one sentence, and what was laid out stays.
func TestInstalledCore(t *testing.T) {
	tests := os.Getenv("FLOTA_TEST_TOOLCHAIN")
	if tests == "" {
		t.Skip("FLOTA_TEST_TOOLCHAIN is not set: nothing is laid out. It is what `deploy/toolchain/layout.sh --with-fixture` prints; `make test` sets it.")
	}
	const scripts = "../../../deploy/toolchain"
	cache, www := t.TempDir(), t.TempDir()
	t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", cache).Run() })
	// MicroPython is fetched already.
	if err := os.Symlink(filepath.Join(filepath.Dir(filepath.Dir(tests)), "micropython"), filepath.Join(cache, "micropython")); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(www)))
	defer server.Close()
	index(t, www, server.URL)
	list := filepath.Join(cache, "board-managers.txt")
	if err := os.WriteFile(list, []byte("# a comment\nacme:esp32like  "+server.URL+"/package_acme_index.json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(script string) (string, error) {
		cmd := exec.Command(filepath.Join(scripts, script), filepath.Join(tests, "bin/arduino-cli"))
		cmd.Env = append(os.Environ(), "FLOTA_CACHE="+cache, "FLOTA_BOARD_MANAGERS="+list)
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", script, err, said.String())
		}
		return strings.TrimSpace(string(out)), err
	}

	if _, err := run("cores.sh"); err != nil {
		t.Fatal(err)
	}
	dir, err := run("layout.sh")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := run("layout.sh"); again != dir || err != nil {
		t.Errorf("laid out anew: %s %v", again, err)
	}
	root, err := toolchain.Open(filepath.Join(cache, "toolchain")) // the link
	if err != nil || root.Dir != dir || root.MicroPython != "1.25.0" {
		t.Fatalf("%+v %v", root, err)
	}
	box, err := sandbox.Open(t.Context(), sandbox.Config{Toolchain: root.Dir}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	e, err := arduino.New(arduino.Config{Toolchain: root, Work: t.TempDir()}, box)
	if err != nil {
		t.Fatal(err)
	}
	platforms, _ := e.Platforms(t.Context())
	var offered []string
	for _, p := range platforms {
		offered = append(offered, p.ID+"@"+p.Version)
	}
	if got := strings.Join(offered, " "); !strings.HasPrefix(got, "acme:esp32like@9.9.9 arduino:avr@") || !strings.Contains(got, "flota:virtual@") {
		t.Error(got)
	}
	sketch := []compiler.File{{Path: "a.ino", Data: []byte("void setup() {}\nvoid loop() {}\n")}}
	r, err := e.Execute(t.Context(), compiler.Job{FQBN: "acme:esp32like:board:CPUFreq=80", Files: sketch}, quiet{})
	if err != nil || r.Outcome != compiler.Succeeded || len(r.Outputs) != 7 {
		t.Errorf("%+v %v", r, err)
	}
	_ = r.Discard()

	server.Close()
	if err := os.RemoveAll(filepath.Join(cache, "cores")); err != nil {
		t.Fatal(err)
	}
	_, err = run("cores.sh")
	if err == nil || !strings.Contains(err.Error(), "this needs the internet") {
		t.Error(err)
	}
	if _, err := toolchain.Open(dir); err != nil {
		t.Error(err)
	}
}

type quiet struct{}

func (quiet) Phase(compiler.Phase)         {}
func (quiet) Line(compiler.Source, string) {}

// index writes a board manager's index and its archives: the fixture core under
// another name, and a tool that it depends on.
func index(t *testing.T, www, url string) {
	t.Helper()
	pack := func(name, dir string) string {
		file := filepath.Join(www, name)
		if out, err := exec.Command("tar", "-czf", file, "-C", filepath.Dir(dir), filepath.Base(dir)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`"url":"%s/%s","archiveFileName":"%s","checksum":"SHA-256:%x","size":"%d"`, url, name, name, sha256.Sum256(data), len(data))
	}
	tool := filepath.Join(t.TempDir(), "tool")
	if err := os.Mkdir(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tool, "run"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	fixture, err := filepath.Abs("../../../firmware/fixture")
	if err != nil {
		t.Fatal(err)
	}
	core, tools := pack("core.tar.gz", fixture), pack("tool.tar.gz", tool)
	text := `{"packages":[{"name":"acme","maintainer":"Acme","websiteURL":"http://acme","email":"","help":{"online":""},"platforms":[{` +
		`"name":"Acme","architecture":"esp32like","version":"9.9.9","category":"Contributed","boards":[],` + core +
		`,"toolsDependencies":[{"packager":"acme","name":"tool","version":"1.0"}]}],"tools":[{"name":"tool","version":"1.0","systems":[` +
		`{"host":"x86_64-pc-linux-gnu",` + tools + `},{"host":"aarch64-linux-gnu",` + tools + `}]}]}]}`
	if err := os.WriteFile(filepath.Join(www, "package_acme_index.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
