package auth

import (
	"context"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/deviceproto"
)

// Provisioning hands out what a device is given over the cable, as far as auth
// knows it.
type Provisioning struct {
	Products *Products
	WiFi     *WiFi
	Log      *zap.Logger
}

// HandOut gives the device a new key, and returns it with the device's names and
// its networks; the old key is void. Who asked for it is logged. Errors: NotFound.
func (p *Provisioning) HandOut(ctx context.Context, caller Caller, device string) (deviceproto.Provision, error) {
	product, err := p.Products.Get(ctx, caller.Workspace, device)
	if err != nil {
		return deviceproto.Provision{}, err
	}
	networks, err := p.WiFi.networks(ctx, product)
	if err != nil {
		return deviceproto.Provision{}, err // and the old key is still good
	}
	key, err := p.Products.RotateKey(ctx, caller.Workspace, device)
	if err != nil {
		return deviceproto.Provision{}, err
	}
	p.Log.Info("a device's key and Wi-Fi were handed out",
		zap.String("workspace", product.Workspace), zap.String("device", device), zap.String("product_id", product.ProductID),
		zap.String("to", caller.User), zap.String("role", string(caller.Role)), zap.Bool("program", caller.Program), zap.Int("networks", len(networks)))
	return deviceproto.Provision{Workspace: product.Workspace, Device: device, ProductID: product.ProductID, Key: key, WiFi: networks}, nil
}
