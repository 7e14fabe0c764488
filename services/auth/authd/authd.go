// Package authd puts the auth service together.
package authd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/pkg/identity/keyfeed"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/auth"
	"github.com/flota/flota/services/auth/httpapi"
	"github.com/flota/flota/services/auth/natsbus"
	"github.com/flota/flota/services/auth/store"
)

// Config is what an operator can set.
type Config struct {
	ServiceKey     config.Secret  `env:"SERVICE_KEY" desc:"the key derived for this service, 64 hexadecimal digits; seals its keys at rest"`
	DeviceSealKey  config.Secret  `env:"DEVICE_SEAL_KEY" desc:"the key that auth and artifact share, 64 hexadecimal digits; seals the published device keys"`
	PublicURL      url.URL        `env:"PUBLIC_URL" desc:"where browsers find the installation; decides which cookies a login sets"`
	PlainHTTP      bool           `env:"PLAIN_HTTP" desc:"consent to logins over plain HTTP by others than this machine: passwords travel readable"`
	SetupToken     config.Secret  `env:"SETUP_TOKEN" desc:"presets the first administrator's one-time token; made and shown at start where it is empty"`
	TrustedProxies []netip.Prefix `env:"TRUSTED_PROXIES" desc:"networks of proxies whose X-Forwarded-For and -Proto are believed, as 10.0.0.0/8,…"`
	TokenKeyLife   time.Duration  `env:"TOKEN_KEY_LIFE" envDefault:"720h" desc:"how long one key signs access tokens"`
}

// Deps is what the service is connected to.
type Deps struct {
	Log *zap.Logger
	Bus *bus.Conn
	DB  docstore.DB
	// Serve answers HTTP requests until ctx ends and they are drained.
	Serve func(ctx context.Context, h http.Handler) error
	// OnSetupToken is told the one-time token at each start, while there is no
	// administrator. Where it is nil the token is logged.
	OnSetupToken func(token string)
}

// How often what must be done now and then is done.
const (
	sweepProducts   = 2 * time.Second
	rebuildProducts = 10 * time.Minute
	sweepSessions   = time.Hour
	choreTime       = 2 * time.Minute
)

// Run runs the service until ctx ends, and drains.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	a, relay, err := assemble(ctx, cfg, deps)
	if err != nil {
		return err
	}
	if err := a.Keyring.Turn(ctx); err != nil {
		return err
	}
	if err := firstRun(ctx, cfg, deps, a.FirstRun); err != nil {
		return err
	}
	verifier := identity.NewVerifier()
	for _, key := range a.Keyring.Public() {
		verifier.SetKey(key.ID, key.Public)
	}
	e := httpserve.New(deps.Log, httpserve.EchoOptions{
		PublicURL:      cfg.PublicURL,
		TrustedProxies: cfg.TrustedProxies,
		BodyLimit:      httpapi.BodyLimit, BodyLimits: httpapi.BodyLimits,
		Ready: map[string]func(context.Context) error{"bus": deps.Bus.Ready, "database": deps.DB.Ping, "keys": verifier.Ready},
	})
	if err := a.Mount(e, verifier); err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return relay.Run(ctx) })
	group.Go(func() error { return keyfeed.Run(ctx, deps.Bus, verifier) })
	group.Go(func() error { return natsbus.Serve(ctx, deps.Bus, a.Tokens.Exchange) })
	group.Go(func() error { return deps.Serve(ctx, e) })
	chore := func(name string, interval time.Duration, do func(context.Context) error) {
		group.Go(func() error { repeat(ctx, deps.Log, name, interval, do); return nil })
	}
	chore("turn the token keys", auth.KeyringTurn, a.Keyring.Turn)
	chore("settle device keys", sweepProducts, a.Products.Sweep)
	chore("rebuild device keys", rebuildProducts, a.Products.Rebuild)
	chore("remove old sessions", sweepSessions, a.Sessions.Sweep)
	return group.Wait()
}

