// Package artifacttest has what the tests of this service share.
package artifacttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/fault"
)

// Blobs keeps blobs in memory, as strictly as blob.Store does.
type Blobs struct {
	// Gets counts the calls of Get.
	Gets atomic.Int64
	// Wait, if it is set, holds up every Get until it is closed.
	Wait chan struct{}
	// Down makes every call fail.
	Down atomic.Bool

	mu   sync.Mutex
	data map[string][]byte
}

var errDown = fault.New(fault.Unavailable, "the object store does not answer")

// Add stores content and returns its digest.
func (b *Blobs) Add(content []byte) string {
	sum := sha256.Sum256(content)
	digest := hex.EncodeToString(sum[:])
	b.Set(digest, content)
	return digest
}

// Set stores content under any name, as a damaged store would have it.
func (b *Blobs) Set(digest string, content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.data == nil {
		b.data = map[string][]byte{}
	}
	b.data[digest] = content
}

// Has reports whether a blob is there.
func (b *Blobs) Has(digest string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.data[digest]
	return ok
}

// Put implements artifact.Blobs.
func (b *Blobs) Put(_ context.Context, r io.Reader, size int64, digest string) (string, error) {
	if b.Down.Load() {
		return "", errDown
	}
	content, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	if int64(len(content)) != size {
		return "", fault.Field("size", "another size than announced")
	}
	sum := sha256.Sum256(content)
	if hex.EncodeToString(sum[:]) != digest {
		return "", fault.Field("sha256", "the content has another digest")
	}
	b.Set(digest, content)
	return digest, nil
}

// Get implements artifact.Blobs.
func (b *Blobs) Get(_ context.Context, digest string, offset, length int64) (io.ReadCloser, int64, error) {
	b.Gets.Add(1)
	if b.Wait != nil {
		<-b.Wait
	}
	if b.Down.Load() {
		return nil, 0, errDown
	}
	b.mu.Lock()
	content, ok := b.data[digest]
	b.mu.Unlock()
	if !ok {
		return nil, 0, fault.New(fault.NotFound, "no such object")
	}
	size := int64(len(content))
	rest := content[min(offset, size):]
	if length >= 0 {
		rest = rest[:min(length, int64(len(rest)))]
	}
	return io.NopCloser(bytes.NewReader(rest)), size, nil
}

// DB opens an empty database for one test.
func DB(t testing.TB) docstore.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "artifact.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
