// Package editord puts the editor together.
package editord

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/pkg/identity/keyfeed"
	"github.com/flota/flota/pkg/link"
	"github.com/flota/flota/pkg/outbound"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/editor"
	"github.com/flota/flota/services/editor/contents"
	"github.com/flota/flota/services/editor/examples"
	"github.com/flota/flota/services/editor/httpapi"
	"github.com/flota/flota/services/editor/mip"
	"github.com/flota/flota/services/editor/natsbus"
	"github.com/flota/flota/services/editor/source"
	"github.com/flota/flota/services/editor/store"
	"github.com/flota/flota/services/editor/web"
	"github.com/flota/flota/services/editor/webapp"
)

// Config is what an operator can set.
type Config struct {
	ServiceKey     config.Secret  `env:"SERVICE_KEY" desc:"the key derived for this service, 64 hexadecimal digits; signs the links to sources"`
	PublicURL      url.URL        `env:"PUBLIC_URL" desc:"where browsers find the installation"`
	InternalURL    url.URL        `env:"INTERNAL_URL" envDefault:"http://127.0.0.1:8080" desc:"where workers find this service, to fetch sources"`
	DeviceURL      string         `env:"DEVICE_URL" desc:"where devices find the installation; empty where that is the public URL"`
	DeviceCA       string         `env:"DEVICE_CA" desc:"file of the certificate authority (PEM) that devices pin; empty where they need none"`
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" desc:"networks of proxies whose X-Forwarded-For is believed"`
	SourceMemory   int64          `env:"SOURCE_MEMORY" envDefault:"33554432" desc:"bytes of recent sources that are kept in memory"`
	Build          BuildConfig    `envPrefix:"BUILD_"`
	MIP            MIPConfig      `envPrefix:"MIP_"`
}

// MIPConfig says where packages of MicroPython projects come from.
type MIPConfig struct {
	Index url.URL        `env:"INDEX" envDefault:"https://micropython.org/pi/v2" desc:"the package index of MicroPython projects"`
	Allow []netip.Prefix `env:"ALLOW" desc:"networks, not public, that packages may come from, as 10.0.0.5/32,…; every project can reach them"`
}

func (c MIPConfig) source() *mip.Source {
	return &mip.Source{
		Index:  strings.TrimSuffix(c.Index.String(), "/"),
		Client: outbound.New(outbound.Options{Allow: c.Allow, MaxBytes: editor.MaxFileSize}),
	}
}

// BuildConfig limits builds in time and number.
type BuildConfig struct {
	Timeout            time.Duration `env:"TIMEOUT" envDefault:"10m" desc:"how long one attempt of a build may take"`
	MicroPythonTimeout time.Duration `env:"MICROPYTHON_TIMEOUT" envDefault:"10m" desc:"the same for MicroPython projects"`
	Grace              time.Duration `env:"GRACE" envDefault:"15s" desc:"how long after its deadline a build is ended"`
	NoOffer            time.Duration `env:"NO_OFFER" envDefault:"2m" desc:"how long a build waits while no worker offers its board"`
	Unclaimed          time.Duration `env:"UNCLAIMED" envDefault:"1m" desc:"how long a job lies beside free slots before it is published again"`
	Retry              time.Duration `env:"RETRY" envDefault:"1s" desc:"pause after the farm's first trouble with a build; it doubles"`
	Queue              int           `env:"QUEUE" envDefault:"100" desc:"how many builds of one workspace may wait"`
}

func (c BuildConfig) limits() editor.Limits {
	return editor.Limits{
		Attempt: map[editor.Kind]time.Duration{editor.Arduino: c.Timeout, editor.MicroPython: c.MicroPythonTimeout},
		Grace:   c.Grace, NoOffer: c.NoOffer, Unclaimed: c.Unclaimed, Retry: c.Retry, Queue: c.Queue,
	}
}

// Deps is what the service is connected to.
type Deps struct {
	Log *zap.Logger
	Bus *bus.Conn
	DB  docstore.DB
	// Blobs is the editor's own bucket: sources and logs.
	Blobs contents.Blobs
	// Serve answers HTTP requests until ctx ends and they are drained.
	Serve func(ctx context.Context, h http.Handler) error
}

