package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/flota/flota/pkg/httpserve/problem"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/editor"
)

// GetDependencies implements StrictServerInterface.
func (a *API) GetDependencies(ctx context.Context, r GetDependenciesRequestObject) (GetDependenciesResponseObject, error) {
	project, _, err := a.project(ctx, r.Project, identity.Viewer)
	if err != nil {
		return nil, err
	}
	d, err := a.Projects.Dependencies(ctx, project)
	if err != nil {
		return nil, err
	}
	return GetDependencies200JSONResponse{
		Wanted: all(d.Wanted, func(d editor.Dependency) Dependency { return Dependency(d) }), Resolved: d.Resolved,
		Packages: all(d.Lock.Packages, func(p editor.LockedPackage) FetchedPackage {
			return FetchedPackage{Name: p.Name, Version: p.Version, Source: p.Source, Files: all(p.Files, func(f editor.LockedFile) FetchedFile {
				return FetchedFile{Path: f.Path, Size: f.Size, Sha256: f.SHA256, Source: f.Source, State: FetchedFileState(f.State(project.Files))}
			})}
		}),
	}, nil
}

// ResolveDependencies implements StrictServerInterface.
func (a *API) ResolveDependencies(ctx context.Context, r ResolveDependenciesRequestObject) (ResolveDependenciesResponseObject, error) {
	project, _, err := a.project(ctx, r.Project, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	wish := editor.Resolution{Overwrite: value(r.Body.Overwrite)}
	if r.Body.Deps != nil {
		deps := all(*r.Body.Deps, func(d Dependency) editor.Dependency { return editor.Dependency(d).OrLatest() })
		wish.Deps = &deps
	}
	return &resolving{ctx: ctx, api: a, project: project, wish: wish}, nil
}

// resolving is the answer that tells what happens while it happens.
type resolving struct {
	ctx     context.Context
	api     *API
	project *editor.Project
	wish    editor.Resolution
}

// VisitResolveDependenciesResponse implements ResolveDependenciesResponseObject.
// What goes wrong before the first line is the answer itself.
func (s *resolving) VisitResolveDependenciesResponse(w http.ResponseWriter) error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(s.api.Stopping, cancel)()
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the request was read; its deadline would cut the answer off

	begun := false
	tell := func(e ResolveEvent) {
		if !begun {
			begun = true
			h := w.Header()
			h.Set("Content-Type", "application/x-ndjson")
			h.Set("Cache-Control", "no-store")
			h.Set("X-Accel-Buffering", "no")
		}
		_ = out.SetWriteDeadline(time.Now().Add(slowClient))
		if json.NewEncoder(w).Encode(e) != nil || out.Flush() != nil {
			cancel() // nobody listens
		}
	}
	p, err := s.api.Projects.Resolve(ctx, s.project, s.wish, func(at editor.FetchProgress) {
		tell(ResolveEvent{Progress: &FetchProgress{Packages: at.Packages, Files: at.Files, Bytes: at.Bytes, Doing: at.Doing}})
	})
	switch {
	case err != nil && !begun:
		return err
	case err != nil:
		told := problemOut(err)
		tell(ResolveEvent{Problem: &told})
	default:
		project := projectOut(p)
		tell(ResolveEvent{Project: &project})
	}
	return nil
}

func problemOut(err error) Problem {
	p := problem.Of(err)
	return Problem{Type: optional(p.Type), Title: p.Title, Status: p.Status, Code: string(p.Code), Detail: optional(p.Detail), Field: optional(p.Field)}
}
