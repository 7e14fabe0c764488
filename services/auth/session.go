package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

const (
	// SessionLife is how long a session lasts, from its login.
	SessionLife = 30 * 24 * time.Hour
	// sessionGrace is how long the secret before the last still counts: browser
	// tabs share a cookie and may refresh it at the same time.
	sessionGrace = time.Minute
	// maxSessions of a person or product; a further one ends the oldest.
	maxSessions = 50
)

// Session is one login. Its secret is in the browser's cookie; here are only
// digests of it.
type Session struct {
	ID        string        `bson:"id"`
	Kind      identity.Kind `bson:"kind"`
	Subject   string        `bson:"subject"` // user or device
	Workspace string        `bson:"workspace"`
	// PasswordRev is the product's, at login: a new password ends the session.
	PasswordRev int64     `bson:"password_rev"`
	Secret      string    `bson:"secret"`
	Former      string    `bson:"former"` // the secret before, until Rotated + sessionGrace
	Rotated     time.Time `bson:"rotated"`
	Created     time.Time `bson:"created"`
	Expires     time.Time `bson:"expires"`
}

// SessionStore keeps sessions.
type SessionStore interface {
	AddSession(ctx context.Context, s Session) error
	// SessionBySecret finds a session by the digest of its secret, or of the
	// former one; fault.NotFound.
	SessionBySecret(ctx context.Context, digest string) (Session, error)
	// ChangeSession is a compare-and-set; change may run more than once. Errors:
	// NotFound, change's own.
	ChangeSession(ctx context.Context, id string, change func(*Session) error) (Session, error)
	// DeleteSession of a missing one is no error.
	DeleteSession(ctx context.Context, id string) error
	// SessionsOf returns somebody's sessions, the oldest first, at most 1000.
	SessionsOf(ctx context.Context, subject string) ([]Session, error)
	// DeleteSessionsBefore removes those that expired before t.
	DeleteSessionsBefore(ctx context.Context, t time.Time) error
}

// Sessions logs people and products in and out.
type Sessions struct {
	Store     SessionStore
	Directory Directory
	Products  ProductStore
	Tokens    TokenStore
	Hasher    *Hasher
	Guard     *Guard
	Signer    Signer
	// Key makes each session secret from the one before, so that two refreshes
	// with the same one give the same next one. 32 bytes.
	Key   []byte
	Clock Clock
}

// Grant is what a login or refresh gives.
type Grant struct {
	Me      Me
	Access  string
	Expires time.Time // of Access
	// Secret is the session's, "" where the session goes on as it is.
	Secret         string
	SessionExpires time.Time
}

// Login opens a person's session in the workspace of which it has been a
// member for longest. Errors: Unauthenticated, RateLimited, Forbidden for a
// member of nothing.
func (s *Sessions) Login(ctx context.Context, login, password, address string) (Grant, error) {
	succeeded, err := s.Guard.Try("person/"+loginKey(login), address)
	if err != nil {
		return Grant{}, err
	}
	user, err := optional(s.Directory.UserByLogin(ctx, loginKey(login)))
	if err != nil {
		return Grant{}, err
	}
	ok, err := s.Hasher.Match(ctx, password, user.Password)
	if err != nil {
		return Grant{}, err
	}
	if !ok {
		return Grant{}, fault.New(fault.Unauthenticated, "the login or the password is wrong")
	}
	succeeded()
	return s.OpenPerson(ctx, user.ID)
}

// OpenPerson opens a session for a person who has proved to be that person.
func (s *Sessions) OpenPerson(ctx context.Context, user string) (Grant, error) {
	workspaces, err := s.Directory.WorkspacesOf(ctx, user)
	if err != nil {
		return Grant{}, err
	}
	if len(workspaces) == 0 {
		return Grant{}, fault.New(fault.Forbidden, "you are a member of no workspace; ask an owner to add you")
	}
	return s.open(ctx, Session{Kind: identity.KindPerson, Subject: user, Workspace: workspaces[0].ID})
}

// LoginProduct opens a product's session. Errors: Unauthenticated, RateLimited.
func (s *Sessions) LoginProduct(ctx context.Context, slug, productID, password, address string) (Grant, error) {
	succeeded, err := s.Guard.Try("product/"+slug+"/"+productID, address)
	if err != nil {
		return Grant{}, err
	}
	workspace, err := optional(s.Directory.WorkspaceBySlug(ctx, slug))
	if err != nil {
		return Grant{}, err
	}
	product, err := optional(s.Products.ProductByProductID(ctx, workspace.ID, productID))
	if err != nil {
		return Grant{}, err
	}
	ok, err := s.Hasher.Match(ctx, password, product.Password)
	if err != nil {
		return Grant{}, err
	}
	if !ok || product.State != ProductActive {
		return Grant{}, fault.New(fault.Unauthenticated, "the workspace, the product ID or the password is wrong")
	}
	succeeded()
	return s.open(ctx, Session{
		Kind: identity.KindProduct, Subject: product.ID, Workspace: workspace.ID, PasswordRev: product.PasswordRev,
	})
}

func (s *Sessions) open(ctx context.Context, session Session) (Grant, error) {
	old, err := s.Store.SessionsOf(ctx, session.Subject)
	if err != nil {
		return Grant{}, err
	}
	for len(old) >= maxSessions {
		if err := s.Store.DeleteSession(ctx, old[0].ID); err != nil {
			return Grant{}, err
		}
		old = old[1:]
	}
	secret := newSecret()
	session.ID, session.Secret = newID(), digest(secret)
	session.Created = s.Clock.now()
	session.Rotated, session.Expires = session.Created, session.Created.Add(SessionLife)
	if err := s.Store.AddSession(ctx, session); err != nil {
		return Grant{}, err
	}
	return s.grant(ctx, session, secret)
}

