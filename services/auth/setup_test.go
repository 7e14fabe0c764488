package auth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/auth"
)

func TestSetup(t *testing.T) {
	w := newWorld(t)
	old, err := w.setup.Open(t.Context(), "")
	if err != nil || len(old) != 43 {
		t.Fatal(old, err)
	}
	token, err := w.setup.Open(t.Context(), "") // the server starts again
	if err != nil || token == old {
		t.Fatal(token, err)
	}
	if stored, err := w.store.SetupToken(t.Context()); err != nil || len(stored) != 64 || strings.Contains(stored, token) {
		t.Errorf("%q is stored, %v", stored, err)
	}
	found := func(token, login, password, workspace string) error {
		_, err := w.setup.Found(t.Context(), token, login, password, workspace, "192.0.2.1")
		return err
	}
	for field, err := range map[string]error{
		"token":     errors.Join(found(old, "ada", "ada's password", "Robots")),
		"login":     found(token, "a", "ada's password", "Robots"),
		"password":  found(token, "ada", "short", "Robots"),
		"workspace": found(token, "ada", "ada's password", " "),
	} {
		if f := fault.As(err); f == nil || f.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if needed, err := w.setup.Needed(t.Context()); err != nil || !needed {
		t.Fatalf("refused tries changed something: %v, %v", needed, err)
	}
	if err := found(token, "ada", "ada's password", "Robots"); err != nil {
		t.Fatal(err)
	}
	if err := found(token, "eve", "eve's password", "Eve's"); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second time: %v", err)
	}
	if needed, err := w.setup.Needed(t.Context()); err != nil || needed {
		t.Errorf("still needed: %v, %v", needed, err)
	}
	if token, err := w.setup.Open(t.Context(), "preset"); err != nil || token != "" {
		t.Errorf("a token at the next start: %q, %v", token, err)
	}
	if founding, err := w.store.Founding(t.Context()); err != nil || founding.User.Password != "" {
		t.Errorf("the password is kept twice, %v", err)
	}
}

func TestPresetSetupToken(t *testing.T) {
	w := newWorld(t)
	if token, err := w.setup.Open(t.Context(), "preset"); err != nil || token != "preset" {
		t.Fatal(token, err)
	}
	if _, err := w.setup.Found(t.Context(), "preset", "ada", "ada's password", "Robots", "192.0.2.1"); err != nil {
		t.Error(err)
	}
}

