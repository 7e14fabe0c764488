// Package boardsd puts the boards service together.
package boardsd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/pkg/identity/keyfeed"
	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/boards"
	"github.com/flota/flota/services/boards/httpapi"
	"github.com/flota/flota/services/boards/journal"
	"github.com/flota/flota/services/boards/natsbus"
	"github.com/flota/flota/services/boards/network"
	"github.com/flota/flota/services/boards/store"
	"github.com/flota/flota/services/boards/virtual"
)

// Config is what an operator can set.
type Config struct {
	PublicURL      url.URL        `env:"PUBLIC_URL" desc:"where browsers find the installation"`
	ArtifactURL    url.URL        `env:"ARTIFACT_URL" envDefault:"http://artifact:8080" desc:"the artifact service: what boards find at http://flota, and where builds are fetched"`
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" desc:"networks of proxies whose X-Forwarded-For is believed"`
	Toolchain      string         `env:"TOOLCHAIN" envDefault:"/toolchain" desc:"the toolchain root; of it, only what new boards are made of is read"`
	Board          BoardConfig    `envPrefix:"BOARDS_"`
}

// BoardConfig is about the boards themselves.
type BoardConfig struct {
	Data       string   `env:"DATA" desc:"the folder that virtual boards lie in (default: boards, in the data folder where there is one)"`
	Base       string   `env:"BASE" desc:"the image that new boards are flashed with (default: the base sketch in the toolchain)"`
	Workspace  int      `env:"WORKSPACE" envDefault:"4" desc:"how many virtual boards a workspace may have"`
	All        int      `env:"ALL" envDefault:"32" desc:"how many there may be in the installation"`
	MemoryMiB  int64    `env:"MEMORY_MIB" envDefault:"96" desc:"memory of a virtual board, in MiB"`
	CPUPercent int      `env:"CPU_PERCENT" envDefault:"25" desc:"a virtual board's share of one processor"`
	Allow      []string `env:"ALLOW" desc:"host:port,… that virtual boards may connect to besides the installation's device paths"`
}

// Deps is what the service is connected to.
type Deps struct {
	Log *zap.Logger
	Bus *bus.Conn
	DB  docstore.DB
	// Serve answers HTTP requests until ctx ends and they are drained.
	Serve func(ctx context.Context, h http.Handler) error
}

// ErrNotHere is returned by Run where this machine cannot have virtual boards: it
// has no sandbox that works, or nothing to flash on a new one. Everything else works
// without.
var ErrNotHere = errors.New("no virtual boards here")

// The boards that there are; the second where the toolchain has what it is made of.
const (
	esp32 = "flota:virtual:esp32"
	pico  = "micropython:py:virtual_pico_w"
)

