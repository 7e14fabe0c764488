package solotest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	authapi "github.com/flota/flota/services/auth/httpapi"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

const fleetPrefix = "/api/fleet/v1"

// DeployWish says what a device should run: a build, or a release that there is.
type DeployWish struct {
	Device          string `json:"device"`
	Build           string `json:"build,omitempty"`
	Release         string `json:"release,omitempty"`
	Version         string `json:"version,omitempty"`
	AcceptAgentOnly bool   `json:"accept_agent_only,omitempty"`
	AcceptUnmanaged bool   `json:"accept_unmanaged,omitempty"`
}

// Deploy wants something on a device.
func (c *Client) Deploy(ctx context.Context, wish DeployWish) (d fleetapi.Deployment, err error) {
	return d, c.Do(ctx, http.MethodPost, fleetPrefix+"/deployments", wish, &d)
}

// Devices lists the first hundred.
func (c *Client) Devices(ctx context.Context) ([]fleetapi.Device, error) {
	var answer struct{ Devices []fleetapi.Device }
	err := c.Do(ctx, http.MethodGet, fleetPrefix+"/devices", nil, &answer)
	return answer.Devices, err
}

// Device returns a twin and its history, the newest first.
func (c *Client) Device(ctx context.Context, id string) (fleetapi.Device, []fleetapi.HistoryEntry, error) {
	var answer struct {
		Device  fleetapi.Device
		History []fleetapi.HistoryEntry
	}
	err := c.Do(ctx, http.MethodGet, fleetPrefix+"/devices/"+word(id), nil, &answer)
	return answer.Device, answer.History, err
}

// WaitDevice looks at a device until it is as wanted, over restarts of the server.
func (c *Client) WaitDevice(ctx context.Context, id string, wanted func(fleetapi.Device) bool) (d fleetapi.Device, err error) {
	var last error
	err = poll(ctx, 50*time.Millisecond, func() (bool, error) {
		d, _, last = c.Device(ctx, id)
		return last == nil && wanted(d), nil
	})
	if err != nil {
		return d, fmt.Errorf("device %s is %s, reason %s: %w", id, d.State, value(d.Reason), errOr(last, err))
	}
	return d, nil
}

// SigningKeys returns the workspace's public keys.
func (c *Client) SigningKeys(ctx context.Context) ([]string, error) {
	var answer struct {
		Keys []struct {
			PublicKey string `json:"public_key"`
		}
	}
	err := c.Do(ctx, http.MethodGet, fleetPrefix+"/keys", nil, &answer)
	keys := make([]string, len(answer.Keys))
	for i, k := range answer.Keys {
		keys[i] = k.PublicKey
	}
	return keys, err
}

// Provision makes the file that a registered device is given over the cable.
func (c *Client) Provision(ctx context.Context, p authapi.NewProduct, board string) (deviceproto.Provision, error) {
	keys, err := c.SigningKeys(ctx)
	return deviceproto.Provision{
		Server: c.DeviceOrigin, Workspace: c.Session().Me.Workspace, Device: p.Product.Device, ProductID: p.Product.ProductId,
		Key: p.Key, Keys: keys, Board: board,
	}, err
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
