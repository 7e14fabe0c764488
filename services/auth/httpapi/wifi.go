package httpapi

import (
	"context"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/auth"
)

// GetWifi implements StrictServerInterface.
func (a *API) GetWifi(ctx context.Context, _ GetWifiRequestObject) (GetWifiResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	ssids, err := a.WiFi.OfWorkspace(ctx, caller.Workspace)
	return GetWifi200JSONResponse{wifiOf(ssids)}, err
}

// SetWifi implements StrictServerInterface.
func (a *API) SetWifi(ctx context.Context, r SetWifiRequestObject) (SetWifiResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	return SetWifi200JSONResponse{wifiOf(each(r.Body.Networks, ssidOf))},
		a.WiFi.SetOfWorkspace(ctx, caller.Workspace, each(r.Body.Networks, newNetworkOf))
}

// GetProductWifi implements StrictServerInterface.
func (a *API) GetProductWifi(ctx context.Context, r GetProductWifiRequestObject) (GetProductWifiResponseObject, error) {
	caller, err := a.Gate.AdmitFor(ctx, identity.Maintainer, r.Device)
	if err != nil {
		return nil, err
	}
	ssids, err := a.WiFi.OfProduct(ctx, caller.Workspace, r.Device)
	return GetProductWifi200JSONResponse{wifiOf(ssids)}, err
}

// SetProductWifi implements StrictServerInterface.
func (a *API) SetProductWifi(ctx context.Context, r SetProductWifiRequestObject) (SetProductWifiResponseObject, error) {
	caller, err := a.Gate.AdmitFor(ctx, identity.Maintainer, r.Device)
	if err != nil {
		return nil, err
	}
	return SetProductWifi200JSONResponse{wifiOf(each(r.Body.Networks, ssidOf))},
		a.WiFi.SetOfProduct(ctx, caller.Workspace, r.Device, each(r.Body.Networks, newNetworkOf))
}

// ProvisionProduct implements StrictServerInterface.
func (a *API) ProvisionProduct(ctx context.Context, r ProvisionProductRequestObject) (ProvisionProductResponseObject, error) {
	caller, err := a.Gate.AdmitFor(ctx, identity.Maintainer, r.Device)
	if err != nil {
		return nil, err
	}
	given, err := a.Provisioning.HandOut(ctx, caller, r.Device)
	return ProvisionProduct201JSONResponse{
		Workspace: given.Workspace, Device: given.Device, ProductId: given.ProductID, Key: given.Key,
		Wifi: each(given.WiFi, func(n deviceproto.Network) Network { return Network{Ssid: n.SSID, Password: n.Password} }),
	}, err
}

func wifiOf(ssids []string) NetworksJSONResponse {
	return NetworksJSONResponse{Networks: each(ssids, func(ssid string) NetworkName { return NetworkName{Ssid: ssid} })}
}

func newNetworkOf(n NewNetwork) auth.NewNetwork {
	return auth.NewNetwork{SSID: n.Ssid, Password: n.Password}
}

func ssidOf(n NewNetwork) string { return n.Ssid }
