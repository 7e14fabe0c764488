package problem_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve/problem"
)

func TestStatusAndCode(t *testing.T) {
	for code, want := range map[fault.Code]int{
		fault.Invalid: 400, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.Expired: 403,
		fault.NotFound: 404, fault.Conflict: 409, fault.Precondition: 409, fault.TooLarge: 413,
		fault.RateLimited: 429, fault.Unavailable: 503, fault.Internal: 500, "unheard of": 500,
	} {
		if got := problem.Status(code); got != want {
			t.Errorf("%s: %d", code, got)
		}
	}
	for status, want := range map[int]fault.Code{
		400: fault.Invalid, 401: fault.Unauthenticated, 403: fault.Forbidden, 404: fault.NotFound,
		405: fault.NotFound, 409: fault.Conflict, 412: fault.Conflict, 413: fault.TooLarge,
		415: fault.Invalid, 429: fault.RateLimited, 500: fault.Internal, 502: fault.Unavailable,
		503: fault.Unavailable, 504: fault.Unavailable,
	} {
		if got := problem.Code(status); got != want {
			t.Errorf("%d: %s", status, got)
		}
	}
}

func TestWrite(t *testing.T) {
	secret := errors.New("dial tcp 10.0.0.7: password hunter2")
	for name, test := range map[string]struct {
		err  error
		want problem.Problem
	}{
		"field": {fault.Field("name", "a name has at most 64 characters"), problem.Problem{
			Type: "urn:flota:fault:invalid", Title: "Invalid input", Status: 400, Code: fault.Invalid,
			Detail: "a name has at most 64 characters", Field: "name", RequestID: "r1"}},
		"cause stays inside": {fault.Wrap(secret, fault.Unavailable, "the database does not answer"), problem.Problem{
			Type: "urn:flota:fault:unavailable", Title: "Not available now", Status: 503, Code: fault.Unavailable,
			Detail: "the database does not answer", RequestID: "r1"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
			w.Header().Set(problem.RequestID, "r1")
			w.Header().Set("Retry-After", "5")
			w.Header().Set("Content-Length", "999999")
			problem.Write(w, r, test.err)
			var got problem.Problem
			if err := json.NewDecoder(w.Body).Decode(&got); err != nil {
				t.Fatal(err)
			}
			if got != test.want || w.Code != test.want.Status {
				t.Errorf("got %d %+v", w.Code, got)
			}
			h := w.Header()
			if h.Get("Content-Type") != "application/problem+json" || h.Get("Retry-After") != "5" || h.Get("Content-Length") != "" {
				t.Errorf("headers %v", h)
			}
		})
	}
	for _, err := range []error{secret, fault.Wrap(secret, fault.Internal, "hunter2 did it")} {
		w := httptest.NewRecorder()
		problem.Write(w, httptest.NewRequest(http.MethodGet, "/", nil), err)
		if text, _ := io.ReadAll(w.Body); w.Code != 500 || strings.Contains(string(text), "hunter2") {
			t.Errorf("%d %s", w.Code, text)
		}
	}
	w := httptest.NewRecorder()
	problem.Write(w, httptest.NewRequest(http.MethodHead, "/", nil), fault.New(fault.NotFound, "no"))
	if w.Code != 404 || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d %q", w.Code, w.Body)
	}
}
