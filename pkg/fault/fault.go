// Package fault holds the error codes that cross a boundary: an HTTP answer, a
// bus reply, a log line. A fault is a code that programs compare, a sentence
// that people read, and the field at fault; the cause stays inside for the log.
package fault

import (
	"errors"
	"fmt"
)

// Code names a kind of error. It is stable: clients compare it.
type Code string

// The codes, each with one meaning everywhere.
const (
	Invalid         Code = "invalid"         // the input is wrong; Field says where
	Unauthenticated Code = "unauthenticated" // nobody is known to be asking
	Forbidden       Code = "forbidden"       // the caller is known and may not
	NotFound        Code = "not_found"       // no such thing, or none the caller may see
	Conflict        Code = "conflict"        // somebody else changed it first, or it exists already
	Precondition    Code = "precondition"    // the thing is not in the state that this needs
	TooLarge        Code = "too_large"       // a stated limit is exceeded
	RateLimited     Code = "rate_limited"    // too many tries; wait
	Expired         Code = "expired"         // it was valid once
	Unavailable     Code = "unavailable"     // a part of the system does not answer; try again
	Internal        Code = "internal"        // our mistake; the log has the cause
)

// Error is the error that carries a code. Message is a sentence for people and
// holds no secret; Err is the cause, which is logged and never sent.
type Error struct {
	Code    Code
	Field   string
	Message string
	Err     error
}

func (e *Error) Error() string {
	text := e.Message
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	if e.Err != nil {
		return fmt.Sprintf("%s (%s): %v", text, e.Code, e.Err)
	}
	return fmt.Sprintf("%s (%s)", text, e.Code)
}

func (e *Error) Unwrap() error { return e.Err }

// New returns a fault with a sentence made as by fmt.Sprintf.
func New(code Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Field returns an Invalid fault that names the field at fault.
func Field(field, format string, args ...any) error {
	return &Error{Code: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Wrap puts a code and a sentence before a cause.
func Wrap(err error, code Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// CodeOf returns the code of the outermost fault in err's chain, Internal where
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if f := As(err); f != nil {
		return f.Code
	}
	return Internal
}

// Is reports whether err carries this code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }

// As returns the outermost fault in err's chain, or nil.
func As(err error) *Error {
	var f *Error
	if errors.As(err, &f) {
		return f
	}
	return nil
}
