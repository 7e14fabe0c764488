// Package solo runs the whole product in one process: every daemon, with
// embedded NATS JetStream, an embedded S3 server and SQLite, and all data in one
// folder. The services do not know: only what they are connected to differs.
package solo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/deploy/solo/s3server"
	"github.com/flota/flota/pkg/blob"
	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/embedded"
	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/artifact/artifactd"
	"github.com/flota/flota/services/auth/authd"
	"github.com/flota/flota/services/boards/boardsd"
	"github.com/flota/flota/services/compiler/compilerd"
	"github.com/flota/flota/services/editor/editord"
	"github.com/flota/flota/services/fleet/fleetd"
)

// Ready is what is told once everything answers.
type Ready struct {
	URL       string `json:"url"`
	DeviceURL string `json:"device_url"`
	// InsideURL is a loopback listener: /<service>/metrics and /<service>/readyz.
	InsideURL string `json:"inside_url"`
	// SetupURL is set while there is no administrator.
	SetupURL string `json:"setup_url,omitempty"`
	// CAFile is the own certificate authority, with TLS mode own.
	CAFile string `json:"ca_file,omitempty"`
	PID    int    `json:"pid"`
}

// Run runs everything until ctx ends, and drains: first the compiler, then the
// services, then what they stand on. It calls ready once all services answer.
func Run(ctx context.Context, cfg Config, log *zap.Logger, ready func(Ready)) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return err
	}
	held, err := lock(cfg.Data)
	if err != nil {
		return err
	}
	defer held.Close()
	master, err := secret.LoadOrCreate(keyFile(cfg.Data))
	if err != nil {
		return err
	}

	base, err := startBase(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer base.stop(log)
	doors, err := openDoors(ctx, cfg, log)
	if err != nil {
		return err
	}
	gate := newGateway()
	s := &services{cfg: cfg, log: log, master: master, base: base, doors: doors, gate: gate}
	return s.run(ctx, ready)
}

// base is what the services stand on.
type base struct {
	nats *embedded.Server
	s3   *s3server.Server
	keys [2]string // of the S3 server, for as long as it lives
}

func startBase(ctx context.Context, cfg Config, log *zap.Logger) (*base, error) {
	b := &base{keys: [2]string{"flota", randomSecret()}}
	group, starting := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		b.nats, err = embedded.Start(starting, embedded.Options{StoreDir: filepath.Join(cfg.Data, "nats"), Log: log})
		return err
	})
	group.Go(func() (err error) {
		// Not the group's context: the server lives longer.
		b.s3, err = s3server.Start(context.WithoutCancel(ctx), filepath.Join(cfg.Data, "s3"), b.keys[0], b.keys[1])
		return err
	})
	if err := group.Wait(); err != nil {
		b.stop(log)
		return nil, err
	}
	return b, nil
}

func (b *base) stop(log *zap.Logger) {
	if b.s3 != nil {
		if err := b.s3.Close(); err != nil {
			log.Warn("S3 server", zap.Error(err))
		}
	}
	if b.nats != nil {
		b.nats.Stop()
	}
}

func (b *base) blobs(ctx context.Context, s flow.Service) (*blob.Store, error) {
	return blob.Open(ctx, blob.Config{
		Endpoint: b.s3.Endpoint(), Region: "us-east-1", Bucket: "flota-" + string(s),
		AccessKey: b.keys[0], SecretKey: config.Secret(b.keys[1]),
	})
}

// doors are the listeners: for people, for devices, and for what is inside.
type doors struct {
	public, devices, inside       net.Listener
	publicURL, deviceURL, insider url.URL
	serving                       httpserve.Options
}

func openDoors(ctx context.Context, cfg Config, log *zap.Logger) (*doors, error) {
	tls, err := cfg.TLS.Load(log)
	if err != nil {
		return nil, err
	}
	d := &doors{serving: httpserve.Options{TLS: tls, Log: log}}
	listen := func(address string) (ln net.Listener, listenErr error) {
		if ln, listenErr = new(net.ListenConfig).Listen(ctx, "tcp", address); listenErr != nil {
			return nil, fmt.Errorf("cannot listen: %w", listenErr)
		}
		return ln, nil
	}
	if d.public, err = listen(cfg.Listen); err != nil {
		return nil, err
	}
	if d.inside, err = listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	d.publicURL, d.insider = origin(d.public, tls != nil, ""), origin(d.inside, false, "")
	if cfg.PublicURL.Host != "" {
		d.publicURL = cfg.PublicURL
	}
	d.deviceURL = d.publicURL
	if cfg.DeviceListen != "off" {
		if d.devices, err = listen(cfg.DeviceListen); err != nil {
			return nil, err
		}
		d.deviceURL = origin(d.devices, false, cfg.PublicURL.Hostname())
	}
	if cfg.DeviceURL.Host != "" {
		d.deviceURL = cfg.DeviceURL
	}
	return d, nil
}

