package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/flota/flota/deploy/solo/solotest"
	editorapi "github.com/flota/flota/services/editor/httpapi"
)

const (
	uno     = "arduino:avr:uno"
	virtual = "flota:virtual:esp32"
	// cold is a board whose core is not compiled beforehand.
	cold = "arduino:avr:leonardo"
)

// blink is a sketch that nobody has compiled before, for each n.
func blink(n int) string {
	return fmt.Sprintf(`const int pause = %d;
void setup() { pinMode(LED_BUILTIN, OUTPUT); }
void loop() {
  digitalWrite(LED_BUILTIN, HIGH);
  delay(pause);
  digitalWrite(LED_BUILTIN, LOW);
  delay(pause);
}
`, n)
}

// managed is what the farm puts beside a sketch for a board that FlotaOTA
// supports. plain arduino-cli gets it, too: like is compared with like.
const managed = "#include <FlotaOTA.h>\nFLOTA_MANAGED\n"

// builds measures request → link ready, in pairs with plain arduino-cli.
func builds(ctx context.Context, b *bench) error {
	s, c, err := b.solo(ctx, true)
	if err != nil {
		return err
	}
	defer stop(s)
	plain, err := newPlain(b)
	if err != nil {
		return err
	}
	project, err := c.CreateProject(ctx, "bench", "avr-blink")
	if err != nil {
		return err
	}
	one := func(fqbn string, n int, fresh bool) (float64, error) {
		if _, err := c.PutFile(ctx, project.Id, project.Main, blink(n)); err != nil {
			return 0, err
		}
		begin := time.Now()
		build, err := c.Build(ctx, project.Id, solotest.BuildWish{FQBN: fqbn, Fresh: fresh})
		if err != nil {
			return 0, err
		}
		if build, err = c.WaitBuild(ctx, build.Id); err != nil {
			return 0, err
		}
		if build.State != "succeeded" || len(build.Outputs) == 0 {
			return 0, fmt.Errorf("the build is %s", build.State)
		}
		if _, err := c.OutputLink(ctx, build.Id, build.Outputs[0].Name); err != nil {
			return 0, err
		}
		return time.Since(begin).Seconds(), nil
	}
	const pairs = 15
	for _, board := range []struct{ fqbn, key, name string }{{uno, "build.libs0.vs_plain", "Uno"}, {virtual, "build.libs0.virtual.vs_plain", "virtual ESP32"}} {
		if err := c.WaitForBoard(ctx, board.fqbn); err != nil {
			return err
		}
		var ours, theirs []float64
		for n := range pairs + 1 {
			t, err := one(board.fqbn, 1000+n, false)
			if err != nil {
				return err
			}
			p, err := plain.compile(ctx, board.fqbn, blink(1000+n))
			if err != nil {
				return err
			}
			if n > 0 { // the first pair warms both up
				ours, theirs = append(ours, t), append(theirs, p)
			}
		}
		b.results.set(board.key, median(ratios(ours, theirs)), "ratio", pairs,
			fmt.Sprintf("%s; medians %.0f ms against %.0f ms", board.name, 1000*median(ours), 1000*median(theirs)))
		if board.fqbn == uno {
			b.results.set("build.libs0.s", median(ours), "s", pairs, "wall clock")
		}
	}
	var with, without []float64
	for n := range pairs {
		for _, unmanaged := range []bool{n%2 == 0, n%2 != 0} {
			if _, err := c.ChangeProject(ctx, project.Id, editorapi.ChangeProjectJSONBody{Unmanaged: &unmanaged}); err != nil {
				return err
			}
			t, err := one(virtual, 3000+n, false)
			if err != nil {
				return err
			}
			if unmanaged {
				without = append(without, t)
			} else {
				with = append(with, t)
			}
		}
	}
	b.results.set("build.managed.vs_unmanaged", median(ratios(with, without)), "ratio", pairs,
		fmt.Sprintf("Blink for the virtual ESP32; medians %.0f ms against %.0f ms", 1000*median(with), 1000*median(without)))
	var coldRuns, repeats []float64
	for n := range 3 {
		t, err := one(cold, 5000+n, false)
		if err != nil {
			return err
		}
		coldRuns = append(coldRuns, t)
	}
	b.results.set("build.cold.s", median(coldRuns), "s", len(coldRuns), cold+", the whole core compiled")
	for range 15 {
		t, err := one(uno, 1001, false)
		if err != nil {
			return err
		}
		repeats = append(repeats, t)
	}
	b.results.set("build.repeat.s", median(repeats), "s", len(repeats), "from the result cache")
	return nil
}

// plain runs arduino-cli as people do, with a warm core.
type plain struct{ cli, config, sketch string }

func newPlain(b *bench) (*plain, error) {
	dir := filepath.Join(b.dir, "plain")
	data := filepath.Join(dir, "data")
	p := &plain{
		cli: filepath.Join(b.toolchain, "bin", "arduino-cli"), config: filepath.Join(dir, "arduino-cli.yaml"),
		sketch: filepath.Join(dir, "sketch", "sketch.ino"),
	}
	for _, d := range []string{data, filepath.Dir(p.sketch)} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.Symlink(filepath.Join(b.toolchain, "data", "packages"), filepath.Join(data, "packages")); err != nil {
		return nil, err
	}
	for name, content := range map[string]string{
		filepath.Join(data, "package_index.json"): `{"packages":[]}`,
		filepath.Join(data, "library_index.json"): `{"libraries":[]}`,
		filepath.Join(data, "inventory.yaml"):     "installation: {id: bench, secret: bench}\n",
		p.config: fmt.Sprintf("directories: {data: %s, downloads: %s, user: %s}\nbuild_cache: {path: %s}\nmetrics: {enabled: false}\nupdater: {enable_notification: false}\n",
			data, filepath.Join(dir, "downloads"), filepath.Join(b.toolchain, "user"), filepath.Join(dir, "cache")),
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *plain) compile(ctx context.Context, fqbn, source string) (float64, error) {
	if err := os.WriteFile(p.sketch, []byte(source), 0o644); err != nil {
		return 0, err
	}
	agent := filepath.Join(filepath.Dir(p.sketch), "managed.cpp")
	err := os.RemoveAll(agent)
	if err == nil && fqbn == virtual {
		err = os.WriteFile(agent, []byte(managed), 0o644)
	}
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	out, err := exec.CommandContext(ctx, p.cli, "--config-file", p.config, "compile", "--json", "-b", fqbn, filepath.Dir(p.sketch)).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("plain arduino-cli: %w: %s", err, out)
	}
	return time.Since(begin).Seconds(), nil
}
