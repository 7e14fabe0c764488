// Package process is what every main function of a service does: read the
// configuration, start the log, run until told to stop, and say in one sentence
// why it could not.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/flota/flota/pkg/config"
)

// Main fills cfg, a pointer to a configuration struct, from the environment
// and the command line, and calls run with a context that ends on SIGINT or
// SIGTERM. It exits with 0 when run returns nil or the context's error, 2 when
// the configuration is wrong, and 1 on any other error. A second signal ends
// the process at once. With --probe it only asks the running process on this
// machine whether it is ready, for a container's health check.
func Main(name string, cfg any, run func(context.Context, *zap.Logger) error) {
	if len(os.Args) == 2 && os.Args[1] == "--probe" {
		os.Exit(probe(os.Getenv("FLOTA_LISTEN")))
	}
	switch err := config.Parse(cfg, os.Args[1:], os.Environ()); {
	case errors.Is(err, config.ErrHelp):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(2)
	}
	log := Logger(os.Stderr).Named(name)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := run(ctx, log)
	_ = log.Sync()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Logger returns the log: one JSON object a line, or words where a person
// reads along on a terminal.
func Logger(out *os.File) *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if info, err := out.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		encoding.EncodeLevel = zapcore.CapitalColorLevelEncoder
		encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(out), zap.InfoLevel))
}

// probe returns 0 if the process that listens on this address is ready.
func probe(listen string) int {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return 2
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("127.0.0.1", port)+"/readyz", nil)
	if err != nil {
		return 2
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		return 1
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}
