package deviceapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

var (
	errForeign = fault.New(fault.Forbidden, "this link is somebody else's")
	errVoid    = fault.New(fault.Forbidden, "this link's device has no valid key any more")
	errNoPart  = fault.New(fault.NotFound, "there is no such part")
	errGone    = fault.New(fault.NotFound, "this deployment is there no more")
)

// serveImage implements GET and HEAD /d/v1/image/<token> and …/<token>/<i>.
func (a *API) serveImage(w http.ResponseWriter, r *http.Request) (int, error) {
	if err := a.Model.Ready(); err != nil {
		return 0, err
	}
	token, part, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, deviceproto.PathImage), "/")
	id, number, err := a.Links.OpenImage(token)
	if err != nil {
		return 0, err
	}
	if value(r.Header, "Authorization") != "" {
		c, err := a.authenticate(r, nil)
		if err != nil {
			return 0, err
		}
		if c.ID != id {
			return 0, errForeign
		}
	}
	d := a.Model.ByID(id)
	if d == nil {
		return 0, errVoid
	}
	deployment := a.Model.Deployment(d.Workspace, number)
	if deployment == nil {
		return 0, errGone
	}
	i, ok := index(part)
	if !ok || i >= len(deployment.Parts) {
		return 0, errNoPart
	}
	return a.serveBlob(w, r, deployment.Parts[i].SHA256)
}

// index reads the number of a part; the first one's may be left out.
func index(text string) (int, bool) {
	if text == "" {
		return 0, true
	}
	i, err := strconv.ParseUint(text, 10, 16)
	return int(i), err == nil && strconv.FormatUint(i, 10) == text
}

// serveBlob answers with a blob, of which nobody but the device shall keep a copy.
func (a *API) serveBlob(w http.ResponseWriter, r *http.Request, sha256 string) (int, error) {
	facts, err := a.Content.Facts(r.Context(), sha256)
	if err != nil {
		return 0, err
	}
	w.Header().Set("Cache-Control", "no-store")
	seen := &statusWriter{ResponseWriter: w}
	err = a.Content.Serve(seen, r, facts)
	return seen.status, err
}

// statusWriter remembers the status for the counts.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
