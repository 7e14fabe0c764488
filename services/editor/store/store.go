// Package store keeps the editor's projects, revisions, builds and known results
// in a document database.
package store

import (
	"context"
	"errors"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/editor"
)

// Store implements editor.ProjectStore and editor.BuildStore.
type Store struct {
	projects  *docstore.Collection[editor.Project]
	revisions *docstore.Collection[editor.Revision]
	builds    *docstore.Collection[editor.Build]
	results   *docstore.Collection[editor.CachedResult]
}

var (
	_ editor.ProjectStore = (*Store)(nil)
	_ editor.BuildStore   = (*Store)(nil)
)

// Open opens the collections, making them where they are missing.
func Open(ctx context.Context, db docstore.DB) (*Store, error) {
	var s Store
	var errs [4]error
	s.projects, errs[0] = docstore.Open[editor.Project](ctx, db, "projects",
		docstore.Index{Name: "slot", Fields: []string{"workspace", "slot"}, Unique: true},
		docstore.Index{Name: "recent", Fields: []string{"workspace", "deleted", "changed"}},
		docstore.Index{Name: "deleted", Fields: []string{"deleted", "changed"}})
	s.revisions, errs[1] = docstore.Open[editor.Revision](ctx, db, "revisions",
		docstore.Index{Name: "number", Fields: []string{"workspace", "project", "number"}})
	s.builds, errs[2] = docstore.Open[editor.Build](ctx, db, "builds",
		docstore.Index{Name: "recent", Fields: []string{"workspace", "project", "created"}},
		docstore.Index{Name: "state", Fields: []string{"state", "created"}},
		docstore.Index{Name: "queue", Fields: []string{"workspace", "state"}},
		docstore.Index{Name: "log-due", Fields: []string{"log_due"}})
	s.results, errs[3] = docstore.Open[editor.CachedResult](ctx, db, "results")
	return &s, errors.Join(errs[:]...)
}

// Outbox is what carries messages: give it to the relay before the first write.
func (s *Store) Outbox() docstore.Source { return s.builds }

// InsertProject implements editor.ProjectStore.
func (s *Store) InsertProject(ctx context.Context, p *editor.Project) error {
	return s.projects.Insert(ctx, p)
}

// Project implements editor.ProjectStore.
func (s *Store) Project(ctx context.Context, workspace, id string) (*editor.Project, error) {
	p, err := s.projects.Get(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && !visible(p, workspace) {
		return nil, errNoProject
	}
	return p, err
}

var (
	errNoProject  = fault.New(fault.NotFound, "there is no such project")
	errNoRevision = fault.New(fault.NotFound, "the project has no such revision")
	errNoBuild    = fault.New(fault.NotFound, "there is no such build")
)

func visible(p *editor.Project, workspace string) bool { return p.Workspace == workspace && !p.Deleted }

// OwnProject implements editor.ProjectStore.
func (s *Store) OwnProject(ctx context.Context, workspace, device string) (*editor.Project, error) {
	page, err := s.projects.Find(ctx, docstore.Query{Where: []docstore.Cond{
		docstore.Eq("workspace", workspace), docstore.Eq("slot", editor.OwnSlot(device)),
	}, Limit: 1})
	if err == nil && len(page.Items) == 0 {
		return nil, errNoProject
	}
	if err != nil {
		return nil, err
	}
	return page.Items[0], nil
}

// Projects implements editor.ProjectStore.
func (s *Store) Projects(ctx context.Context, workspace string, page editor.Page) ([]*editor.Project, string, error) {
	found, err := s.projects.Find(ctx, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", workspace), docstore.Eq("deleted", false)},
		Sort:  "changed", Desc: true, Limit: page.Limit, After: page.After,
	})
	return found.Items, found.Next, err
}

// ChangeProject implements editor.ProjectStore.
func (s *Store) ChangeProject(ctx context.Context, workspace, id string, change func(*editor.Project) error) (*editor.Project, error) {
	var seen *editor.Project
	p, err := s.projects.Update(ctx, id, func(p *editor.Project) error {
		if !visible(p, workspace) {
			return errNoProject
		}
		seen = p
		return change(p)
	})
	switch {
	case errors.Is(err, editor.ErrUnchanged):
		return seen, nil
	case seen == nil && fault.Is(err, fault.NotFound):
		return nil, errNoProject
	}
	return p, err
}

// InsertRevision implements editor.ProjectStore.
func (s *Store) InsertRevision(ctx context.Context, r *editor.Revision) error {
	return s.revisions.Insert(ctx, r)
}

// Revision implements editor.ProjectStore.
func (s *Store) Revision(ctx context.Context, workspace, project string, number int) (*editor.Revision, error) {
	r, err := s.revisions.Get(ctx, editor.RevisionID(project, number))
	if fault.Is(err, fault.NotFound) || err == nil && r.Workspace != workspace {
		return nil, errNoRevision
	}
	return r, err
}

// Revisions implements editor.ProjectStore.
func (s *Store) Revisions(ctx context.Context, workspace, project string, page editor.Page) ([]*editor.Revision, string, error) {
	found, err := s.revisions.Find(ctx, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", workspace), docstore.Eq("project", project)},
		Sort:  "number", Desc: true, Limit: page.Limit, After: page.After,
	})
	return found.Items, found.Next, err
}
