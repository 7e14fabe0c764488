package editor

import (
	"context"
	"time"
)

const (
	// maxBacklog is how many queued builds the scheduler looks at; workspaces
	// have limits of their own, so that none can fill it alone.
	maxBacklog = 5000
	maxRunning = 5000
	// The scheduler also looks without being woken: another replica may have
	// made a build, and a pause after trouble may be over.
	scheduleEvery = time.Second
)

// Schedule publishes jobs until ctx ends; failed is told of errors, after which
// it goes on.
func (s *Builds) Schedule(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(scheduleEvery)
	defer tick.Stop()
	for {
		if err := s.Dispatch(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.due:
		case <-tick.C:
		}
	}
}

// Dispatch publishes what should be published now. Two replicas may pick the
// same build: one of them wins the compare-and-set.
func (s *Builds) Dispatch(ctx context.Context) error {
	picked, err := s.plan(ctx, nil)
	if err != nil {
		return err
	}
	for id, target := range picked {
		if _, err := s.Store.ChangeBuild(ctx, id, func(b *Build) error {
			if b.State != Queued || b.Waiting {
				return ErrUnchanged
			}
			b.dispatch(target.Platform, target.Toolchain, s.Now())
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// plan looks at the queue, with one build more that is not stored yet, and
// returns what to publish.
func (s *Builds) plan(ctx context.Context, extra *Build) (map[string]Target, error) {
	queued, err := s.Store.InState(ctx, Queued, maxBacklog)
	if err != nil {
		return nil, err
	}
	if extra != nil {
		queued = append(queued, extra)
	}
	if len(queued) == 0 {
		return nil, nil
	}
	running, err := s.Store.InState(ctx, Running, maxRunning)
	if err != nil {
		return nil, err
	}
	byWorker, byWorkspace := map[string]int{}, map[string]int{}
	for _, b := range running {
		byWorker[b.Worker]++
		byWorkspace[b.Workspace]++
	}
	now := s.Now()
	resolve := s.Farm.remembering()
	byBuild := map[string]Target{}
	queue := make([]Candidate, 0, len(queued))
	for _, b := range queued {
		c := Candidate{Build: b.ID, Workspace: b.Workspace, Platform: b.Platform, Waiting: b.Waiting, Since: b.Created}
		if !b.Waiting {
			if now.Before(b.NotBefore) {
				continue
			}
			target, _ := resolve(b.FQBN) // where nobody offers it, the sweeper may end it
			c.Platform = target.Platform
			byBuild[b.ID] = target
		}
		queue = append(queue, c)
	}
	picked := map[string]Target{}
	for _, id := range Plan(queue, byWorkspace, s.Farm.FreeSlots(byWorker)) {
		picked[id] = byBuild[id]
	}
	return picked, nil
}
