// Package embedded runs a NATS server inside the process, for one-process
// deployments and tests: with the services as its users, each with only its own
// subjects, and with every message on disk before it is acknowledged.
package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
)

// Options say where the server keeps its data and who may use it.
type Options struct {
	// StoreDir is the folder of the streams. Two servers must not share one.
	StoreDir string
	// Passwords of the services' users; one that has none here gets a random one.
	Passwords map[flow.Service]string
	// Listen is the TCP address to listen on, as "127.0.0.1:4222"; port 0 takes a
	// free one. Empty: none, only connections from inside the process.
	Listen string
	Log    *zap.Logger
}

// Server is a running server. It is a nats.InProcessConnProvider.
type Server struct {
	server    *server.Server
	passwords map[flow.Service]string
}

// Start starts a server and returns when it takes connections and its streams
// are recovered. It runs until Stop; ctx limits only the start.
func Start(ctx context.Context, o Options) (*Server, error) {
	passwords := make(map[flow.Service]string, len(flow.Services))
	for _, s := range flow.Services {
		passwords[s] = o.Passwords[s]
		if passwords[s] == "" {
			passwords[s] = rand.Text()
		}
	}
	options, err := serverOptions(o, passwords)
	if err != nil {
		return nil, err
	}
	ns, err := start(ctx, options, o.Log)
	if err != nil {
		return nil, err
	}
	return &Server{ns, passwords}, nil
}

// start runs a server with these options.
func start(ctx context.Context, options *server.Options, log *zap.Logger) (*server.Server, error) {
	ns, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("NATS server: %w", err)
	}
	logger := &logger{log: log.Named("nats").Sugar()}
	ns.SetLoggerV2(logger, false, false, false)
	ns.Start() // recovers the streams, then returns
	for !ns.ReadyForConnections(10 * time.Millisecond) {
		err := ctx.Err()
		if fatal := logger.fatal.Load(); fatal != nil {
			err = errors.New(*fatal)
		}
		if err != nil {
			ns.Shutdown()
			ns.WaitForShutdown()
			return nil, fmt.Errorf("NATS server does not start: %w", err)
		}
	}
	return ns, nil
}

// serverOptions is deploy/nats/nats.conf in code; a test holds them together.
func serverOptions(o Options, passwords map[flow.Service]string) (*server.Options, error) {
	options := &server.Options{
		ServerName: "flota", NoSigs: true, DontListen: o.Listen == "",
		JetStream: true, StoreDir: o.StoreDir, SyncAlways: true,
		JetStreamMaxMemory: flow.MaxMemoryStore, JetStreamMaxStore: flow.MaxFileStore,
	}
	if o.Listen != "" {
		host, port, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return nil, fmt.Errorf("listen address of the NATS server: %w", err)
		}
		if options.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("listen address of the NATS server: %w", err)
		}
		if options.Port == 0 {
			options.Port = server.RANDOM_PORT
		}
		options.Host = host
	}
	for _, u := range flow.Users() {
		permissions := &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: u.Publish},
			Subscribe: &server.SubjectPermission{Allow: u.Subscribe},
		}
		if u.Responds {
			permissions.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: flow.MaxAnswerTime}
		}
		options.Users = append(options.Users, &server.User{
			Username: string(u.Service), Password: passwords[u.Service], Permissions: permissions,
		})
	}
	return options, nil
}

// Bus returns what bus.Connect needs to connect as a service from inside the
// process.
func (s *Server) Bus(service flow.Service, log *zap.Logger) bus.Options {
	return bus.Options{InProcess: s, Service: service, Password: s.passwords[service], Log: log}
}

// InProcessConn connects without a socket.
func (s *Server) InProcessConn() (net.Conn, error) { return s.server.InProcessConn() }

// Addr is the address that it listens on, as host:port, or "" where it does not.
func (s *Server) Addr() string {
	if a := s.server.Addr(); a != nil {
		return a.String()
	}
	return ""
}

// Stop closes all connections and returns when everything is on disk.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}
