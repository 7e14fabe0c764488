// Package contents keeps what is in files: content-addressed in an object
// store, with the recently used ones in memory, so that a build made right
// after a save reads nothing back.
package contents

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/editor"
)

// Blobs is what is asked of the object store: a *blob.Store.
type Blobs interface {
	Put(ctx context.Context, r io.Reader, size int64, digest string) (string, error)
	Get(ctx context.Context, digest string, offset, length int64) (body io.ReadCloser, size int64, err error)
}

// Contents implements editor.Contents.
type Contents struct {
	blobs  Blobs
	recent *recent
	max    int64
}

var _ editor.Contents = (*Contents)(nil)

// New returns contents of at most limit bytes each, in blobs, with up to memory
// bytes of them in memory as well; 0 for none.
func New(blobs Blobs, limit, memory int64) *Contents {
	return &Contents{blobs: blobs, recent: newRecent(memory), max: limit}
}

// Put implements editor.Contents.
func (c *Contents) Put(ctx context.Context, content []byte) (string, error) {
	digest := editor.Digest(content)
	if _, ok := c.recent.get(digest); ok {
		return digest, nil // it was put, or read, before
	}
	if _, err := c.blobs.Put(ctx, bytes.NewReader(content), int64(len(content)), digest); err != nil {
		return "", err
	}
	c.recent.add(digest, content)
	return digest, nil
}

// Get implements editor.Contents. The caller must not change what it returns.
func (c *Contents) Get(ctx context.Context, digest string) ([]byte, error) {
	if content, ok := c.recent.get(digest); ok {
		return content, nil
	}
	body, size, err := c.blobs.Get(ctx, digest, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if size > c.max {
		return nil, fault.New(fault.Internal, "%s has %d bytes, more than were ever put", digest, size)
	}
	content, err := io.ReadAll(io.LimitReader(body, size+1)) // one more, for the end is where it is verified
	if err != nil {
		return nil, fmt.Errorf("content %s: %w", digest, err)
	}
	c.recent.add(digest, content)
	return content, nil
}
