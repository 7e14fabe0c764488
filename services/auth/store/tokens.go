package store

import (
	"context"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/services/auth"
)

// AddToken implements auth.TokenStore.
func (s *Store) AddToken(ctx context.Context, t auth.Token) error {
	return insert(ctx, s.tokens, t.ID, t)
}

// Token implements auth.TokenStore.
func (s *Store) Token(ctx context.Context, id string) (auth.Token, error) {
	return get(ctx, s.tokens, id)
}

// TokenByDigest implements auth.TokenStore.
func (s *Store) TokenByDigest(ctx context.Context, digest string) (auth.Token, error) {
	return one(ctx, s.tokens, docstore.Eq("digest", digest))
}

// TokensOf implements auth.TokenStore.
func (s *Store) TokensOf(ctx context.Context, workspace, user string) ([]auth.Token, error) {
	return find(ctx, s.tokens, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", workspace), docstore.Eq("user", user)},
		Sort:  "created", Limit: docstore.MaxLimit,
	})
}

// ChangeToken implements auth.TokenStore.
func (s *Store) ChangeToken(ctx context.Context, id string, change func(*auth.Token) error) (auth.Token, error) {
	return update(ctx, s.tokens, id, change)
}

// DeleteToken implements auth.TokenStore.
func (s *Store) DeleteToken(ctx context.Context, id string) error {
	return s.tokens.Delete(ctx, id, 0)
}

// AddSigningKey implements auth.SigningKeyStore.
func (s *Store) AddSigningKey(ctx context.Context, k auth.SigningKey) error {
	return insert(ctx, s.signingKeys, k.ID, k)
}

// SigningKeys implements auth.SigningKeyStore.
func (s *Store) SigningKeys(ctx context.Context) ([]auth.SigningKey, error) {
	return find(ctx, s.signingKeys, docstore.Query{Limit: docstore.MaxLimit})
}

// DeleteSigningKey implements auth.SigningKeyStore.
func (s *Store) DeleteSigningKey(ctx context.Context, id string) error {
	return remove(ctx, s.signingKeys, id)
}
