package deviceapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
)

// reportTimeout is how long a report may wait for the stream.
const reportTimeout = 5 * time.Second

var (
	errManyReports = fault.New(fault.RateLimited, "this device reports too often")
	errBusy        = fault.New(fault.Unavailable, "too many reports at a time; try again")
)

// serveReport implements POST /d/v1/report: 204 only after the stream's
// acknowledgement.
func (a *API) serveReport(w http.ResponseWriter, r *http.Request) (int, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, deviceproto.MaxReport))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return 0, fault.New(fault.TooLarge, "a report has at most %d bytes", deviceproto.MaxReport)
	}
	if err != nil {
		return 0, fault.Wrap(err, fault.Invalid, "the report did not arrive whole")
	}
	c, err := a.authenticate(r, body)
	if err != nil {
		return 0, err
	}
	now := a.Now()
	if !c.MayReport(now) {
		return 0, errManyReports
	}
	report, err := deviceproto.ParseReport(body)
	if err != nil {
		return 0, err
	}
	c.Runs(report.Running)
	a.Sightings.Note(c.Device, artifact.Sighting{At: now, Running: report.Running, Address: c.address})
	if err := a.publish(r.Context(), c, now, report); err != nil {
		return 0, err
	}
	c.prove(w.Header(), http.StatusNoContent, nil)
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}

func (a *API) publish(ctx context.Context, c caller, at time.Time, report deviceproto.Report) error {
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		return errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	nonce := c.nonce
	if nonce == "" {
		nonce = deviceproto.NewNonce()
	}
	return a.Reports.Publish(ctx, c.Device, at, nonce, report)
}
