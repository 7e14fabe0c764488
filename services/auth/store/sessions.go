package store

import (
	"context"
	"time"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/auth"
)

// AddSession implements auth.SessionStore.
func (s *Store) AddSession(ctx context.Context, x auth.Session) error {
	return insert(ctx, s.sessions, x.ID, x)
}

// SessionBySecret implements auth.SessionStore.
func (s *Store) SessionBySecret(ctx context.Context, digest string) (auth.Session, error) {
	x, err := one(ctx, s.sessions, docstore.Eq("secret", digest))
	if fault.Is(err, fault.NotFound) {
		return one(ctx, s.sessions, docstore.Eq("former", digest))
	}
	return x, err
}

// ChangeSession implements auth.SessionStore.
func (s *Store) ChangeSession(ctx context.Context, id string, change func(*auth.Session) error) (auth.Session, error) {
	return update(ctx, s.sessions, id, change)
}

// DeleteSession implements auth.SessionStore.
func (s *Store) DeleteSession(ctx context.Context, id string) error {
	return remove(ctx, s.sessions, id)
}

// SessionsOf implements auth.SessionStore.
func (s *Store) SessionsOf(ctx context.Context, subject string) ([]auth.Session, error) {
	return find(ctx, s.sessions, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("subject", subject)}, Sort: "created", Limit: docstore.MaxLimit,
	})
}

// DeleteSessionsBefore implements auth.SessionStore.
func (s *Store) DeleteSessionsBefore(ctx context.Context, t time.Time) error {
	expired := docstore.Query{Where: []docstore.Cond{docstore.Lt("expires", t)}, Sort: "expires"}
	for x, err := range s.sessions.All(ctx, expired) {
		if err != nil {
			return err
		}
		if err := remove(ctx, s.sessions, x.ID); err != nil {
			return err
		}
	}
	return nil
}
