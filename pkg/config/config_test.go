package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/flota/flota/pkg/config"
)

type nested struct {
	Listen string        `env:"LISTEN" envDefault:":9090" desc:"address of the second listener"`
	Wait   time.Duration `env:"WAIT" envDefault:"10s" desc:"how long"`
}

type sample struct {
	Listen  string         `env:"LISTEN" envDefault:":8080" desc:"address to listen on"`
	Dev     bool           `env:"DEV" desc:"development mode"`
	Limit   int            `env:"LIMIT" envDefault:"3" desc:"how many"`
	Allow   []netip.Prefix `env:"ALLOW" desc:"networks"`
	Hosts   []string       `env:"HOSTS" envDefault:"localhost" desc:"names"`
	Key     config.Secret  `env:"KEY" desc:"the key"`
	Device  nested         `envPrefix:"DEVICE_"`
	Public  url.URL        `env:"PUBLIC_URL" desc:"where browsers come"`
	Ignored string
}

func TestParse(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		args, environ []string
		check         func(c sample) bool
	}{
		"defaults": {nil, nil, func(c sample) bool {
			return c.Listen == ":8080" && !c.Dev && c.Limit == 3 && c.Device.Listen == ":9090" && c.Device.Wait == 10*time.Second
		}},
		"environment":          {nil, []string{"FLOTA_LISTEN=:1", "PATH=/bin", "FLOTA_DEVICE_WAIT=2m"}, func(c sample) bool { return c.Listen == ":1" && c.Device.Wait == 2*time.Minute }},
		"flag wins":            {[]string{"--listen=:2"}, []string{"FLOTA_LISTEN=:1"}, func(c sample) bool { return c.Listen == ":2" }},
		"flag with a space":    {[]string{"--limit", "7"}, nil, func(c sample) bool { return c.Limit == 7 }},
		"bool flag alone":      {[]string{"--dev", "--limit=7"}, nil, func(c sample) bool { return c.Dev && c.Limit == 7 }},
		"bool flag false":      {[]string{"--dev=false"}, []string{"FLOTA_DEV=true"}, func(c sample) bool { return !c.Dev }},
		"nested flag":          {[]string{"--device-listen=:3"}, nil, func(c sample) bool { return c.Device.Listen == ":3" }},
		"empty is the default": {nil, []string{"FLOTA_LISTEN="}, func(c sample) bool { return c.Listen == ":8080" }},
		"lists":                {[]string{"--hosts=a,b"}, []string{"FLOTA_ALLOW=10.0.0.0/8"}, func(c sample) bool { return len(c.Hosts) == 2 && c.Allow[0].Bits() == 8 }},
		"URL":                  {[]string{"--public-url=https://flota.example:8443"}, nil, func(c sample) bool { return c.Public.Host == "flota.example:8443" }},
		"secret":               {nil, []string{"FLOTA_KEY=hunter2"}, func(c sample) bool { return c.Key.Reveal() == "hunter2" }},
		"secret file":          {nil, []string{"FLOTA_KEY_FILE=" + keyFile}, func(c sample) bool { return c.Key.Reveal() == "from file" }},
		"secret file by flag":  {[]string{"--key-file=" + keyFile}, nil, func(c sample) bool { return c.Key.Reveal() == "from file" }},
		"test harness":         {nil, []string{"FLOTA_TEST_MONGO_URI=x"}, func(c sample) bool { return c.Limit == 3 }},
	} {
		t.Run(name, func(t *testing.T) {
			var c sample
			if err := config.Parse(&c, test.args, test.environ); err != nil {
				t.Fatal(err)
			}
			if !test.check(c) {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		args, environ []string
		want          string
	}{
		"unknown flag":       {[]string{"--lisen=:1"}, nil, "--lisen"},
		"unknown variable":   {nil, []string{"FLOTA_LISEN=:1"}, "FLOTA_LISEN"},
		"positional":         {[]string{"serve"}, nil, `"serve"`},
		"one dash":           {[]string{"-listen=:1"}, nil, `"-listen"`},
		"value missing":      {[]string{"--limit"}, nil, "--limit needs a value"},
		"not a number":       {nil, []string{"FLOTA_LIMIT=many"}, "FLOTA_LIMIT"},
		"not a duration":     {[]string{"--device-wait=long"}, nil, "FLOTA_DEVICE_WAIT"},
		"secret as flag":     {[]string{"--key=hunter2"}, nil, "FLOTA_KEY_FILE"},
		"secret twice":       {nil, []string{"FLOTA_KEY=a", "FLOTA_KEY_FILE=/b"}, "give one"},
		"secret file absent": {nil, []string{"FLOTA_KEY_FILE=/nonexistent"}, "FLOTA_KEY_FILE"},
		"file of no secret":  {nil, []string{"FLOTA_LISTEN_FILE=/b"}, "FLOTA_LISTEN_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			err := config.Parse(new(sample), test.args, test.environ)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want it to name %s", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
	if err := config.Parse(sample{}, nil, nil); err == nil {
		t.Error("a struct that is no pointer was accepted")
	}
}

func ExampleParse_help() {
	err := config.Parse(new(sample), []string{"--help"}, nil)
	fmt.Println(errors.Is(err, config.ErrHelp))
	// Output:
	// FLAG             VARIABLE             DEFAULT    MEANING
	// --listen         FLOTA_LISTEN         :8080      address to listen on
	// --dev            FLOTA_DEV                       development mode
	// --limit          FLOTA_LIMIT          3          how many
	// --allow          FLOTA_ALLOW                     networks
	// --hosts          FLOTA_HOSTS          localhost  names
	// --key-file       FLOTA_KEY                       the key (secret: a variable, or a file named by FLOTA_KEY_FILE)
	// --device-listen  FLOTA_DEVICE_LISTEN  :9090      address of the second listener
	// --device-wait    FLOTA_DEVICE_WAIT    10s        how long
	// --public-url     FLOTA_PUBLIC_URL                where browsers come
	// true
}

func TestSecretHides(t *testing.T) {
	secret := config.Secret("hunter2")
	holder := struct{ Key config.Secret }{secret}
	text, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	line, err := encoder.EncodeEntry(zapcore.Entry{}, []zapcore.Field{
		zap.Any("any", secret), zap.Stringer("stringer", secret), zap.Any("holder", holder), zap.Reflect("reflect", secret),
	})
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{string(text), line.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, secret), fmt.Sprintf(verb, holder), fmt.Sprintf(verb, &holder))
	}
	for _, s := range shown {
		if strings.Contains(s, "hunter2") || strings.Contains(s, "68756e74657232") || !strings.Contains(s, "***") {
			t.Errorf("%s", s)
		}
	}
}
