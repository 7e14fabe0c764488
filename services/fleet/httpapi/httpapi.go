// Package httpapi is fleet's API for people and programs: openapi.yaml, by hand
// only what the generated server leaves open.
package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/fleet"
)

// API answers the requests of openapi.yaml.
type API struct{ Fleet *fleet.Fleet }

var _ StrictServerInterface = API{}

// ListDevices implements StrictServerInterface. A product sees itself.
func (a API) ListDevices(ctx context.Context, r ListDevicesRequestObject) (ListDevicesResponseObject, error) {
	who, err := identity.From(ctx)
	if err != nil {
		return nil, err
	}
	if who.Role == identity.Product {
		device, err := a.device(ctx, who.Workspace, who.Device)
		if fault.Is(err, fault.NotFound) { // it has just been registered
			return ListDevices200JSONResponse{Devices: []Device{}}, nil
		}
		return ListDevices200JSONResponse{Devices: []Device{device}}, err
	}
	if _, err := identity.Require(ctx, identity.Viewer); err != nil {
		return nil, err
	}
	devices, next, err := a.Fleet.Store.Devices(ctx, who.Workspace, value(r.Params.After), value(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	shown, err := a.show(ctx, devices...)
	if err != nil {
		return nil, err
	}
	return ListDevices200JSONResponse{Devices: shown, Next: some(next)}, nil
}

// GetDevice implements StrictServerInterface.
func (a API) GetDevice(ctx context.Context, r GetDeviceRequestObject) (GetDeviceResponseObject, error) {
	who, err := identity.RequireFor(ctx, identity.Viewer, r.Device)
	if err != nil {
		return nil, err
	}
	d, err := a.Fleet.Store.Device(ctx, who.Workspace, r.Device)
	if err != nil {
		return nil, err
	}
	shown, err := a.show(ctx, d)
	if err != nil {
		return nil, err
	}
	history := make([]HistoryEntry, 0, len(d.History))
	for i := len(d.History) - 1; i >= 0; i-- {
		h := d.History[i]
		history = append(history, HistoryEntry{
			At: h.At, State: string(h.State), Deployment: h.Deployment,
			Version: some(h.Version), Reason: some(h.Reason), Log: some(h.Log),
		})
	}
	return GetDevice200JSONResponse{Device: shown[0], History: history}, nil
}

// ChangeDevice implements StrictServerInterface.
func (a API) ChangeDevice(ctx context.Context, r ChangeDeviceRequestObject) (ChangeDeviceResponseObject, error) {
	who, err := identity.Require(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	if r.Body.Tags != nil {
		if _, err := a.Fleet.SetTags(ctx, who.Workspace, r.Device, *r.Body.Tags); err != nil {
			return nil, err
		}
	}
	device, err := a.device(ctx, who.Workspace, r.Device)
	return ChangeDevice200JSONResponse(device), err
}

// CreateDeployment implements StrictServerInterface. A product may deploy its own project on itself.
func (a API) CreateDeployment(ctx context.Context, r CreateDeploymentRequestObject) (CreateDeploymentResponseObject, error) {
	who, err := identity.RequireFor(ctx, identity.Maintainer, r.Body.Device)
	if err != nil {
		return nil, err
	}
	d, err := a.Fleet.Deploy(ctx, fleet.Order{
		Workspace: who.Workspace, Device: r.Body.Device, Build: value(r.Body.Build), Release: value(r.Body.Release),
		Version: value(r.Body.Version), AcceptAgentOnly: value(r.Body.AcceptAgentOnly),
		AcceptUnmanaged: value(r.Body.AcceptUnmanaged),
		Author:          who.Name, OwnProject: who.Role == identity.Product,
	})
	if err != nil {
		return nil, err
	}
	return CreateDeployment201JSONResponse(deployment(d)), nil
}

// ListDeployments implements StrictServerInterface. A product sees its own.
func (a API) ListDeployments(ctx context.Context, r ListDeploymentsRequestObject) (ListDeploymentsResponseObject, error) {
	who, err := identity.From(ctx)
	if err != nil {
		return nil, err
	}
	device := cmp.Or(value(r.Params.Device), who.Device)
	if _, err := identity.RequireFor(ctx, identity.Viewer, device); err != nil {
		return nil, err
	}
	list, next, err := a.Fleet.Store.Deployments(ctx, who.Workspace, device, value(r.Params.After), value(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	out := ListDeployments200JSONResponse{Deployments: make([]Deployment, 0, len(list)), Next: some(next)}
	for _, d := range list {
		out.Deployments = append(out.Deployments, deployment(d))
	}
	return out, nil
}

// ListReleases implements StrictServerInterface.
func (a API) ListReleases(ctx context.Context, r ListReleasesRequestObject) (ListReleasesResponseObject, error) {
	who, err := identity.Require(ctx, identity.Viewer)
	if err != nil {
		return nil, err
	}
	list, next, err := a.Fleet.Store.Releases(ctx, who.Workspace, value(r.Params.After), value(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	out := ListReleases200JSONResponse{Releases: make([]Release, 0, len(list)), Next: some(next)}
	for _, r := range list {
		out.Releases = append(out.Releases, Release{
			Id: r.ID, Build: r.Build, Project: some(r.Project), ProjectName: some(r.ProjectName), Version: r.Version,
			Board: r.Board, Size: r.Takes(), Sha256: r.Parts[0].SHA256, Agent: r.Agent, CreatedAt: r.Created,
		})
	}
	return out, nil
}

// GetSigningKeys implements StrictServerInterface. Every role may read them: they are public.
func (a API) GetSigningKeys(ctx context.Context, _ GetSigningKeysRequestObject) (GetSigningKeysResponseObject, error) {
	who, err := identity.From(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := a.Fleet.Keys(ctx, who.Workspace)
	if err != nil {
		return nil, err
	}
	var out GetSigningKeys200JSONResponse
	for _, k := range keys {
		out.Keys = append(out.Keys, struct {
			Kid       string `json:"kid"`
			PublicKey string `json:"public_key"`
		}{k.KID, k.Public})
	}
	return out, nil
}

func (a API) device(ctx context.Context, workspace, device string) (Device, error) {
	d, err := a.Fleet.Store.Device(ctx, workspace, device)
	if err != nil {
		return Device{}, err
	}
	shown, err := a.show(ctx, d)
	if err != nil {
		return Device{}, err
	}
	return shown[0], nil
}

// show puts twins and their last seen together.
func (a API) show(ctx context.Context, devices ...*fleet.Device) ([]Device, error) {
	ids := make([]string, len(devices))
	for i, d := range devices {
		ids[i] = d.ID
	}
	seen, err := a.Fleet.Store.Seen(ctx, ids...)
	if err != nil {
		return nil, fmt.Errorf("last seen: %w", err)
	}
	now := a.Fleet.Now()
	out := make([]Device, len(devices))
	for i, d := range devices {
		out[i] = device(d, seen[d.ID], now)
	}
	return out, nil
}

func device(d *fleet.Device, seen *fleet.LastSeen, now time.Time) Device {
	out := Device{
		Device: d.ID, ProductId: d.ProductID, Name: d.Name, Tags: append([]string{}, d.Tags...), Revoked: d.Revoked,
		State: DeviceState(d.State), Percent: some(d.Percent), Reason: some(d.Reason),
		RunningVersion: some(d.RunningVersion), RunningSha256: some(d.Running), Board: some(d.Board),
		Chip: some(d.Chip), SlotSize: some(d.SlotSize), FreeHeap: some(d.FreeHeap), Rssi: some(d.RSSI),
		Rollback: some(d.Rollback), Agent: some(d.Agent),
	}
	if d.Wanted != nil {
		out.WantedVersion, out.WantedDeployment = some(d.Wanted.Version), some(d.Wanted.Deployment)
	}
	if seen != nil {
		out.SeenAt, out.Looping = some(seen.At), some(seen.Looping)
		out.Online = now.Sub(seen.At) < fleet.OnlineFor
	}
	return out
}

func deployment(d *fleet.Deployment) Deployment {
	return Deployment{
		Number: d.Number, Device: d.Device, Release: d.Release, Version: d.Version, Author: some(d.Author), CreatedAt: d.Created,
	}
}

// value is what an optional field holds, or nothing.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// some is an optional field; left out where there is nothing in it.
func some[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}
