// Package compilerd puts a compile worker together.
package compilerd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/rs/xid"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/arduino"
	"github.com/flota/flota/services/compiler/micropython"
	"github.com/flota/flota/services/compiler/natsbus"
	"github.com/flota/flota/services/compiler/toolchain"
	"github.com/flota/flota/services/compiler/transfer"
	"github.com/flota/flota/services/compiler/worker"
)

// Config is what an operator can set.
type Config struct {
	Toolchain   string        `env:"TOOLCHAIN" desc:"the toolchain root that deploy/toolchain/layout.sh made"`
	Slots       int           `env:"SLOTS" envDefault:"0" desc:"builds at a time; 0 = as many as there are processors"`
	Unsandboxed bool          `env:"UNSANDBOXED" desc:"compile without a sandbox: every account can then run code as this user"`
	Drain       time.Duration `env:"DRAIN" envDefault:"110s" desc:"how long running builds may take to end when the worker is told to stop; another worker then takes them"`
}

// Deps is what the worker is connected to.
type Deps struct {
	Log *zap.Logger
	Bus *bus.Conn
	// Serve answers health checks and metrics; nil where nobody asks.
	Serve func(ctx context.Context, h http.Handler) error
}

// Run takes builds until ctx ends, and finishes those that run.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	work, err := workFolder()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	platforms, executors, err := open(ctx, cfg, work, deps.Log)
	if err != nil {
		return err
	}
	if cfg.Slots <= 0 {
		cfg.Slots = runtime.NumCPU()
	}
	host, _ := os.Hostname()
	name := fmt.Sprintf("%s-%s", word(host), xid.New())
	farm := natsbus.NewFarm(deps.Bus, name, deps.Log)
	jobs := &natsbus.Jobs{Conn: deps.Bus, Name: name, Slots: bus.NewSlots(cfg.Slots), Platforms: platforms, Log: deps.Log}
	w := &worker.Worker{Farm: farm, Transfer: transfer.New(), Executor: executors, Log: deps.Log}
	deps.Log.Info("taking builds", zap.String("worker", name), zap.Int("slots", cfg.Slots), zap.Int("platforms", len(platforms)))

	// What runs when ctx ends has until life ends.
	life, kill := context.WithCancelCause(context.WithoutCancel(ctx))
	defer kill(nil)
	draining := context.AfterFunc(ctx, func() {
		time.AfterFunc(cfg.Drain, func() { kill(errors.New("the worker stops")) })
	})
	defer draining()

	group, running := errgroup.WithContext(ctx)
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return farm.WatchFences(watching) })
	group.Go(func() error {
		defer stopWatching()
		return jobs.Run(running, life, w.Do)
	})
	if deps.Serve != nil {
		health := httpserve.New(deps.Log, httpserve.EchoOptions{Ready: map[string]func(context.Context) error{"bus": deps.Bus.Ready}})
		group.Go(func() error { return deps.Serve(running, health) })
	}
	return group.Wait()
}

func open(ctx context.Context, cfg Config, work string, log *zap.Logger) ([]compiler.Platform, compiler.Executor, error) {
	root, err := toolchain.Open(cfg.Toolchain)
	if err != nil {
		return nil, nil, err
	}
	box, err := sandbox.Open(ctx, sandbox.Config{Toolchain: root.Dir, AllowNone: cfg.Unsandboxed}, log)
	if err != nil {
		return nil, nil, err
	}
	sketches, err := arduino.New(arduino.Config{Toolchain: root, Work: work}, box)
	if err != nil {
		return nil, nil, err
	}
	scripts, err := micropython.New(micropython.Config{Toolchain: root, Work: work}, box)
	if err != nil {
		return nil, nil, err
	}
	executors := compiler.Executors{compiler.Arduino: sketches, compiler.MicroPython: scripts}
	platforms, err := executors.Platforms(ctx)
	return platforms, executors, err
}

// word keeps of a host name what a bucket's key may hold.
func word(host string) string {
	out := []byte("worker")
	for i := range min(len(host), 40) {
		if c := host[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			if i == 0 {
				out = out[:0]
			}
			out = append(out, c)
		}
	}
	return string(out)
}
