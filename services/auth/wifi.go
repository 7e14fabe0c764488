package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/secret"
)

// WiFi keeps the Wi-Fi networks that devices join: of a workspace, and of a
// product that has its own. They are sealed as a whole, names and passwords, each
// list for its place. What is returned here are names; Provisioning alone tells
// passwords.
type WiFi struct {
	Workspaces PeopleStore
	Products   ProductStore
	Box        *secret.Box
}

// NewNetwork asks for a network; without a password, which is empty for an open
// network, the one stays that is stored with this SSID.
type NewNetwork struct {
	SSID     string
	Password *string
}

// OfWorkspace returns the SSIDs of a workspace's networks. Errors: NotFound.
func (w *WiFi) OfWorkspace(ctx context.Context, workspace string) ([]string, error) {
	at, err := w.Workspaces.Workspace(ctx, workspace)
	if err != nil {
		return nil, err
	}
	networks, err := w.open(at.WiFi, wifiPlace(workspace, ""))
	return ssids(networks), err
}

// OfProduct returns the SSIDs of a product's own networks; none where the
// workspace's count. Errors: NotFound.
func (w *WiFi) OfProduct(ctx context.Context, workspace, device string) ([]string, error) {
	product, err := w.product(ctx, workspace, device)
	if err != nil {
		return nil, err
	}
	networks, err := w.open(product.WiFi, wifiPlace(workspace, device))
	return ssids(networks), err
}

// SetOfWorkspace replaces a workspace's networks. Errors: NotFound, Invalid with
// the field ("networks.0.password").
func (w *WiFi) SetOfWorkspace(ctx context.Context, workspace string, list []NewNetwork) error {
	_, err := w.Workspaces.ChangeWorkspace(ctx, workspace, func(at *Workspace) (err error) {
		at.WiFi, err = w.replace(at.WiFi, wifiPlace(workspace, ""), list)
		return err
	})
	return err
}

// SetOfProduct replaces a product's own networks; by none, so that the
// workspace's count. Errors as of SetOfWorkspace.
func (w *WiFi) SetOfProduct(ctx context.Context, workspace, device string, list []NewNetwork) error {
	if _, err := w.product(ctx, workspace, device); err != nil {
		return err
	}
	_, err := w.Products.ChangeProduct(ctx, device, func(product *Product) (_ News, err error) {
		if err := product.seenBy(workspace); err != nil {
			return NoNews, err
		}
		product.WiFi, err = w.replace(product.WiFi, wifiPlace(workspace, device), list)
		return NoNews, err
	})
	return err
}

// networks returns what a product's device joins, with passwords.
func (w *WiFi) networks(ctx context.Context, product Product) ([]deviceproto.Network, error) {
	if len(product.WiFi) > 0 {
		return w.open(product.WiFi, wifiPlace(product.Workspace, product.ID))
	}
	at, err := w.Workspaces.Workspace(ctx, product.Workspace)
	if err != nil {
		return nil, err
	}
	return w.open(at.WiFi, wifiPlace(at.ID, ""))
}

func (w *WiFi) product(ctx context.Context, workspace, device string) (Product, error) {
	product, err := optional(w.Products.Product(ctx, device))
	if err != nil {
		return Product{}, err
	}
	return product, product.seenBy(workspace)
}

// replace returns the sealed list that follows the one before.
func (w *WiFi) replace(before, place []byte, list []NewNetwork) ([]byte, error) {
	var known []deviceproto.Network
	if slices.ContainsFunc(list, func(n NewNetwork) bool { return n.Password == nil }) {
		var err error // only where it is needed: a list that cannot be opened can be replaced
		if known, err = w.open(before, place); err != nil {
			return nil, err
		}
	}
	networks := make([]deviceproto.Network, len(list))
	for i, wanted := range list {
		if slices.ContainsFunc(networks[:i], func(n deviceproto.Network) bool { return n.SSID == wanted.SSID }) {
			return nil, fault.Field(fmt.Sprintf("networks.%d.ssid", i), "this network is there twice")
		}
		networks[i].SSID = wanted.SSID
		if wanted.Password != nil {
			networks[i].Password = *wanted.Password
			continue
		}
		j := slices.IndexFunc(known, func(n deviceproto.Network) bool { return n.SSID == wanted.SSID })
		if j < 0 {
			return nil, fault.Field(fmt.Sprintf("networks.%d.password", i), "no password is stored for this network: give one, or an empty one if it is open")
		}
		networks[i] = known[j]
	}
	if err := deviceproto.CheckNetworks("networks", networks); err != nil || len(networks) == 0 {
		return nil, err
	}
	plain, err := json.Marshal(networks)
	if err != nil {
		return nil, err
	}
	return w.Box.Seal(plain, place), nil
}

// open returns a sealed list; an empty one for nothing. It returns an Internal
// fault for what was sealed with another key or for another place.
func (w *WiFi) open(sealed, place []byte) ([]deviceproto.Network, error) {
	if len(sealed) == 0 {
		return nil, nil
	}
	var networks []deviceproto.Network
	plain, err := w.Box.Open(sealed, place)
	if err == nil {
		err = json.Unmarshal(plain, &networks)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "the stored Wi-Fi networks cannot be opened; was the installation's key changed? Enter them again")
	}
	return networks, nil
}

// wifiPlace is where a list belongs; device is empty for a workspace's.
func wifiPlace(workspace, device string) []byte { return []byte("wifi/" + workspace + "/" + device) }

func ssids(networks []deviceproto.Network) []string {
	list := make([]string, len(networks))
	for i, n := range networks {
		list[i] = n.SSID
	}
	return list
}
