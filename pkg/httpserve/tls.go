package httpserve

import (
	"crypto/tls"
	"fmt"
	"path/filepath"

	"go.uber.org/zap"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"github.com/flota/flota/pkg/fault"
)

// TLSConfig says where a server's certificate comes from. Its tags are those
// of pkg/config.
type TLSConfig struct {
	Mode      string   `env:"MODE" envDefault:"off" desc:"off, own (a CA made at first start), files, or acme"`
	Hosts     []string `env:"HOSTS" desc:"names and addresses in the certificate, for own and acme"`
	Dir       string   `env:"DIR" envDefault:"tls" desc:"folder of the own CA or of ACME's certificates"`
	CertFile  string   `env:"CERT_FILE" desc:"certificate and chain in PEM, for files"`
	KeyFile   string   `env:"KEY_FILE" desc:"private key in PEM, for files"`
	ACMEEmail string   `env:"ACME_EMAIL" desc:"address that the ACME authority writes to"`
	ACMEURL   string   `env:"ACME_URL" desc:"directory of the ACME authority (default: Let's Encrypt)"`
}

// The modes of TLSConfig.
const (
	TLSOff   = "off"
	TLSOwn   = "own"
	TLSFiles = "files"
	TLSACME  = "acme"
)

// Enabled reports whether the server speaks TLS.
func (c TLSConfig) Enabled() bool { return c.Mode != TLSOff && c.Mode != "" }

// CAFile returns the path of the own CA's certificate (PEM), which devices and
// browsers may trust; "" in other modes. It exists after Load.
func (c TLSConfig) CAFile() string {
	if c.Mode != TLSOwn {
		return ""
	}
	return filepath.Join(c.Dir, caCertName)
}

// Load returns the configuration for Options.TLS, nil where TLS is off, or an
// Invalid fault that names the setting at fault. Call it once for all
// listeners that share the folder.
func (c TLSConfig) Load(log *zap.Logger) (*tls.Config, error) {
	switch c.Mode {
	case TLSOff, "":
		return nil, nil
	case TLSOwn:
		own, err := loadOwn(c.Dir, c.Hosts, log)
		if err != nil {
			return nil, fmt.Errorf("own certificate authority in %s: %w", c.Dir, err)
		}
		return serverConfig(own.certificate), nil
	case TLSFiles:
		files, err := loadFiles(c.CertFile, c.KeyFile, log)
		if err != nil {
			return nil, fault.Wrap(err, fault.Invalid, "the certificate files %q and %q cannot be used", c.CertFile, c.KeyFile)
		}
		return serverConfig(files.certificate), nil
	case TLSACME:
		return c.acme()
	}
	return nil, fault.Field("TLS_MODE", "%q is none of off, own, files, acme", c.Mode)
}

func serverConfig(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get}
}

// acme proves its names by TLS-ALPN on port 443, which must reach this server.
func (c TLSConfig) acme() (*tls.Config, error) {
	if len(c.Hosts) == 0 {
		return nil, fault.Field("TLS_HOSTS", "ACME needs the host names that the certificate is for")
	}
	manager := autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		Cache:      autocert.DirCache(c.Dir),
		HostPolicy: autocert.HostWhitelist(c.Hosts...),
		Email:      c.ACMEEmail,
	}
	if c.ACMEURL != "" {
		manager.Client = &acme.Client{DirectoryURL: c.ACMEURL}
	}
	config := serverConfig(manager.GetCertificate)
	config.NextProtos = []string{"h2", "http/1.1", acme.ALPNProto}
	return config, nil
}
