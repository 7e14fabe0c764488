// Package natsbus connects a worker with the farm over the bus.
package natsbus

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/worker"
)

// Farm implements worker.Farm.
type Farm struct {
	conn *bus.Conn
	name string
	log  *zap.Logger

	mu      sync.Mutex
	running map[string]runningAttempt // by build
}

type runningAttempt struct {
	number uint32
	stop   context.CancelCauseFunc
}

// errVoid ends an attempt that the editor does not want any more.
var errVoid = errors.New("the attempt is void")

// NewFarm returns the farm as the worker of this name sees it.
func NewFarm(conn *bus.Conn, name string, log *zap.Logger) *Farm {
	return &Farm{conn: conn, name: name, log: log, running: map[string]runningAttempt{}}
}

// WatchFences stops attempts that become void, until ctx ends.
func (f *Farm) WatchFences(ctx context.Context) error {
	return bus.Watch(ctx, f.conn, flow.Fences, nil, func(change bus.Change[*editorv1.Fence]) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if r, ok := f.running[change.Key]; ok && !change.Gone && r.number <= change.Value.GetAttempt() {
			r.stop(errVoid)
		}
	})
}

// Claim implements worker.Farm.
func (f *Farm) Claim(ctx context.Context, d worker.Delivery) (*worker.Attempt, error) {
	answer, err := bus.Do(ctx, f.conn, flow.Claim, &editorv1.ClaimRequest{
		Build: d.Build, Worker: f.name, Job: d.Sequence, Delivered: uint32(d.Delivered),
	})
	if err != nil {
		return nil, err
	}
	if !answer.GetGranted() {
		return nil, nil
	}
	return &worker.Attempt{
		Build: d.Build, Number: answer.GetAttempt(), Deadline: time.UnixMilli(answer.GetDeadlineMs()),
		Job: compiler.Job{
			Build: d.Build, Kind: kinds[answer.GetKind()], FQBN: answer.GetFqbn(), Main: answer.GetMain(), Verbose: answer.GetVerbose(),
			Unmanaged: answer.GetUnmanaged(),
		},
		SourceURL: answer.GetSourceUrl(), UploadURL: answer.GetUploadUrl(),
	}, nil
}

// Started implements worker.Farm.
func (f *Farm) Started(ctx context.Context, a *worker.Attempt) error {
	return publish(ctx, f.conn, flow.BuildStarted, "started", a, &compilerv1.BuildStarted{
		Build: a.Build, Attempt: a.Number, Worker: f.name, AtMs: time.Now().UnixMilli(),
	})
}

// Finished implements worker.Farm: it goes on trying until the attempt's end, for the work is done.
func (f *Farm) Finished(ctx context.Context, a *worker.Attempt, r worker.Report) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := publish(ctx, f.conn, flow.BuildFinished, "finished", a, finished(a, r))
		if err == nil || !fault.Is(err, fault.Unavailable) {
			return err
		}
		f.log.Warn("result not taken yet", zap.String("build", a.Build), zap.Error(err))
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// Until implements worker.Farm.
func (f *Farm) Until(ctx context.Context, a *worker.Attempt) (context.Context, context.CancelFunc) {
	ctx, stop := context.WithCancelCause(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running[a.Build] = runningAttempt{a.Number, stop}
	return ctx, func() {
		stop(nil)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.running[a.Build].number == a.Number {
			delete(f.running, a.Build)
		}
	}
}

// publish sends what happens once in an attempt, under an ID that says so.
func publish[T proto.Message](ctx context.Context, c *bus.Conn, s flow.Subject[T], what string, a *worker.Attempt, m T) error {
	attempt := strconv.FormatUint(uint64(a.Number), 10)
	return bus.Publish(ctx, c, s, m, a.Build+"."+attempt+"."+what, a.Build, attempt)
}
