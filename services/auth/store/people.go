package store

import (
	"context"
	"slices"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/auth"
)

// membership is a note where to look for a user's memberships; its ID is
// user.workspace.
type membership struct {
	User      string `bson:"user"`
	Workspace string `bson:"workspace"`
}

// User implements auth.Directory.
func (s *Store) User(ctx context.Context, id string) (auth.User, error) {
	return get(ctx, s.users, id)
}

// UserByLogin implements auth.Directory.
func (s *Store) UserByLogin(ctx context.Context, key string) (auth.User, error) {
	return one(ctx, s.users, docstore.Eq("key", key))
}

// Users implements auth.Directory.
func (s *Store) Users(ctx context.Context, ids []string) ([]auth.User, error) {
	return find(ctx, s.users, docstore.Query{Where: []docstore.Cond{docstore.In("_id", ids...)}, Limit: docstore.MaxLimit})
}

// AddUser implements auth.PeopleStore.
func (s *Store) AddUser(ctx context.Context, u auth.User) error {
	err := insert(ctx, s.users, u.ID, u)
	if fault.Is(err, fault.Conflict) {
		return &fault.Error{Code: fault.Conflict, Field: "login", Message: "this login is taken", Err: err}
	}
	return err
}

// Workspace implements auth.Directory.
func (s *Store) Workspace(ctx context.Context, id string) (auth.Workspace, error) {
	return get(ctx, s.workspaces, id)
}

// WorkspaceBySlug implements auth.Directory.
func (s *Store) WorkspaceBySlug(ctx context.Context, slug string) (auth.Workspace, error) {
	return one(ctx, s.workspaces, docstore.Eq("slug", slug))
}

// WorkspacesOf implements auth.Directory.
func (s *Store) WorkspacesOf(ctx context.Context, user string) ([]auth.Workspace, error) {
	notes, err := find(ctx, s.memberships, docstore.Query{Where: []docstore.Cond{docstore.Eq("user", user)}, Limit: docstore.MaxLimit})
	if err != nil || len(notes) == 0 {
		return nil, err
	}
	ids := make([]string, len(notes))
	for i, note := range notes {
		ids[i] = note.Workspace
	}
	list, err := find(ctx, s.workspaces, docstore.Query{Where: []docstore.Cond{docstore.In("_id", ids...)}, Limit: docstore.MaxLimit})
	return slices.DeleteFunc(list, func(w auth.Workspace) bool { return w.Role(user) == "" }), err
}

// AddWorkspace implements auth.PeopleStore.
func (s *Store) AddWorkspace(ctx context.Context, w auth.Workspace) error {
	return insert(ctx, s.workspaces, w.ID, w)
}

// ChangeWorkspace implements auth.PeopleStore.
func (s *Store) ChangeWorkspace(ctx context.Context, id string, change func(*auth.Workspace) error) (auth.Workspace, error) {
	return update(ctx, s.workspaces, id, change)
}

// NoteMembership implements auth.PeopleStore.
func (s *Store) NoteMembership(ctx context.Context, user, workspace string) error {
	err := insert(ctx, s.memberships, user+"."+workspace, membership{user, workspace})
	if fault.Is(err, fault.Conflict) {
		return nil // noted before
	}
	return err
}