// errReplayed is a former secret that comes after its grace: two parties have it.
var errReplayed = errors.New("a session secret that was replaced long ago")

// Refresh gives a fresh access token for a session's secret, and in turn a new
// secret, once a minute at most. A secret that was replaced ends the session,
// except within a minute. Errors: Unauthenticated.
func (s *Sessions) Refresh(ctx context.Context, secret string) (Grant, error) {
	session, err := s.find(ctx, secret)
	if err != nil {
		return Grant{}, err
	}
	now, presented, next := s.Clock.now(), digest(secret), s.successor(secret)
	session, err = s.Store.ChangeSession(ctx, session.ID, func(x *Session) error {
		fresh := now.Sub(x.Rotated) < sessionGrace
		switch {
		case presented == x.Secret && fresh:
			return Unchanged
		case presented == x.Secret:
			x.Former, x.Secret, x.Rotated = x.Secret, digest(next), now
			return nil
		case presented == x.Former && fresh:
			return Unchanged
		}
		return errReplayed
	})
	switch {
	case errors.Is(err, errReplayed):
		if session, err = s.find(ctx, secret); err == nil {
			err = s.Store.DeleteSession(ctx, session.ID)
		}
		return Grant{}, errors.Join(loggedOut(), err)
	case errors.Is(err, Unchanged):
		if session, err = s.find(ctx, secret); err != nil {
			return Grant{}, err
		}
		if session.Secret == presented {
			next = secret
		}
	case fault.Is(err, fault.NotFound):
		return Grant{}, loggedOut()
	case err != nil:
		return Grant{}, err
	}
	return s.grant(ctx, session, next)
}

// successor is the secret that follows.
func (s *Sessions) successor(secret string) string {
	mac := hmac.New(sha256.New, s.Key)
	mac.Write([]byte("flota-session\n" + secret))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Logout ends a session; "" and unknown secrets are no error.
func (s *Sessions) Logout(ctx context.Context, secret string) error {
	session, err := optional(s.Store.SessionBySecret(ctx, digest(secret)))
	if err != nil || session.ID == "" {
		return err
	}
	return s.Store.DeleteSession(ctx, session.ID)
}

// Switch goes on in another workspace of the person: the session, where its
// secret is given, and the access token. Errors: NotFound, Forbidden.
func (s *Sessions) Switch(ctx context.Context, p identity.Principal, secret, workspace string) (Grant, error) {
	if p.Kind != identity.KindPerson {
		return Grant{}, fault.New(fault.Forbidden, "only a person goes on in another workspace")
	}
	w, err := optional(s.Directory.Workspace(ctx, workspace))
	if err != nil {
		return Grant{}, err
	}
	if w.Role(p.Subject) == "" {
		return Grant{}, fault.New(fault.NotFound, "no such workspace")
	}
	if secret == "" {
		// Without its session an access token is not worth more than before.
		return s.access(ctx, Session{Kind: p.Kind, Subject: p.Subject, Workspace: workspace, Expires: p.Expires}, "")
	}
	session, err := s.find(ctx, secret)
	if err != nil {
		return Grant{}, err
	}
	if session.Subject != p.Subject {
		return Grant{}, loggedOut()
	}
	session, err = s.Store.ChangeSession(ctx, session.ID, func(x *Session) error { x.Workspace = workspace; return nil })
	if err != nil {
		return Grant{}, err
	}
	return s.access(ctx, session, "")
}

// Sweep removes the sessions that are over.
func (s *Sessions) Sweep(ctx context.Context) error {
	return s.Store.DeleteSessionsBefore(ctx, s.Clock.now())
}

// find returns a session that is not over.
func (s *Sessions) find(ctx context.Context, secret string) (Session, error) {
	session, err := optional(s.Store.SessionBySecret(ctx, digest(secret)))
	if err != nil {
		return Session{}, err
	}
	if session.ID == "" || !s.Clock.now().Before(session.Expires) {
		return Session{}, loggedOut()
	}
	return session, nil
}

// grant is access for a session that may have lost its ground: then it ends,
// or goes on in another workspace.
func (s *Sessions) grant(ctx context.Context, session Session, secret string) (Grant, error) {
	grant, err := s.access(ctx, session, secret)
	if !fault.Is(err, fault.Unauthenticated) {
		return grant, err
	}
	if session.Kind == identity.KindPerson {
		others, err := s.Directory.WorkspacesOf(ctx, session.Subject)
		if err != nil {
			return Grant{}, err
		}
		if len(others) > 0 {
			session, err = s.Store.ChangeSession(ctx, session.ID, func(x *Session) error { x.Workspace = others[0].ID; return nil })
			if err != nil {
				return Grant{}, err
			}
			return s.access(ctx, session, secret)
		}
	}
	return Grant{}, errors.Join(err, s.Store.DeleteSession(ctx, session.ID))
}

// access signs an access token with what is true now.
func (s *Sessions) access(ctx context.Context, session Session, secret string) (Grant, error) {
	me, err := s.whois(ctx, session)
	if err != nil {
		return Grant{}, err
	}
	expires := s.Clock.now().Add(AccessLife)
	if session.Expires.Before(expires) {
		expires = session.Expires
	}
	access, err := s.Signer.Sign(me.principal(expires))
	return Grant{Me: me, Access: access, Expires: expires, Secret: secret, SessionExpires: session.Expires}, err
}

func loggedOut() error {
	return fault.New(fault.Unauthenticated, "the session is over; log in again")
}
