package store

import (
	"context"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/auth"
)

// setup is either the token (ID "token") or the founding (ID "founding").
type setup struct {
	Token    string        `bson:"token,omitempty"`
	Founding auth.Founding `bson:"founding"`
}

const (
	tokenID    = "token"
	foundingID = "founding"
)

// SetSetupToken implements auth.SetupStore.
func (s *Store) SetSetupToken(ctx context.Context, digest string) error {
	err := insert(ctx, s.setup, tokenID, setup{Token: digest})
	if fault.Is(err, fault.Conflict) {
		_, err = update(ctx, s.setup, tokenID, func(x *setup) error { x.Token = digest; return nil })
	}
	return err
}

// SetupToken implements auth.SetupStore.
func (s *Store) SetupToken(ctx context.Context) (string, error) {
	x, err := get(ctx, s.setup, tokenID)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return x.Token, err
}

// Found implements auth.SetupStore.
func (s *Store) Found(ctx context.Context, f auth.Founding) error {
	return insert(ctx, s.setup, foundingID, setup{Founding: f})
}

// Founding implements auth.SetupStore.
func (s *Store) Founding(ctx context.Context) (auth.Founding, error) {
	x, err := get(ctx, s.setup, foundingID)
	return x.Founding, err
}

// FinishFounding implements auth.SetupStore.
func (s *Store) FinishFounding(ctx context.Context) error {
	_, err := update(ctx, s.setup, foundingID, func(x *setup) error {
		x.Founding.Done, x.Founding.User.Password = true, ""
		return nil
	})
	if err != nil {
		return err
	}
	return remove(ctx, s.setup, tokenID)
}
