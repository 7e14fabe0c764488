// Package artifactd puts the artifact service together.
package artifactd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/link"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/artifact"
	"github.com/flota/flota/services/artifact/content"
	"github.com/flota/flota/services/artifact/deviceapi"
	"github.com/flota/flota/services/artifact/httpapi"
	"github.com/flota/flota/services/artifact/natsbus"
	"github.com/flota/flota/services/artifact/store"
)

// Config is what an operator can set.
type Config struct {
	ServiceKey       config.Secret  `env:"SERVICE_KEY" desc:"the key derived for this service, 64 hexadecimal digits; signs links"`
	DeviceSealKey    config.Secret  `env:"DEVICE_SEAL_KEY" desc:"the key that auth and artifact share, 64 hexadecimal digits; opens device credentials"`
	PublicURL        url.URL        `env:"PUBLIC_URL" desc:"where browsers find the installation"`
	InternalURL      url.URL        `env:"INTERNAL_URL" desc:"where workers reach this service inside the installation"`
	CacheMiB         int64          `env:"CACHE_MIB" envDefault:"64" desc:"memory for the blobs fetched most, in MiB; a blob larger than a quarter is not kept"`
	Poll             time.Duration  `env:"POLL" envDefault:"60s" desc:"interval between a device's polls, where its deployment says none"`
	PlainHTTPDevices bool           `env:"PLAIN_HTTP_DEVICES" desc:"consent to device keys that travel without TLS, for stock clients"`
	TrustedProxies   []netip.Prefix `env:"TRUSTED_PROXIES" desc:"networks of the proxies whose X-Forwarded headers are believed, comma-separated"`
}

// Deps is what the service is connected to.
type Deps struct {
	Log   *zap.Logger
	Bus   *bus.Conn
	DB    docstore.DB
	Blobs artifact.Blobs // a *blob.Store
	// Serve answers HTTP requests until ctx ends and they are drained.
	Serve func(ctx context.Context, h http.Handler) error
}

const (
	// seenEvery is how often sightings are told.
	seenEvery = 1500 * time.Millisecond
	// seenLimit is how many devices a batch holds at most.
	seenLimit = 1 << 16
)

// Run runs the service until ctx ends, and drains.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	links, box, err := keys(cfg)
	if err != nil {
		return err
	}
	if err := deps.Bus.Ensure(ctx); err != nil {
		return err
	}
	catalog, err := store.Open(ctx, deps.DB)
	if err != nil {
		return err
	}
	links.Catalog = catalog
	model := artifact.NewModel(natsbus.Sources)
	sightings := artifact.NewSightings(seenLimit)
	h := handler(cfg, deps, links, catalog, model, sightings)

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return natsbus.Feed(ctx, deps.Bus, model, box, deps.Log) })
	group.Go(func() error { return natsbus.ServeLinks(ctx, deps.Bus, links) })
	group.Go(func() error { return deps.Serve(ctx, h) })
	group.Go(func() error {
		return natsbus.TellSeen(ctx, deps.Bus, instance(), sightings, seenEvery, deps.Log)
	})
	return group.Wait()
}

// keys makes what the configured keys are for.
func keys(cfg Config) (*artifact.Links, *secret.Box, error) {
	service, err := secret.Parse(cfg.ServiceKey.Reveal())
	if err != nil {
		return nil, nil, fmt.Errorf("FLOTA_SERVICE_KEY: %w", err)
	}
	seal, err := hex.DecodeString(cfg.DeviceSealKey.Reveal())
	if err != nil {
		return nil, nil, errors.New("FLOTA_DEVICE_SEAL_KEY: a key is 64 hexadecimal digits")
	}
	box, err := secret.NewBox(seal)
	if err != nil {
		return nil, nil, fmt.Errorf("FLOTA_DEVICE_SEAL_KEY: %w", err)
	}
	if cfg.InternalURL.Host == "" {
		return nil, nil, errors.New("FLOTA_INTERNAL_URL: must be the URL at which workers reach this service")
	}
	if cfg.Poll < time.Second {
		return nil, nil, errors.New("FLOTA_POLL: must be a second or more")
	}
	ring := link.NewRing(service.Derive("links"), time.Now)
	return &artifact.Links{Ring: ring, Internal: &cfg.InternalURL, Now: time.Now}, box, nil
}

// handler answers devices first, and people and workers by way of echo.
func handler(cfg Config, deps Deps, links *artifact.Links, catalog artifact.Catalog, model *artifact.Model, sightings *artifact.Sightings) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e := httpserve.New(deps.Log, httpserve.EchoOptions{
		PublicURL: cfg.PublicURL, TrustedProxies: cfg.TrustedProxies, Metrics: registry,
		BodyLimits: map[string]int64{httpapi.UploadRoute: artifact.MaxOutput},
		// Nothing else: devices can check in while everything else is down.
		Ready: map[string]func(context.Context) error{"devices": func(context.Context) error { return model.Ready() }},
	})
	cache := content.NewCache(catalog, deps.Blobs, cfg.CacheMiB<<20)
	httpapi.API{
		Links: links, Content: cache,
		Uploads: &artifact.Uploads{Blobs: deps.Blobs, Catalog: catalog, Now: time.Now},
	}.Register(e)
	return deviceapi.New(deviceapi.Options{
		Model: model, Links: links, Content: cache, Sightings: sightings, Log: deps.Log,
		Reports: natsbus.Reports{Conn: deps.Bus}, Poll: cfg.Poll, PlainHTTP: cfg.PlainHTTPDevices,
		TrustedProxies: cfg.TrustedProxies, Metrics: registry, Now: time.Now, Next: e,
	})
}

// instance is this process's word in the subject of its sightings.
func instance() string { return strings.ToLower(rand.Text()[:12]) }