// Run runs the service until ctx ends, and drains.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	if err := cfg.check(); err != nil {
		return err
	}
	data := cmp.Or(cfg.Board.Data, "boards")
	base, err := baseSketch(cmp.Or(cfg.Board.Base, filepath.Join(cfg.Toolchain, "base", strings.ReplaceAll(esp32, ":", "-")+".bin")))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	box, err := sandbox.Open(ctx, sandbox.Config{}, deps.Log)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotHere, err)
	}
	if err := deps.Bus.Ensure(ctx); err != nil {
		return err
	}
	documents, err := store.Open(ctx, deps.DB)
	if err != nil {
		return err
	}
	net, err := network.New(network.Options{Artifact: cfg.ArtifactURL, Allow: cfg.Board.Allow, Log: deps.Log.Named("network")})
	if err != nil {
		return fmt.Errorf("FLOTA_BOARDS_ALLOW: %w", err)
	}
	offers := []boards.Offer{{FQBN: esp32, Name: "Virtual ESP32"}}
	micropython, err := virtual.OpenPico(cfg.Toolchain)
	switch {
	case err == nil:
		offers = append(offers, boards.Offer{FQBN: pico, Name: "Virtual Pico W"})
	case errors.Is(err, fs.ErrNotExist):
		deps.Log.Info("no virtual Picos: the toolchain has nothing to make them of", zap.Error(err))
	default:
		return fmt.Errorf("what virtual Picos are made of: %w", err)
	}
	shop, err := virtual.New(virtual.Options{
		Dir: filepath.Join(data, "boards"), Base: map[string][]byte{esp32: base}, Pico: micropython, Offers: offers,
		Memory: cfg.Board.MemoryMiB << 20, CPU: float64(cfg.Board.CPUPercent) / 100, Box: box, Network: net.Serve, Log: deps.Log,
	})
	if err != nil {
		return err
	}
	defer func() { _ = shop.Close() }()
	all, err := boards.New(ctx, boards.Parts{
		Store: documents, Hardware: shop, Journals: journal.Folder{Dir: filepath.Join(data, "serial")},
		Builds:   natsbus.Builds{Conn: deps.Bus, Artifact: cfg.ArtifactURL, Client: &http.Client{Transport: &http.Transport{}}},
		Audience: natsbus.Audience{Conn: deps.Bus}, Quota: boards.Quota{Workspace: cfg.Board.Workspace, All: cfg.Board.All},
		Log: deps.Log, Now: func() time.Time { return time.Now().UTC().Truncate(time.Millisecond) },
	})
	if err != nil {
		return err
	}
	verifier := identity.NewVerifier()
	api, err := handler(cfg, deps, all, verifier)
	if err != nil {
		return errors.Join(err, all.Close())
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return keyfeed.Run(ctx, deps.Bus, verifier) })
	group.Go(func() error { return net.Run(ctx) })
	group.Go(func() error { return deps.Serve(ctx, api) })
	// Requests that are under way end first; then what runs does.
	return errors.Join(group.Wait(), all.Close())
}

func (c Config) check() error {
	switch b := c.Board; {
	case c.ArtifactURL.Host == "" || c.ArtifactURL.Scheme != "http" && c.ArtifactURL.Scheme != "https" || c.ArtifactURL.Path != "" && c.ArtifactURL.Path != "/":
		return errors.New("FLOTA_ARTIFACT_URL: must be http://host or https://host, with a port where needed")
	case b.Workspace < 0 || b.All < 0:
		return errors.New("FLOTA_BOARDS_WORKSPACE and FLOTA_BOARDS_ALL: must be 0 or more")
	case b.MemoryMiB < 16:
		return errors.New("FLOTA_BOARDS_MEMORY_MIB: must be 16 or more")
	case b.CPUPercent < 1 || b.CPUPercent > 100:
		return errors.New("FLOTA_BOARDS_CPU_PERCENT: must be from 1 to 100")
	}
	return nil
}

// baseSketch reads what new boards are flashed with.
func baseSketch(path string) ([]byte, error) {
	image, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the base sketch for virtual boards (deploy/toolchain/layout.sh makes it): %w", err)
	}
	if _, size, err := chip.ParseImage(image); err != nil || size > boards.MaxImage {
		return nil, fmt.Errorf("%s is no image for a virtual board (%d bytes): %w", path, len(image), err)
	}
	return image, nil
}

func handler(cfg Config, deps Deps, all *boards.Boards, verifier *identity.Verifier) (http.Handler, error) {
	spec, err := httpapi.GetSpec()
	if err != nil {
		return nil, err
	}
	e := httpserve.New(deps.Log, httpserve.EchoOptions{
		PublicURL: cfg.PublicURL, TrustedProxies: cfg.TrustedProxies,
		Ready: map[string]func(context.Context) error{"bus": deps.Bus.Ready, "database": deps.DB.Ping, "keys": verifier.Ready},
	})
	who := identity.Middleware(verifier, keyfeed.Exchange(deps.Bus), identity.PlainCookie(cfg.PublicURL.Scheme != "https"))
	base := httpserve.BasePath(spec.Servers[0].URL)
	api := e.Group("", echo.WrapMiddleware(who), echo.WrapMiddleware(identity.Known), httpserve.ValidateRequests(spec))
	httpapi.RegisterHandlersWithBaseURL(api, httpapi.NewStrictHandler(httpapi.API{Boards: all}, nil), base)
	return e, nil
}
