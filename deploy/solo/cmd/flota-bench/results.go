package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Result is one figure of results.json.
type Result struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Runs  int     `json:"runs"`
	How   string  `json:"how"`
}

// figures are what this command measures, in the order of RESULTS.md; other
// keys of results.json belong to others and stay as they are.
var figures = []struct{ key, title, goal string }{
	{"build.libs0.vs_plain", "Blink for an Uno, warm core, a sketch not seen before: request → link ready, against plain `arduino-cli compile --json`", "≤ 1.3"},
	{"build.libs0.virtual.vs_plain", "the same for the virtual ESP32, both with the agent", "recorded"},
	{"build.libs0.s", "the same in seconds, Uno", "recorded"},
	{"build.cold.s", "the same, cold core (a board whose core was not compiled beforehand)", "recorded"},
	{"build.repeat.s", "the same build asked again", "recorded"},
	{"build.managed.vs_unmanaged", "Blink for the virtual ESP32 with the agent that the farm adds, against the same without", "≤ 1.15"},
	{"solo.ready.s", "start of the process → everything answers", "≤ 1.0"},
	{"solo.idle.mb", "resident memory when idle, without the compiler", "≤ 150"},
	{"poll.vs_nethttp", "polls per second with nothing new, one core, against a bare net/http handler that does the same check", "≥ 0.8"},
	{"poll.signed.vs_nethttp", "the same with signed requests and answers", "recorded"},
	{"poll.vs_nginx", "against nginx answering 304 for a static file, one worker", "≥ 0.28"},
	{"poll.per_s", "polls per second on one core", "recorded"},
	{"download.hot.vs_s3", "downloads of a 1 MB image that many devices fetch, against GET from the S3 server", "≥ 1.0"},
	{"download.hot.vs_nginx", "against nginx with sendfile", "recorded"},
	{"durability.publish.vs_default", "JetStream publishes per second with every message on disk, against the default", "recorded"},
	{"fleet.update1000.s", "1,000 simulated devices (1 s poll) told of a release → all confirmed", "recorded, none lost"},
	{"loop.edit_to_running.s", "save → compiled → installed → confirmed on a simulated device (1 s poll)", "≤ 5"},
	{"virtual.edit_to_running.s", "save → compiled → installed → confirmed on a virtual board that runs it (1 s poll)", "≤ 3"},
	{"virtual.sketches", "ordinary ESP32 sketches that compile and run", "≥ 20"},
	{"poll.bytes", "a poll with nothing new, request and answer", "recorded"},
	{"update.overhead.bytes", "an update, all bytes but the image's", "recorded"},
	{"esp32.heap.kib", "memory of the agent at its peak, above TLS", "≤ 8"},
	{"esp32.stack.kib", "stack of its task, without TLS", "recorded"},
	{"esp32.flash_cost.kib", "flash that the agent adds to a sketch", "recorded where a core is installed"},
	{"pico.heap.10k.kib", "heap at its peak above the loaded modules, without TLS: the larger of the agent's (an update) and of the upload service's, 10 KB", "≤ 24"},
	{"pico.heap.100k.kib", "the same, 100 KB", "≤ 24"},
	{"pico.heap.1m.kib", "the same, 1 MB", "≤ 24"},
	{"pico.resident.kib", "the agent's modules, loaded from `.mpy`", "recorded"},
	{"pico.upload.resident.kib", "the upload service's, loaded from `.mpy`", "recorded"},
	{"pico.heap.tls_rp2.kib", "what a TLS connection takes besides, of the heap of an RP2040", "derived below"},
	{"pico.upload.vs_copy", "throughput of an upload against a plain copy on the same file system", "recorded"},
	{"pico.verify.s", "one signature checked, on this machine", "recorded"},
	{"pico.verify_rp2040.s", "the same on an RP2040 at 125 MHz", "derived below"},
	{"pico.delta.bytes", "an update of which one of twenty files changed, everything on the wire", "recorded"},
	{"faultlab.esp32.cuts", "power cuts made", "≥ 1000"},
	{"faultlab.esp32.bricks", "boards that did not come back", "0"},
	{"faultlab.esp32.unverified_boots", "starts of an image that nobody signed", "0"},
	{"faultlab.pico.cuts", "power cuts made on a Pico", "≥ 1000"},
	{"faultlab.pico.bricks", "Picos that did not come back", "0"},
	{"faultlab.pico.unverified_boots", "starts of a release that nobody signed", "0"},
	{"faultlab.pico.half_written", "live files that were half-written", "0"},
	{"faultlab.pico.false_successes", "answers that said success when it was none", "0"},
}

// results are the figures of this run over those of earlier ones.
type results struct {
	dir string
	all map[string]Result
}

func openResults(dir string) (*results, error) {
	r := &results{dir: dir, all: map[string]Result{}}
	raw, err := os.ReadFile(filepath.Join(dir, "results.json"))
	if os.IsNotExist(err) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return r, json.Unmarshal(raw, &r.all)
}

func (r *results) set(key string, value float64, unit string, runs int, how string) {
	r.all[key] = Result{Value: value, Unit: unit, Runs: runs, How: how}
	fmt.Printf("  %-32s %s\n", key, show(r.all[key]))
}

func show(r Result) string {
	switch {
	case r.Value >= 100:
		return fmt.Sprintf("%.0f %s", r.Value, r.Unit)
	case r.Value >= 1:
		return fmt.Sprintf("%.2f %s", r.Value, r.Unit)
	}
	return fmt.Sprintf("%.3f %s", r.Value, r.Unit)
}

func (r *results) save() error {
	raw, err := json.MarshalIndent(r.all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "results.json"), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	page, err := os.ReadFile(filepath.Join(r.dir, "RESULTS.md"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return os.WriteFile(filepath.Join(r.dir, "RESULTS.md"), []byte(render(string(page), r.table())), 0o644)
}

const (
	beginMark = "<!-- bench:begin -->"
	endMark   = "<!-- bench:end -->"
)

// render replaces what stands between the markers; the text around it is people's.
func render(page, table string) string {
	before, rest, found := strings.Cut(page, beginMark)
	_, after, closed := strings.Cut(rest, endMark)
	if !found || !closed {
		before, after = "# Results\n\n", "\n"
	}
	return before + beginMark + "\n" + table + endMark + after
}

func (r *results) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured %s on %s. Command: `make bench`.\n\n", time.Now().UTC().Format("2006-01-02"), machine())
	b.WriteString("| key | what | goal | measured | runs | how |\n|---|---|---|---|---|---|\n")
	for _, f := range figures {
		if got, ok := r.all[f.key]; ok {
			fmt.Fprintf(&b, "| `%s` | %s | %s | **%s** | %d | %s |\n", f.key, f.title, f.goal, show(got), got.Runs, got.How)
		}
	}
	return b.String()
}

func machine() string {
	cpu := "an unknown processor"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, ok := strings.CutPrefix(line, "model name\t: "); ok {
				cpu = strings.TrimSpace(name)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s/%s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// ratios divides pair by pair.
func ratios(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}
