package auth

import (
	"context"
	"crypto/subtle"

	"github.com/flota/flota/pkg/fault"
)

// Founding is the first administrator and workspace: all of it in one document
// with one ID, so that of two at once one wins, and a crash afterwards leaves
// the rest to be made from it.
type Founding struct {
	User      User      `bson:"user"`
	Workspace Workspace `bson:"workspace"`
	Done      bool      `bson:"done"` // user and workspace stand on their own
}

// SetupStore keeps the founding of an installation.
type SetupStore interface {
	// SetSetupToken keeps the token's digest in the place of the one before.
	SetSetupToken(ctx context.Context, digest string) error
	// SetupToken returns the digest, "" for none.
	SetupToken(ctx context.Context) (digest string, err error)
	// Found returns fault.Conflict for all but the first.
	Found(ctx context.Context, f Founding) error
	// Founding returns fault.NotFound before Found.
	Founding(ctx context.Context) (Founding, error)
	// FinishFounding marks it as done, and keeps no password in it.
	FinishFounding(ctx context.Context) error
}

// Setup is the first run of an installation.
type Setup struct {
	Store   SetupStore
	Members *Members
	Guard   *Guard
}

// Open is called at start. While there is no administrator it makes a new
// one-time token, or takes the preset one, and returns it; later it returns "".
func (s *Setup) Open(ctx context.Context, preset string) (token string, err error) {
	founding, err := s.Store.Founding(ctx)
	if err == nil {
		return "", s.finish(ctx, founding)
	}
	if !fault.Is(err, fault.NotFound) {
		return "", err
	}
	if token = preset; token == "" {
		token = newSecret()
	}
	return token, s.Store.SetSetupToken(ctx, digest(token))
}

// Needed reports whether there is no administrator yet.
func (s *Setup) Needed(ctx context.Context) (bool, error) {
	_, err := s.Store.Founding(ctx)
	if fault.Is(err, fault.NotFound) {
		return true, nil
	}
	return false, err
}

// Found makes the first administrator and workspace. Errors: Conflict when that
// was done before, Forbidden for a wrong token, Invalid, RateLimited.
func (s *Setup) Found(ctx context.Context, token, login, password, workspace, address string) (User, error) {
	needed, err := s.Needed(ctx)
	if err != nil {
		return User{}, err
	}
	if !needed {
		return User{}, alreadySetUp()
	}
	succeeded, err := s.Guard.Try("setup/"+address, address)
	if err != nil {
		return User{}, err
	}
	wanted, err := s.Store.SetupToken(ctx)
	if err != nil {
		return User{}, err
	}
	if subtle.ConstantTimeCompare([]byte(digest(token)), []byte(wanted)) != 1 {
		return User{}, &fault.Error{Code: fault.Forbidden, Field: "token", Message: "this is not the setup token that the server printed at its start"}
	}
	succeeded()
	if workspace, err = checkName("workspace", workspace); err != nil {
		return User{}, err
	}
	user, err := s.Members.newUser(ctx, login, password)
	if err != nil {
		return User{}, err
	}
	founding := Founding{User: user, Workspace: newWorkspace(workspace, user.ID, s.Members.Clock)}
	if err := s.Store.Found(ctx, founding); err != nil {
		if fault.Is(err, fault.Conflict) {
			return User{}, alreadySetUp()
		}
		return User{}, err
	}
	return user, s.finish(ctx, founding)
}

// finish makes user and workspace from the founding. It is idempotent.
func (s *Setup) finish(ctx context.Context, f Founding) error {
	if f.Done {
		return nil
	}
	people := s.Members.Store
	err := people.AddUser(ctx, f.User)
	if fault.Is(err, fault.Conflict) { // made by the attempt before
		_, err = people.User(ctx, f.User.ID)
	}
	if err != nil {
		return err
	}
	if err := people.NoteMembership(ctx, f.User.ID, f.Workspace.ID); err != nil {
		return err
	}
	err = people.AddWorkspace(ctx, f.Workspace)
	if fault.Is(err, fault.Conflict) {
		_, err = people.Workspace(ctx, f.Workspace.ID)
	}
	if err != nil {
		return err
	}
	return s.Store.FinishFounding(ctx)
}

func alreadySetUp() error {
	return fault.New(fault.Conflict, "this installation has its administrator already; log in instead")
}
