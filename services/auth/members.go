package auth

import (
	"context"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

// PeopleStore keeps people and workspaces.
type PeopleStore interface {
	Directory
	// AddUser returns fault.Conflict when the login is taken.
	AddUser(ctx context.Context, u User) error
	// AddWorkspace returns fault.Conflict when the slug is taken.
	AddWorkspace(ctx context.Context, w Workspace) error
	// ChangeWorkspace stores what change made of the workspace, by
	// compare-and-set; change may run more than once. Errors: NotFound, change's own.
	ChangeWorkspace(ctx context.Context, id string, change func(*Workspace) error) (Workspace, error)
	// NoteMembership lets WorkspacesOf find the workspace. Whether the user is a
	// member only the workspace tells: a note stays when a membership ends, and
	// then counts for nothing. It is idempotent.
	NoteMembership(ctx context.Context, user, workspace string) error
}

// Members rules who belongs to a workspace.
type Members struct {
	Store  PeopleStore
	Hasher *Hasher
	Clock  Clock
}

// MemberInfo is a member with the login.
type MemberInfo struct {
	User, Login string
	Role        identity.Role
}

// CreateWorkspace makes a workspace that the person owns. Errors: Invalid,
// TooLarge, Forbidden for a program.
func (m *Members) CreateWorkspace(ctx context.Context, caller Caller, name string) (Workspace, error) {
	if caller.Program {
		return Workspace{}, fault.New(fault.Forbidden, "a workspace is made by a person, not with an API token")
	}
	name, err := checkName("name", name)
	if err != nil {
		return Workspace{}, err
	}
	has, err := m.Store.WorkspacesOf(ctx, caller.User)
	if err != nil {
		return Workspace{}, err
	}
	if len(has) >= maxWorkspaces {
		return Workspace{}, fault.New(fault.TooLarge, "a person has at most %d workspaces", maxWorkspaces)
	}
	w := newWorkspace(name, caller.User, m.Clock)
	// The note comes first: without its workspace it counts for nothing, while a
	// workspace without it would be lost.
	if err := m.Store.NoteMembership(ctx, caller.User, w.ID); err != nil {
		return Workspace{}, err
	}
	return addWorkspace(ctx, m.Store, w)
}

func newWorkspace(name, owner string, clock Clock) Workspace {
	return Workspace{
		ID: newID(), Name: name, Slug: slugOf(name), Created: clock.now(),
		Members: []Member{{User: owner, Role: identity.Owner}},
	}
}

// addWorkspace finds a slug that is free.
func addWorkspace(ctx context.Context, store PeopleStore, w Workspace) (Workspace, error) {
	slug := w.Slug
	for try := range 20 {
		w.Slug = slugTry(slug, try)
		if err := store.AddWorkspace(ctx, w); !fault.Is(err, fault.Conflict) {
			return w, err
		}
	}
	w.Slug = slug + "-" + w.ID // a name that everybody takes
	return w, store.AddWorkspace(ctx, w)
}

// List returns the members of a workspace.
func (m *Members) List(ctx context.Context, workspace string) ([]MemberInfo, error) {
	w, err := m.Store.Workspace(ctx, workspace)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(w.Members))
	for i, member := range w.Members {
		ids[i] = member.User
	}
	users, err := m.Store.Users(ctx, ids)
	if err != nil {
		return nil, err
	}
	logins := map[string]string{}
	for _, u := range users {
		logins[u.ID] = u.Login
	}
	list := make([]MemberInfo, len(w.Members))
	for i, member := range w.Members {
		list[i] = MemberInfo{member.User, logins[member.User], member.Role}
	}
	return list, nil
}

// Add makes a person a member, and an account with this password where the
// login is new. Errors: Invalid, Conflict.
func (m *Members) Add(ctx context.Context, workspace, login, password string, role identity.Role) (MemberInfo, error) {
	if err := checkRole(role); err != nil {
		return MemberInfo{}, err
	}
	user, err := optional(m.Store.UserByLogin(ctx, loginKey(login)))
	switch {
	case err != nil:
		return MemberInfo{}, err
	case user.ID == "":
		if user, err = m.newUser(ctx, login, password); err != nil {
			return MemberInfo{}, err
		}
		if err := m.Store.AddUser(ctx, user); err != nil {
			return MemberInfo{}, err
		}
	case password != "":
		return MemberInfo{}, &fault.Error{
			Code: fault.Conflict, Field: "password", Message: "this login exists already and keeps its password; leave it out to add that person",
		}
	}
	if err := m.Store.NoteMembership(ctx, user.ID, workspace); err != nil {
		return MemberInfo{}, err
	}
	_, err = m.Store.ChangeWorkspace(ctx, workspace, func(w *Workspace) error { return w.add(user.ID, role) })
	return MemberInfo{user.ID, user.Login, role}, err
}

// newUser returns an account that is not yet stored.
func (m *Members) newUser(ctx context.Context, login, password string) (User, error) {
	if err := checkLogin(login); err != nil {
		return User{}, err
	}
	if err := checkPassword("password", password, shortestPassword); err != nil {
		return User{}, err
	}
	hash, err := m.Hasher.Hash(ctx, password)
	return User{ID: newID(), Login: login, Key: loginKey(login), Password: hash, Created: m.Clock.now()}, err
}

// SetRole changes a member's role. Errors: Invalid, NotFound, Precondition for the last owner.
func (m *Members) SetRole(ctx context.Context, workspace, user string, role identity.Role) (MemberInfo, error) {
	if err := checkRole(role); err != nil {
		return MemberInfo{}, err
	}
	if _, err := m.Store.ChangeWorkspace(ctx, workspace, func(w *Workspace) error { return w.setRole(user, role) }); err != nil {
		return MemberInfo{}, err
	}
	u, err := m.Store.User(ctx, user)
	return MemberInfo{user, u.Login, role}, err
}

// Remove ends a membership; the person's sessions there and API tokens end with
// it. Owners remove anybody, other people leave. Errors: Forbidden, NotFound,
// Precondition for the last owner.
func (m *Members) Remove(ctx context.Context, caller Caller, user string) error {
	if (user != caller.User || caller.Program) && caller.Role != identity.Owner {
		return fault.New(fault.Forbidden, "this needs the role %s", identity.Owner)
	}
	_, err := m.Store.ChangeWorkspace(ctx, caller.Workspace, func(w *Workspace) error { return w.remove(user) })
	return err
}
