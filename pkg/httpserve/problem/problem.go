// Package problem writes errors as RFC 9457 problem JSON. It knows no web
// framework, so that any handler can use it.
package problem

import (
	"encoding/json"
	"net/http"

	"github.com/flota/flota/pkg/fault"
)

// RequestID is the header whose value a problem repeats.
const RequestID = "X-Request-ID"

// Problem is the body of every error answer. Code is stable; Detail is a
// sentence for people.
type Problem struct {
	Type      string     `json:"type"`
	Title     string     `json:"title"`
	Status    int        `json:"status"`
	Code      fault.Code `json:"code"`
	Detail    string     `json:"detail,omitempty"`
	Field     string     `json:"field,omitempty"`
	RequestID string     `json:"request_id,omitempty"`
}

// Of returns the problem that an error is shown as. An error that is no fault,
// and an Internal fault, tell nothing of themselves.
func Of(err error) Problem {
	p := OfStatus(Status(fault.CodeOf(err)), fault.CodeOf(err))
	if f := fault.As(err); f != nil && f.Code != fault.Internal {
		p.Detail, p.Field = f.Message, f.Field
	}
	return p
}

// OfStatus returns the problem of a code with a status other than its usual one.
func OfStatus(status int, code fault.Code) Problem {
	p := Problem{Type: "urn:flota:fault:" + string(code), Title: titles[code], Status: status, Code: code}
	if code == fault.Internal {
		p.Detail = "Something went wrong on our side; the log has it under the request ID."
	}
	return p
}

// Write answers a request with an error. Headers that were set before, such as
// Retry-After, stay.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	Of(err).Write(w, r)
}

// Write answers a request with the problem.
func (p Problem) Write(w http.ResponseWriter, r *http.Request) {
	p.RequestID = w.Header().Get(RequestID)
	header := w.Header()
	header.Del("Content-Length")
	header.Del("Content-Encoding")
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_ = json.NewEncoder(w).Encode(p) // fails only if the client has gone
	}
}
