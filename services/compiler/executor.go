package compiler

import (
	"context"

	"github.com/flota/flota/pkg/fault"
)

// Source says who wrote a line of the log.
type Source string

// The sources.
const (
	Farm   Source = "farm"
	Stdout Source = "stdout"
	Stderr Source = "stderr"
)

// What a log holds. The editor keeps as much of an attempt, and the stream of lines has room for many such.
const (
	// MaxLog is the sum of LogCost over its lines.
	MaxLog = 4 << 20
	// MaxLine is how long a line is at most, in bytes; of a longer one the beginning is shown.
	MaxLine = 32 << 10
)

// LogCost is what a line takes of MaxLog: its text, and what travels with every line, so that a flood of
// empty ones is bounded, too.
func LogCost(text string) int { return min(len(text), MaxLine) + 32 }

// Log receives what happens while it happens. Calls come from one goroutine at
// a time and must not block for long: the job waits for them.
type Log interface {
	Phase(Phase)
	Line(Source, string)
}

// Executor does builds of one kind, many at a time.
type Executor interface {
	// Platforms lists what can be built for, as installed.
	Platforms(ctx context.Context) ([]Platform, error)
	// Execute does a job. A compiler that refuses the source, or a limit that
	// ends the job, is a result; an error is either a fault of code invalid or
	// too_large, with the file or field that is wrong, or trouble of the
	// infrastructure, where trying again can help. A result is the caller's to
	// Discard. Cancelling ctx ends the job's processes and returns ctx's cause.
	Execute(ctx context.Context, job Job, log Log) (*Result, error)
}

// Executors picks the executor by the job's kind.
type Executors map[Kind]Executor

// Platforms lists those of every executor.
func (e Executors) Platforms(ctx context.Context) ([]Platform, error) {
	var all []Platform
	for _, kind := range []Kind{Arduino, MicroPython} {
		if one := e[kind]; one != nil {
			platforms, err := one.Platforms(ctx)
			if err != nil {
				return nil, err
			}
			all = append(all, platforms...)
		}
	}
	return all, nil
}

// Execute hands the job to the executor of its kind.
func (e Executors) Execute(ctx context.Context, job Job, log Log) (*Result, error) {
	one := e[job.Kind]
	if one == nil {
		return nil, fault.Field("kind", "this worker does not build projects of kind %q", job.Kind)
	}
	return one.Execute(ctx, job, log)
}
