package solo

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/httpserve"
	"github.com/flota/flota/services/boards/boardsd"
	"github.com/flota/flota/services/editor/editord"
)

// Config is what an operator can set.
type Config struct {
	Data           string              `env:"DATA" envDefault:".flota/data" desc:"the data folder; the master key is in the file <folder>.key beside it"`
	Listen         string              `env:"LISTEN" envDefault:"127.0.0.1:8080" desc:"where people reach it; port 0 takes a free one"`
	DeviceListen   string              `env:"DEVICE_LISTEN" desc:"where devices reach it, always plain HTTP; off = only at the other one (default: 127.0.0.1:8081, or a free port where LISTEN has port 0)"`
	PublicURL      url.URL             `env:"PUBLIC_URL" desc:"where browsers find it (default: from the listener)"`
	DeviceURL      url.URL             `env:"DEVICE_URL" desc:"where devices find it, as new devices are told (default: from their listener)"`
	PlainHTTP      bool                `env:"PLAIN_HTTP" desc:"consent to logins over plain HTTP by others than this machine: passwords travel readable"`
	PlainDevices   bool                `env:"PLAIN_HTTP_DEVICES" desc:"consent to device keys over plain HTTP, for stock HTTPUpdate clients"`
	SetupToken     config.Secret       `env:"SETUP_TOKEN" desc:"presets the first administrator's one-time token; made and shown at start where it is empty"`
	TrustedProxies []netip.Prefix      `env:"TRUSTED_PROXIES" desc:"networks of proxies whose X-Forwarded-For and -Proto are believed, as 10.0.0.0/8,…"`
	TLS            httpserve.TLSConfig `envPrefix:"TLS_"`
	Slots          int                 `env:"SLOTS" envDefault:"0" desc:"builds at a time; 0 = as many as there are processors, negative = none: no compiler"`
	Toolchain      string              `env:"TOOLCHAIN" desc:"the toolchain root (default: the one that deploy/toolchain/layout.sh made last)"`
	Unsandboxed    bool                `env:"UNSANDBOXED" desc:"compile without a sandbox: every account can then run code as this user"`
	Cache          string              `env:"CACHE" desc:"where set-up keeps toolchains (default: ~/.cache/flota)"`
	Poll           time.Duration       `env:"POLL" envDefault:"60s" desc:"interval between a device's polls, where its deployment says none"`
	Build          editord.BuildConfig `envPrefix:"BUILD_"`
	MIP            editord.MIPConfig   `envPrefix:"MIP_"`
	Boards         bool                `env:"BOARDS" envDefault:"true" desc:"virtual boards, where this machine has a sandbox for them"`
	Board          boardsd.BoardConfig `envPrefix:"BOARDS_"`
	CacheMiB       int64               `env:"CACHE_MIB" envDefault:"64" desc:"memory for the blobs fetched most, in MiB"`
}

// withDefaults fills in what depends on the machine, and makes paths absolute:
// the embedded S3 server changes the working directory.
func (c Config) withDefaults() (Config, error) {
	if c.Cache == "" {
		if home, err := os.UserHomeDir(); err == nil {
			c.Cache = filepath.Join(home, ".cache", "flota")
		}
	}
	if c.Toolchain == "" {
		c.Toolchain = filepath.Join(c.Cache, "toolchain")
	}
	if c.DeviceListen == "" {
		c.DeviceListen = "127.0.0.1:8081"
		// Who asks for any port runs more than one.
		if host, port, err := net.SplitHostPort(c.Listen); err == nil && port == "0" {
			c.DeviceListen = net.JoinHostPort(host, port)
		}
	}
	if c.TLS.Dir == "" || c.TLS.Dir == "tls" {
		c.TLS.Dir = filepath.Join(c.Data, "tls")
	}
	if name := c.PublicURL.Hostname(); c.TLS.Mode == httpserve.TLSOwn && name != "" && !slices.Contains(c.TLS.Hosts, name) {
		c.TLS.Hosts = append(c.TLS.Hosts, name)
	}
	if c.Board.Data == "" {
		c.Board.Data = filepath.Join(c.Data, "boards")
	}
	for _, path := range []*string{&c.Data, &c.Toolchain, &c.Board.Data, &c.Board.Base, &c.TLS.Dir, &c.TLS.CertFile, &c.TLS.KeyFile} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return c, err
		}
		*path = absolute
	}
	return c, nil
}

// origin is the URL of a listener. One that listens on all addresses is called by
// name, or, without one, as seen from this machine.
func origin(ln net.Listener, tls bool, name string) url.URL {
	scheme := "http"
	if tls {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(ln.Addr().String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = cmp.Or(name, "127.0.0.1")
	}
	return url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}
}

// randomSecret is for what lives no longer than the process.
func randomSecret() string {
	var b [24]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func keyFile(data string) string { return strings.TrimRight(data, "/") + ".key" }

const (
	sourceMemory = 32 << 20
	tokenKeyLife = 30 * 24 * time.Hour
	readyEvery   = 20 * time.Millisecond
	// compilerDrain is how long running builds may take to end at a stop; they
	// are done again at the next start.
	compilerDrain = 20 * time.Second
)
