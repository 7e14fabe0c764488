package httpserve_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/httpserve/problem"
)

func newEcho(opts httpserve.EchoOptions) (*echo.Echo, *observer.ObservedLogs) {
	core, logs := observer.New(zapcore.DebugLevel)
	return httpserve.New(zap.New(core), opts), logs
}

func send(h http.Handler, method, target string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func decode(t *testing.T, w *httptest.ResponseRecorder) problem.Problem {
	t.Helper()
	var p problem.Problem
	if err := json.NewDecoder(w.Body).Decode(&p); err != nil {
		t.Fatalf("status %d: %v", w.Code, err)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type %q", got)
	}
	if p.Status != w.Code {
		t.Errorf("status %d in a problem of %d", w.Code, p.Status)
	}
	return p
}

func TestErrors(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		code   fault.Code
		detail string
		field  string
	}{
		"fault":            {fault.New(fault.Precondition, "build it first"), 409, fault.Precondition, "build it first", ""},
		"field":            {fault.Field("name", "too long"), 400, fault.Invalid, "too long", "name"},
		"fault, wrapped":   {fmt.Errorf("store: %w", fault.New(fault.NotFound, "no such project")), 404, fault.NotFound, "no such project", ""},
		"any error":        {errors.New("hunter2"), 500, fault.Internal, "Something went wrong", ""},
		"echo's":           {echo.NewHTTPError(http.StatusUnsupportedMediaType, "JSON, please"), 415, fault.Invalid, "JSON, please", ""},
		"echo's, internal": {echo.NewHTTPError(http.StatusInternalServerError, "hunter2"), 500, fault.Internal, "Something went wrong", ""},
		"fault inside echo's": {
			echo.NewHTTPError(400, "x").SetInternal(fault.Field("a", "b")), 400, fault.Invalid, "b", "a"},
		"too large":     {fmt.Errorf("read: %w", &http.MaxBytesError{Limit: 7}), 413, fault.TooLarge, "at most 7 bytes", ""},
		"took too long": {fmt.Errorf("find: %w", context.DeadlineExceeded), 503, fault.Unavailable, "too long", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e, _ := newEcho(httpserve.EchoOptions{})
			e.GET("/", func(echo.Context) error { return test.err })
			w := send(e, http.MethodGet, "/", nil)
			body := w.Body.String()
			p := decode(t, w)
			if w.Code != test.status || p.Code != test.code || !strings.Contains(p.Detail, test.detail) || p.Field != test.field {
				t.Errorf("got %+v", p)
			}
			if p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-ID") {
				t.Errorf("request ID %q", p.RequestID)
			}
			if strings.Contains(body, "hunter2") {
				t.Errorf("the cause got out: %s", body)
			}
		})
	}
}

func TestUnknownRoutes(t *testing.T) {
	e, _ := newEcho(httpserve.EchoOptions{})
	e.GET("/here", func(echo.Context) error { return nil })
	if w := send(e, http.MethodGet, "/there", nil); decode(t, w).Code != fault.NotFound || w.Code != 404 {
		t.Errorf("path: %d", w.Code)
	}
	if w := send(e, http.MethodPost, "/here", nil); w.Code != 405 || w.Header().Get("Allow") == "" {
		t.Errorf("method: %d", w.Code)
	}
}

func TestInternalErrorsAreLogged(t *testing.T) {
	e, logs := newEcho(httpserve.EchoOptions{})
	e.GET("/broken", func(echo.Context) error { return errors.New("the disk is full") })
	e.GET("/panics", func(echo.Context) error { panic("at the disco") })

	send(e, http.MethodGet, "/broken", nil, "X-Request-ID", "r1")
	line := logs.TakeAll()[0]
	if line.Level != zapcore.ErrorLevel || line.ContextMap()["error"] != "the disk is full" || line.ContextMap()["request_id"] != "r1" {
		t.Errorf("%v %v", line, line.ContextMap())
	}
	if w := send(e, http.MethodGet, "/panics", nil); decode(t, w).Code != fault.Internal {
		t.Errorf("panic: %d", w.Code)
	}
	if line := logs.TakeAll()[0]; line.Message != "panic" || !strings.Contains(fmt.Sprint(line.ContextMap()["stack"]), "echo_test.go") {
		t.Errorf("%v", line.ContextMap())
	}
}

// What can be used by whoever sees it does not reach the log.
func TestAccessLogHoldsNoCredential(t *testing.T) {
	e, logs := newEcho(httpserve.EchoOptions{})
	e.GET("/dl/:token", func(c echo.Context) error { return fault.New(fault.Expired, "expired") })
	headers := []string{"Authorization", "Bearer hunter2", "Cookie", "__Host-flota=hunter2", "X-Request-ID", "hunter2 \n forged", "Referer", "http://x/hunter2"}
	send(e, http.MethodGet, "/dl/hunter2?token=hunter2", nil, headers...)
	send(e, http.MethodGet, "/wrong/hunter2", nil, headers...)
	lines := logs.TakeAll()
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	for _, line := range lines {
		text, err := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()).EncodeEntry(line.Entry, line.Context)
		if err != nil || strings.Contains(text.String(), "hunter2") {
			t.Errorf("%s %v", text, err)
		}
	}
	got := lines[0].ContextMap()
	if got["route"] != "/dl/:token" || got["status"] != int64(403) || got["code"] != "expired" || got["client_ip"] != "192.0.2.1" {
		t.Errorf("%v", got)
	}
	if lines[1].ContextMap()["route"] != "unmatched" {
		t.Errorf("%v", lines[1].ContextMap())
	}
}