// serve answers at every door until ctx ends.
func (d *doors) serve(ctx context.Context, g *gateway) error {
	plain := d.serving
	plain.TLS = nil
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return httpserve.Serve(ctx, d.public, g.public(), d.serving) })
	group.Go(func() error { return httpserve.Serve(ctx, d.inside, g.inside(), plain) })
	if d.devices != nil {
		group.Go(func() error { return httpserve.Serve(ctx, d.devices, g.devices(), plain) })
	}
	return group.Wait()
}

// services runs the daemons.
type services struct {
	cfg    Config
	log    *zap.Logger
	master secret.Master
	base   *base
	doors  *doors
	gate   *gateway

	setup chan string // the one-time token, once
}

func (s *services) run(ctx context.Context, ready func(Ready)) error {
	s.setup = make(chan string, 1)
	// The compiler stops first, while there is still somebody to take its results.
	all, stopAll := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAll()
	group, all := errgroup.WithContext(all)
	start := func(name flow.Service, run func(context.Context, *zap.Logger, *bus.Conn) error) {
		group.Go(func() error { return s.daemon(all, name, run) })
	}
	start(flow.Auth, s.auth)
	start(flow.Editor, s.editor)
	start(flow.Artifact, s.artifact)
	start(flow.Fleet, s.fleet)
	if s.cfg.Boards {
		start(flow.Boards, s.boards)
	} else {
		s.gate.noBoards()
	}
	group.Go(func() error { return s.doors.serve(all, s.gate) })
	group.Go(func() error {
		defer stopAll()
		if s.cfg.Slots < 0 {
			select {
			case <-ctx.Done():
			case <-all.Done():
			}
			return nil
		}
		compiling, stop := context.WithCancel(all)
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		return s.daemon(compiling, flow.Compiler, s.compiler)
	})
	group.Go(func() error {
		if s.answering(all) {
			ready(s.ready())
		}
		return nil
	})
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// daemon connects a service to the bus and runs it.
func (s *services) daemon(ctx context.Context, name flow.Service, run func(context.Context, *zap.Logger, *bus.Conn) error) error {
	log := s.log.Named(string(name))
	conn, err := bus.Connect(ctx, s.base.nats.Bus(name, log))
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := run(ctx, log, conn); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// answering waits until every service says that it is ready. It returns false
// when ctx ends before.
func (s *services) answering(ctx context.Context) bool {
	select {
	case <-s.gate.all:
	case <-ctx.Done():
		return false
	}
	select {
	case <-s.gate.boards:
	case <-ctx.Done():
		return false
	}
	for _, name := range onHTTP {
		for !s.isReady(ctx, name) {
			select {
			case <-time.After(readyEvery):
			case <-ctx.Done():
				return false
			}
		}
	}
	return true
}

func (s *services) isReady(ctx context.Context, name flow.Service) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.doors.insider.JoinPath(string(name), "readyz").String(), nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func (s *services) ready() Ready {
	r := Ready{
		URL: s.doors.publicURL.String(), DeviceURL: s.doors.deviceURL.String(), InsideURL: s.doors.insider.String(),
		CAFile: s.cfg.TLS.CAFile(), PID: os.Getpid(),
	}
	select {
	case token := <-s.setup:
		r.SetupURL = r.URL + "/?setup=" + url.QueryEscape(token)
	default:
	}
	return r
}

func (s *services) key(purpose string) config.Secret {
	return config.Secret(fmt.Sprintf("%x", s.master.Derive(purpose)))
}

func (s *services) db(ctx context.Context, name flow.Service) (*sqlite.DB, error) {
	return sqlite.Open(ctx, filepath.Join(s.cfg.Data, string(name)+".db"))
}

func (s *services) auth(ctx context.Context, log *zap.Logger, conn *bus.Conn) error {
	db, err := s.db(ctx, flow.Auth)
	if err != nil {
		return err
	}
	defer db.Close()
	return authd.Run(ctx, authd.Config{
		ServiceKey: s.key("service/auth"), DeviceSealKey: s.key("device-seal"), SetupToken: s.cfg.SetupToken,
		// Not what was made up for a listener: then each request's own host decides whether a login may be plain.
		PublicURL: s.cfg.PublicURL, PlainHTTP: s.cfg.PlainHTTP, TrustedProxies: s.cfg.TrustedProxies, TokenKeyLife: tokenKeyLife,
	}, authd.Deps{
		Log: log, Bus: conn, DB: db, Serve: s.gate.serve(flow.Auth),
		OnSetupToken: func(token string) { s.setup <- token },
	})
}

func (s *services) editor(ctx context.Context, log *zap.Logger, conn *bus.Conn) error {
	db, err := s.db(ctx, flow.Editor)
	if err != nil {
		return err
	}
	defer db.Close()
	blobs, err := s.base.blobs(ctx, flow.Editor)
	if err != nil {
		return err
	}
	defer blobs.Close()
	return editord.Run(ctx, editord.Config{
		ServiceKey: s.key("service/editor"), PublicURL: s.doors.publicURL, InternalURL: s.doors.insider, DeviceURL: s.doors.deviceURL.String(),
		DeviceCA: s.cfg.TLS.CAFile(), TrustedProxies: s.cfg.TrustedProxies, SourceMemory: sourceMemory, Build: s.cfg.Build, MIP: s.cfg.MIP,
	}, editord.Deps{Log: log, Bus: conn, DB: db, Blobs: blobs, Serve: s.gate.serve(flow.Editor)})
}

func (s *services) artifact(ctx context.Context, log *zap.Logger, conn *bus.Conn) error {
	db, err := s.db(ctx, flow.Artifact)
	if err != nil {
		return err
	}
	defer db.Close()
	blobs, err := s.base.blobs(ctx, flow.Artifact)
	if err != nil {
		return err
	}
	defer blobs.Close()
	return artifactd.Run(ctx, artifactd.Config{
		ServiceKey: s.key("service/artifact"), DeviceSealKey: s.key("device-seal"),
		PublicURL: s.doors.publicURL, InternalURL: s.doors.insider, CacheMiB: s.cfg.CacheMiB, Poll: s.cfg.Poll,
		PlainHTTPDevices: s.cfg.PlainDevices, TrustedProxies: s.cfg.TrustedProxies,
	}, artifactd.Deps{Log: log, Bus: conn, DB: db, Blobs: blobs, Serve: s.gate.serve(flow.Artifact)})
}

func (s *services) fleet(ctx context.Context, log *zap.Logger, conn *bus.Conn) error {
	db, err := s.db(ctx, flow.Fleet)
	if err != nil {
		return err
	}
	defer db.Close()
	return fleetd.Run(ctx, fleetd.Config{ServiceKey: s.key("service/fleet"), PublicURL: s.doors.publicURL},
		fleetd.Deps{Log: log, Bus: conn, DB: db, Serve: s.gate.serve(flow.Fleet)})
}

// boards is optional: where this machine cannot have any, all the rest goes on.
func (s *services) boards(ctx context.Context, log *zap.Logger, conn *bus.Conn) error {
	db, err := s.db(ctx, flow.Boards)
	if err != nil {
		return err
	}
	defer db.Close()
	err = boardsd.Run(ctx, boardsd.Config{
		PublicURL: s.doors.publicURL, ArtifactURL: s.doors.insider, TrustedProxies: s.cfg.TrustedProxies, Toolchain: s.cfg.Toolchain, Board: s.cfg.Board,
	}, boardsd.Deps{Log: log, Bus: conn, DB: db, Serve: s.gate.serve(flow.Boards)})
	if errors.Is(err, boardsd.ErrNotHere) {
		log.Warn("there are no virtual boards", zap.Error(err))
		s.gate.noBoards()
		return nil
	}
	return err
}

func (s *services) compiler(ctx context.Context, log *zap.Logger, conn *bus.Conn) error {
	return compilerd.Run(ctx, compilerd.Config{
		Toolchain: s.cfg.Toolchain, Slots: s.cfg.Slots, Unsandboxed: s.cfg.Unsandboxed, Drain: compilerDrain,
	}, compilerd.Deps{Log: log, Bus: conn})
}
