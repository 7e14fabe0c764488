package httpserve

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
)

// unmatched stands for the route of a request that has none.
const unmatched = "unmatched"

// quiet are the routes that machines ask for all the time.
var quiet = []string{"/healthz", "/readyz", "/metrics"}

type requestMetrics struct {
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
}

func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

func newRequestMetrics(registry *prometheus.Registry) requestMetrics {
	m := requestMetrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "flota_http_request_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10},
		}, []string{"route", "method", "class"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "flota_http_requests_in_flight", Help: "Requests being answered, event streams among them.",
		}),
	}
	registry.MustRegister(m.seconds, m.inFlight)
	return m
}

func addMetrics(e *echo.Echo, registry *prometheus.Registry) {
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))
}

// observe answers errors, then writes the access log and the metrics. It tells
// of a path only the route's template: paths and queries hold link tokens.
func observe(log *zap.Logger, metrics requestMetrics) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			begin := time.Now()
			metrics.inFlight.Inc()
			defer metrics.inFlight.Dec()

			err := next(c)
			if err != nil {
				c.Error(err)
			}
			took, status, route := time.Since(begin), c.Response().Status, c.Path()
			if route == "" {
				route = unmatched
			}
			method := knownMethod(c.Request().Method)
			metrics.seconds.WithLabelValues(route, method, fmt.Sprintf("%dxx", status/100)).Observe(took.Seconds())

			if entry := log.Check(level(status, route), "request"); entry != nil {
				entry.Write(append(requestFields(c, err),
					zap.String("method", method), zap.String("route", route), zap.Int("status", status),
					zap.Int64("bytes", c.Response().Size), zap.Duration("took", took))...)
			}
			return nil
		}
	}
}

func level(status int, route string) zapcore.Level {
	switch {
	case slices.Contains(quiet, route):
		return zapcore.DebugLevel
	case status >= 500:
		return zapcore.ErrorLevel
	}
	return zapcore.InfoLevel
}

// requestFields tells who asked, and what went wrong: the whole cause where
// it was our fault, else the code.
func requestFields(c echo.Context, err error) []zap.Field {
	ctx := c.Request().Context()
	fields := []zap.Field{zap.String("request_id", RequestID(ctx)), zap.String("client_ip", ClientIP(ctx))}
	if p, nobody := identity.From(ctx); nobody == nil {
		fields = append(fields, zap.String("subject", p.Subject), zap.String("workspace", p.Workspace))
	}
	switch {
	case err == nil:
	case c.Response().Status >= 500 || fault.As(err) == nil:
		fields = append(fields, zap.Error(err))
	default:
		fields = append(fields, zap.String("code", string(fault.CodeOf(err))))
	}
	return fields
}

// knownMethod keeps callers from filling the metrics with methods of their own.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}
