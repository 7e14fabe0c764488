// Command fleet runs the fleet service.
package main

import (
	"context"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/process"
	"github.com/flota/flota/pkg/process/storage"
	"github.com/flota/flota/services/fleet/fleetd"
)

type config struct {
	process.Service
	storage.Documents
	fleetd.Config
}

func main() {
	var cfg config
	process.Main("fleet", &cfg, func(ctx context.Context, log *zap.Logger) error {
		conn, err := cfg.Connect(ctx, flow.Fleet, log)
		if err != nil {
			return err
		}
		defer conn.Close()
		db, err := cfg.Open(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		return fleetd.Run(ctx, cfg.Config, fleetd.Deps{Log: log, Bus: conn, DB: db, Serve: cfg.Server(log)})
	})
}
