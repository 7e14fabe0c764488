package httpserve_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/httpserve/internal/sample"
	"github.com/flota/flota/pkg/identity"
)

type things struct{}

func (things) PutThing(ctx context.Context, r sample.PutThingRequestObject) (sample.PutThingResponseObject, error) {
	if _, err := identity.Require(ctx, identity.Maintainer); err != nil {
		return nil, err
	}
	if r.Id == "taken" {
		return nil, fault.New(fault.Conflict, "somebody was faster")
	}
	return sample.PutThing200JSONResponse(*r.Body), nil
}

// mount is how every service mounts its generated API; the README shows it.
func mount(e *echo.Echo, verifier *identity.Verifier) error {
	spec, err := sample.GetSpec()
	if err != nil {
		return err
	}
	api := e.Group(httpserve.BasePath(spec.Servers[0].URL),
		echo.WrapMiddleware(identity.Middleware(verifier, nil)), echo.WrapMiddleware(identity.Known),
		httpserve.ValidateRequests(spec),
	)
	sample.RegisterHandlers(api, sample.NewStrictHandler(things{}, nil))
	return nil
}

func TestStrictServer(t *testing.T) {
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	verifier := identity.NewVerifier()
	verifier.SetKey("k1", pub)
	login := func(role identity.Role) string {
		token, err := identity.NewSigner("k1", private).Sign(identity.Principal{Subject: "u1", Workspace: "w1", Role: role, Expires: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + token
	}
	maintainer, viewer := login(identity.Maintainer), login(identity.Viewer)
	e, logs := newEcho(httpserve.EchoOptions{})
	if err := mount(e, verifier); err != nil {
		t.Fatal(err)
	}
	const good, at = `{"name":"a","parts":[{"size":1}]}`, "/api/sample/v1/things/abc"
	for name, test := range map[string]struct {
		target, body, auth string
		code               fault.Code
		field, detail      string
	}{
		"good":                {at + "?limit=3", good, maintainer, "", "", ""},
		"nobody":              {at, good, "", fault.Unauthenticated, "", ""},
		"false token":         {at, good, "Bearer x", fault.Unauthenticated, "", ""},
		"not enough":          {at, good, viewer, fault.Forbidden, "", "maintainer"},
		"handler's fault":     {"/api/sample/v1/things/taken", good, maintainer, fault.Conflict, "", "faster"},
		"path parameter":      {"/api/sample/v1/things/ABC", good, maintainer, fault.Invalid, "id", "regular expression"},
		"escaped path":        {"/api/sample/v1/things/a%2Fb", good, maintainer, fault.Invalid, "id", "regular expression"},
		"query too large":     {at + "?limit=11", good, maintainer, fault.Invalid, "limit", "at most 10"},
		"query no number":     {at + "?limit=many", good, maintainer, fault.Invalid, "limit", "integer"},
		"property missing":    {at, `{"parts":[]}`, maintainer, fault.Invalid, "name", "missing"},
		"property too long":   {at, `{"name":"` + strings.Repeat("x", 17) + `","parts":[]}`, maintainer, fault.Invalid, "name", "16"},
		"property unknown":    {at, `{"name":"a","parts":[],"colour":1}`, maintainer, fault.Invalid, "colour", "unsupported"},
		"wrong type":          {at, `{"name":7,"parts":[]}`, maintainer, fault.Invalid, "name", "string"},
		"deep inside":         {at, `{"name":"a","parts":[{"size":1},{"size":-1}]}`, maintainer, fault.Invalid, "parts.1.size", "at least 0"},
		"array too long":      {at, `{"name":"a","parts":[{"size":1},{"size":1},{"size":1},{"size":1}]}`, maintainer, fault.Invalid, "parts", "3"},
		"no JSON":             {at, `{"name":`, maintainer, fault.Invalid, "", "Content-Type"},
		"no body":             {at, ``, maintainer, fault.Invalid, "", "missing"},
		"body too large":      {at, `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, maintainer, fault.TooLarge, "", "1048576"},
		"nobody's body":       {at, `{"name":`, "", fault.Unauthenticated, "", "log in"},
		"too many values":     {at, `{"name":"a","parts":[` + strings.Repeat("0,", 20000) + `0]}`, maintainer, fault.TooLarge, "", "16384 values"},
		"too deep":            {at, strings.Repeat("[", 20000), maintainer, fault.TooLarge, "", "16384 values"},
		"commas in a text":    {at, `{"name":"\"` + strings.Repeat(",", 20000) + `","parts":[]}`, maintainer, fault.Invalid, "name", "16"},
		"path not in the API": {"/api/sample/v1/else", good, maintainer, fault.NotFound, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := send(e, http.MethodPut, test.target, strings.NewReader(test.body), "Content-Type", "application/json", "Authorization", test.auth)
			if test.code == "" {
				if w.Code != 200 || strings.TrimSpace(w.Body.String()) != good {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				return
			}
			if p := decode(t, w); p.Code != test.code || p.Field != test.field || !strings.Contains(p.Detail, test.detail) {
				t.Errorf("got %+v", p)
			}
		})
	}
	if w := send(e, http.MethodPut, at, strings.NewReader(good), "Content-Type", "text/plain", "Authorization", maintainer); decode(t, w).Code != fault.Invalid {
		t.Errorf("content type: %d", w.Code)
	}
	if w := send(e, http.MethodDelete, at, nil, "Authorization", maintainer); w.Code != 405 {
		t.Errorf("method: %d", w.Code)
	}
	if lines := logs.FilterField(zap.String("subject", "u1")).All(); len(lines) == 0 {
		t.Error("the access log does not tell who asked")
	}
}

func TestBasePath(t *testing.T) {
	for server, want := range map[string]string{
		"/": "", "": "", "/api/auth/v1": "/api/auth/v1", "/api/": "/api", "https://flota.example/api/v1": "/api/v1",
	} {
		if got := httpserve.BasePath(server); got != want {
			t.Errorf("%q: %q", server, got)
		}
	}
}
