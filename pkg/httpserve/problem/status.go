package problem

import (
	"net/http"

	"github.com/flota/flota/pkg/fault"
)

var statuses = map[fault.Code]int{
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden:       http.StatusForbidden,
	fault.Expired:         http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Precondition:    http.StatusConflict,
	fault.TooLarge:        http.StatusRequestEntityTooLarge,
	fault.RateLimited:     http.StatusTooManyRequests,
	fault.Unavailable:     http.StatusServiceUnavailable,
	fault.Internal:        http.StatusInternalServerError,
}

var titles = map[fault.Code]string{
	fault.Invalid:         "Invalid input",
	fault.Unauthenticated: "Not logged in",
	fault.Forbidden:       "Not allowed",
	fault.Expired:         "Expired",
	fault.NotFound:        "Not found",
	fault.Conflict:        "Changed meanwhile",
	fault.Precondition:    "Not possible now",
	fault.TooLarge:        "Too large",
	fault.RateLimited:     "Too many tries",
	fault.Unavailable:     "Not available now",
	fault.Internal:        "Internal error",
}

// Status returns the HTTP status of a code; 500 for one that is unknown.
func Status(code fault.Code) int {
	if status, ok := statuses[code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// Code returns the code that tells a status best.
func Code(status int) fault.Code {
	switch status {
	case http.StatusUnauthorized:
		return fault.Unauthenticated
	case http.StatusForbidden:
		return fault.Forbidden
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return fault.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return fault.Conflict
	case http.StatusRequestEntityTooLarge:
		return fault.TooLarge
	case http.StatusTooManyRequests:
		return fault.RateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fault.Unavailable
	}
	if status >= 400 && status < 500 {
		return fault.Invalid
	}
	return fault.Internal
}
