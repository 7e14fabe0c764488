// Package contentstest gives tests an object store in memory.
package contentstest

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/editor"
)

// Blobs implements contents.Blobs. The zero value is empty.
type Blobs struct {
	mu      sync.Mutex
	objects map[string][]byte
	reads   int
}

// Put implements contents.Blobs.
func (b *Blobs) Put(_ context.Context, r io.Reader, size int64, digest string) (string, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return "", err
	}
	if int64(len(data)) != size || digest != "" && digest != editor.Digest(data) {
		return "", fault.Field("sha256", "not what was announced")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects == nil {
		b.objects = map[string][]byte{}
	}
	digest = editor.Digest(data)
	b.objects[digest] = data
	return digest, nil
}

// Get implements contents.Blobs for whole objects.
func (b *Blobs) Get(_ context.Context, digest string, _, _ int64) (io.ReadCloser, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	data, ok := b.objects[digest]
	if !ok {
		return nil, 0, fault.New(fault.NotFound, "no such object")
	}
	return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
}

// Reads is how often Get was called.
func (b *Blobs) Reads() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads
}

// Count is how many objects there are.
func (b *Blobs) Count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.objects)
}
