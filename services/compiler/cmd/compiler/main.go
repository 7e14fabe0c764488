// Command compiler runs a compile worker.
package main

import (
	"context"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/process"
	"github.com/flota/flota/services/compiler/compilerd"
)

type config struct {
	process.Service
	compilerd.Config
}

func main() {
	var cfg config
	process.Main("compiler", &cfg, func(ctx context.Context, log *zap.Logger) error {
		conn, err := cfg.Connect(ctx, flow.Compiler, log)
		if err != nil {
			return err
		}
		defer conn.Close()
		return compilerd.Run(ctx, cfg.Config, compilerd.Deps{Log: log, Bus: conn, Serve: cfg.Server(log)})
	})
}
