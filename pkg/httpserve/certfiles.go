package httpserve

import (
	"crypto/tls"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// certFiles serves a certificate from files and takes over new ones as they
// are put there.
type certFiles struct {
	certPath, keyPath string
	log               *zap.Logger

	mu      sync.Mutex
	changed [2]time.Time // modification times at the last try
	current *tls.Certificate
}

func loadFiles(certPath, keyPath string, log *zap.Logger) (*certFiles, error) {
	f := &certFiles{certPath: certPath, keyPath: keyPath, log: log}
	return f, f.reload()
}

// certificate looks at the files at each handshake: two stats are little
// beside a signature. While new files are not usable, the old ones serve.
func (f *certFiles) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.reload(); err != nil {
		f.log.Warn("the new certificate files cannot be used; the old certificate stays", zap.Error(err))
	}
	return f.current, nil
}

func (f *certFiles) reload() error {
	changed, err := modified(f.certPath, f.keyPath)
	if f.current != nil && changed == f.changed {
		return nil
	}
	f.changed = changed
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(f.certPath, f.keyPath)
	if err != nil {
		return err
	}
	f.current = &cert
	return nil
}

// modified returns the files' times, zero for one that is not there.
func modified(paths ...string) (times [2]time.Time, err error) {
	for i, path := range paths {
		info, statErr := os.Stat(path)
		if statErr != nil {
			err = statErr
			continue
		}
		times[i] = info.ModTime()
	}
	return times, err
}
