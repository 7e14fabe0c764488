package httpserve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve/problem"
)

// statusClientGone is nginx's number for a client that did not wait.
const statusClientGone = 499

// writeError is echo's error handler: it answers with problem JSON, unless the
// answer has begun already.
func writeError(err error, c echo.Context) {
	if !c.Response().Committed {
		problemOf(err, c.Request().Context()).Write(c.Response(), c.Request())
	}
}

// problemOf finds the problem that any error of a handler, of echo or of its
// generated code is shown as.
func problemOf(err error, ctx context.Context) problem.Problem {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problem.Of(fault.New(fault.TooLarge, "a request here has at most %d bytes", tooLarge.Limit))
	}
	if fault.As(err) != nil {
		return problem.Of(err)
	}
	if httpErr, ok := errors.AsType[*echo.HTTPError](err); ok {
		return problemOfEcho(httpErr)
	}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return problem.OfStatus(statusClientGone, fault.Unavailable)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem.Of(fault.New(fault.Unavailable, "this took too long; try again"))
	}
	return problem.Of(err)
}

func problemOfEcho(err *echo.HTTPError) problem.Problem {
	p := problem.OfStatus(err.Code, problem.Code(err.Code))
	if message, ok := err.Message.(string); ok && p.Code != fault.Internal {
		p.Detail = message
	}
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		p.Field = wrongType.Field
	}
	return p
}
