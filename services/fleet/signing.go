package fleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/secret"
)

// Keys returns a workspace's public signing keys, making them at the first call:
// two, so that either can replace the other on every device in the field.
func (f *Fleet) Keys(ctx context.Context, workspace string) ([]SigningKey, error) {
	ws, err := f.workspace(ctx, workspace)
	if err != nil {
		return nil, err
	}
	return ws.Keys, nil
}

func (f *Fleet) workspace(ctx context.Context, workspace string) (*Workspace, error) {
	return f.Store.Workspace(ctx, workspace, func() (*Workspace, error) {
		ws := &Workspace{Meta: docstore.Meta{ID: workspace}}
		for range 2 {
			key, err := newSigningKey(f.Box, workspace)
			if err != nil {
				return nil, err
			}
			ws.Keys = append(ws.Keys, key)
		}
		return ws, nil
	})
}

func newSigningKey(box *secret.Box, workspace string) (SigningKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return SigningKey{}, err
	}
	raw, err := private.Bytes()
	if err != nil {
		return SigningKey{}, err
	}
	return SigningKey{
		KID:    deviceproto.KID(&private.PublicKey),
		Public: deviceproto.FormatPublicKey(&private.PublicKey),
		Sealed: box.Seal(raw, []byte(workspace)),
	}, nil
}

// sign makes the statement of a deployment and signs it with the workspace's first key.
func (f *Fleet) sign(ctx context.Context, d *Deployment, r *Release) error {
	ws, err := f.workspace(ctx, d.Workspace)
	if err != nil {
		return err
	}
	raw, err := f.Box.Open(ws.Keys[0].Sealed, []byte(d.Workspace))
	if err != nil {
		return fmt.Errorf("signing key %s: %w", ws.Keys[0].KID, err)
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return fmt.Errorf("signing key %s: %w", ws.Keys[0].KID, err)
	}
	statement := deviceproto.Statement{
		Format: deviceproto.Format, Workspace: d.Workspace, Target: deviceproto.Target{Device: d.Device},
		Board: r.Board, Release: r.ID, Version: r.Version, Deployment: d.Number, SecurityVersion: r.SecurityVersion,
	}
	for _, p := range r.Parts {
		statement.Parts = append(statement.Parts, deviceproto.Part(p))
	}
	payload, err := statement.Payload()
	if err != nil {
		return err
	}
	signed, err := deviceproto.Sign(payload, private)
	if err != nil {
		return err
	}
	d.Payload, d.KID, d.Signature, d.Parts = signed.Payload, signed.KID, signed.Sig, r.Parts
	return nil
}
