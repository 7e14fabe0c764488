package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	"github.com/flota/flota/services/editor"
)

// mark is what of a build is told on the bus when it changes.
type mark struct {
	state    editor.State
	phase    editor.Phase
	attempt  int
	dispatch int
	fenced   int
}

func markOf(b *editor.Build) mark { return mark{b.State, b.Phase, b.Attempt, b.Dispatch, b.Fenced} }

var phases = map[editor.Phase]compilerv1.Phase{
	editor.Fetch: compilerv1.Phase_PHASE_FETCH, editor.Compile: compilerv1.Phase_PHASE_COMPILE, editor.Upload: compilerv1.Phase_PHASE_UPLOAD,
}

// announce puts what follows from a change into the build's outbox. The IDs are
// the same however often a message is sent.
func announce(b *editor.Build, before mark) {
	now := markOf(b)
	if now.dispatch != before.dispatch {
		bus.Post(&b.Meta, flow.BuildJob, &compilerv1.Job{Build: b.ID}, fmt.Sprintf("%s-%d", b.ID, b.Dispatch), b.Platform, b.ID)
	}
	if now.fenced != before.fenced {
		bus.PostValue(&b.Meta, flow.Fences, flow.Key(b.ID), &editorv1.Fence{Build: b.ID, Attempt: uint32(b.Fenced)},
			fmt.Sprintf("%s-fence-%d", b.ID, b.Fenced))
	}
	now.dispatch, now.fenced = before.dispatch, before.fenced
	if now != before {
		bus.Post(&b.Meta, flow.BuildChanged, &editorv1.BuildChanged{
			Workspace: b.Workspace, Project: b.Project, Build: b.ID, State: string(b.State),
			Attempt: uint32(b.Attempt), Phase: phases[b.Phase], AtMs: time.Now().UnixMilli(),
		}, fmt.Sprintf("%s.%d", b.ID, b.Rev+1), b.Workspace, b.ID)
	}
}

// InsertBuild implements editor.BuildStore.
func (s *Store) InsertBuild(ctx context.Context, b *editor.Build) error {
	announce(b, mark{})
	return s.builds.Insert(ctx, b)
}

// Build implements editor.BuildStore.
func (s *Store) Build(ctx context.Context, id string) (*editor.Build, error) {
	b, err := s.builds.Get(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return nil, errNoBuild
	}
	return b, err
}

// Builds implements editor.BuildStore.
func (s *Store) Builds(ctx context.Context, workspace, project string, page editor.Page) ([]*editor.Build, string, error) {
	found, err := s.builds.Find(ctx, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", workspace), docstore.Eq("project", project)},
		Sort:  "created", Desc: true, Limit: page.Limit, After: page.After,
	})
	return found.Items, found.Next, err
}

// ChangeBuild implements editor.BuildStore.
func (s *Store) ChangeBuild(ctx context.Context, id string, change func(*editor.Build) error) (*editor.Build, error) {
	var seen *editor.Build
	b, err := s.builds.Update(ctx, id, func(b *editor.Build) error {
		seen = b
		before := markOf(b)
		if err := change(b); err != nil {
			return err
		}
		announce(b, before)
		return nil
	})
	switch {
	case errors.Is(err, editor.ErrUnchanged):
		return seen, nil
	case seen == nil && fault.Is(err, fault.NotFound):
		return nil, errNoBuild
	}
	return b, err
}

// InState implements editor.BuildStore.
func (s *Store) InState(ctx context.Context, state editor.State, limit int) ([]*editor.Build, error) {
	return s.take(ctx, limit, docstore.Query{Where: []docstore.Cond{docstore.Eq("state", string(state))}, Sort: "created"})
}

// CountInState implements editor.BuildStore.
func (s *Store) CountInState(ctx context.Context, workspace string, state editor.State) (int, error) {
	n, err := s.builds.Count(ctx, docstore.Eq("workspace", workspace), docstore.Eq("state", string(state)))
	return int(n), err
}

// LogDue implements editor.BuildStore.
func (s *Store) LogDue(ctx context.Context, limit int) ([]*editor.Build, error) {
	return s.take(ctx, limit, docstore.Query{Where: []docstore.Cond{docstore.Eq("log_due", true)}})
}

// take returns at most limit builds that a query selects.
func (s *Store) take(ctx context.Context, limit int, q docstore.Query) ([]*editor.Build, error) {
	q.Limit = limit
	var builds []*editor.Build
	for b, err := range s.builds.All(ctx, q) {
		if err != nil {
			return nil, err
		}
		if builds = append(builds, b); len(builds) == limit {
			break
		}
	}
	return builds, nil
}

// KnownResult implements editor.BuildStore.
func (s *Store) KnownResult(ctx context.Context, key string) (*editor.CachedResult, error) {
	return s.results.Get(ctx, key)
}

// SetKnownResult implements editor.BuildStore.
func (s *Store) SetKnownResult(ctx context.Context, r *editor.CachedResult) error {
	err := s.results.Insert(ctx, r)
	if !fault.Is(err, fault.Conflict) {
		return err
	}
	_, err = s.results.Update(ctx, r.ID, func(known *editor.CachedResult) error {
		known.Build, known.Made = r.Build, r.Made
		return nil
	})
	return err
}

// ForgetResult implements editor.BuildStore.
func (s *Store) ForgetResult(ctx context.Context, key string) error {
	if err := s.results.Delete(ctx, key, 0); !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}
