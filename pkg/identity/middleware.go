package identity

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve/problem"
)

// The access token's cookie. Browsers take a __Host- cookie only over TLS (or
// on localhost), which plain HTTP on another name cannot satisfy.
const (
	secureCookie = "__Host-flota"
	plainCookie  = "flota"
)

// NewCookie returns the cookie that carries an access token. Plain is for an
// operator who consented to logins over plain HTTP. An empty token, or an
// expiry that is past, removes the cookie.
func NewCookie(access string, expires time.Time, plain bool) *http.Cookie {
	c := &http.Cookie{
		Name: secureCookie, Value: access, Path: "/", Secure: !plain,
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if plain {
		c.Name = plainCookie
	}
	if c.MaxAge = int(time.Until(expires).Seconds()); access == "" || c.MaxAge <= 0 {
		c.Value, c.MaxAge = "", -1
	}
	return c
}

// Option changes the middleware.
type Option func(*middleware)

// PlainCookie takes the access token also from the cookie that is set over
// plain HTTP, where the operator consented to it.
func PlainCookie(consented bool) Option {
	return func(m *middleware) { m.plain = consented }
}

// Known answers 401 to requests without a caller, before anything of them is
// read: it stands behind Middleware.
func Known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := From(r.Context()); err != nil {
			problem.Write(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

type middleware struct {
	verifier *Verifier
	tokens   *exchanger
	plain    bool
}

// Middleware puts the caller into the request's context, for From and Require.
// The access token comes as "Authorization: Bearer" or in the cookie; a Bearer
// that starts with flota_ is an API token, which exchange swaps for an access
// token (nil where API tokens are not taken). exchange returns a fault; its
// answers are cached until shortly before they expire.
//
// A request without a token passes as nobody's. One with a token that is not
// valid is answered 401, and the cookie is removed, so that an old cookie
// cannot stand in the way of logging in again.
func Middleware(v *Verifier, exchange func(ctx context.Context, apiToken string) (access string, err error), options ...Option) func(http.Handler) http.Handler {
	m := middleware{verifier: v, tokens: newExchanger(v, exchange)}
	for _, option := range options {
		option(&m)
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(next, w, r) })
	}
}

func (m *middleware) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	p, cookie, err := m.principal(r)
	switch {
	case err == nil && p == Principal{}:
		next.ServeHTTP(w, r)
	case err == nil:
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), p)))
	default:
		if fault.Is(err, fault.Unauthenticated) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="flota"`)
			if cookie != "" {
				http.SetCookie(w, NewCookie("", time.Time{}, cookie == plainCookie))
			}
		}
		problem.Write(w, r, err)
	}
}

// principal returns the caller, the zero Principal for nobody, and the name of
// the cookie that the token came in, if it did.
func (m *middleware) principal(r *http.Request) (p Principal, cookie string, err error) {
	if bearer, ok := bearer(r); ok {
		if strings.HasPrefix(bearer, apiTokenPrefix) {
			p, err = m.tokens.principal(r.Context(), bearer)
		} else {
			p, err = m.verifier.Verify(bearer)
		}
		return p, "", err
	}
	for _, name := range []string{secureCookie, plainCookie} {
		c, missing := r.Cookie(name)
		if missing != nil || c.Value == "" || name == plainCookie && !m.plain {
			continue
		}
		p, err = m.verifier.Verify(c.Value)
		return p, name, err
	}
	return Principal{}, "", nil
}

// bearer returns the token of the Authorization header. Other schemes are none
// of our business: devices use Basic.
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}
