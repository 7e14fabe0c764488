package httpserve

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Options limit a server; a zero value takes the default.
type Options struct {
	TLS *tls.Config // nil: plain HTTP; see TLSConfig.Load
	Log *zap.Logger // none

	Drain        time.Duration // for requests to end once ctx is done; 10 s
	ReadTimeout  time.Duration // for a request's body; 60 s
	WriteTimeout time.Duration // for an answer, from the request's headers on; 60 s
}

const (
	defaultDrain     = 10 * time.Second
	defaultTimeout   = 60 * time.Second
	headerTimeout    = 10 * time.Second
	idleTimeout      = 2 * time.Minute
	maxHeaderBytes   = 32 << 10
	eventStream      = "text/event-stream"
	afterDrainToStop = time.Second // for handlers to see that their context has ended
)

// Serve answers requests on ln until ctx is done, then drains: no new requests
// are taken, event streams are told at once by their context, all others have
// Drain to end, and what is left then is cut. It closes ln. The error is nil
// after a drain.
//
// A handler that streams sets its own deadlines by http.ResponseController.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, o Options) error {
	o = o.withDefaults()
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()

	server := &http.Server{
		Handler:           deadlines(ctx, h, o.ReadTimeout),
		BaseContext:       func(net.Listener) context.Context { return base },
		TLSConfig:         o.TLS,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      o.WriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
	errorLog, err := zap.NewStdLogAt(o.Log, zap.DebugLevel) // clients' mistakes, mostly
	if err != nil {
		return err
	}
	server.ErrorLog = errorLog

	served := make(chan error, 1)
	go func() {
		if o.TLS != nil {
			served <- server.ServeTLS(ln, "", "")
		} else {
			served <- server.Serve(ln)
		}
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	return drain(server, cut, o)
}

func drain(server *http.Server, cut func(), o Options) error {
	err := shutdown(server, o.Drain)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	o.Log.Warn("requests were cut off", zap.Duration("drain", o.Drain))
	cut()
	if err := shutdown(server, afterDrainToStop); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}

func shutdown(server *http.Server, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return server.Shutdown(ctx)
}

// deadlines bounds the reading of bodies, and ends event streams when draining
// begins. The server's own ReadTimeout would also end every handler that
// streams for longer.
func deadlines(draining context.Context, next http.Handler, readTimeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout)) // a real connection has one
		}
		if strings.Contains(r.Header.Get("Accept"), eventStream) {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(draining, cancel)()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	o.Drain = cmp.Or(o.Drain, defaultDrain)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, defaultTimeout)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, defaultTimeout)
	return o
}
