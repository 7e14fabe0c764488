// Package natsbus is the editor on the bus: what it hears of workers and their
// attempts, what it answers, and what it asks others.
package natsbus

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	"github.com/flota/flota/services/editor"
)

// How many messages and requests are handled at a time.
const (
	messageSlots = 16
	claimSlots   = 16
	resultSlots  = 4
)

// Run hears and answers until ctx ends, and then finishes what it began.
func Run(ctx context.Context, conn *bus.Conn, builds *editor.Builds, projects editor.ProjectStore) error {
	a := answers{builds, projects}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return watchWorkers(ctx, conn, builds) })
	g.Go(func() error { return watchPlatforms(ctx, conn, builds) })
	g.Go(func() error { return bus.Serve(ctx, conn, flow.Claim, claimSlots, a.claim) })
	g.Go(func() error { return bus.Serve(ctx, conn, flow.BuildResult, resultSlots, a.result) })
	// The end of an attempt never waits behind news of others.
	g.Go(func() error { return bus.Handle(ctx, conn, flow.TakeStarted, bus.NewSlots(messageSlots), a.started) })
	g.Go(func() error { return bus.Handle(ctx, conn, flow.TakePhase, bus.NewSlots(messageSlots), a.phase) })
	g.Go(func() error { return bus.Handle(ctx, conn, flow.TakeFinished, bus.NewSlots(messageSlots), a.finished) })
	return g.Wait()
}

func watchWorkers(ctx context.Context, conn *bus.Conn, builds *editor.Builds) error {
	return bus.Watch(ctx, conn, flow.Workers, nil, func(change bus.Change[*compilerv1.Worker]) {
		if change.Gone {
			builds.Farm.Leave(change.Key)
		} else {
			builds.Farm.See(change.Key, change.Value)
		}
		builds.Reschedule()
	})
}

func watchPlatforms(ctx context.Context, conn *bus.Conn, builds *editor.Builds) error {
	return bus.Watch(ctx, conn, flow.Platforms, nil, func(change bus.Change[*compilerv1.PlatformOffer]) {
		if change.Gone {
			builds.Farm.Forget(change.Key)
		} else {
			builds.Farm.Describe(change.Key, catalogueIn(change.Value))
		}
		builds.Reschedule()
	})
}

type answers struct {
	builds   *editor.Builds
	projects editor.ProjectStore
}

func (a answers) claim(ctx context.Context, q *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error) {
	grant, err := a.builds.Claim(ctx, q.GetBuild(), q.GetWorker(), editor.Delivery{Sequence: q.GetJob(), Count: int(q.GetDelivered())})
	if err != nil || grant == nil {
		return &editorv1.ClaimResponse{}, err
	}
	return &editorv1.ClaimResponse{
		Granted: true, Attempt: uint32(grant.Attempt), DeadlineMs: grant.Deadline.UnixMilli(),
		Kind: kinds[grant.Kind], Fqbn: grant.FQBN, Main: grant.Main, Verbose: grant.Verbose, Unmanaged: grant.Unmanaged,
		SourceUrl: grant.SourceURL, UploadUrl: grant.UploadURL,
	}, nil
}

func (a answers) result(ctx context.Context, q *editorv1.BuildRequest) (*editorv1.BuildResponse, error) {
	b, err := a.builds.Get(ctx, q.GetWorkspace(), q.GetBuild())
	if err != nil {
		return nil, err
	}
	p, err := a.projects.Project(ctx, b.Workspace, b.Project)
	if err != nil {
		return nil, err
	}
	return &editorv1.BuildResponse{
		Project: p.ID, ProjectName: p.Name, ProductDevice: p.Device, Revision: uint32(b.Revision), Fqbn: b.FQBN,
		Kind: kinds[b.Kind], Outcome: outcomes[b.State], Outputs: outputsOut(b.Outputs), Memory: memoryOut(b.Memory),
		Agent: agentOut(b.Agent), Unmanaged: b.Unmanaged,
	}, nil
}

func (a answers) started(ctx context.Context, m bus.Message[*compilerv1.BuildStarted]) error {
	return a.builds.Enter(ctx, m.Body.GetBuild(), int(m.Body.GetAttempt()), editor.Fetch)
}

func (a answers) phase(ctx context.Context, m bus.Message[*compilerv1.BuildPhase]) error {
	return a.builds.Enter(ctx, m.Body.GetBuild(), int(m.Body.GetAttempt()), phases[m.Body.GetPhase()])
}

func (a answers) finished(ctx context.Context, m bus.Message[*compilerv1.BuildFinished]) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return a.builds.Finish(ctx, finishIn(m))
}
