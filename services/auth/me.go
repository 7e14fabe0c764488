package auth

import (
	"context"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

// Me is who is asking, as what, and where.
type Me struct {
	Kind      identity.Kind
	ID        string // of the user, device or API token
	Name      string
	Workspace Workspace
	Role      identity.Role
	Device    string // of a product
	// Workspaces are those of a person, and the one of a program.
	Workspaces []Membership
}

// Membership is a workspace with somebody's role in it.
type Membership struct {
	Workspace Workspace
	Role      identity.Role
}

func (m Me) principal(expires time.Time) identity.Principal {
	return identity.Principal{
		Kind: m.Kind, Subject: m.ID, Name: m.Name, Workspace: m.Workspace.ID, Role: m.Role, Device: m.Device, Expires: expires,
	}
}

// Me tells a caller about itself, as it is now. Errors: Unauthenticated when it
// is no more.
func (s *Sessions) Me(ctx context.Context, p identity.Principal) (Me, error) {
	if p.Kind == identity.KindToken {
		token, err := optional(s.Tokens.Token(ctx, p.Subject))
		if err != nil {
			return Me{}, err
		}
		return whoisToken(ctx, s.Directory, token)
	}
	return s.whois(ctx, Session{Kind: p.Kind, Subject: p.Subject, Workspace: p.Workspace, PasswordRev: anyPasswordRev})
}

const anyPasswordRev = -1 // an access token does not tell it

func (s *Sessions) whois(ctx context.Context, session Session) (Me, error) {
	workspace, err := optional(s.Directory.Workspace(ctx, session.Workspace))
	if err != nil {
		return Me{}, err
	}
	me := Me{Kind: session.Kind, ID: session.Subject, Workspace: workspace, Role: identity.Product, Device: session.Subject}
	if session.Kind == identity.KindProduct {
		product, err := optional(s.Products.Product(ctx, session.Subject))
		if err != nil {
			return Me{}, err
		}
		if product.State != ProductActive || session.PasswordRev != anyPasswordRev && session.PasswordRev != product.PasswordRev {
			return Me{}, loggedOut()
		}
		me.Name = product.ProductID
		return me, nil
	}
	user, err := optional(s.Directory.User(ctx, session.Subject))
	if err != nil {
		return Me{}, err
	}
	me.Name, me.Role, me.Device = user.Login, workspace.Role(user.ID), ""
	if user.ID == "" || me.Role == "" {
		return Me{}, loggedOut()
	}
	workspaces, err := s.Directory.WorkspacesOf(ctx, user.ID)
	if err != nil {
		return Me{}, err
	}
	for _, w := range workspaces {
		me.Workspaces = append(me.Workspaces, Membership{w, w.Role(user.ID)})
	}
	return me, nil
}

// whoisToken returns whom an API token makes its bearer, with at most the role
// that its maker has now. Errors: Unauthenticated.
func whoisToken(ctx context.Context, directory Directory, token Token) (Me, error) {
	workspace, err := optional(directory.Workspace(ctx, token.Workspace))
	if err != nil {
		return Me{}, err
	}
	role := lower(token.Role, workspace.Role(token.User))
	if token.ID == "" || role == "" {
		return Me{}, fault.New(fault.Unauthenticated, "this API token is void")
	}
	return Me{
		Kind: identity.KindToken, ID: token.ID, Name: token.Name, Workspace: workspace, Role: role,
		Workspaces: []Membership{{workspace, role}},
	}, nil
}
