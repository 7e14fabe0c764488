// Command auth runs the auth service.
package main

import (
	"context"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/process"
	"github.com/flota/flota/pkg/process/storage"
	"github.com/flota/flota/services/auth/authd"
)

type config struct {
	process.Service
	storage.Documents
	authd.Config
}

func main() {
	var cfg config
	process.Main("auth", &cfg, func(ctx context.Context, log *zap.Logger) error {
		conn, err := cfg.Connect(ctx, flow.Auth, log)
		if err != nil {
			return err
		}
		defer conn.Close()
		db, err := cfg.Open(ctx)
		if err != nil {
			return err
		}
		defer db.Close()
		return authd.Run(ctx, cfg.Config, authd.Deps{Log: log, Bus: conn, DB: db, Serve: cfg.Server(log)})
	})
}
