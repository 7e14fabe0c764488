package httpapi

import (
	"context"

	"github.com/flota/flota/pkg/identity"
)

// ListTokens implements StrictServerInterface.
func (a *API) ListTokens(ctx context.Context, _ ListTokensRequestObject) (ListTokensResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Viewer)
	if err != nil {
		return nil, err
	}
	tokens, err := a.Tokens.List(ctx, caller)
	return ListTokens200JSONResponse{Tokens: each(tokens, tokenOf)}, err
}

// CreateToken implements StrictServerInterface.
func (a *API) CreateToken(ctx context.Context, r CreateTokenRequestObject) (CreateTokenResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Viewer)
	if err != nil {
		return nil, err
	}
	token, secret, err := a.Tokens.Create(ctx, caller, r.Body.Name, identity.Role(r.Body.Role), given(r.Body.ExpiresAt))
	return CreateToken201JSONResponse{Token: tokenOf(token), Secret: secret}, err
}

// DeleteToken implements StrictServerInterface.
func (a *API) DeleteToken(ctx context.Context, r DeleteTokenRequestObject) (DeleteTokenResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Viewer)
	if err != nil {
		return nil, err
	}
	return DeleteToken204Response{}, a.Tokens.Delete(ctx, caller, r.Token)
}

// GetKeys implements StrictServerInterface.
func (a *API) GetKeys(context.Context, GetKeysRequestObject) (GetKeysResponseObject, error) {
	return GetKeys200JSONResponse{Keys: each(a.Keyring.Public(), publicKeyOf)}, nil
}