// maxStoredLog is more than a stored log can have, as JSON, in bytes.
const maxStoredLog = 64 << 20

// Run runs the service until ctx ends, and drains.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	master, err := secret.Parse(cfg.ServiceKey.Reveal())
	if err != nil {
		return fmt.Errorf("FLOTA_SERVICE_KEY: %w", err)
	}
	if err := deps.Bus.Ensure(ctx); err != nil {
		return err
	}
	documents, err := store.Open(ctx, deps.DB)
	if err != nil {
		return err
	}
	relay := docstore.NewRelay(deps.Bus.Relay, deps.Log)
	relay.Watch(documents.Outbox())
	all, err := examples.All()
	if err != nil {
		return err
	}

	files := contents.New(deps.Blobs, editor.MaxFileSize, cfg.SourceMemory)
	projects := &editor.Projects{Store: documents, Contents: files, Examples: all, Packages: cfg.MIP.source(), Now: now}
	sources := source.New(cfg.InternalURL.String(), link.NewRing(master.Derive("source-links"), time.Now), documents, files)
	builds := editor.NewBuilds(editor.BuildParts{
		Projects: projects, Store: documents, Farm: editor.NewFarm(flow.Workers.TTL, now),
		Artifacts: natsbus.Artifacts{Conn: deps.Bus}, Jobs: natsbus.Jobs{Conn: deps.Bus}, Sources: sources,
		LogStream: natsbus.Logs{Conn: deps.Bus}, Logs: contents.New(deps.Blobs, maxStoredLog, 0),
		Limits: cfg.Build.limits(), Now: now,
	})
	verifier := identity.NewVerifier()

	group, ctx := errgroup.WithContext(ctx)
	handler, err := routes(ctx, cfg, deps, projects, builds, sources, verifier)
	if err != nil {
		return err
	}
	failed := func(what string) func(error) {
		return func(err error) { deps.Log.Warn(what, zap.Error(err)) }
	}
	group.Go(func() error { return relay.Run(ctx) })
	group.Go(func() error { return keyfeed.Run(ctx, deps.Bus, verifier) })
	group.Go(func() error { return natsbus.Run(ctx, deps.Bus, builds, documents) })
	group.Go(func() error { builds.Schedule(ctx, failed("jobs were not published")); return nil })
	group.Go(func() error { builds.Sweeps(ctx, failed("not everything was swept")); return nil })
	group.Go(func() error { builds.Archive(ctx, failed("logs were not stored")); return nil })
	group.Go(func() error { return deps.Serve(ctx, handler) })
	return group.Wait()
}

// now is what documents keep: they have milliseconds.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

func routes(
	ctx context.Context, cfg Config, deps Deps,
	projects *editor.Projects, builds *editor.Builds, sources http.Handler, verifier *identity.Verifier,
) (http.Handler, error) {
	var ca []byte
	if cfg.DeviceCA != "" {
		var err error
		if ca, err = os.ReadFile(cfg.DeviceCA); err != nil {
			return nil, fmt.Errorf("the certificate authority for devices: %w", err)
		}
	}
	app, err := webapp.New(web.Dist(), cfg.DeviceURL, string(ca))
	if err != nil {
		return nil, err
	}
	e := httpserve.New(deps.Log, httpserve.EchoOptions{
		PublicURL: cfg.PublicURL, TrustedProxies: cfg.TrustedProxies, BodyLimits: httpapi.BodyLimits,
		Ready: map[string]func(context.Context) error{"bus": deps.Bus.Ready, "database": deps.DB.Ping, "keys": verifier.Ready},
	})
	api := &httpapi.API{Log: deps.Log, Projects: projects, Builds: builds, Streams: natsbus.Streams{Conn: deps.Bus}, Stopping: ctx}
	who := identity.Middleware(verifier, keyfeed.Exchange(deps.Bus), identity.PlainCookie(cfg.PublicURL.Scheme != "https"))
	if err := api.Register(e, who); err != nil {
		return nil, err
	}
	e.GET(source.Prefix+":token", echo.WrapHandler(sources))
	e.GET("/*", echo.WrapHandler(app))
	e.HEAD("/*", echo.WrapHandler(app))
	return e, nil
}
