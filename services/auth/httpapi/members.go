package httpapi

import (
	"context"

	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/auth"
)

// CreateWorkspace implements StrictServerInterface.
func (a *API) CreateWorkspace(ctx context.Context, r CreateWorkspaceRequestObject) (CreateWorkspaceResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Viewer)
	if err != nil {
		return nil, err
	}
	w, err := a.Members.CreateWorkspace(ctx, caller, r.Body.Name)
	return CreateWorkspace201JSONResponse(membershipOf(auth.Membership{Workspace: w, Role: identity.Owner})), err
}

// ListMembers implements StrictServerInterface.
func (a *API) ListMembers(ctx context.Context, _ ListMembersRequestObject) (ListMembersResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Viewer)
	if err != nil {
		return nil, err
	}
	members, err := a.Members.List(ctx, caller.Workspace)
	return ListMembers200JSONResponse{Members: each(members, memberOf)}, err
}

// AddMember implements StrictServerInterface.
func (a *API) AddMember(ctx context.Context, r AddMemberRequestObject) (AddMemberResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Owner)
	if err != nil {
		return nil, err
	}
	m, err := a.Members.Add(ctx, caller.Workspace, r.Body.Login, given(r.Body.Password), identity.Role(r.Body.Role))
	return AddMember201JSONResponse(memberOf(m)), err
}

// SetMemberRole implements StrictServerInterface.
func (a *API) SetMemberRole(ctx context.Context, r SetMemberRoleRequestObject) (SetMemberRoleResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Owner)
	if err != nil {
		return nil, err
	}
	m, err := a.Members.SetRole(ctx, caller.Workspace, r.User, identity.Role(r.Body.Role))
	return SetMemberRole200JSONResponse(memberOf(m)), err
}

// RemoveMember implements StrictServerInterface.
func (a *API) RemoveMember(ctx context.Context, r RemoveMemberRequestObject) (RemoveMemberResponseObject, error) {
	caller, err := a.Gate.Admit(ctx, identity.Viewer)
	if err != nil {
		return nil, err
	}
	return RemoveMember204Response{}, a.Members.Remove(ctx, caller, r.User)
}
