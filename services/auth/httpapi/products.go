package httpapi

import (
	"context"

	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/auth"
)

// ListProducts implements StrictServerInterface.
func (a *API) ListProducts(ctx context.Context, r ListProductsRequestObject) (ListProductsResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Viewer)
	if err != nil {
		return nil, err
	}
	products, next, err := a.Products.List(ctx, caller.Workspace, given(r.Params.After), given(r.Params.Limit))
	return ListProducts200JSONResponse{Products: each(products, productOf), Next: unlessZero(next)}, err
}

// GetProduct implements StrictServerInterface.
func (a *API) GetProduct(ctx context.Context, r GetProductRequestObject) (GetProductResponseObject, error) {
	p, err := identity.RequireFor(ctx, identity.Viewer, r.Device)
	if err != nil {
		return nil, err
	}
	product, err := a.Products.Get(ctx, p.Workspace, r.Device)
	return GetProduct200JSONResponse(productOf(product)), err
}

// CreateProducts implements StrictServerInterface.
func (a *API) CreateProducts(ctx context.Context, r CreateProductsRequestObject) (CreateProductsResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	list := make([]auth.NewProduct, len(r.Body.Products))
	for i, p := range r.Body.Products {
		list[i] = auth.NewProduct{ProductID: p.ProductId, Password: given(p.Password), Name: given(p.Name)}
	}
	made, err := a.Products.Create(ctx, caller.Workspace, list)
	return CreateProducts201JSONResponse{Products: each(made, newProductOf)}, err
}

// DeleteProduct implements StrictServerInterface.
func (a *API) DeleteProduct(ctx context.Context, r DeleteProductRequestObject) (DeleteProductResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	return DeleteProduct204Response{}, a.Products.Delete(ctx, caller.Workspace, r.Device)
}

// RotateDeviceKey implements StrictServerInterface.
func (a *API) RotateDeviceKey(ctx context.Context, r RotateDeviceKeyRequestObject) (RotateDeviceKeyResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	key, err := a.Products.RotateKey(ctx, caller.Workspace, r.Device)
	return RotateDeviceKey201JSONResponse{Key: key}, err
}

// RevokeDeviceKey implements StrictServerInterface.
func (a *API) RevokeDeviceKey(ctx context.Context, r RevokeDeviceKeyRequestObject) (RevokeDeviceKeyResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	return RevokeDeviceKey204Response{}, a.Products.RevokeKey(ctx, caller.Workspace, r.Device)
}

// SetProductPassword implements StrictServerInterface.
func (a *API) SetProductPassword(ctx context.Context, r SetProductPasswordRequestObject) (SetProductPasswordResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	return SetProductPassword204Response{}, a.Products.SetPassword(ctx, caller.Workspace, r.Device, r.Body.Password)
}
