// Package deviceapi speaks the device protocol of firmware/README.md: polls,
// images, reports, and the static links of stock clients. It stands in front of
// the service's other HTTP handlers without their middleware, for polls are what
// the service mostly gets: they touch memory only, and nothing is logged of them
// but counts.
package deviceapi

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve/problem"
	"github.com/flota/flota/services/artifact"
	"github.com/flota/flota/services/artifact/content"
)

// Reports takes what devices report.
type Reports interface {
	// Publish returns when the report is stored for good. The same nonce of a
	// device twice is stored once. Error: fault.Unavailable.
	Publish(ctx context.Context, d *artifact.Device, at time.Time, nonce string, r deviceproto.Report) error
}

// Options make an API.
type Options struct {
	Model     *artifact.Model
	Links     *artifact.Links
	Content   *content.Cache
	Reports   Reports
	Sightings *artifact.Sightings
	Log       *zap.Logger

	// Poll is the interval that devices are told where their deployment says none.
	Poll time.Duration
	// PlainHTTP is the operator's consent to device keys without TLS.
	PlainHTTP bool
	// TrustedProxies are the networks whose X-Forwarded-Proto and X-Forwarded-For
	// are believed.
	TrustedProxies []netip.Prefix
	Metrics        prometheus.Registerer
	Now            func() time.Time
	// Next answers what is not a device's.
	Next http.Handler
}

// API is the handler.
type API struct {
	Options
	poll     []string // the header's value
	failures failures
	counts   counts
	slots    chan struct{} // of reports that wait for the stream
}

// maxReports is how many reports may wait for the stream at a time.
const maxReports = 256

// New returns the handler.
func New(o Options) *API {
	return &API{
		Options: o, poll: []string{artifact.PollText(o.Poll)},
		counts: newCounts(o.Metrics), slots: make(chan struct{}, maxReports),
	}
}

const (
	firmwarePrefix = "/firmware/"
	staticSuffix   = ".ino.bin"
)

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	switch {
	case path == deviceproto.PathUpdate:
		a.handle(w, r, pollRoute, a.servePoll, http.MethodGet)
	case strings.HasPrefix(path, deviceproto.PathImage):
		a.handle(w, r, imageRoute, a.serveImage, http.MethodGet, http.MethodHead)
	case path == deviceproto.PathReport:
		a.handle(w, r, reportRoute, a.serveReport, http.MethodPost)
	case strings.HasPrefix(path, firmwarePrefix), isStatic(path):
		a.handle(w, r, staticRoute, a.serveStatic, http.MethodGet, http.MethodHead)
	case strings.HasPrefix(path, "/d/v1/"):
		a.handle(w, r, otherRoute, func(http.ResponseWriter, *http.Request) (int, error) {
			return 0, fault.New(fault.NotFound, "the device protocol has no such path")
		}, r.Method)
	default:
		a.Next.ServeHTTP(w, r)
	}
}

// isStatic reports whether a path is /<product_id>.ino.bin.
func isStatic(path string) bool {
	name, found := strings.CutSuffix(path, staticSuffix)
	return found && len(name) > 1 && strings.LastIndexByte(name, '/') == 0
}

// handle answers a request by serve, which returns the status that it answered, or
// an error that is answered here.
func (a *API) handle(w http.ResponseWriter, r *http.Request, route route, serve func(http.ResponseWriter, *http.Request) (int, error), methods ...string) {
	status, err := 0, errMethod
	for _, m := range methods {
		if r.Method == m {
			status, err = serve(w, r)
		}
	}
	if err != nil {
		status = a.fail(w, r, err, methods)
	}
	a.counts.add(route, status)
}

// The codes of errors that are only this protocol's.
const (
	codePlainHTTP fault.Code = "plain_http"
	codeClock     fault.Code = "clock"
	codeMethod    fault.Code = "method"
)

var errMethod = fault.New(codeMethod, "this path does not take the method")

// retryAfter is what devices are told where a part of the system is away.
const retryAfter = 30 * time.Second

// fail answers with problem JSON.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error, methods []string) int {
	p := problem.Of(err)
	h := w.Header()
	switch fault.CodeOf(err) {
	case codePlainHTTP:
		p = status(http.StatusForbidden, err)
	case codeClock:
		p = status(http.StatusUnauthorized, err)
		h.Set(deviceproto.HeaderClock, strconv.FormatInt(a.Now().Unix(), 10))
	case codeMethod:
		p = status(http.StatusMethodNotAllowed, err)
		h.Set("Allow", strings.Join(methods, ", "))
	case fault.Unauthenticated:
		h.Set("WWW-Authenticate", `Basic realm="devices"`)
	case fault.RateLimited:
		h.Set("Retry-After", strconv.Itoa(int(failureWindow/time.Second)))
	case fault.Unavailable:
		h.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
		a.Log.Debug("a device is told to come again", zap.Error(err))
	case fault.Internal:
		a.Log.Error("a device's request failed", zap.String("method", r.Method), zap.Error(err))
	default:
	}
	p.Write(w, r)
	return p.Status
}

func status(code int, err error) problem.Problem {
	f := fault.As(err)
	p := problem.OfStatus(code, f.Code)
	p.Title, p.Detail = http.StatusText(code), f.Message
	return p
}

// value returns a header's value, given its canonical name, as Header.Get does but
// without making the name canonical again.
func value(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
