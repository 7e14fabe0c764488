package natsbus

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/worker"
)

const (
	// announceEvery is a third of the announcement's life.
	announceEvery = 5 * time.Second
	// announceAgain is the pause after an announcement that was not taken.
	announceAgain = 250 * time.Millisecond
	// offerEvery is how often it is written again what the platforms offer.
	offerEvery = time.Hour
)

func nowMs() int64 { return time.Now().UnixMilli() }

// Jobs takes jobs of every platform on offer while a slot is free.
type Jobs struct {
	Conn      *bus.Conn
	Name      string
	Slots     *bus.Slots
	Platforms []compiler.Platform
	Log       *zap.Logger

	started int64
}

// Run takes jobs and gives each to do, until ctx ends; then it says that it is
// draining, and waits for those that run. Their own contexts end with life.
func (j *Jobs) Run(ctx, life context.Context, do func(context.Context, worker.Delivery) error) error {
	j.started = nowMs()
	announced, stop := context.WithCancel(context.WithoutCancel(ctx))
	var announcing errgroup.Group
	offered := make(chan struct{})
	announcing.Go(func() error {
		return bus.Keep(announced, j.Conn, flow.Platforms, offerEvery, offers(j.Platforms), func() { close(offered) })
	})
	announcing.Go(func() error {
		select {
		case <-offered:
			return j.announce(announced, ctx)
		case <-announced.Done():
			return nil
		}
	})

	var taking errgroup.Group
	for _, p := range j.Platforms {
		taking.Go(func() error {
			return bus.Handle(ctx, j.Conn, flow.CompileJobs, j.Slots, func(leased context.Context, m bus.Message[*compilerv1.Job]) error {
				leased, cancel := context.WithCancelCause(leased)
				defer cancel(nil)
				defer context.AfterFunc(life, func() { cancel(context.Cause(life)) })()
				return do(leased, worker.Delivery{Build: m.Body.GetBuild(), Sequence: m.Sequence, Delivered: m.Delivered})
			}, flow.PlatformWord(p.ID, p.Version))
		})
	}
	err := taking.Wait()
	stop()
	_ = announcing.Wait()
	return err
}

// announce tells who compiles what and how much more, whenever that changes and
// in any case before the last word expires; at the end it takes it back.
func (j *Jobs) announce(ctx, taking context.Context) error {
	again := time.NewTimer(0)
	defer again.Stop()
	names := platforms(j.Platforms)
	drain, draining := taking.Done(), false
	for ctx.Err() == nil {
		changed := j.Slots.Changed()
		err := bus.Put(ctx, j.Conn, flow.Workers, j.Name, &compilerv1.Worker{
			Worker: j.Name, Slots: uint32(j.Slots.Size()), Free: uint32(j.Slots.Free()),
			Platforms: names, Draining: draining, StartedMs: j.started,
		})
		wait := announceEvery
		if err != nil && ctx.Err() == nil {
			j.Log.Info("not announced yet", zap.Error(err)) // at the first start of all, the editor is still making the bucket
			wait = announceAgain
		}
		again.Reset(wait)
		select {
		case <-ctx.Done():
		case <-drain:
			drain, draining = nil, true
		case <-changed:
		case <-again.C:
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := bus.Remove(last, j.Conn, flow.Workers, j.Name); err != nil {
		j.Log.Debug("announcement not taken back; it expires", zap.Error(err))
	}
	return nil
}
