// Package fleetd puts the fleet service together.
package fleetd

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/pkg/identity/keyfeed"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/fleet"
	"github.com/flota/flota/services/fleet/httpapi"
	"github.com/flota/flota/services/fleet/natsbus"
	"github.com/flota/flota/services/fleet/store"
)

// Config is what an operator can set.
type Config struct {
	ServiceKey config.Secret `env:"SERVICE_KEY" desc:"the key derived for this service, 64 hexadecimal digits; seals the signing keys at rest"`
	PublicURL  url.URL       `env:"PUBLIC_URL" desc:"where browsers find the installation"`
}

// Deps is what the service is connected to.
type Deps struct {
	Log *zap.Logger
	Bus *bus.Conn
	DB  docstore.DB
	// Serve answers HTTP requests until ctx ends and they are drained.
	Serve func(ctx context.Context, h http.Handler) error
}

// Run runs the service until ctx ends, and drains.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	master, err := secret.Parse(cfg.ServiceKey.Reveal())
	if err != nil {
		return fmt.Errorf("FLOTA_SERVICE_KEY: %w", err)
	}
	box, err := secret.NewBox(master.Derive("signing-keys"))
	if err != nil {
		return err
	}
	if err := deps.Bus.Ensure(ctx); err != nil {
		return err
	}
	relay := docstore.NewRelay(deps.Bus.Relay, deps.Log)
	documents, err := store.Open(ctx, deps.DB, relay)
	if err != nil {
		return err
	}
	f := &fleet.Fleet{
		Store: documents, Builds: natsbus.Builds{Conn: deps.Bus},
		Outbox: natsbus.Outbox{}, Audience: natsbus.Audience{Conn: deps.Bus}, Box: box,
		Now: func() time.Time { return time.Now().UTC().Truncate(time.Millisecond) },
	}
	verifier := identity.NewVerifier()
	api, err := handler(cfg, deps, f, verifier)
	if err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return relay.Run(ctx) })
	group.Go(func() error { return keyfeed.Run(ctx, deps.Bus, verifier) })
	group.Go(func() error { return natsbus.Take(ctx, deps.Bus, f) })
	group.Go(func() error { return natsbus.Mirror(ctx, deps.Bus, f, deps.Log) })
	group.Go(func() error { return deps.Serve(ctx, api) })
	return group.Wait()
}

func handler(cfg Config, deps Deps, f *fleet.Fleet, verifier *identity.Verifier) (http.Handler, error) {
	spec, err := httpapi.GetSpec()
	if err != nil {
		return nil, err
	}
	e := httpserve.New(deps.Log, httpserve.EchoOptions{
		PublicURL: cfg.PublicURL,
		Ready:     map[string]func(context.Context) error{"bus": deps.Bus.Ready, "database": deps.DB.Ping, "keys": verifier.Ready},
	})
	who := identity.Middleware(verifier, keyfeed.Exchange(deps.Bus), identity.PlainCookie(cfg.PublicURL.Scheme != "https"))
	base := httpserve.BasePath(spec.Servers[0].URL)
	api := e.Group("", echo.WrapMiddleware(who), echo.WrapMiddleware(identity.Known), httpserve.ValidateRequests(spec))
	httpapi.RegisterHandlersWithBaseURL(api, httpapi.NewStrictHandler(httpapi.API{Fleet: f}, nil), base)
	return e, nil
}
