package httpserve

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"github.com/flota/flota/pkg/fault"
)

const readyTimeout = 2 * time.Second // for all checks together

// addHealth adds /healthz (the process lives) and /readyz (what it needs
// answers).
func addHealth(e *echo.Echo, log *zap.Logger, checks map[string]func(context.Context) error) {
	ok := func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
	}
	e.GET("/healthz", ok)
	e.GET("/readyz", func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
		defer cancel()
		var failed []string
		for _, name := range slices.Sorted(maps.Keys(checks)) {
			if err := checks[name](ctx); err != nil {
				log.Info("not ready", zap.String("check", name), zap.Error(err))
				failed = append(failed, name)
			}
		}
		if len(failed) > 0 {
			return fault.New(fault.Unavailable, "not ready: %s", strings.Join(failed, ", "))
		}
		return ok(c)
	})
}
