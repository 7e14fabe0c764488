// Package httpapi is the editor over HTTP: what openapi.yaml describes, and the
// event stream.
package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/editor"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// API answers what openapi.yaml describes.
type API struct {
	Log      *zap.Logger
	Projects *editor.Projects
	Builds   *editor.Builds
	Streams  Streams
	// Stopping ends when the service stops: event streams end with it.
	Stopping context.Context

	watching watchers
}

var _ StrictServerInterface = (*API)(nil)

// MaxFileBody is how long the body of a saved file may be, in bytes: its text as
// JSON, in which a line break or a quotation mark takes two.
const MaxFileBody = 4 << 20

// Base is the path that the API is mounted under.
const Base = "/api/editor/v1"

// BodyLimits are the routes whose bodies may be longer than usual.
var BodyLimits = map[string]int64{Base + "/projects/:project/file": MaxFileBody}

// Register mounts the API on e; who finds out who is asking.
func (a *API) Register(e *echo.Echo, who func(http.Handler) http.Handler) error {
	spec, err := GetSpec()
	if err != nil {
		return err
	}
	group := e.Group(Base, echo.WrapMiddleware(who), echo.WrapMiddleware(identity.Known))
	// Registered by hand: the generated handler knows no write deadlines.
	group.GET(events, a.stream)
	checked := group.Group("", validText, httpserve.ValidateRequests(spec))
	RegisterHandlers(routes{checked}, NewStrictHandler(a, nil))
	return nil
}

// validText refuses a body that is not UTF-8: decoding JSON would replace what is
// wrong in it, and something else would be saved than was sent.
func validText(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		body, err := io.ReadAll(r.Body) // its length is limited already
		if err != nil {
			return err
		}
		if !utf8.Valid(body) {
			return fault.Field("content", "the request is not text in UTF-8")
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return next(c)
	}
}

const events = "/events"

const boards = "/boards"

// compressed is for the boards: megabytes of the same few options, which become
// some ten thousand bytes. They hold nothing that is secret or of the request.
var compressed = middleware.Gzip()

// routes leaves the event stream's route alone.
type routes struct{ EchoRouter }

func (r routes) GET(path string, h echo.HandlerFunc, m ...echo.MiddlewareFunc) *echo.Route {
	switch path {
	case events:
		return nil
	case boards:
		m = append(m, compressed)
	}
	return r.EchoRouter.GET(path, h, m...)
}

// Events is answered by stream.
func (a *API) Events(context.Context, EventsRequestObject) (EventsResponseObject, error) {
	return nil, fault.New(fault.Internal, "the event stream has a handler of its own")
}

// project returns the project if the caller has the role, or is the product
// whose own project it is. Nobody else learns that it exists.
func (a *API) project(ctx context.Context, id string, role identity.Role) (*editor.Project, identity.Principal, error) {
	p, err := identity.From(ctx)
	if err != nil {
		return nil, p, err
	}
	project, err := a.Projects.Store.Project(ctx, p.Workspace, id)
	if err != nil {
		return nil, p, err
	}
	return project, p, allow(ctx, p, role, project.Device, "project")
}

// build is project for a build.
func (a *API) build(ctx context.Context, id string, role identity.Role) (*editor.Build, identity.Principal, error) {
	p, err := identity.From(ctx)
	if err != nil {
		return nil, p, err
	}
	b, err := a.Builds.Get(ctx, p.Workspace, id)
	if err != nil {
		return nil, p, err
	}
	return b, p, allow(ctx, p, role, b.Device, "build")
}

func allow(ctx context.Context, p identity.Principal, role identity.Role, device, thing string) error {
	if p.Role == identity.Product && !p.Owns(device) {
		return fault.New(fault.NotFound, "there is no such %s", thing)
	}
	_, err := identity.RequireFor(ctx, role, device)
	return err
}

// anybody lets in whoever is logged in, products too.
func anybody(ctx context.Context) (identity.Principal, error) {
	p, err := identity.From(ctx)
	if err == nil && p.Role != identity.Product {
		p, err = identity.Require(ctx, identity.Viewer)
	}
	return p, err
}

func page(after *string, limit *int) editor.Page {
	p := editor.Page{Limit: 50}
	if after != nil {
		p.After = *after
	}
	if limit != nil {
		p.Limit = *limit
	}
	return p
}
