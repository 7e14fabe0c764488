package auth

import (
	"context"
	"strings"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

const (
	// TokenPrefix begins every API token, so that it is known for one when found
	// somewhere.
	TokenPrefix = "flota_"
	maxTokens   = 100 // of a person in a workspace
	// usedStep is how exactly the last use is known.
	usedStep = time.Minute
)

// Token is a program's API token: a role in one workspace, on a person's behalf.
type Token struct {
	ID        string        `bson:"id"`
	Workspace string        `bson:"workspace"`
	User      string        `bson:"user"`
	Name      string        `bson:"name"`
	Role      identity.Role `bson:"role"`
	Digest    string        `bson:"digest"`
	Created   time.Time     `bson:"created"`
	Expires   time.Time     `bson:"expires"` // zero: never
	Used      time.Time     `bson:"used"`    // zero: never
}

func (t *Token) expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// TokenStore keeps API tokens.
type TokenStore interface {
	AddToken(ctx context.Context, t Token) error
	// Token and TokenByDigest return fault.NotFound.
	Token(ctx context.Context, id string) (Token, error)
	TokenByDigest(ctx context.Context, digest string) (Token, error)
	// TokensOf returns a person's tokens in a workspace, the oldest first, at most 1000.
	TokensOf(ctx context.Context, workspace, user string) ([]Token, error)
	// ChangeToken is a compare-and-set; change may run more than once.
	ChangeToken(ctx context.Context, id string, change func(*Token) error) (Token, error)
	// DeleteToken returns fault.NotFound.
	DeleteToken(ctx context.Context, id string) error
}

// Tokens makes API tokens and exchanges them.
type Tokens struct {
	Store     TokenStore
	Directory Directory
	Signer    Signer
	Clock     Clock
}

// Create makes a token and returns it with its secret, which is not kept.
// Expires may be zero. Errors: Invalid, Forbidden, TooLarge.
func (t *Tokens) Create(ctx context.Context, caller Caller, name string, role identity.Role, expires time.Time) (Token, string, error) {
	if caller.Program {
		return Token{}, "", fault.New(fault.Forbidden, "an API token is made by a person, not with another one")
	}
	name, err := checkName("name", name)
	if err != nil {
		return Token{}, "", err
	}
	if err := checkRole(role); err != nil {
		return Token{}, "", err
	}
	if !caller.Role.Includes(role) {
		return Token{}, "", &fault.Error{Code: fault.Forbidden, Field: "role", Message: "an API token cannot do more than you: " + string(caller.Role)}
	}
	now := t.Clock.now()
	if !expires.IsZero() {
		expires = expires.UTC().Truncate(time.Millisecond)
		if !expires.After(now) {
			return Token{}, "", fault.Field("expires_at", "this moment is past")
		}
	}
	has, err := t.Store.TokensOf(ctx, caller.Workspace, caller.User)
	if err != nil {
		return Token{}, "", err
	}
	if len(has) >= maxTokens {
		return Token{}, "", fault.New(fault.TooLarge, "a person has at most %d API tokens in a workspace", maxTokens)
	}
	secret := TokenPrefix + newSecret()
	token := Token{
		ID: newID(), Workspace: caller.Workspace, User: caller.User, Name: name, Role: role,
		Digest: digest(secret), Created: now, Expires: expires,
	}
	return token, secret, t.Store.AddToken(ctx, token)
}

// List returns the caller's tokens in the workspace.
func (t *Tokens) List(ctx context.Context, caller Caller) ([]Token, error) {
	return t.Store.TokensOf(ctx, caller.Workspace, caller.User)
}

// Delete makes one of the caller's tokens void: at once here, and within
// AccessLife elsewhere. Errors: NotFound.
func (t *Tokens) Delete(ctx context.Context, caller Caller, id string) error {
	token, err := optional(t.Store.Token(ctx, id))
	if err != nil {
		return err
	}
	if token.User != caller.User || token.Workspace != caller.Workspace {
		return fault.New(fault.NotFound, "no such API token")
	}
	return t.Store.DeleteToken(ctx, id)
}

// Exchange returns an access token for an API token. Errors: Unauthenticated.
func (t *Tokens) Exchange(ctx context.Context, secret string) (access string, err error) {
	if !strings.HasPrefix(secret, TokenPrefix) {
		return "", fault.New(fault.Unauthenticated, "this is no API token")
	}
	token, err := optional(t.Store.TokenByDigest(ctx, digest(secret)))
	if err != nil {
		return "", err
	}
	now := t.Clock.now()
	if token.expired(now) {
		return "", fault.New(fault.Unauthenticated, "this API token has expired")
	}
	me, err := whoisToken(ctx, t.Directory, token)
	if err != nil {
		return "", err
	}
	if now.Sub(token.Used) >= usedStep {
		// Best effort: a last use that is not noted stops nobody's work.
		_, _ = t.Store.ChangeToken(ctx, token.ID, func(x *Token) error { x.Used = now; return nil })
	}
	expires := now.Add(AccessLife)
	if !token.Expires.IsZero() && token.Expires.Before(expires) {
		expires = token.Expires
	}
	return t.Signer.Sign(me.principal(expires))
}
