package solo

import (
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"testing"

	"github.com/flota/flota/pkg/httpserve"
)

type listener struct {
	net.Listener
	address string
}

func (l listener) Addr() net.Addr { return l }
func (listener) Network() string  { return "tcp" }
func (l listener) String() string { return l.address }

func TestOrigin(t *testing.T) {
	for want, test := range map[string]struct {
		address string
		tls     bool
		name    string
	}{
		"http://127.0.0.1:8080":     {"127.0.0.1:8080", false, ""},
		"https://192.0.2.1:8080":    {"192.0.2.1:8080", true, "flota.test"},
		"http://127.0.0.1:8081":     {"[::]:8081", false, ""},
		"http://flota.test:8081":    {"[::]:8081", false, "flota.test"},
		"http://flota.test:8082":    {"0.0.0.0:8082", false, "flota.test"},
		"http://[2001:db8::1]:8082": {"0.0.0.0:8082", false, "2001:db8::1"},
	} {
		if got := origin(listener{address: test.address}, test.tls, test.name); got.String() != want {
			t.Errorf("%+v: %s, want %s", test, got.String(), want)
		}
	}
}

func TestDefaults(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Chdir(home)
	cfg, err := Config{
		Data: ".flota/data", PublicURL: url.URL{Scheme: "https", Host: "flota.test:8443"},
		TLS: httpserve.TLSConfig{Mode: httpserve.TLSOwn, Dir: "tls", Hosts: []string{"other.test"}},
	}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(home, ".flota", "data")
	if cfg.Data != data || cfg.TLS.Dir != filepath.Join(data, "tls") || cfg.Toolchain != filepath.Join(home, ".cache", "flota", "toolchain") {
		t.Errorf("%+v", cfg)
	}
	if !slices.Equal(cfg.TLS.Hosts, []string{"other.test", "flota.test"}) {
		t.Errorf("the certificate is for %v", cfg.TLS.Hosts)
	}
	if keyFile(cfg.Data) != data+".key" {
		t.Errorf("the master key is in %s", keyFile(cfg.Data))
	}
}

func TestDeviceListen(t *testing.T) {
	for _, test := range []struct{ listen, devices, want string }{
		{"127.0.0.1:8080", "", "127.0.0.1:8081"},
		{":8080", "", "127.0.0.1:8081"},
		{"127.0.0.1:0", "", "127.0.0.1:0"},
		{":0", "", ":0"},
		{"[::1]:0", "", "[::1]:0"},
		{"127.0.0.1:0", "127.0.0.1:8081", "127.0.0.1:8081"},
		{"127.0.0.1:0", "off", "off"},
	} {
		cfg, err := Config{Data: t.TempDir(), Listen: test.listen, DeviceListen: test.devices}.withDefaults()
		if err != nil || cfg.DeviceListen != test.want {
			t.Errorf("%+v: %s %v", test, cfg.DeviceListen, err)
		}
	}
}
