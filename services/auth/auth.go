// Package auth answers: who is this? It holds the rules for people, products
// and programs: their credentials, sessions, roles and workspaces. Storage and
// the bus are behind the small interfaces declared beside the rules that need
// them; every method of those may be called concurrently.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"

	"github.com/rs/xid"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

// AccessLife is how long an access token is valid: so long may a role that was
// taken away still count in the other services.
const AccessLife = 15 * time.Minute

// Clock tells the time; time.Now, or a test's.
type Clock func() time.Time

// now is in UTC and in milliseconds, as it is stored.
func (c Clock) now() time.Time { return c().UTC().Truncate(time.Millisecond) }

// Signer signs access tokens.
type Signer interface {
	Sign(identity.Principal) (string, error)
}

// Unchanged is returned by a change that finds nothing to do: nothing is
// stored, and the store's method returns it.
var Unchanged error = unchanged{}

type unchanged struct{}

func (unchanged) Error() string { return "unchanged" }

func newID() string { return xid.New().String() }

// newSecret returns 256 random bits as 43 characters.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// digest is what is stored of a secret of 256 random bits: nobody can search
// those, so that the hash may be a fast one, and the secret is found by it.
func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// optional turns "there is none" into the zero value.
func optional[T any](v T, err error) (T, error) {
	if fault.Is(err, fault.NotFound) {
		var none T
		return none, nil
	}
	return v, err
}

// Directory finds people and workspaces.
type Directory interface {
	// User returns fault.NotFound for an unknown ID.
	User(ctx context.Context, id string) (User, error)
	// UserByLogin returns fault.NotFound for an unknown login.
	UserByLogin(ctx context.Context, key string) (User, error)
	// Users returns those of the IDs that exist, at most 1000.
	Users(ctx context.Context, ids []string) ([]User, error)
	// Workspace returns fault.NotFound for an unknown ID.
	Workspace(ctx context.Context, id string) (Workspace, error)
	// WorkspaceBySlug returns fault.NotFound for an unknown slug.
	WorkspaceBySlug(ctx context.Context, slug string) (Workspace, error)
	// WorkspacesOf returns the workspaces that a user is a member of, the oldest membership first.
	WorkspacesOf(ctx context.Context, user string) ([]Workspace, error)
}
