// Package keyfeed connects pkg/identity with the bus: it keeps a verifier's
// keys as auth publishes them, and has auth exchange API tokens.
package keyfeed

import (
	"context"
	"crypto/ed25519"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/identity"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
)

// Run feeds the verifier from the bucket token-keys until ctx ends. Until the
// first key arrives no token is valid.
func Run(ctx context.Context, c *bus.Conn, v *identity.Verifier) error {
	return bus.Watch(ctx, c, flow.TokenKeys, nil, func(change bus.Change[*authv1.TokenKey]) {
		if change.Gone || len(change.Value.GetPublicKey()) != ed25519.PublicKeySize {
			v.RemoveKey(change.Key)
			return
		}
		v.SetKey(change.Key, ed25519.PublicKey(change.Value.GetPublicKey()))
	})
}

// Exchange returns what identity.Middleware asks for an API token's access token.
func Exchange(c *bus.Conn) func(ctx context.Context, apiToken string) (string, error) {
	return func(ctx context.Context, apiToken string) (string, error) {
		answer, err := bus.Do(ctx, c, flow.Exchange, &authv1.ExchangeRequest{ApiToken: apiToken})
		return answer.GetAccessToken(), err
	}
}
