package httpapi

import (
	"context"
	"slices"
	"time"

	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/editor"
)

// linkLife is how long a link to an output is good for.
const linkLife = 15 * time.Minute

// ListBuilds implements StrictServerInterface.
func (a *API) ListBuilds(ctx context.Context, r ListBuildsRequestObject) (ListBuildsResponseObject, error) {
	project, p, err := a.project(ctx, r.Project, identity.Viewer)
	if err != nil {
		return nil, err
	}
	builds, next, err := a.Builds.Store.Builds(ctx, p.Workspace, project.ID, page(r.Params.After, r.Params.Limit))
	if err != nil {
		return nil, err
	}
	for _, b := range builds {
		b.Diagnostics = nil // they are in the build itself, as are the files on the board
		b.Outputs = slices.DeleteFunc(b.Outputs, func(o editor.Output) bool { return o.Role == editor.BoardFile })
	}
	return ListBuilds200JSONResponse{Builds: all(builds, buildOut), Next: optional(next)}, nil
}

// CreateBuild implements StrictServerInterface.
func (a *API) CreateBuild(ctx context.Context, r CreateBuildRequestObject) (CreateBuildResponseObject, error) {
	project, p, err := a.project(ctx, r.Project, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	b, err := a.Builds.Create(ctx, project, editor.NewBuild{
		FQBN: value(r.Body.Fqbn), Revision: value(r.Body.Revision), Verbose: value(r.Body.Verbose), Fresh: value(r.Body.Fresh), Author: p.Name,
	})
	if err != nil {
		return nil, err
	}
	return CreateBuild201JSONResponse(buildOut(b)), nil
}

// GetBuild implements StrictServerInterface.
func (a *API) GetBuild(ctx context.Context, r GetBuildRequestObject) (GetBuildResponseObject, error) {
	b, _, err := a.build(ctx, r.Build, identity.Viewer)
	if err != nil {
		return nil, err
	}
	return GetBuild200JSONResponse(buildOut(b)), nil
}

// CancelBuild implements StrictServerInterface.
func (a *API) CancelBuild(ctx context.Context, r CancelBuildRequestObject) (CancelBuildResponseObject, error) {
	b, p, err := a.build(ctx, r.Build, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	b, err = a.Builds.Cancel(ctx, b.ID, p.Name)
	if err != nil {
		return nil, err
	}
	return CancelBuild200JSONResponse(buildOut(b)), nil
}

// GetBuildLog implements StrictServerInterface.
func (a *API) GetBuildLog(ctx context.Context, r GetBuildLogRequestObject) (GetBuildLogResponseObject, error) {
	b, _, err := a.build(ctx, r.Build, identity.Viewer)
	if err != nil {
		return nil, err
	}
	chunks, err := a.Builds.Lines(ctx, b)
	if err != nil {
		return nil, err
	}
	lines := []LogLine{}
	for _, c := range chunks {
		lines = append(lines, linesOut(c)...)
	}
	return GetBuildLog200JSONResponse{Lines: lines}, nil
}

// CreateOutputLink implements StrictServerInterface.
func (a *API) CreateOutputLink(ctx context.Context, r CreateOutputLinkRequestObject) (CreateOutputLinkResponseObject, error) {
	b, _, err := a.build(ctx, r.Build, identity.Viewer)
	if err != nil {
		return nil, err
	}
	output, err := b.Output(r.Name)
	if err != nil {
		return nil, err
	}
	url, expires, err := a.Builds.Artifacts.Download(ctx, b.Workspace, output, linkLife)
	if err != nil {
		return nil, err
	}
	return CreateOutputLink201JSONResponse{Url: url, ExpiresAt: expires}, nil
}
