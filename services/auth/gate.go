package auth

import (
	"context"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

// Caller is a person, or a program with that person's API token, with the role
// that it has now; or a product.
type Caller struct {
	User      string // or the product's device
	Workspace string
	Role      identity.Role
	Program   bool
}

// Gate asks for what an access token cannot know: whether the role that it
// tells is still true. Whoever lost a role must not use the last minutes of a
// token to give it back to himself.
type Gate struct {
	Directory Directory
	Products  ProductStore
	Tokens    TokenStore
	Clock     Clock
}

// Admit returns the caller if its role, at this moment, includes the wanted one.
// Errors: Unauthenticated, Forbidden.
func (g *Gate) Admit(ctx context.Context, wanted identity.Role) (Caller, error) {
	p, err := identity.Require(ctx, wanted)
	if err != nil {
		return Caller{}, err
	}
	caller := Caller{User: p.Subject, Workspace: p.Workspace, Program: p.Kind == identity.KindToken}
	atMost := identity.Owner
	if caller.Program {
		token, err := g.Tokens.Token(ctx, p.Subject)
		if fault.Is(err, fault.NotFound) || err == nil && token.expired(g.Clock.now()) {
			return Caller{}, fault.New(fault.Unauthenticated, "this API token is void")
		}
		if err != nil {
			return Caller{}, err
		}
		caller.User, atMost = token.User, token.Role
	}
	workspace, err := optional(g.Directory.Workspace(ctx, p.Workspace))
	if err != nil {
		return Caller{}, err
	}
	caller.Role = lower(workspace.Role(caller.User), atMost)
	if !caller.Role.Includes(wanted) {
		return Caller{}, fault.New(fault.Forbidden, "this needs the role %s", wanted)
	}
	return caller, nil
}

// AdmitFor is Admit for a thing that belongs to a device: the product of that
// device passes, too, unless its password has changed since its access token was made.
func (g *Gate) AdmitFor(ctx context.Context, wanted identity.Role, device string) (Caller, error) {
	p, err := identity.RequireFor(ctx, wanted, device)
	if err != nil {
		return Caller{}, err
	}
	if !p.Owns(device) {
		return g.Admit(ctx, wanted)
	}
	product, err := optional(g.Products.Product(ctx, device))
	if err != nil {
		return Caller{}, err
	}
	// A token tells its time in seconds.
	made, changed := p.Expires.Add(-AccessLife), product.PasswordSet.Truncate(time.Second)
	if product.seenBy(p.Workspace) != nil || made.Before(changed) {
		return Caller{}, loggedOut()
	}
	return Caller{User: device, Workspace: p.Workspace, Role: identity.Product}, nil
}

// lower returns the lower of two roles, "" where one of them is none.
func lower(a, b identity.Role) identity.Role {
	switch {
	case a.Includes(b):
		return b
	case b.Includes(a):
		return a
	}
	return ""
}
