package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/flota/flota/services/auth"
)

// visit is what a handler must know of its request besides its body: where the
// browser came, and the cookie of its session.
type visit struct {
	a            *API
	scheme, host string
	request      *http.Request
	header       http.Header // of the answer
}

type visitKey struct{}

// withVisit gives handlers their visit, and tells the client of a fault how
// long to wait.
func (a *API) withVisit(next StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		r := c.Request()
		v := visit{a, a.scheme(r), r.Host, r, c.Response().Header()}
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
		response, err := next(c, request)
		if wait, ok := errors.AsType[*auth.Wait](err); ok {
			v.header.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.After.Seconds()))))
		}
		return response, err
	}
}

func visitOf(ctx context.Context) visit { return ctx.Value(visitKey{}).(visit) }

// mayLogIn returns a Precondition fault where cookies cannot be set.
func (v visit) mayLogIn() error {
	_, err := v.a.Cookies.plain(v.scheme, v.host)
	return err
}

// session returns the secret of the browser's session, or "".
func (v visit) session() string {
	plain, err := v.a.Cookies.plain(v.scheme, v.host)
	if err != nil {
		return ""
	}
	cookie, err := v.request.Cookie(sessionName(plain))
	if err != nil {
		return ""
	}
	return cookie.Value
}

// keep sets the cookies of a grant.
func (v visit) keep(g auth.Grant) error {
	plain, err := v.a.Cookies.plain(v.scheme, v.host)
	if err != nil {
		return err
	}
	v.header.Add("Set-Cookie", accessCookie(g.Access, g.Expires, plain).String())
	if g.Secret != "" {
		v.header.Add("Set-Cookie", sessionCookie(g.Secret, g.SessionExpires, plain).String())
	}
	return nil
}

// forget removes them.
func (v visit) forget() {
	plain, err := v.a.Cookies.plain(v.scheme, v.host)
	if err == nil {
		v.header.Add("Set-Cookie", accessCookie("", time.Time{}, plain).String())
		v.header.Add("Set-Cookie", sessionCookie("", time.Time{}, plain).String())
	}
}
