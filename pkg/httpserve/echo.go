// Package httpserve is how every service speaks HTTP: an echo set up the same
// way everywhere, and a server that has limits, TLS and a graceful end.
package httpserve

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/flota/flota/pkg/fault"
)

const defaultBodyLimit = 1 << 20

// EchoOptions set up an echo; a zero value takes the default.
type EchoOptions struct {
	// Ready are the checks behind /readyz, by the name that it shows. Each
	// must heed its context.
	Ready map[string]func(context.Context) error

	BodyLimit  int64            // of a request, in bytes; 1 MiB
	BodyLimits map[string]int64 // others, by route template ("/up/:token/:sha256")

	// PublicURL is where browsers find the service; a request from a page of
	// that origin is not taken for another site's.
	PublicURL url.URL

	// TrustedProxies are the networks whose X-Forwarded-For is believed; none
	// by default, or anybody could choose the address that limits count.
	TrustedProxies []netip.Prefix

	// Metrics is the registry behind /metrics; by default a new one with the
	// metrics of Go and the process.
	Metrics *prometheus.Registry
}

// New returns an echo with request IDs, access log, metrics, panics caught,
// problem JSON for errors, security headers, cross-origin protection, a limit
// on bodies, and the routes /healthz, /readyz and /metrics. Handlers return
// faults; the rest is done here.
func New(log *zap.Logger, opts EchoOptions) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = writeError
	e.IPExtractor = clientIP(opts.TrustedProxies)

	registry := opts.Metrics
	if registry == nil {
		registry = newRegistry()
	}
	e.Use(
		requestID,
		observe(log, newRequestMetrics(registry)),
		securityHeaders,
		recoverPanics(log),
		sameOrigin(opts.PublicURL),
		limitBody(opts),
	)
	addHealth(e, log, opts.Ready)
	addMetrics(e, registry)
	return e
}

func clientIP(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, network := range proxies {
		trust = append(trust, echo.TrustIPRange(ipNet(network)))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

// securityHeaders sets what suits an API; a handler that serves pages replaces
// the content policy and the caching with its own.
func securityHeaders(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "same-origin") // links are credentials: never to another site
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		return next(c)
	}
}

// sameOrigin refuses changes that a browser asks for on another site's behalf,
// since it sends our cookie along. Devices and programs are not concerned.
func sameOrigin(public url.URL) echo.MiddlewareFunc {
	protection := http.NewCrossOriginProtection()
	if public.Scheme != "" && public.Host != "" {
		if err := protection.AddTrustedOrigin(public.Scheme + "://" + public.Host); err != nil {
			panic(err) // a scheme and a host are an origin
		}
	}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if err := protection.Check(c.Request()); err != nil {
				return fault.Wrap(err, fault.Forbidden, "this request came from another site")
			}
			return next(c)
		}
	}
}

func recoverPanics(log *zap.Logger) echo.MiddlewareFunc {
	return middleware.RecoverWithConfig(middleware.RecoverConfig{
		DisableErrorHandler: true,
		DisableStackAll:     true,
		LogErrorFunc: func(c echo.Context, err error, stack []byte) error {
			log.Error("panic", zap.Error(err), zap.String("route", c.Path()),
				zap.String("request_id", RequestID(c.Request().Context())), zap.ByteString("stack", stack))
			return fault.Wrap(err, fault.Internal, "panic")
		},
	})
}

// limitBody bounds what a handler can read; beyond it, reading fails with a
// *http.MaxBytesError, which is answered 413.
func limitBody(opts EchoOptions) echo.MiddlewareFunc {
	usual := cmp.Or(opts.BodyLimit, defaultBodyLimit)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			limit := usual
			if own, ok := opts.BodyLimits[c.Path()]; ok {
				limit = own
			}
			r := c.Request()
			if r.ContentLength > limit {
				return &http.MaxBytesError{Limit: limit}
			}
			r.Body = http.MaxBytesReader(c.Response().Writer, r.Body, limit)
			return next(c)
		}
	}
}