// assemble opens the store and gives every part what it needs.
func assemble(ctx context.Context, cfg Config, deps Deps) (*httpapi.API, *docstore.Relay, error) {
	master, err := secret.Parse(cfg.ServiceKey.Reveal())
	if err != nil {
		return nil, nil, fmt.Errorf("FLOTA_SERVICE_KEY: %w", err)
	}
	own, err := secret.NewBox(master.Derive("box"))
	if err != nil {
		return nil, nil, err
	}
	wifiBox, err := secret.NewBox(master.Derive("wifi"))
	if err != nil {
		return nil, nil, err
	}
	shared, err := sharedBox(cfg.DeviceSealKey)
	if err != nil {
		return nil, nil, fmt.Errorf("FLOTA_DEVICE_SEAL_KEY: %w", err)
	}
	if cfg.TokenKeyLife < time.Hour {
		return nil, nil, errors.New("FLOTA_TOKEN_KEY_LIFE: at least 1h")
	}
	if err := deps.Bus.Ensure(ctx); err != nil {
		return nil, nil, err
	}
	relay := docstore.NewRelay(deps.Bus.Relay, deps.Log)
	documents, err := store.Open(ctx, deps.DB, relay)
	if err != nil {
		return nil, nil, err
	}
	clock, hasher := auth.Clock(time.Now), auth.NewHasher()
	guard := auth.NewGuard(clock)
	keyring := &auth.Keyring{
		Store: documents, Publisher: natsbus.TokenKeys{Conn: deps.Bus}, Box: own, Life: cfg.TokenKeyLife, Clock: clock,
	}
	members := &auth.Members{Store: documents, Hasher: hasher, Clock: clock}
	products := &auth.Products{
		Store: documents, Keys: natsbus.DeviceKeys{Conn: deps.Bus, Box: shared}, Hasher: hasher, Box: own, Clock: clock, Log: deps.Log,
	}
	wifi := &auth.WiFi{Workspaces: documents, Products: documents, Box: wifiBox}
	return &httpapi.API{
		FirstRun: &auth.Setup{Store: documents, Members: members, Guard: guard},
		Sessions: &auth.Sessions{
			Store: documents, Directory: documents, Products: documents, Tokens: documents,
			Hasher: hasher, Guard: guard, Signer: keyring, Key: master.Derive("sessions"), Clock: clock,
		},
		Members:        members,
		Tokens:         &auth.Tokens{Store: documents, Directory: documents, Signer: keyring, Clock: clock},
		Products:       products,
		WiFi:           wifi,
		Provisioning:   &auth.Provisioning{Products: products, WiFi: wifi, Log: deps.Log},
		Keyring:        keyring,
		Gate:           &auth.Gate{Directory: documents, Products: documents, Tokens: documents, Clock: clock},
		Cookies:        httpapi.Cookies{PublicURL: cfg.PublicURL, PlainHTTP: cfg.PlainHTTP},
		TrustedProxies: cfg.TrustedProxies,
	}, relay, nil
}

// sharedBox seals with the key itself: artifact opens with the same.
func sharedBox(key config.Secret) (*secret.Box, error) {
	raw, err := hex.DecodeString(key.Reveal())
	if err != nil {
		return nil, errors.New("a key is 64 hexadecimal digits")
	}
	return secret.NewBox(raw)
}

func firstRun(ctx context.Context, cfg Config, deps Deps, setup *auth.Setup) error {
	token, err := setup.Open(ctx, cfg.SetupToken.Reveal())
	switch {
	case err != nil || token == "":
		return err
	case deps.OnSetupToken != nil:
		deps.OnSetupToken(token)
	case cfg.SetupToken != "":
		deps.Log.Info("there is no administrator yet: open the web page and use the preset setup token")
	default:
		deps.Log.Info("there is no administrator yet: open the web page and use this token, which counts once", zap.String("setup_token", token))
	}
	return nil
}

// repeat does a chore at once and then in intervals, until ctx ends. A chore
// that fails is done again at the next.
func repeat(ctx context.Context, log *zap.Logger, name string, interval time.Duration, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		try, cancel := context.WithTimeout(ctx, choreTime)
		if err := do(try); err != nil && ctx.Err() == nil {
			log.Warn("a chore failed and will be tried again", zap.String("chore", name), zap.Error(err))
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
