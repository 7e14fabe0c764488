// Package network is the world as virtual boards see it: the installation's device
// paths at http://flota, what the operator allows besides, and nothing else.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/outbound"
)

// The installation, in a board's world: boards.Server.
const (
	Host = "flota"
	Port = 80
)

// Options say what boards reach.
type Options struct {
	// Artifact is the artifact service: an origin.
	Artifact url.URL
	// Allow are other places, each host:port, by the operator's word. A name must be
	// public; an address may be of this network.
	Allow []string
	Log   *zap.Logger
}

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// Network answers boards. Serve it, and give each board a listener of its own.
type Network struct {
	allowed map[string]dial // by host:port
	device  *http.Server
	arrival *arrivals
}

const (
	// connections is how many a board may have at a time.
	connections = 8
	idle        = 2 * time.Minute
	// A board that downloads slowly has so long for all of an image.
	answerWithin = 10 * time.Minute
	askWithin    = 20 * time.Second
	maxHeader    = 16 << 10
)

// New returns a network. Error: Invalid of field "allow".
func New(o Options) (*Network, error) {
	n := &Network{allowed: map[string]dial{}, arrival: newArrivals()}
	for _, place := range o.Allow {
		host, port, err := net.SplitHostPort(place)
		if n, portErr := strconv.Atoi(port); err != nil || portErr != nil || n < 1 || n > 65535 || host == "" {
			return nil, fault.Field("allow", "%q is not host:port", place)
		}
		rule := outbound.Options{Timeout: askWithin}
		if a, err := netip.ParseAddr(host); err == nil {
			rule.Allow = []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
		}
		n.allowed[net.JoinHostPort(strings.ToLower(host), port)] = outbound.Dial(rule)
	}
	log, err := zap.NewStdLogAt(o.Log, zap.DebugLevel)
	if err != nil {
		return nil, err
	}
	n.device = &http.Server{
		Handler: devicePaths(o.Artifact, log), ErrorLog: log, MaxHeaderBytes: maxHeader,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            askWithin, ReadTimeout: askWithin, WriteTimeout: answerWithin, IdleTimeout: idle,
	}
	return n, nil
}

// Run answers at http://flota until ctx ends.
func (n *Network) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = n.device.Close() })()
	if err := n.device.Serve(n.arrival); ctx.Err() == nil {
		return err
	}
	return nil
}

// Serve serves a board's way out until ctx ends.
func (n *Network) Serve(ctx context.Context, way net.Listener) error {
	return chip.Proxy{Dial: n.connect, Connections: connections, Idle: idle}.Serve(ctx, way)
}

// connect is the rule of where a board may go.
func (n *Network) connect(ctx context.Context, host string, port int) (net.Conn, error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == Host && port == Port {
		return n.arrival.open(ctx)
	}
	place := net.JoinHostPort(host, strconv.Itoa(port))
	dial := n.allowed[place]
	if dial == nil {
		return nil, fmt.Errorf("a virtual board reaches http://%s only, and what the operator allows", Host)
	}
	conn, err := dial(ctx, "tcp", place)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be reached", place) // why is not the board's to know
	}
	return conn, nil
}

// arrivals is a listener for connections that are made here.
type arrivals struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newArrivals() *arrivals {
	return &arrivals{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// open makes a connection to the server.
func (a *arrivals) open(ctx context.Context) (net.Conn, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	select {
	case a.conns <- theirs:
		return ours, nil
	case <-a.closed:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, ours.Close(), theirs.Close())
}

// Accept implements net.Listener.
func (a *arrivals) Accept() (net.Conn, error) {
	select {
	case c := <-a.conns:
		return c, nil
	case <-a.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (a *arrivals) Close() error {
	close(a.closed)
	return nil
}

// Addr implements net.Listener.
func (a *arrivals) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: Host} }

// pair is a connection: with a buffer of the kernel's, and ends that close by half.
func pair() (net.Conn, net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), Host)
		c, fileErr := net.FileConn(f)
		f.Close()
		if fileErr != nil {
			err = fileErr
			continue
		}
		conns[i] = c
	}
	if err != nil {
		for _, c := range conns {
			if c != nil {
				err = errors.Join(err, c.Close())
			}
		}
		return nil, nil, err
	}
	return conns[0], conns[1], nil
}
