// Command editor runs the editor service.
package main

import (
	"context"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/blob"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/process"
	"github.com/flota/flota/pkg/process/storage"
	"github.com/flota/flota/services/editor/editord"
)

type config struct {
	process.Service
	storage.Documents
	editord.Config
	S3 blob.Config `envPrefix:"S3_"`
}

func main() {
	var cfg config
	process.Main("editor", &cfg, func(ctx context.Context, log *zap.Logger) error {
		conn, err := cfg.Connect(ctx, flow.Editor, log)
		if err != nil {
			return err
		}
		defer conn.Close()
		db, err := cfg.Open(ctx)
		if err != nil {
			return err
		}
		defer db.Close()
		blobs, err := blob.Open(ctx, cfg.S3)
		if err != nil {
			return err
		}
		defer blobs.Close()
		return editord.Run(ctx, cfg.Config, editord.Deps{Log: log, Bus: conn, DB: db, Blobs: blobs, Serve: cfg.Server(log)})
	})
}
