// Package identity says who is asking: it signs and verifies access tokens,
// finds them in a request, and checks roles.
package identity

import (
	"context"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// Kind says what kind of caller a principal is.
type Kind string

// The kinds of callers.
const (
	KindPerson  Kind = "person"
	KindProduct Kind = "product" // logged in with a product's ID and password
	KindToken   Kind = "token"   // a program with an API token
)

// Role says what a principal may do in its workspace. Owner includes
// maintainer, maintainer includes viewer. Product stands apart: it may act
// only on its own device and that device's project.
type Role string

// The roles.
const (
	Owner      Role = "owner"
	Maintainer Role = "maintainer"
	Viewer     Role = "viewer"
	Product    Role = "product"
)

var ranks = map[Role]int{Owner: 3, Maintainer: 2, Viewer: 1}

// Includes reports whether whoever has role r may do what wanted may.
func (r Role) Includes(wanted Role) bool {
	if r == Product || wanted == Product {
		return r == wanted
	}
	return ranks[wanted] > 0 && ranks[r] >= ranks[wanted]
}

// Principal is a known caller, acting in one workspace.
type Principal struct {
	Kind      Kind
	Subject   string // ID of the user, device or API token
	Name      string // for people to read
	Workspace string // ID of the workspace
	Role      Role
	Device    string    // ID of the product's own device; else empty
	Expires   time.Time // of the access token
}

// Owns reports whether this is the session of the product whose device this is.
func (p Principal) Owns(device string) bool {
	return p.Role == Product && p.Device != "" && p.Device == device
}

type contextKey struct{}

// NewContext returns ctx with the caller in it.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, contextKey{}, p)
}

// From returns the caller, or an Unauthenticated fault if nobody is logged in.
func From(ctx context.Context) (Principal, error) {
	if p, ok := ctx.Value(contextKey{}).(Principal); ok {
		return p, nil
	}
	return Principal{}, fault.New(fault.Unauthenticated, "log in first")
}

// Require returns the caller if it has the role or one that includes it, else
// an Unauthenticated or Forbidden fault. That the thing acted on belongs to
// the caller's workspace is for the service to check.
func Require(ctx context.Context, role Role) (Principal, error) {
	p, err := From(ctx)
	if err != nil {
		return Principal{}, err
	}
	if !p.Role.Includes(role) {
		return Principal{}, forbidden(p, role)
	}
	return p, nil
}

// RequireFor is Require for a thing that belongs to a device (its project, its
// builds, itself): the product of that device passes, too.
func RequireFor(ctx context.Context, role Role, device string) (Principal, error) {
	p, err := From(ctx)
	if err != nil {
		return Principal{}, err
	}
	if !p.Owns(device) && !p.Role.Includes(role) {
		return Principal{}, forbidden(p, role)
	}
	return p, nil
}

func forbidden(p Principal, wanted Role) error {
	if p.Role == Product {
		return fault.New(fault.Forbidden, "a product may act only on its own device and project")
	}
	return fault.New(fault.Forbidden, "this needs the role %s", wanted)
}
