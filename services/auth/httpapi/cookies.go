package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

// The session's cookie goes to auth only. Browsers take a __Secure- cookie only
// over TLS.
const (
	secureSession = "__Secure-flota-session"
	plainSession  = "flota-session"
	sessionPath   = "/api/auth"
)

// Cookies rules which cookies a login sets. Over TLS they are Secure. Over plain
// HTTP browsers refuse such, so that plain ones are set: on this machine, where
// nobody listens; elsewhere only with the operator's consent.
type Cookies struct {
	// PublicURL is what counts; where it is empty, the request's own scheme and host.
	PublicURL url.URL
	// PlainHTTP is the operator's consent.
	PlainHTTP bool
}

// plain reports whether the cookies of a request are plain ones. Error:
// Precondition where a login would travel readable, without consent.
func (c Cookies) plain(scheme, host string) (bool, error) {
	if c.PublicURL.Host != "" {
		scheme, host = c.PublicURL.Scheme, c.PublicURL.Host
	}
	switch {
	case scheme == "https":
		return false, nil
	case c.PlainHTTP || loopback(host):
		return true, nil
	}
	return false, fault.New(fault.Precondition,
		"logging in over plain HTTP at %s would show the password to the whole network; set up TLS and an https FLOTA_PUBLIC_URL, or set FLOTA_PLAIN_HTTP=true", hostname(host))
}

// mayBePlain reports whether any request may come with a plain cookie.
func (c Cookies) mayBePlain() bool { return c.PublicURL.Scheme != "https" }

// loopback reports whether a host, with or without a port, is this machine to
// the browser itself.
func loopback(host string) bool {
	name := hostname(host)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}

func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

func sessionName(plain bool) string {
	if plain {
		return plainSession
	}
	return secureSession
}

// sessionCookie carries a session's secret; an empty one removes the cookie.
func sessionCookie(secret string, expires time.Time, plain bool) *http.Cookie {
	c := &http.Cookie{
		Name: sessionName(plain), Value: secret, Path: sessionPath, Secure: !plain,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(time.Until(expires).Seconds()),
	}
	if secret == "" || c.MaxAge <= 0 {
		c.Value, c.MaxAge = "", -1
	}
	return c
}

// accessCookie is the one that every service's middleware reads.
func accessCookie(access string, expires time.Time, plain bool) *http.Cookie {
	return identity.NewCookie(access, expires, plain)
}
