// Package store keeps the fleet's documents with pkg/docstore.
package store

import (
	"context"
	"errors"
	"slices"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/fleet"
)

// Store implements fleet.Store on any docstore.
type Store struct {
	devices     *docstore.Collection[fleet.Device]
	seen        *docstore.Collection[fleet.LastSeen]
	releases    *docstore.Collection[fleet.Release]
	deployments *docstore.Collection[fleet.Deployment]
	workspaces  *docstore.Collection[fleet.Workspace]
}

// Open opens the collections; relay sends what their documents post.
func Open(ctx context.Context, db docstore.DB, relay *docstore.Relay) (*Store, error) {
	var s Store
	var errs [5]error
	s.devices, errs[0] = docstore.Open[fleet.Device](ctx, db, "devices",
		docstore.Index{Name: "product_id", Fields: []string{"workspace", "product_id"}})
	s.seen, errs[1] = docstore.Open[fleet.LastSeen](ctx, db, "seen")
	s.releases, errs[2] = docstore.Open[fleet.Release](ctx, db, "releases",
		docstore.Index{Name: "build", Fields: []string{"workspace", "build", "version"}, Unique: true},
		docstore.Index{Name: "created", Fields: []string{"workspace", "created"}})
	s.deployments, errs[3] = docstore.Open[fleet.Deployment](ctx, db, "deployments",
		docstore.Index{Name: "device", Fields: []string{"workspace", "device", "number"}},
		docstore.Index{Name: "number", Fields: []string{"workspace", "number"}})
	s.workspaces, errs[4] = docstore.Open[fleet.Workspace](ctx, db, "workspaces")
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	relay.Watch(s.devices)
	return &s, nil
}

// Device implements fleet.Store.
func (s *Store) Device(ctx context.Context, workspace, device string) (*fleet.Device, error) {
	d, err := s.devices.Get(ctx, device)
	if err == nil && d.Workspace != workspace || fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "there is no device %s", device)
	}
	return d, err
}

// Devices implements fleet.Store.
func (s *Store) Devices(ctx context.Context, workspace, after string, limit int) ([]*fleet.Device, string, error) {
	page, err := s.devices.Find(ctx, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", workspace)}, Sort: "product_id", Limit: limit, After: after,
	})
	return page.Items, page.Next, err
}

// AddDevice implements fleet.Store.
func (s *Store) AddDevice(ctx context.Context, d *fleet.Device) error {
	return s.devices.Insert(ctx, d)
}

// ChangeDevice implements fleet.Store.
func (s *Store) ChangeDevice(ctx context.Context, device string, change func(*fleet.Device) error) (*fleet.Device, error) {
	return s.devices.Update(ctx, device, change)
}

// EachDevice implements fleet.Store.
func (s *Store) EachDevice(ctx context.Context, f func(*fleet.Device) error) error {
	for d, err := range s.devices.All(ctx, docstore.Query{Limit: docstore.MaxLimit}) {
		if err != nil {
			return err
		}
		if err := f(d); err != nil {
			return err
		}
	}
	return nil
}

// Seen implements fleet.Store.
func (s *Store) Seen(ctx context.Context, devices ...string) (map[string]*fleet.LastSeen, error) {
	seen := make(map[string]*fleet.LastSeen, len(devices))
	for some := range slices.Chunk(devices, docstore.MaxIn) {
		page, err := s.seen.Find(ctx, docstore.Query{Where: []docstore.Cond{docstore.In("_id", some...)}, Limit: len(some)})
		if err != nil {
			return nil, err
		}
		for _, l := range page.Items {
			seen[l.ID] = l
		}
	}
	return seen, nil
}

// SetSeen implements fleet.Store.
func (s *Store) SetSeen(ctx context.Context, l *fleet.LastSeen) error {
	write := s.seen.Replace
	if l.Rev == 0 {
		write = s.seen.Insert
	}
	if err := write(ctx, l); !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil
}

// RemoveSeen implements fleet.Store.
func (s *Store) RemoveSeen(ctx context.Context, device string) error {
	if err := s.seen.Delete(ctx, device, 0); !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

// Release implements fleet.Store.
func (s *Store) Release(ctx context.Context, workspace, release string) (*fleet.Release, error) {
	r, err := s.releases.Get(ctx, release)
	if err == nil && r.Workspace != workspace || fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "there is no release %s", release)
	}
	return r, err
}

// ReleaseOf implements fleet.Store.
func (s *Store) ReleaseOf(ctx context.Context, workspace, build, version string) (*fleet.Release, error) {
	page, err := s.releases.Find(ctx, docstore.Query{Limit: 1, Where: []docstore.Cond{
		docstore.Eq("workspace", workspace), docstore.Eq("build", build), docstore.Eq("version", version),
	}})
	if err != nil {
		return nil, err
	}
	if len(page.Items) == 0 {
		return nil, fault.New(fault.NotFound, "build %s was not released as %s", build, version)
	}
	return page.Items[0], nil
}

// AddRelease implements fleet.Store.
func (s *Store) AddRelease(ctx context.Context, r *fleet.Release) error {
	return s.releases.Insert(ctx, r)
}

// Releases implements fleet.Store.
func (s *Store) Releases(ctx context.Context, workspace, after string, limit int) ([]*fleet.Release, string, error) {
	page, err := s.releases.Find(ctx, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", workspace)}, Sort: "created", Desc: true, Limit: limit, After: after,
	})
	return page.Items, page.Next, err
}

// AddDeployment implements fleet.Store.
func (s *Store) AddDeployment(ctx context.Context, d *fleet.Deployment) error {
	return s.deployments.Insert(ctx, d)
}

// Deployment implements fleet.Store.
func (s *Store) Deployment(ctx context.Context, workspace string, number int64) (*fleet.Deployment, error) {
	return s.deployments.Get(ctx, fleet.DeploymentID(workspace, number))
}

// Deployments implements fleet.Store.
func (s *Store) Deployments(ctx context.Context, workspace, device, after string, limit int) ([]*fleet.Deployment, string, error) {
	where := []docstore.Cond{docstore.Eq("workspace", workspace)}
	if device != "" {
		where = append(where, docstore.Eq("device", device))
	}
	page, err := s.deployments.Find(ctx, docstore.Query{Where: where, Sort: "number", Desc: true, Limit: limit, After: after})
	return page.Items, page.Next, err
}

// LastNumber implements fleet.Store.
func (s *Store) LastNumber(ctx context.Context, workspace string) (int64, error) {
	page, err := s.deployments.Find(ctx, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", workspace)}, Sort: "number", Desc: true, Limit: 1,
	})
	if err != nil || len(page.Items) == 0 {
		return 0, err
	}
	return page.Items[0].Number, nil
}

// Workspace implements fleet.Store.
func (s *Store) Workspace(ctx context.Context, workspace string, first func() (*fleet.Workspace, error)) (*fleet.Workspace, error) {
	ws, err := s.workspaces.Get(ctx, workspace)
	if !fault.Is(err, fault.NotFound) {
		return ws, err
	}
	if ws, err = first(); err != nil {
		return nil, err
	}
	if err := s.workspaces.Insert(ctx, ws); fault.Is(err, fault.Conflict) { // somebody was faster: theirs counts
		return s.workspaces.Get(ctx, workspace)
	} else if err != nil {
		return nil, err
	}
	return ws, nil
}
