package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/flota/flota/deploy/solo/solotest"
)

// heapMost is what agent and upload service may take of a Pico's heap, each, whatever the file's size: KiB.
const heapMost = 24

// derived are figures of an RP2040 that no machine here can measure; RESULTS.md tells where they come from.
var derived = []struct {
	key   string
	value float64
	unit  string
	how   string
}{
	{"pico.heap.tls_rp2.kib", 28.9, "KiB", "mbedTLS 3.6.6 for 32 bits with the rp2 port's configuration, its allocations counted as the port's heap would"},
	{"pico.verify_rp2040.s", 1.06, "s", "56.8 million instructions of a 32-bit ARM, times what a Cortex-M0+ takes for one"},
}

// pico takes over what the Pico's own tests measure, on real MicroPython.
func pico(ctx context.Context, b *bench) error {
	found := map[string]float64{}
	for _, script := range [][]string{{"run.sh", "quick"}, {"service.sh", "figures"}} {
		cmd := exec.CommandContext(ctx, filepath.Join(solotest.Root(), "firmware", "pico", "test", script[0]), script[1:]...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
		for _, f := range figure.FindAllStringSubmatch(string(out), -1) {
			if found[f[1]], err = strconv.ParseFloat(f[2], 64); err != nil {
				return err
			}
		}
	}
	var err error
	get := func(key string) float64 {
		value, ok := found[key]
		if !ok {
			err = fmt.Errorf("nobody printed %s", key)
		}
		return value
	}
	const how = "MicroPython 1.25, unix port, 64-bit objects"
	for _, size := range []string{"10k", "100k", "1m"} {
		agent, upload := get("pico.heap."+size+".kib"), get("pico.upload.heap."+size+".kib")
		most := max(agent, upload)
		b.results.set("pico.heap."+size+".kib", most, "KiB", 1, fmt.Sprintf("%s; agent %.1f, upload service %.1f", how, agent, upload))
		if most > heapMost {
			err = fmt.Errorf("pico.heap.%s.kib is %.1f, more than %d", size, most, heapMost)
		}
	}
	for key, unit := range map[string]string{
		"pico.resident.kib": "KiB", "pico.upload.resident.kib": "KiB", "pico.upload.vs_copy": "ratio", "pico.verify.s": "s", "pico.delta.bytes": "bytes",
	} {
		b.results.set(key, get(key), unit, 1, how)
	}
	for _, d := range derived {
		b.results.set(d.key, d.value, d.unit, 1, d.how)
	}
	return err
}
