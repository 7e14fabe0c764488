package arduino

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/flota/flota/services/compiler"
)

// BenchmarkManaged times managed builds against unmanaged ones of the same
// sketch on a warm core, in alternating pairs.
func BenchmarkManaged(b *testing.B) {
	e := setup(b)
	var ratios, with, without []float64
	n := 0
	for b.Loop() {
		n++
		text := blink + fmt.Sprintf("// %d\n", n)
		pair := map[bool]float64{}
		for _, unmanaged := range []bool{n%2 == 0, n%2 != 0} {
			start := time.Now()
			r, err := e.Execute(b.Context(), compiler.Job{FQBN: "flota:virtual:esp32", Files: project("blink.ino", text), Unmanaged: unmanaged}, &record{})
			if err != nil || r.Outcome != compiler.Succeeded || (r.Agent == nil) != unmanaged {
				b.Fatal(err)
			}
			_ = r.Discard()
			pair[unmanaged] = time.Since(start).Seconds() * 1000
		}
		ratios = append(ratios, pair[false]/pair[true])
		with, without = append(with, pair[false]), append(without, pair[true])
	}
	b.ReportMetric(median(ratios), "vs_unmanaged")
	b.ReportMetric(median(with), "managed_ms")
	b.ReportMetric(median(without), "unmanaged_ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAgainstPlain times Execute against plain `arduino-cli compile --json`
// of the same sketch, agent and all, on a warm core, in alternating pairs; each
// sketch is new to both. Run with -benchtime=20x for twenty pairs.
func BenchmarkAgainstPlain(b *testing.B) {
	for _, fqbn := range []string{"arduino:avr:uno", "flota:virtual:esp32"} {
		b.Run(fqbn, func(b *testing.B) {
			e := setup(b)
			plain := newPlain(b, e)
			managed := e.agents[platformOf(fqbn)] != ""
			plain.compile(b, fqbn, "warm", blink, managed)
			var ratios, ours, theirs []float64
			n := 0
			for b.Loop() {
				n++
				text := blink + fmt.Sprintf("// %d\n", n)
				pair := map[bool]time.Duration{}
				for _, own := range []bool{n%2 == 0, n%2 != 0} {
					start := time.Now()
					if own {
						r, err := e.Execute(b.Context(), compiler.Job{FQBN: fqbn, Files: project("blink.ino", text)}, &record{})
						if err != nil || r.Outcome != compiler.Succeeded {
							b.Fatal(err)
						}
						_ = r.Discard()
					} else {
						plain.compile(b, fqbn, fmt.Sprintf("blink%d", n), text, managed)
					}
					pair[own] = time.Since(start)
				}
				ratios = append(ratios, pair[true].Seconds()/pair[false].Seconds())
				ours, theirs = append(ours, pair[true].Seconds()*1000), append(theirs, pair[false].Seconds()*1000)
			}
			b.ReportMetric(median(ratios), "vs_plain")
			b.ReportMetric(median(ours), "ours_ms")
			b.ReportMetric(median(theirs), "plain_ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// plain is arduino-cli as everybody runs it, with folders of its own.
type plain struct{ root, dir string }

func newPlain(b *testing.B, e *Executor) plain {
	p := plain{root: e.cfg.Toolchain.Dir, dir: b.TempDir()}
	config := fmt.Sprintf("directories: {data: %[1]s/data, downloads: %[1]s, user: %[2]s/user}\nbuild_cache: {path: %[1]s/cache}\n", p.dir, p.root)
	err := os.CopyFS(filepath.Join(p.dir, "data"), os.DirFS(filepath.Join(p.root, "data")))
	if err == nil {
		err = exec.Command("chmod", "-R", "u+w", p.dir).Run()
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(p.dir, "arduino-cli.yaml"), []byte(config), 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func (p plain) compile(b *testing.B, fqbn, name, text string, managed bool) {
	dir := filepath.Join(p.dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".ino"), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	if managed {
		if err := os.WriteFile(filepath.Join(dir, managedFile), []byte(managedSource), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(p.root, "bin/arduino-cli"), "--config-file", filepath.Join(p.dir, "arduino-cli.yaml"), "compile", "--json", "-b", fqbn, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
