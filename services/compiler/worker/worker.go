// Package worker does one build after another: it claims what the bus hands it,
// fetches the source, executes, uploads, and tells the farm how it goes.
package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
)

// uploads at the same time
const uploads = 4

// Delivery is a job as it came off the bus.
type Delivery struct {
	Build     string
	Sequence  uint64
	Delivered int
}

// Attempt is a granted claim.
type Attempt struct {
	Build     string
	Number    uint32
	Deadline  time.Time
	Job       compiler.Job // its files come with Source
	SourceURL string
	UploadURL string
}

// Report is how an attempt ended.
type Report struct {
	// Err is trouble of the farm; Result is nil then.
	Err    error
	Result *compiler.Result
	Times  []compiler.PhaseTime
}

// Farm is whom a worker works for. Calls are retried by their implementation as
// long as their context allows.
type Farm interface {
	// Claim returns nil when there is nothing to do any more.
	Claim(ctx context.Context, d Delivery) (*Attempt, error)
	Started(ctx context.Context, a *Attempt) error
	// Log returns what the attempt's log goes into; end sends what is left.
	Log(ctx context.Context, a *Attempt) (log compiler.Log, end func())
	Finished(ctx context.Context, a *Attempt, r Report) error
	// Until returns a context that ends when the attempt is void.
	Until(ctx context.Context, a *Attempt) (context.Context, context.CancelFunc)
}

// Transfer moves files over HTTP by an attempt's links.
type Transfer interface {
	Source(ctx context.Context, url string) ([]compiler.File, error)
	Upload(ctx context.Context, url string, o compiler.Output) error
}

// Worker does builds.
type Worker struct {
	Farm     Farm
	Transfer Transfer
	Executor compiler.Executor
	Log      *zap.Logger
}

// Do does the build of one delivery. Nil means that the job is done with: built,
// refused, or void. An error means that somebody should take it again.
func (w *Worker) Do(ctx context.Context, d Delivery) error {
	a, err := w.Farm.Claim(ctx, d)
	if err != nil || a == nil {
		return err
	}
	log := w.Log.With(zap.String("build", a.Build), zap.Uint32("attempt", a.Number))
	log.Info("claimed", zap.String("fqbn", a.Job.FQBN), zap.Int("delivered", d.Delivered))

	deadline, cancel := context.WithDeadline(ctx, a.Deadline)
	defer cancel()
	valid, release := w.Farm.Until(deadline, a)
	defer release()

	if err := w.Farm.Started(valid, a); err != nil {
		return err
	}
	report := w.build(valid, a)
	defer func() {
		if err := report.Result.Discard(); err != nil {
			log.Warn("outputs not removed", zap.Error(err))
		}
	}()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped before the end: %w", context.Cause(ctx))
	case valid.Err() != nil && deadline.Err() == nil:
		log.Info("void; stopped")
		return nil
	case deadline.Err() != nil:
		log.Warn("past its deadline; nobody listens any more")
		return nil
	}
	if report.Err != nil {
		log.Error("the farm's own trouble", zap.Error(report.Err))
	} else {
		log.Info("finished", zap.String("outcome", string(report.Result.Outcome)))
	}
	return w.Farm.Finished(valid, a, report)
}

// build is the attempt itself. What the source is to blame for is a result.
func (w *Worker) build(ctx context.Context, a *Attempt) Report {
	log, end := w.Farm.Log(ctx, a)
	defer end()
	result, times, err := w.phases(ctx, a, log)
	if refused := fault.As(err); refused != nil && (refused.Code == fault.Invalid || refused.Code == fault.TooLarge) {
		log.Line(compiler.Farm, sentence(refused))
		result = &compiler.Result{
			Outcome: compiler.Failed, Message: sentence(refused),
			Diagnostics: []compiler.Diagnostic{{File: a.file(refused.Field), Severity: compiler.Error, Message: refused.Message}},
		}
		err = nil
	}
	if err != nil {
		log.Line(compiler.Farm, "The farm could not do this build.")
		result = nil
	}
	return Report{Err: err, Result: result, Times: times}
}

func (w *Worker) phases(ctx context.Context, a *Attempt, log compiler.Log) (result *compiler.Result, times []compiler.PhaseTime, err error) {
	took := func(p compiler.Phase, since time.Time) {
		times = append(times, compiler.PhaseTime{Phase: p, Took: time.Since(since)})
	}
	start := time.Now()
	log.Phase(compiler.Fetch)
	if a.Job.Files, err = w.Transfer.Source(ctx, a.SourceURL); err != nil {
		return nil, times, err
	}
	took(compiler.Fetch, start)

	start = time.Now()
	if result, err = w.Executor.Execute(ctx, a.Job, log); err != nil {
		return nil, times, err
	}
	took(compiler.Compile, start)

	start = time.Now()
	log.Phase(compiler.Upload)
	group, uploading := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	for _, o := range result.Outputs {
		group.Go(func() error { return w.Transfer.Upload(uploading, a.UploadURL, o) })
	}
	if err := group.Wait(); err != nil {
		return nil, times, errors.Join(err, result.Discard())
	}
	took(compiler.Upload, start)
	return result, times, nil
}

// file returns a fault's field where it is the name of one of the job's files.
func (a *Attempt) file(field string) string {
	for _, f := range a.Job.Files {
		if f.Path == field {
			return field
		}
	}
	return ""
}

func sentence(f *fault.Error) string {
	if f.Field == "" {
		return f.Message
	}
	return f.Field + ": " + f.Message
}
