package httpserve

import (
	"context"
	"crypto/rand"
	"net"
	"net/netip"
	"regexp"

	"github.com/labstack/echo/v4"

	"github.com/flota/flota/pkg/httpserve/problem"
)

type requestKey struct{}

type requestInfo struct{ id, clientIP string }

// RequestID returns the ID of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string { return info(ctx).id }

// ClientIP returns the address of the client of the request that ctx belongs
// to, or "". It is the one to count tries by.
func ClientIP(ctx context.Context) string { return info(ctx).clientIP }

func info(ctx context.Context) requestInfo {
	i, _ := ctx.Value(requestKey{}).(requestInfo)
	return i
}

// A foreign ID is taken over only if it cannot forge a log line.
var plainID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// requestID gives each request an ID, its caller's where there is one, and
// sends it back.
func requestID(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		id := r.Header.Get(problem.RequestID)
		if !plainID.MatchString(id) {
			id = rand.Text()
		}
		c.Response().Header().Set(problem.RequestID, id)
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), requestKey{}, requestInfo{id, c.RealIP()})))
		return next(c)
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	p = p.Masked()
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
