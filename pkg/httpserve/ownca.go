package httpserve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	caCertName = "ca.crt" // public: devices pin it, browsers may import it
	caKeyName  = "ca.key"
	leafName   = "server.pem" // certificate and key in one, so that they change as one

	caLife      = 20 * 365 * 24 * time.Hour
	leafLife    = 90 * 24 * time.Hour
	renewBefore = 30 * 24 * time.Hour
	backdate    = time.Hour // for clients whose clocks are behind
)

// ownCA is a certificate authority in a folder, and the server certificate
// that it issued.
type ownCA struct {
	dir   string
	hosts []string
	log   *zap.Logger
	ca    tls.Certificate

	mu   sync.Mutex
	leaf *tls.Certificate
}

// loadOwn makes what is missing in the folder: the CA at the first start, the
// server's certificate also when the hosts have changed or it expires soon.
// The names of this machine itself are always in it.
func loadOwn(dir string, hosts []string, log *zap.Logger) (*ownCA, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	o := &ownCA{dir: dir, hosts: withThisMachine(hosts), log: log}
	if err := o.loadCA(); err != nil {
		return nil, err
	}
	o.loadLeaf()
	_, err := o.certificate(nil)
	return o, err
}

func (o *ownCA) loadCA() error {
	cert, key := filepath.Join(o.dir, caCertName), filepath.Join(o.dir, caKeyName)
	if _, err := os.Stat(cert); errors.Is(err, fs.ErrNotExist) {
		if err := o.createCA(cert, key); err != nil {
			return err
		}
	}
	var err error
	o.ca, err = tls.LoadX509KeyPair(cert, key)
	return err
}

// createCA writes the certificate last: it says that the CA is whole.
func (o *ownCA) createCA(certPath, keyPath string) error {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	template.Subject = pkix.Name{CommonName: fmt.Sprintf("Flota CA %08x", uint32(template.SerialNumber.Uint64()))}
	cert, key, err := issue(template, nil)
	if err != nil {
		return err
	}
	if err := writeAside(keyPath, key, 0o600); err != nil {
		return err
	}
	o.log.Info("made a certificate authority", zap.String("name", template.Subject.CommonName), zap.String("certificate", certPath))
	return writeAside(certPath, cert, 0o644)
}

// loadLeaf takes over the certificate of the last run; one that cannot be read
// is as good as none.
func (o *ownCA) loadLeaf() {
	path := filepath.Join(o.dir, leafName)
	leaf, err := tls.LoadX509KeyPair(path, path)
	if err != nil || leaf.Leaf.CheckSignatureFrom(o.ca.Leaf) != nil || !slices.Equal(names(leaf.Leaf), o.hosts) {
		return
	}
	o.leaf = &leaf
}

func (o *ownCA) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.leaf != nil && time.Until(o.leaf.Leaf.NotAfter) > renewBefore {
		return o.leaf, nil
	}
	if err := o.renew(); err != nil {
		if o.leaf == nil {
			return nil, err
		}
		o.log.Error("the server's certificate cannot be renewed", zap.Error(err), zap.Time("expires", o.leaf.Leaf.NotAfter))
	}
	return o.leaf, nil
}

func (o *ownCA) renew() error {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "Flota"},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(leafLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if end := o.ca.Leaf.NotAfter; template.NotAfter.After(end) {
		template.NotAfter = end
	}
	for _, host := range o.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	cert, key, err := issue(template, &o.ca)
	if err != nil {
		return err
	}
	leaf, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	if err := writeAside(filepath.Join(o.dir, leafName), append(cert, key...), 0o600); err != nil {
		return err
	}
	o.leaf = &leaf
	o.log.Info("issued the server's certificate", zap.Strings("hosts", o.hosts), zap.Time("expires", template.NotAfter))
	return nil
}

// issue makes a P-256 key and signs its certificate: by the CA, or by itself
// where there is none. Both come as PEM.
func issue(template *x509.Certificate, ca *tls.Certificate) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	parent, signer := template, any(private)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

func serial() *big.Int {
	raw := make([]byte, 16)
	rand.Read(raw)
	raw[0] = raw[0]&0x7f | 0x40 // positive, and never short
	return new(big.Int).SetBytes(raw)
}

// withThisMachine returns the hosts as a certificate spells them, sorted.
func withThisMachine(hosts []string) []string {
	all := []string{"localhost", "127.0.0.1", "::1"}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			host = ip.String()
		}
		all = append(all, strings.ToLower(host))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// names lists what a certificate is for, as withThisMachine does.
func names(cert *x509.Certificate) []string {
	all := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	slices.Sort(all)
	return all
}

// writeAside replaces a file as a whole.
func writeAside(path string, content []byte, mode os.FileMode) error {
	aside, err := os.CreateTemp(filepath.Dir(path), ".tls-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(aside.Name()) }() // gone after the rename
	_, err = aside.Write(content)
	err = errors.Join(err, aside.Chmod(mode), aside.Sync(), aside.Close())
	if err != nil {
		return err
	}
	return os.Rename(aside.Name(), path)
}
