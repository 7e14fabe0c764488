// Package httpapi is auth's HTTP API: openapi.yaml, served. Each handler
// decodes, makes one call, and encodes; cookies.go rules what a browser keeps.
package httpapi

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/auth"
)

// API holds what the handlers call.
type API struct {
	FirstRun *auth.Setup
	Sessions *auth.Sessions
	Members  *auth.Members
	Tokens   *auth.Tokens
	Products *auth.Products
	WiFi     *auth.WiFi
	// Provisioning is the one place that tells Wi-Fi passwords.
	Provisioning *auth.Provisioning
	Keyring      *auth.Keyring
	Gate         *auth.Gate
	Cookies      Cookies
	// TrustedProxies are the networks whose X-Forwarded-Proto is believed.
	TrustedProxies []netip.Prefix
}

var _ StrictServerInterface = (*API)(nil)

// open are the routes that ask for no caller: an old cookie must not stand in
// the way of a new login.
var open = []string{"/setup", "/login", "/product-login", "/refresh", "/logout", "/keys"}

// Base is the path that the API is mounted under.
const Base = "/api/auth/v1"

// BodyLimit is how long a body usually may be, in bytes: who asks for a login is
// not known yet, and has little read of what it sends.
const BodyLimit = 16 << 10

// BodyLimits are the routes whose bodies may be longer than BodyLimit.
var BodyLimits = map[string]int64{Base + "/products": 1 << 20}

// Mount adds the routes to e, under the path of the document's server.
// Verifier checks the access tokens of callers.
func (a *API) Mount(e *echo.Echo, verifier *identity.Verifier) error {
	spec, err := GetSpec()
	if err != nil {
		return err
	}
	base := httpserve.BasePath(spec.Servers[0].URL)
	public := map[string]bool{}
	for _, path := range open {
		public[base+path] = true
	}
	known := echo.WrapMiddleware(identity.Middleware(verifier, a.Tokens.Exchange, identity.PlainCookie(a.Cookies.mayBePlain())))
	routes := e.Group("", func(next echo.HandlerFunc) echo.HandlerFunc {
		withCaller := known(echo.WrapMiddleware(identity.Known)(next))
		return func(c echo.Context) error {
			if public[c.Path()] {
				return next(c)
			}
			return withCaller(c)
		}
	}, httpserve.ValidateRequests(spec))
	RegisterHandlersWithBaseURL(routes, NewStrictHandler(a, []StrictMiddlewareFunc{a.withVisit}), base)
	return nil
}

// scheme is what the browser used, as far as it can be known.
func (a *API) scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "http"
	}
	for _, network := range a.TrustedProxies {
		if network.Contains(peer.Addr().Unmap()) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
			return "https"
		}
	}
	return "http"
}