func TestRequestID(t *testing.T) {
	e, _ := newEcho(httpserve.EchoOptions{})
	e.GET("/", func(c echo.Context) error { return c.String(200, httpserve.RequestID(c.Request().Context())) })
	for given, taken := range map[string]bool{
		"abc-123_4.5": true, "": false, "with space": false, "line\nbreak": false, strings.Repeat("x", 65): false,
	} {
		w := send(e, http.MethodGet, "/", nil, "X-Request-ID", given)
		got := w.Header().Get("X-Request-ID")
		if got == "" || (got == given) != taken || w.Body.String() != got {
			t.Errorf("%q: %q, the handler saw %q", given, got, w.Body)
		}
	}
}

func TestBodyLimit(t *testing.T) {
	e, _ := newEcho(httpserve.EchoOptions{BodyLimit: 10, BodyLimits: map[string]int64{"/up/:id": 100}})
	read := func(c echo.Context) error {
		_, err := io.Copy(io.Discard, c.Request().Body)
		return err
	}
	e.POST("/", read)
	e.POST("/up/:id", read)
	for name, test := range map[string]struct {
		target string
		size   int
		status int
	}{
		"at the limit":         {"/", 10, 200},
		"beyond":               {"/", 11, 413},
		"own limit":            {"/up/1", 100, 200},
		"beyond the own limit": {"/up/1", 101, 413},
	} {
		body := strings.Repeat("x", test.size)
		for _, reader := range []io.Reader{strings.NewReader(body), io.MultiReader(strings.NewReader(body))} { // length stated, and not
			if w := send(e, http.MethodPost, test.target, reader); w.Code != test.status {
				t.Errorf("%s: %d", name, w.Code)
			}
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	e, _ := newEcho(httpserve.EchoOptions{})
	e.GET("/", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "max-age=60")
		return c.NoContent(204)
	})
	h := send(e, http.MethodGet, "/", nil).Header()
	if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v", h)
	}
	if h.Get("Cache-Control") != "max-age=60" {
		t.Error("the handler's own header was overwritten")
	}
}

func TestCrossOrigin(t *testing.T) {
	e, _ := newEcho(httpserve.EchoOptions{PublicURL: url.URL{Scheme: "https", Host: "flota.example:8443"}})
	done := func(c echo.Context) error { return c.NoContent(204) }
	e.POST("/", done)
	e.GET("/", done)
	for name, test := range map[string]struct {
		method  string
		headers []string
		status  int
	}{
		"a program":                   {"POST", nil, 204},
		"our page":                    {"POST", []string{"Sec-Fetch-Site", "same-origin"}, 204},
		"another site's page":         {"POST", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another site's page, reads":  {"GET", []string{"Sec-Fetch-Site", "cross-site"}, 204},
		"plain HTTP, our page":        {"POST", []string{"Origin", "http://example.com"}, 204}, // the host of the request
		"plain HTTP, another's":       {"POST", []string{"Origin", "http://evil.example"}, 403},
		"by the public URL":           {"POST", []string{"Origin", "https://flota.example:8443"}, 204},
		"by the public host, no port": {"POST", []string{"Origin", "https://flota.example"}, 403},
	} {
		if w := send(e, test.method, "/", nil, test.headers...); w.Code != test.status {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

func TestClientIP(t *testing.T) {
	ip := func(c echo.Context) error { return c.String(200, httpserve.ClientIP(c.Request().Context())) }
	for name, test := range map[string]struct {
		proxies []netip.Prefix
		want    string
	}{
		"nobody is believed":    {nil, "192.0.2.1"},
		"the gateway is":        {[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "198.51.100.7"},
		"another gateway is":    {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, "192.0.2.1"},
		"IPv6 gateway is":       {[]netip.Prefix{netip.MustParsePrefix("fd00::/8")}, "192.0.2.1"},
		"written with its host": {[]netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}, "198.51.100.7"},
	} {
		e, _ := newEcho(httpserve.EchoOptions{TrustedProxies: test.proxies})
		e.GET("/", ip)
		if w := send(e, http.MethodGet, "/", nil, "X-Forwarded-For", "10.9.9.9, 198.51.100.7"); w.Body.String() != test.want {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

func TestHealth(t *testing.T) {
	var broken error
	e, _ := newEcho(httpserve.EchoOptions{Ready: map[string]func(context.Context) error{
		"bus":   func(context.Context) error { return nil },
		"store": func(context.Context) error { return broken },
	}})
	if w := send(e, http.MethodGet, "/readyz", nil); w.Code != 200 {
		t.Errorf("ready: %d", w.Code)
	}
	broken = errors.New("hunter2 refused")
	if p := decode(t, send(e, http.MethodGet, "/readyz", nil)); p.Status != 503 || !strings.HasSuffix(p.Detail, "store") {
		t.Errorf("not ready: %+v", p)
	}
	if w := send(e, http.MethodGet, "/healthz", nil); w.Code != 200 {
		t.Errorf("healthy: %d", w.Code)
	}
}

func TestMetrics(t *testing.T) {
	e, _ := newEcho(httpserve.EchoOptions{})
	e.GET("/things/:id", func(c echo.Context) error { return c.NoContent(204) })
	for _, target := range []string{"/things/1", "/things/2", "/hunter2"} {
		send(e, http.MethodGet, target, nil)
	}
	send(e, "HUNTER2", "/things/1", nil)
	text := send(e, http.MethodGet, "/metrics", nil).Body.String()
	for _, want := range []string{
		`flota_http_request_seconds_count{class="2xx",method="GET",route="/things/:id"} 2`,
		`flota_http_request_seconds_count{class="4xx",method="GET",route="unmatched"} 1`,
		`method="other"`,
		`flota_http_requests_in_flight 1`,
		`go_goroutines`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(strings.ToLower(text), "hunter2") {
		t.Error("a caller's words became a label")
	}
}
