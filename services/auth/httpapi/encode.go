package httpapi

import (
	"encoding/base64"

	"github.com/flota/flota/services/auth"
)

func meOf(m auth.Me) Me {
	return Me{
		Kind: MeKind(m.Kind), Id: m.ID, Name: m.Name, Role: MeRole(m.Role), Device: unlessZero(m.Device),
		Workspace: m.Workspace.ID, WorkspaceName: m.Workspace.Name, WorkspaceSlug: m.Workspace.Slug,
		Memberships: each(m.Workspaces, membershipOf),
	}
}

func membershipOf(m auth.Membership) Membership {
	return Membership{Workspace: m.Workspace.ID, Name: m.Workspace.Name, Slug: m.Workspace.Slug, Role: Role(m.Role)}
}

func memberOf(m auth.MemberInfo) Member {
	return Member{User: m.User, Login: m.Login, Role: Role(m.Role)}
}

func tokenOf(t auth.Token) Token {
	token := Token{Id: t.ID, Name: t.Name, Role: Role(t.Role), CreatedAt: t.Created}
	if !t.Expires.IsZero() {
		token.ExpiresAt = &t.Expires
	}
	if !t.Used.IsZero() {
		token.UsedAt = &t.Used
	}
	return token
}

func productOf(p auth.Product) Product {
	return Product{Device: p.ID, ProductId: p.ProductID, Name: p.Name, HasKey: p.KeyID != "", CreatedAt: p.Created}
}

func newProductOf(m auth.Made) NewProduct {
	return NewProduct{Product: productOf(m.Product), Password: m.Password, Key: m.Key}
}

func publicKeyOf(k auth.PublicKey) PublicKey {
	return PublicKey{
		Kty: "OKP", Crv: "Ed25519", Use: "sig", Alg: "EdDSA",
		Kid: k.ID, X: base64.RawURLEncoding.EncodeToString(k.Public),
	}
}

func each[A, B any](list []A, convert func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = convert(v)
	}
	return out
}

// given is the value of an optional field, the zero one where it is missing.
func given[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

func unlessZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
