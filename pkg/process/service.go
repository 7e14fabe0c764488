package process

import (
	"context"
	"net"
	"net/http"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/httpserve"
)

// Service is what every service's process is told: where it listens and where
// the bus is.
type Service struct {
	Listen       string              `env:"LISTEN" envDefault:":8080" desc:"address that the service listens on"`
	NATSURL      string              `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222" desc:"the message bus"`
	NATSPassword config.Secret       `env:"NATS_PASSWORD" desc:"password of the service's user on the bus"`
	TLS          httpserve.TLSConfig `envPrefix:"TLS_"`
}

// Connect connects to the bus as one of the services, and keeps trying until
// ctx ends.
func (s Service) Connect(ctx context.Context, service flow.Service, log *zap.Logger) (*bus.Conn, error) {
	return bus.Connect(ctx, bus.Options{URL: s.NATSURL, Service: service, Password: s.NATSPassword.Reveal(), Log: log})
}

// Server returns what a daemon serves HTTP with: it listens until its context
// ends, and drains.
func (s Service) Server(log *zap.Logger) func(context.Context, http.Handler) error {
	return func(ctx context.Context, h http.Handler) error {
		tls, err := s.TLS.Load(log)
		if err != nil {
			return err
		}
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Listen)
		if err != nil {
			return err
		}
		log.Info("listening", zap.Stringer("address", ln.Addr()))
		return httpserve.Serve(ctx, ln, h, httpserve.Options{TLS: tls, Log: log})
	}
}
