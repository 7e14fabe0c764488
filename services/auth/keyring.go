package auth

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/pkg/secret"
)

const (
	// signingLead is between a key's publication and its first signature: by
	// then every service has it.
	signingLead = 10 * time.Minute
	// KeyringTurn is how often Turn is to be called, at least.
	KeyringTurn = time.Minute
)

// SigningKey signs access tokens from SignsFrom on, until a later one does.
type SigningKey struct {
	ID        string    `bson:"id"` // kid
	Public    []byte    `bson:"public"`
	Sealed    []byte    `bson:"sealed"` // the seed
	SignsFrom time.Time `bson:"signs_from"`
}

// PublicKey is what others see of a signing key.
type PublicKey struct {
	ID     string
	Public ed25519.PublicKey
	// Retired is when it signed for the last time, at latest; zero while in use.
	Retired time.Time
}

// SigningKeyStore keeps signing keys.
type SigningKeyStore interface {
	AddSigningKey(ctx context.Context, k SigningKey) error
	SigningKeys(ctx context.Context) ([]SigningKey, error)
	// DeleteSigningKey of a missing one is no error.
	DeleteSigningKey(ctx context.Context, id string) error
}

// KeyPublisher shows the public keys to the other services.
type KeyPublisher interface {
	// Publish makes these, and no others, the published keys. It is idempotent.
	Publish(ctx context.Context, keys []PublicKey) error
}

// Keyring holds the keys that sign access tokens. Several processes may share
// the store; each signs with the newest key that is old enough.
type Keyring struct {
	Store     SigningKeyStore
	Publisher KeyPublisher
	Box       *secret.Box
	Life      time.Duration // of a key; then the next one signs
	Clock     Clock

	mu     sync.RWMutex
	signer *identity.Signer
	public []PublicKey
}

// Sign returns an access token. Error: Unavailable before the first Turn.
func (k *Keyring) Sign(p identity.Principal) (string, error) {
	k.mu.RLock()
	signer := k.signer
	k.mu.RUnlock()
	if signer == nil {
		return "", fault.New(fault.Unavailable, "the keys are not loaded yet")
	}
	return signer.Sign(p)
}

// Public returns the keys that are published.
func (k *Keyring) Public() []PublicKey {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.Clone(k.public)
}

// Turn makes the next key when it is time, publishes it before it signs,
// and removes those whose tokens are all dead. It is idempotent.
func (k *Keyring) Turn(ctx context.Context) error {
	keys, err := k.load(ctx)
	if err != nil {
		return err
	}
	now := k.Clock.now()
	if len(keys) == 0 || now.Sub(keys[len(keys)-1].SignsFrom) >= k.Life {
		next, err := k.make(now, len(keys) == 0)
		if err != nil {
			return err
		}
		if err := k.Store.AddSigningKey(ctx, next); err != nil {
			return err
		}
		keys = append(keys, next)
	}
	current := 0
	for i := range keys {
		if !keys[i].SignsFrom.After(now) {
			current = i
		}
	}
	var public []PublicKey
	for i, key := range keys {
		p := PublicKey{ID: key.ID, Public: key.Public}
		if i < current {
			p.Retired = keys[i+1].SignsFrom.Add(KeyringTurn)
			if now.After(p.Retired.Add(identity.MaxLife)) {
				if err := k.Store.DeleteSigningKey(ctx, key.ID); err != nil {
					return err
				}
				continue
			}
		}
		public = append(public, p)
	}
	signer, err := k.open(keys[current])
	if err != nil {
		return err
	}
	if err := k.Publisher.Publish(ctx, public); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.signer, k.public = signer, public
	return nil
}

// load returns the keys in the order in which they sign.
func (k *Keyring) load(ctx context.Context) ([]SigningKey, error) {
	keys, err := k.Store.SigningKeys(ctx)
	slices.SortFunc(keys, func(a, b SigningKey) int {
		return cmp.Or(a.SignsFrom.Compare(b.SignsFrom), cmp.Compare(a.ID, b.ID))
	})
	return keys, err
}

func (k *Keyring) make(now time.Time, first bool) (SigningKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return SigningKey{}, err
	}
	key := SigningKey{ID: newID(), Public: public, SignsFrom: now}
	key.Sealed = k.Box.Seal(private.Seed(), sealedFor(key.ID))
	if !first {
		key.SignsFrom = now.Add(signingLead)
	}
	return key, nil
}

func (k *Keyring) open(key SigningKey) (*identity.Signer, error) {
	seed, err := k.Box.Open(key.Sealed, sealedFor(key.ID))
	if err == nil && len(seed) != ed25519.SeedSize {
		err = errors.New("not a seed")
	}
	if err != nil {
		return nil, fmt.Errorf("the token-signing key %s cannot be opened; was it made with another service key? %w", key.ID, err)
	}
	return identity.NewSigner(key.ID, ed25519.NewKeyFromSeed(seed)), nil
}

func sealedFor(kid string) []byte { return []byte("token-key/" + kid) }
