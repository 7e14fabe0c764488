package authd_test

import (
	"testing"
	"time"

	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/services/auth/authd"
)

func TestConfig(t *testing.T) {
	var cfg authd.Config
	err := config.Parse(&cfg, []string{"--public-url", "https://flota.example.org", "--plain-http"}, []string{
		"FLOTA_SERVICE_KEY=" + serviceKey, "FLOTA_DEVICE_SEAL_KEY=" + sealKey, "FLOTA_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8",
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.PublicURL.Host != "flota.example.org" || !cfg.PlainHTTP || len(cfg.TrustedProxies) != 2 || cfg.TokenKeyLife != 720*time.Hour {
		t.Errorf("%+v", cfg)
	}
}
