// Package natsbus is auth on the message bus: it publishes the token keys and
// the read model of device keys, and answers who an API token is.
package natsbus

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/auth"
)

const (
	exchangers   = 16 // requests answered at the same time
	snapshotTime = time.Minute
)

// Serve answers auth.exchange until ctx ends.
func Serve(ctx context.Context, c *bus.Conn, exchange func(ctx context.Context, apiToken string) (access string, err error)) error {
	return bus.Serve(ctx, c, flow.Exchange, exchangers, func(ctx context.Context, q *authv1.ExchangeRequest) (*authv1.ExchangeResponse, error) {
		access, err := exchange(ctx, q.GetApiToken())
		return &authv1.ExchangeResponse{AccessToken: access}, err
	})
}

// TokenKeys is the bucket token-keys.
type TokenKeys struct{ Conn *bus.Conn }

// Publish implements auth.KeyPublisher.
func (t TokenKeys) Publish(ctx context.Context, keys []auth.PublicKey) error {
	published, err := snapshot(ctx, t.Conn, flow.TokenKeys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		value := &authv1.TokenKey{PublicKey: key.Public}
		if !key.Retired.IsZero() {
			value.RetiredAt = key.Retired.Unix()
		}
		if !proto.Equal(published[key.ID], value) {
			if err := bus.Put(ctx, t.Conn, flow.TokenKeys, key.ID, value); err != nil {
				return err
			}
		}
		delete(published, key.ID)
	}
	for id := range published {
		if err := bus.Remove(ctx, t.Conn, flow.TokenKeys, id); err != nil {
			return err
		}
	}
	return nil
}

// DeviceKeys is the bucket device-keys. The box is the one that auth and
// artifact share.
type DeviceKeys struct {
	Conn *bus.Conn
	Box  *secret.Box
}

// Put implements auth.DeviceKeys.
func (d DeviceKeys) Put(ctx context.Context, k auth.DeviceKey) error {
	return bus.Put(ctx, d.Conn, flow.DeviceKeys, k.Device, &authv1.DeviceKey{
		Device: k.Device, Workspace: k.Workspace, ProductId: k.ProductID, KeyId: k.KeyID,
		SealedKeyHash: d.Box.Seal(k.Hash[:], []byte(k.Device)),
	})
}

// Remove implements auth.DeviceKeys.
func (d DeviceKeys) Remove(ctx context.Context, device string) error {
	return bus.Remove(ctx, d.Conn, flow.DeviceKeys, device)
}

// All implements auth.DeviceKeys.
func (d DeviceKeys) All(ctx context.Context) (map[string]auth.DeviceKey, error) {
	values, err := snapshot(ctx, d.Conn, flow.DeviceKeys)
	if err != nil {
		return nil, err
	}
	keys := make(map[string]auth.DeviceKey, len(values))
	for device, v := range values {
		k := auth.DeviceKey{Device: device}
		// A value sealed with another key, or for another device, shows nothing
		// but that it is to be replaced.
		if hash, err := d.Box.Open(v.GetSealedKeyHash(), []byte(device)); err == nil && len(hash) == len(k.Hash) && v.GetDevice() == device {
			k = auth.DeviceKey{
				Device: device, Workspace: v.GetWorkspace(), ProductID: v.GetProductId(), KeyID: v.GetKeyId(), Hash: [32]byte(hash),
			}
		}
		keys[device] = k
	}
	return keys, nil
}

// snapshot returns what a bucket holds now.
func snapshot[T proto.Message](ctx context.Context, c *bus.Conn, b flow.Bucket[T]) (map[string]T, error) {
	ctx, cancel := context.WithTimeout(ctx, snapshotTime)
	defer cancel()
	all, complete := map[string]T{}, false
	err := bus.Watch(ctx, c, b, func() { complete = true; cancel() }, func(change bus.Change[T]) {
		switch {
		case complete:
		case change.Gone:
			delete(all, change.Key)
		default:
			all[change.Key] = change.Value
		}
	})
	if !complete {
		return nil, errors.Join(errors.New("the bucket "+b.Name+" does not answer"), err, ctx.Err())
	}
	return all, nil
}
