// Package bustest gives tests a real NATS server: every service is a user with
// its own permissions, everything is on disk before it is acknowledged, and the
// server can be stopped and started again with the same data at the same address.
package bustest

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/embedded"
	"github.com/flota/flota/pkg/flow"
)

// startTimeout limits each step of a test's set-up.
const startTimeout = 20 * time.Second

// NATS is a server for one test. It ends with the test.
type NATS struct {
	t         testing.TB
	log       *zap.Logger
	dir       string
	listen    string
	passwords map[flow.Service]string

	mu     sync.Mutex
	server *embedded.Server // nil while stopped
}

// Server starts a server that has every stream, consumer and bucket of the map.
func Server(t testing.TB) *NATS {
	t.Helper()
	n := Empty(t)
	n.Ensure()
	return n
}

// Empty starts a server without streams.
func Empty(t testing.TB) *NATS {
	t.Helper()
	n := &NATS{t: t, log: zap.NewNop(), dir: t.TempDir(), listen: "127.0.0.1:0", passwords: map[flow.Service]string{}}
	if testing.Verbose() {
		n.log, _ = zap.NewDevelopment(zap.IncreaseLevel(zap.WarnLevel), zap.AddStacktrace(zap.FatalLevel))
	}
	for _, s := range flow.Services {
		n.passwords[s] = "password-of-" + string(s)
	}
	n.Start()
	t.Cleanup(n.Stop)
	return n
}

// Start starts the server again after Stop.
func (n *NATS) Start() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := embedded.Start(ctx, embedded.Options{StoreDir: n.dir, Passwords: n.passwords, Listen: n.listen, Log: n.log})
	if err != nil {
		n.t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = server
	n.listen = server.Addr()
}

// Stop stops the server and cuts all connections; they come back after Start.
func (n *NATS) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server != nil {
		n.server.Stop()
		n.server = nil
	}
}

// Restart is Stop and Start. Streams and buckets in memory are empty afterwards,
// and there only when their owner is connected, or after Ensure.
func (n *NATS) Restart() {
	n.t.Helper()
	n.Stop()
	n.Start()
}

// Wipe deletes the data of a stopped server.
func (n *NATS) Wipe() {
	n.t.Helper()
	if err := os.RemoveAll(n.dir); err != nil {
		n.t.Fatal(err)
	}
}

// Ensure makes all streams, consumers and buckets, as their owners.
func (n *NATS) Ensure() {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for _, s := range flow.Services {
		c := n.connect(s)
		err := c.Ensure(ctx)
		c.Close()
		if err != nil {
			n.t.Fatal(err)
		}
	}
}

// Connect connects as a service, until the test ends.
func (n *NATS) Connect(service flow.Service) *bus.Conn {
	n.t.Helper()
	c := n.connect(service)
	n.t.Cleanup(c.Close)
	return c
}

func (n *NATS) connect(service flow.Service) *bus.Conn {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	c, err := bus.Connect(ctx, n.Options(service))
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}

// Options are those that a service connects with.
func (n *NATS) Options(service flow.Service) bus.Options {
	return bus.Options{URL: n.URL(), Service: service, Password: n.Password(service), Log: n.log}
}

// URL is the server's URL, also while it is stopped.
func (n *NATS) URL() string { return "nats://" + n.Addr() }

// Addr is the server's address, as host:port, also while it is stopped.
func (n *NATS) Addr() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.listen
}

// Password is that of a service's user.
func (n *NATS) Password(service flow.Service) string { return n.passwords[service] }
