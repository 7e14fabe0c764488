package httpserve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/oapi-codegen/echo-middleware"

	"github.com/flota/flota/pkg/fault"
)

// ValidateRequests checks requests against an OpenAPI document before the
// handler sees them: parameters, and bodies, which it reads whole: put
// identity.Known before it where only known callers may have them read. What does
// not conform is an Invalid fault with the field's name ("limit", or
// "parts.0.size" in a body), too many values are TooLarge.
//
// The path of the document's server URL ("/api/auth/v1") is where its routes
// are mounted; ValidateRequests keeps only that path of it. It panics on a
// document that is no valid OpenAPI: it is part of the program.
func ValidateRequests(spec *openapi3.T) echo.MiddlewareFunc {
	for _, server := range spec.Servers {
		server.URL = BasePath(server.URL)
	}
	validate := echomiddleware.OapiRequestValidatorWithOptions(spec, &echomiddleware.Options{
		SilenceServersWarning: true, // no host is left in them
		ErrorHandler:          func(_ echo.Context, err *echo.HTTPError) error { return invalid(err) },
		Options: openapi3filter.Options{
			AuthenticationFunc: func(context.Context, *openapi3filter.AuthenticationInput) error { return nil },
		},
	})
	return func(next echo.HandlerFunc) echo.HandlerFunc { return limitValues(validate(next)) }
}

// maxValues is how many values a body may have: four times what the longest list
// here needs. Decoded, a value takes a hundred times the two bytes that it can be
// sent with, so that a limit in bytes alone does not bound the memory.
const maxValues = 1 << 14

// limitValues reads a body, whose length is limited already, and refuses one of
// too many values before it is decoded.
func limitValues(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		if countValues(body) > maxValues {
			return fault.New(fault.TooLarge, "a request here has at most %d values", maxValues)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		return next(c)
	}
}

// countValues returns at least the number of values in a JSON text, but for the
// outermost one: each follows a bracket, a brace or a comma.
func countValues(text []byte) (n int) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// BasePath returns the path of a server URL, without a slash at its end: what
// RegisterHandlersWithBaseURL wants.
func BasePath(serverURL string) string {
	if u, err := url.Parse(serverURL); err == nil {
		serverURL = u.Path
	}
	return strings.TrimSuffix(serverURL, "/")
}

// invalid turns the validator's error into a fault with a field.
func invalid(err *echo.HTTPError) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	request, ok := errors.AsType[*openapi3filter.RequestError](err)
	if !ok {
		return err // no such path or method
	}
	var field string
	if request.Parameter != nil {
		field = request.Parameter.Name
	}
	if schema, ok := errors.AsType[*openapi3.SchemaError](request.Err); ok {
		path := schema.JSONPointer()
		if field != "" {
			path = append([]string{field}, path...)
		}
		if property := unsupported.FindStringSubmatch(schema.Reason); property != nil {
			path = append(path, property[1]) // the pointer ends at the object that has it
		}
		return fault.Field(strings.Join(path, "."), "%s", schema.Reason)
	}
	return fault.Field(field, "%s", reason(request))
}

var unsupported = regexp.MustCompile(`^property "(.*)" is unsupported$`)

// reason tells what is wrong without repeating the value.
func reason(request *openapi3filter.RequestError) string {
	if parse, ok := errors.AsType[*openapi3filter.ParseError](request.Err); ok {
		if request.RequestBody != nil {
			return "the body is not what its Content-Type says"
		}
		return parse.Reason
	}
	if request.Reason != "" {
		return request.Reason
	}
	return request.Err.Error()
}
