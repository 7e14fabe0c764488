// Command flota-solo runs the whole product in one process.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/flota/flota/deploy/solo"
	"github.com/flota/flota/pkg/process"
)

func main() {
	var cfg solo.Config
	process.Main("flota-solo", &cfg, func(ctx context.Context, log *zap.Logger) error {
		return solo.Run(ctx, cfg, log, func(r solo.Ready) {
			// For scripts, one line on standard output; for people, the link.
			_ = json.NewEncoder(os.Stdout).Encode(r)
			if r.SetupURL != "" {
				fmt.Fprintf(os.Stderr, "\n  Flota is ready. Create the administrator here (the link works once):\n\n    %s\n\n", r.SetupURL)
			} else {
				fmt.Fprintf(os.Stderr, "\n  Flota is ready:\n\n    %s\n\n", r.URL)
			}
		})
	})
}
