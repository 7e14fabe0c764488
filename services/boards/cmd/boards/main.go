// Command boards runs the boards service.
package main

import (
	"context"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/process"
	"github.com/flota/flota/pkg/process/storage"
	"github.com/flota/flota/services/boards/boardsd"
)

type config struct {
	process.Service
	storage.Documents
	boardsd.Config
}

func main() {
	var cfg config
	process.Main("boards", &cfg, func(ctx context.Context, log *zap.Logger) error {
		conn, err := cfg.Connect(ctx, flow.Boards, log)
		if err != nil {
			return err
		}
		defer conn.Close()
		db, err := cfg.Open(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		return boardsd.Run(ctx, cfg.Config, boardsd.Deps{Log: log, Bus: conn, DB: db, Serve: cfg.Server(log)})
	})
}
