package deviceapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
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
	sha256, err := a.partOf(r.Context(), deployment, part)
	if err != nil {
		return 0, err
	}
	return a.serveBlob(w, r, sha256)
}

// partOf finds the digest of a part: of the statement, or beyond it a line of its index.
func (a *API) partOf(ctx context.Context, d *artifact.Deployment, part string) (string, error) {
	i, ok := index(part)
	if !ok {
		return "", errNoPart
	}
	if i < len(d.Parts) {
		return d.Parts[i].SHA256, nil
	}
	last := d.Parts[len(d.Parts)-1]
	if last.Kind != deviceproto.KindIndex {
		return "", errNoPart
	}
	text, err := a.Content.Bytes(ctx, last.SHA256, last.Size)
	if err != nil {
		return "", err
	}
	files, err := deviceproto.ParseIndex(text, d.Parts)
	if err != nil {
		return "", fault.Wrap(err, fault.Internal, "the index of this deployment cannot be read")
	}
	if i -= len(d.Parts); i >= len(files) {
		return "", errNoPart
	}
	return files[i].SHA256, nil
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
