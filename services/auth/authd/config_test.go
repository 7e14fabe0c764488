package authd_test

import (
	"strings"
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

// A setting that cannot be right is named, before anything is touched.
func TestRunRefuses(t *testing.T) {
	for name, change := range map[string]func(*authd.Config){
		"FLOTA_SERVICE_KEY":     func(c *authd.Config) { c.ServiceKey = "short" },
		"FLOTA_DEVICE_SEAL_KEY": func(c *authd.Config) { c.DeviceSealKey = config.Secret(sealKey[2:]) },
		"FLOTA_TOKEN_KEY_LIFE":  func(c *authd.Config) { c.TokenKeyLife = 0 },
	} {
		cfg := authd.Config{ServiceKey: serviceKey, DeviceSealKey: sealKey, TokenKeyLife: time.Hour}
		change(&cfg)
		if err := authd.Run(t.Context(), cfg, authd.Deps{}); err == nil || !strings.HasPrefix(err.Error(), name+":") || strings.Contains(err.Error(), sealKey[2:]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
