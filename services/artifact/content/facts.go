package content

import (
	"context"
	"sync"

	"github.com/flota/flota/services/artifact"
)

// maxKnown is how many blobs' facts are remembered: 200 bytes each.
const maxKnown = 10000

// known remembers what the catalog says of blobs, which never changes.
type known struct {
	catalog artifact.Catalog

	mu    sync.RWMutex
	facts map[string]artifact.Facts
}

// Facts returns what is known of a blob. Errors: those of artifact.Catalog.Facts.
func (k *known) Facts(ctx context.Context, sha256 string) (artifact.Facts, error) {
	k.mu.RLock()
	f, ok := k.facts[sha256]
	k.mu.RUnlock()
	if ok {
		return f, nil
	}
	f, err := k.catalog.Facts(ctx, sha256)
	if err != nil {
		return f, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.facts) >= maxKnown {
		clear(k.facts)
	}
	k.facts[sha256] = f
	return f, nil
}
