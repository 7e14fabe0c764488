package identity

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/flota/flota/pkg/fault"
)

const (
	issuer = "flota"
	leeway = 5 * time.Second // between the clocks of services

	// MaxLife is the longest life of an access token. It cannot be taken back
	// before it expires, so it is short.
	MaxLife = time.Hour
)

type claims struct {
	jwt.RegisteredClaims
	Kind      Kind   `json:"kind"`
	Name      string `json:"name,omitempty"`
	Workspace string `json:"ws,omitempty"`
	Role      Role   `json:"role,omitempty"`
	Device    string `json:"dev,omitempty"`
}

// Signer makes access tokens; only auth has one.
type Signer struct {
	kid string
	key ed25519.PrivateKey
}

// NewSigner returns a signer whose tokens name the key kid.
func NewSigner(kid string, key ed25519.PrivateKey) *Signer { return &Signer{kid, key} }

// Sign returns an access token for p: a JWT (EdDSA) valid until p.Expires,
// which is at most MaxLife ahead.
func (s *Signer) Sign(p Principal) (string, error) {
	now := time.Now()
	if life := p.Expires.Sub(now); life <= 0 || life > MaxLife {
		return "", fmt.Errorf("identity: an access token with a life of %s", life)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: p.Subject,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(p.Expires),
		},
		Kind: p.Kind, Name: p.Name, Workspace: p.Workspace, Role: p.Role, Device: p.Device,
	})
	token.Header["kid"] = s.kid
	return token.SignedString(s.key)
}

// Verifier checks access tokens by auth's published keys. It is safe for
// concurrent use.
type Verifier struct {
	parser *jwt.Parser

	mu   sync.RWMutex
	keys map[string]ed25519.PublicKey
}

// NewVerifier returns a verifier that knows no key yet.
func NewVerifier() *Verifier {
	return &Verifier{
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}),
			jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithLeeway(leeway),
		),
		keys: map[string]ed25519.PublicKey{},
	}
}

// SetKey adds or replaces a published key.
func (v *Verifier) SetKey(kid string, pub ed25519.PublicKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.keys[kid] = pub
}

// RemoveKey forgets a key; its tokens are refused from now on.
func (v *Verifier) RemoveKey(kid string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.keys, kid)
}

// Ready returns an Unavailable fault until the first key has come: before
// that, a valid token cannot be told from a false one.
func (v *Verifier) Ready(context.Context) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if len(v.keys) == 0 {
		return fault.New(fault.Unavailable, "the keys for checking logins have not come yet")
	}
	return nil
}

// Verify returns the caller that an access token names. It returns an
// Unauthenticated fault for one that is false or has expired, and Unavailable
// while there is no key to check it with.
func (v *Verifier) Verify(access string) (Principal, error) {
	if err := v.Ready(context.Background()); err != nil {
		return Principal{}, err
	}
	var c claims
	_, err := v.parser.ParseWithClaims(access, &c, v.key)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Principal{}, fault.Wrap(err, fault.Unauthenticated, "the login has expired; log in again")
	case err != nil:
		return Principal{}, fault.Wrap(err, fault.Unauthenticated, "the login is not valid; log in again")
	}
	return Principal{
		Kind: c.Kind, Subject: c.Subject, Name: c.Name,
		Workspace: c.Workspace, Role: c.Role, Device: c.Device,
		Expires: c.ExpiresAt.Time,
	}, nil
}

func (v *Verifier) key(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	v.mu.RLock()
	defer v.mu.RUnlock()
	if key, ok := v.keys[kid]; ok {
		return key, nil
	}
	return nil, errors.New("unknown key")
}
