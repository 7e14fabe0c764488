package httpapi

import (
	"context"

	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/editor"
)

// ListBoards implements StrictServerInterface.
func (a *API) ListBoards(ctx context.Context, _ ListBoardsRequestObject) (ListBoardsResponseObject, error) {
	if _, err := anybody(ctx); err != nil {
		return nil, err
	}
	return ListBoards200JSONResponse(farmOut(a.Builds.Farm)), nil
}

// ListExamples implements StrictServerInterface.
func (a *API) ListExamples(ctx context.Context, _ ListExamplesRequestObject) (ListExamplesResponseObject, error) {
	if _, err := anybody(ctx); err != nil {
		return nil, err
	}
	var out ListExamples200JSONResponse
	for _, e := range a.Projects.Examples {
		out.Examples = append(out.Examples, Example{
			Id: e.ID, Name: e.Name, Description: e.Description, Kind: Kind(e.Kind), Fqbn: optional(e.FQBN),
		})
	}
	return out, nil
}

// OpenOwnProject implements StrictServerInterface.
func (a *API) OpenOwnProject(ctx context.Context, r OpenOwnProjectRequestObject) (OpenOwnProjectResponseObject, error) {
	p, err := identity.Require(ctx, identity.Product)
	if err != nil {
		return nil, err
	}
	project, err := a.Projects.OpenOwn(ctx, p.Workspace, p.Device, p.Name, value(r.Params.Fqbn))
	if err != nil {
		return nil, err
	}
	return OpenOwnProject200JSONResponse(projectOut(project)), nil
}

// ListProjects implements StrictServerInterface.
func (a *API) ListProjects(ctx context.Context, r ListProjectsRequestObject) (ListProjectsResponseObject, error) {
	p, err := anybody(ctx)
	if err != nil {
		return nil, err
	}
	projects, next, err := a.projects(ctx, p, page(r.Params.After, r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return ListProjects200JSONResponse{Projects: all(projects, projectOut), Next: optional(next)}, nil
}

// projects lists those that the caller may see.
func (a *API) projects(ctx context.Context, p identity.Principal, page editor.Page) ([]*editor.Project, string, error) {
	if p.Role != identity.Product {
		return a.Projects.Store.Projects(ctx, p.Workspace, page)
	}
	own, err := a.Projects.Store.OwnProject(ctx, p.Workspace, p.Device)
	if err != nil {
		return nil, "", ignoreNotFound(err)
	}
	return []*editor.Project{own}, "", nil
}

// CreateProject implements StrictServerInterface.
func (a *API) CreateProject(ctx context.Context, r CreateProjectRequestObject) (CreateProjectResponseObject, error) {
	p, err := identity.Require(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	project, err := a.Projects.Create(ctx, p.Workspace, editor.NewProject{
		Name: r.Body.Name, Example: value(r.Body.Example), Kind: editor.Kind(value(r.Body.Kind)), FQBN: value(r.Body.Fqbn),
		Unmanaged: value(r.Body.Unmanaged),
	})
	if err != nil {
		return nil, err
	}
	return CreateProject201JSONResponse(projectOut(project)), nil
}

// GetProject implements StrictServerInterface.
func (a *API) GetProject(ctx context.Context, r GetProjectRequestObject) (GetProjectResponseObject, error) {
	project, _, err := a.project(ctx, r.Project, identity.Viewer)
	if err != nil {
		return nil, err
	}
	return GetProject200JSONResponse(projectOut(project)), nil
}

// ChangeProject implements StrictServerInterface.
func (a *API) ChangeProject(ctx context.Context, r ChangeProjectRequestObject) (ChangeProjectResponseObject, error) {
	project, _, err := a.project(ctx, r.Project, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	project, err = a.Projects.Change(ctx, project, editor.ProjectChange{Name: r.Body.Name, FQBN: r.Body.Fqbn, Unmanaged: r.Body.Unmanaged})
	if err != nil {
		return nil, err
	}
	return ChangeProject200JSONResponse(projectOut(project)), nil
}

// DeleteProject implements StrictServerInterface.
func (a *API) DeleteProject(ctx context.Context, r DeleteProjectRequestObject) (DeleteProjectResponseObject, error) {
	project, _, err := a.project(ctx, r.Project, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	return DeleteProject204Response{}, a.Projects.Delete(ctx, project)
}

// GetFile implements StrictServerInterface.
func (a *API) GetFile(ctx context.Context, r GetFileRequestObject) (GetFileResponseObject, error) {
	project, _, err := a.project(ctx, r.Project, identity.Viewer)
	if err != nil {
		return nil, err
	}
	file, content, err := a.Projects.ReadFile(ctx, project, r.Params.Path, value(r.Params.Revision))
	if err != nil {
		return nil, err
	}
	return GetFile200JSONResponse{Path: file.Path, Content: string(content), Sha256: file.SHA256}, nil
}

// PutFile implements StrictServerInterface.
func (a *API) PutFile(ctx context.Context, r PutFileRequestObject) (PutFileResponseObject, error) {
	project, _, err := a.project(ctx, r.Project, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	file, err := a.Projects.PutFile(ctx, project, r.Params.Path, r.Body.Content, r.Body.Base)
	if err != nil {
		return nil, err
	}
	return PutFile200JSONResponse(fileOut(file)), nil
}

// DeleteFile implements StrictServerInterface.
func (a *API) DeleteFile(ctx context.Context, r DeleteFileRequestObject) (DeleteFileResponseObject, error) {
	project, _, err := a.project(ctx, r.Project, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	return DeleteFile204Response{}, a.Projects.RemoveFile(ctx, project, r.Params.Path)
}

// RenameFile implements StrictServerInterface.
func (a *API) RenameFile(ctx context.Context, r RenameFileRequestObject) (RenameFileResponseObject, error) {
	project, _, err := a.project(ctx, r.Project, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	file, err := a.Projects.RenameFile(ctx, project, r.Body.From, r.Body.To)
	if err != nil {
		return nil, err
	}
	return RenameFile200JSONResponse(fileOut(file)), nil
}

// ListRevisions implements StrictServerInterface.
func (a *API) ListRevisions(ctx context.Context, r ListRevisionsRequestObject) (ListRevisionsResponseObject, error) {
	project, p, err := a.project(ctx, r.Project, identity.Viewer)
	if err != nil {
		return nil, err
	}
	revisions, next, err := a.Projects.Store.Revisions(ctx, p.Workspace, project.ID, page(r.Params.After, r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return ListRevisions200JSONResponse{Revisions: all(revisions, revisionOut), Next: optional(next)}, nil
}

// CreateRevision implements StrictServerInterface.
func (a *API) CreateRevision(ctx context.Context, r CreateRevisionRequestObject) (CreateRevisionResponseObject, error) {
	project, p, err := a.project(ctx, r.Project, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	revision, err := a.Projects.Keep(ctx, project, p.Name, value(r.Body.Message))
	if err != nil {
		return nil, err
	}
	return CreateRevision201JSONResponse(revisionOut(revision)), nil
}
