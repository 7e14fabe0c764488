// Package httpapi serves signed links to people and workers.
package httpapi

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
	"github.com/flota/flota/services/artifact/content"
)

// UploadRoute is the route whose bodies may be as large as artifact.MaxOutput.
const UploadRoute = "/up/:token/:sha256"

// API implements ServerInterface.
type API struct {
	Links   *artifact.Links
	Uploads *artifact.Uploads
	Content *content.Cache
}

var _ ServerInterface = API{}

// Register adds the routes; HEAD, too, which echo does not derive from GET.
func (a API) Register(e *echo.Echo) {
	RegisterHandlers(e, a)
	e.HEAD("/dl/:token/:name", (&ServerInterfaceWrapper{Handler: a}).Download)
}

// Download implements GET and HEAD /dl/{token}/{name}.
func (a API) Download(c echo.Context, token, name string) error {
	sha256, err := a.Links.OpenDownload(token, name)
	if err != nil {
		return err
	}
	facts, err := a.Content.Facts(c.Request().Context(), sha256)
	if err != nil {
		return err
	}
	// No cache may open it to others, or to anybody after it expired.
	c.Response().Header().Set("Cache-Control", "private, no-cache")
	c.Response().Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	return a.Content.Serve(c.Response(), c.Request(), facts)
}

// Upload implements PUT /up/{token}/{sha256}.
func (a API) Upload(c echo.Context, token, sha256 string) error {
	grant, err := a.Links.OpenUpload(token)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(c.Request().Context(), grant.Expires)
	defer cancel()
	// The link's time is the limit here, not the server's for small requests.
	control := http.NewResponseController(c.Response())
	_ = control.SetReadDeadline(grant.Expires)
	_ = control.SetWriteDeadline(grant.Expires.Add(time.Minute))

	err = a.Uploads.Store(ctx, grant, sha256, c.Request().Body, c.Request().ContentLength)
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(err, fault.Expired, "the upload link expired before the end of the upload")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusCreated)
}
