package httpapi

import (
	"context"

	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/auth"
)

// GetSetup implements StrictServerInterface.
func (a *API) GetSetup(ctx context.Context, _ GetSetupRequestObject) (GetSetupResponseObject, error) {
	needed, err := a.FirstRun.Needed(ctx)
	return GetSetup200JSONResponse{Needed: needed}, err
}

// Setup implements StrictServerInterface.
func (a *API) Setup(ctx context.Context, r SetupRequestObject) (SetupResponseObject, error) {
	session, err := a.logIn(ctx, func() (auth.Grant, error) {
		user, err := a.FirstRun.Found(ctx, r.Body.Token, r.Body.Login, r.Body.Password, r.Body.Workspace, httpserve.ClientIP(ctx))
		if err != nil {
			return auth.Grant{}, err
		}
		return a.Sessions.OpenPerson(ctx, user.ID)
	})
	return Setup201JSONResponse{session}, err
}

// Login implements StrictServerInterface.
func (a *API) Login(ctx context.Context, r LoginRequestObject) (LoginResponseObject, error) {
	session, err := a.logIn(ctx, func() (auth.Grant, error) {
		return a.Sessions.Login(ctx, r.Body.Login, r.Body.Password, httpserve.ClientIP(ctx))
	})
	return Login200JSONResponse{session}, err
}

// ProductLogin implements StrictServerInterface.
func (a *API) ProductLogin(ctx context.Context, r ProductLoginRequestObject) (ProductLoginResponseObject, error) {
	session, err := a.logIn(ctx, func() (auth.Grant, error) {
		return a.Sessions.LoginProduct(ctx, r.Body.Workspace, r.Body.ProductId, r.Body.Password, httpserve.ClientIP(ctx))
	})
	return ProductLogin200JSONResponse{session}, err
}

// Refresh implements StrictServerInterface.
func (a *API) Refresh(ctx context.Context, _ RefreshRequestObject) (RefreshResponseObject, error) {
	session, err := a.logIn(ctx, func() (auth.Grant, error) {
		return a.Sessions.Refresh(ctx, visitOf(ctx).session())
	})
	return Refresh200JSONResponse{session}, err
}

// Logout implements StrictServerInterface.
func (a *API) Logout(ctx context.Context, _ LogoutRequestObject) (LogoutResponseObject, error) {
	v := visitOf(ctx)
	if err := a.Sessions.Logout(ctx, v.session()); err != nil {
		return nil, err
	}
	v.forget()
	return Logout204Response{}, nil
}

// GetMe implements StrictServerInterface.
func (a *API) GetMe(ctx context.Context, _ GetMeRequestObject) (GetMeResponseObject, error) {
	p, err := identity.From(ctx)
	if err != nil {
		return nil, err
	}
	me, err := a.Sessions.Me(ctx, p)
	return GetMe200JSONResponse(meOf(me)), err
}

// SwitchWorkspace implements StrictServerInterface.
func (a *API) SwitchWorkspace(ctx context.Context, r SwitchWorkspaceRequestObject) (SwitchWorkspaceResponseObject, error) {
	p, err := identity.From(ctx)
	if err != nil {
		return nil, err
	}
	session, err := a.logIn(ctx, func() (auth.Grant, error) {
		return a.Sessions.Switch(ctx, p, visitOf(ctx).session(), r.Body.Workspace)
	})
	return SwitchWorkspace200JSONResponse{session}, err
}

// logIn lets grant decide who it is, unless a login would travel readable, and
// sets the cookies.
func (a *API) logIn(ctx context.Context, grant func() (auth.Grant, error)) (SessionJSONResponse, error) {
	v := visitOf(ctx)
	if err := v.mayLogIn(); err != nil {
		return SessionJSONResponse{}, err
	}
	g, err := grant()
	if err != nil {
		return SessionJSONResponse{}, err
	}
	var session SessionJSONResponse
	session.Body.Me, session.Body.AccessToken, session.Body.ExpiresAt = meOf(g.Me), g.Access, g.Expires
	return session, v.keep(g)
}
