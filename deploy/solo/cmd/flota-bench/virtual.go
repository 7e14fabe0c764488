package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/flota/flota/deploy/solo/solotest"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

// virtualBoard measures the same as loop with a board that runs what was written.
func virtualBoard(ctx context.Context, b *bench) error {
	s, c, err := b.solo(ctx, true, "FLOTA_POLL=1s")
	if err != nil {
		return err
	}
	defer stop(s)
	products, err := c.Register(ctx, solotest.NewProduct{ID: "bot_001"})
	if err != nil {
		return err
	}
	provision, err := c.Provision(ctx, products[0], virtual)
	if err != nil {
		return err
	}
	board, err := c.CreateBoard(ctx, "bench")
	if err != nil {
		return err
	}
	if _, err := c.ProvisionBoard(ctx, board.Id, provision); err != nil {
		return err
	}
	device := provision.Device
	if _, err := c.WaitDevice(ctx, device, func(d fleetapi.Device) bool { return d.Online }); err != nil {
		return err
	}
	project, err := c.CreateProject(ctx, "virtual", "blink")
	if err != nil {
		return err
	}
	if err := c.WaitForBoard(ctx, virtual); err != nil {
		return err
	}
	var took []float64
	for n := range 21 {
		begin := time.Now()
		deployment, err := saveAndDeploy(ctx, c, project.Id, project.Main, blink(4000+n), device)
		if err != nil {
			return err
		}
		_, err = c.WaitDevice(ctx, device, func(d fleetapi.Device) bool {
			return d.State == fleetapi.Confirmed && d.WantedDeployment != nil && *d.WantedDeployment == deployment
		})
		if err != nil {
			return err
		}
		if n > 0 {
			took = append(took, time.Since(begin).Seconds())
		}
	}
	b.results.set("virtual.edit_to_running.s", median(took), "s", len(took), "a changed sketch each time, a virtual board with a 1 s poll, until it has confirmed")
	return nil
}

// figure is a line of a test's output: a key of results.json and its value.
var figure = regexp.MustCompile(`(?m)^\s*(?:\S+\.go:\d+: )?([a-z0-9_]+(?:\.[a-z0-9_]+)+)=([0-9.]+)$`)

// firmware takes over what the firmware's own tests measure.
func firmware(ctx context.Context, b *bench) error {
	for _, m := range []struct {
		how  string
		name string
		args []string
	}{
		{"the portable core on this machine, -Os; allocations and the painted stack of its task", "make", []string{"-s", "-C", "firmware/esp32/test", "measure"}},
		{"by arduino-cli, run on virtual boards", "go", []string{"test", "-count=1", "-v", "-timeout", "20m", "-run", "^TestSketches$", "./firmware/chip"}},
	} {
		cmd := exec.CommandContext(ctx, m.name, m.args...)
		cmd.Dir, cmd.Env = filepath.Clean(solotest.Root()), append(os.Environ(), "FLOTA_TEST_FULL=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", m.how, err, out)
		}
		found := figure.FindAllStringSubmatch(string(out), -1)
		if len(found) == 0 {
			return fmt.Errorf("%s %v printed no figure:\n%s", m.name, m.args, out)
		}
		for _, f := range found {
			value, err := strconv.ParseFloat(f[2], 64)
			if err != nil {
				return err
			}
			b.results.set(f[1], value, units[f[1]], 1, m.how)
		}
	}
	return nil
}

var units = map[string]string{
	"esp32.heap.kib": "KiB", "esp32.stack.kib": "KiB", "poll.bytes": "bytes", "update.overhead.bytes": "bytes", "virtual.sketches": "sketches",
}