// Of many at once one wins, and nothing is left of the others.
func TestSetupRace(t *testing.T) {
	w := newWorld(t)
	token, err := w.setup.Open(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() {
			_, results[i] = w.setup.Found(t.Context(), token, "admin-"+string(rune('a'+i)), "a good password", "Robots", "192.0.2.1")
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range results {
		switch {
		case err == nil && winner < 0:
			winner = i
		case !fault.Is(err, fault.Conflict):
			t.Errorf("number %d: %v", i, err)
		}
	}
	for i := range results {
		_, err := w.store.UserByLogin(t.Context(), "admin-"+string(rune('a'+i)))
		if exists := err == nil; exists != (i == winner) {
			t.Errorf("number %d, winner %d: exists %v", i, winner, exists)
		}
	}
	if _, err := w.store.WorkspaceBySlug(t.Context(), "robots-2"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a loser left a workspace: %v", err)
	}
}

// crashing ends with an error where a crash would end it.
type crashing struct {
	auth.PeopleStore
	at string
}

var errCrash = errors.New("crash")

func (c crashing) AddUser(ctx context.Context, u auth.User) error {
	if c.at == "user" {
		return errCrash
	}
	return c.PeopleStore.AddUser(ctx, u)
}

func (c crashing) AddWorkspace(ctx context.Context, w auth.Workspace) error {
	if c.at == "workspace" {
		return errCrash
	}
	return c.PeopleStore.AddWorkspace(ctx, w)
}

// A crash in the middle of the founding is made good at the next start.
func TestSetupCrash(t *testing.T) {
	for _, at := range []string{"user", "workspace"} {
		t.Run(at, func(t *testing.T) {
			w := newWorld(t)
			token, err := w.setup.Open(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			w.members.Store = crashing{w.store, at}
			if _, err := w.setup.Found(t.Context(), token, "ada", "ada's password", "Robots", "192.0.2.1"); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			w.members.Store = w.store
			if token, err := w.setup.Open(t.Context(), ""); err != nil || token != "" {
				t.Fatalf("at the next start: %q, %v", token, err)
			}
			grant, err := w.sessions.Login(t.Context(), "ada", "ada's password", "192.0.2.1")
			if err != nil || grant.Me.Role != identity.Owner || grant.Me.Workspace.Slug != "robots" {
				t.Errorf("%+v, %v", grant.Me, err)
			}
		})
	}
}

func TestAddMember(t *testing.T) {
	w := newWorld(t)
	ada := w.founded(t)
	home := ada.Me.Workspace.ID
	for name, test := range map[string]struct {
		login, password string
		role            identity.Role
		want            fault.Code
		field           string
	}{
		"new, without a password": {"bob", "", identity.Viewer, fault.Invalid, "password"},
		"short password":          {"bob", "1234567", identity.Viewer, fault.Invalid, "password"},
		"no role":                 {"bob", "bob's password", "", fault.Invalid, "role"},
		"a product's role":        {"bob", "bob's password", identity.Product, fault.Invalid, "role"},
		"known, with a password":  {"Ada", "ada's password", identity.Viewer, fault.Conflict, "password"},
		"a member already":        {"ada", "", identity.Viewer, fault.Conflict, ""},
	} {
		_, err := w.members.Add(t.Context(), home, test.login, test.password, test.role)
		if f := fault.As(err); f == nil || f.Code != test.want || f.Field != test.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := w.members.List(t.Context(), home); err != nil || len(list) != 1 || list[0].Login != "ada" {
		t.Errorf("refused members came in: %+v, %v", list, err)
	}
	if _, err := w.members.Add(t.Context(), home, "bob", "bob's password", identity.Viewer); err != nil {
		t.Fatal(err)
	}
	second, err := w.members.CreateWorkspace(t.Context(), callerOf(ada), "Second")
	if err != nil {
		t.Fatal(err)
	}
	bob, err := w.members.Add(t.Context(), second.ID, "bob", "", identity.Maintainer)
	if err != nil || bob.Role != identity.Maintainer {
		t.Errorf("known, without a password: %+v, %v", bob, err)
	}
	if err := w.members.Remove(t.Context(), auth.Caller{User: bob.User, Workspace: home, Role: identity.Viewer}, ada.Me.ID); !fault.Is(err, fault.Forbidden) {
		t.Errorf("a viewer removes the owner: %v", err)
	}
	if err := w.members.Remove(t.Context(), auth.Caller{User: bob.User, Workspace: home, Role: identity.Viewer}, bob.User); err != nil {
		t.Errorf("a viewer leaves: %v", err)
	}
}

// Two owners who demote each other at the same moment: one of them stays.
func TestOwnersDemoteEachOther(t *testing.T) {
	w := newWorld(t)
	ada := w.founded(t)
	home := ada.Me.Workspace.ID
	bob, err := w.members.Add(t.Context(), home, "bob", "bob's password", identity.Owner)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		var wg sync.WaitGroup
		for _, user := range []string{ada.Me.ID, bob.User} {
			wg.Go(func() { w.members.SetRole(t.Context(), home, user, identity.Viewer) })
		}
		wg.Wait()
		workspace, err := w.store.Workspace(t.Context(), home)
		if err != nil {
			t.Fatal(err)
		}
		a, b := workspace.Role(ada.Me.ID), workspace.Role(bob.User)
		if (a == identity.Owner) == (b == identity.Owner) {
			t.Fatalf("roles %s and %s", a, b)
		}
		for _, user := range []string{ada.Me.ID, bob.User} {
			if _, err := w.members.SetRole(t.Context(), home, user, identity.Owner); err != nil {
				t.Fatal(err)
			}
		}
	}
}
