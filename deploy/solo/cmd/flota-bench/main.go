// Command flota-bench measures what deploy/bench/RESULTS.md shows, and writes it
// there. Ratios are medians of pairs within one run. It starts what it measures
// itself, on addresses of this machine, and ends it.
//
//	make bench
//	make bench ARGS="build loop"     (only these)
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/flota/flota/deploy/solo/solotest"
)

// bench is what every measurement works with.
type bench struct {
	results   *results
	binaries  solotest.Binaries
	toolchain string
	dir       string
}

// whole limits everything.
const whole = 40 * time.Minute

func main() {
	if len(os.Args) == 3 && os.Args[1] == "bare" {
		fatal(serveBare(os.Args[2]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, whole)
	defer cancel()
	fatal(run(ctx, os.Args[1:]))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "flota-bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only []string) error {
	b := &bench{toolchain: os.Getenv("FLOTA_TEST_TOOLCHAIN")}
	if b.toolchain == "" {
		return errors.New("FLOTA_TEST_TOOLCHAIN is not set: call `make bench`")
	}
	var err error
	if b.results, err = openResults(filepath.Join(solotest.Root(), "deploy", "bench")); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "flota-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.binaries, err = solotest.BuildBinaries(ctx, b.dir, "./deploy/solo/cmd/flota-solo", "./deploy/solo/cmd/flota-bench", "./deploy/solo/cmd/s3server")
	if err != nil {
		return err
	}
	sections := []struct {
		name string
		do   func(context.Context, *bench) error
	}{
		{"start", start}, {"build", builds}, {"loop", loop}, {"virtual", virtualBoard}, {"firmware", firmware}, {"pico", pico}, {"poll", polls}, {"download", downloads},
		{"durability", durability}, {"fleet", fleet},
	}
	var broken []error
	for _, s := range sections {
		if len(only) > 0 && !slices.Contains(only, s.name) {
			continue
		}
		fmt.Printf("%s …\n", s.name)
		if err := s.do(ctx, b); err != nil {
			fmt.Printf("  FAILED: %v\n", err)
			broken = append(broken, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(append(broken, b.results.save())...)
}

// solo starts a product of its own for a measurement, with an administrator.
func (b *bench) solo(ctx context.Context, compiler bool, env ...string) (*solotest.Solo, *solotest.Client, error) {
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return nil, nil, err
	}
	o := solotest.SoloOptions{Binary: b.binaries.Path("flota-solo"), Data: filepath.Join(data, "d"), Env: env}
	if compiler {
		o.Toolchain = b.toolchain
	}
	s, err := solotest.StartSolo(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	c := s.Client()
	if err := c.Setup(ctx, s.SetupToken(), "admin", "a long password", "Bench"); err != nil {
		s.Kill()
		return nil, nil, err
	}
	return s, c, nil
}

func stop(s *solotest.Solo) { end(s.Process) }

// end tells a process to stop, with its children, and waits.
func end(p *solotest.Process) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, _ = p.Stop(ctx)
}
