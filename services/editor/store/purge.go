package store

import (
	"context"
	"errors"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/editor"
)

// How much of deleted projects one call takes away.
const (
	purgeProjects = 20
	purgeThings   = 200
)

func (s *Store) deleted(ctx context.Context) ([]*editor.Project, error) {
	page, err := s.projects.Find(ctx, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("deleted", true)}, Sort: "changed", Limit: purgeProjects,
	})
	return page.Items, err
}

// DeletedActive implements editor.BuildStore.
func (s *Store) DeletedActive(ctx context.Context) ([]*editor.Build, error) {
	projects, err := s.deleted(ctx)
	var active []*editor.Build
	for _, p := range projects {
		var builds []*editor.Build
		if builds, _, err = s.Builds(ctx, p.Workspace, p.ID, editor.Page{Limit: purgeThings}); err != nil {
			break
		}
		for _, b := range builds {
			if !b.State.Final() {
				active = append(active, b)
			}
		}
	}
	return active, err
}

// Purge implements editor.BuildStore.
func (s *Store) Purge(ctx context.Context) error {
	projects, err := s.deleted(ctx)
	for _, p := range projects {
		done, one := s.purge(ctx, p)
		if one == nil && done {
			one = s.projects.Delete(ctx, p.ID, 0)
		}
		err = errors.Join(err, one)
	}
	return err
}

// purge removes what belongs to a project and reports whether nothing is left.
func (s *Store) purge(ctx context.Context, p *editor.Project) (done bool, err error) {
	of := docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", p.Workspace), docstore.Eq("project", p.ID)}, Limit: purgeThings,
	}
	builds, err := s.builds.Find(ctx, of)
	if err != nil {
		return false, err
	}
	revisions, err := s.revisions.Find(ctx, of)
	if err != nil {
		return false, err
	}
	left := builds.Next != "" || revisions.Next != ""
	for _, b := range builds.Items {
		if !b.State.Final() || b.LogDue || len(b.Outbox) > 0 {
			left = true // in the next round
			continue
		}
		if err := s.builds.Delete(ctx, b.ID, b.Rev); err != nil && !fault.Is(err, fault.NotFound) {
			return false, err
		}
	}
	for _, r := range revisions.Items {
		if err := s.revisions.Delete(ctx, r.ID, 0); err != nil && !fault.Is(err, fault.NotFound) {
			return false, err
		}
	}
	return !left, nil
}
