// Package content serves blobs over HTTP: small ones from a bounded memory, so that
// a fleet that fetches one image at once costs the object store one request.
package content

import (
	"container/list"
	"context"
	"io"
	"sync"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
)

const (
	// fillTimeout limits one fetch from the object store. It is not the caller's
	// time: the others who wait for the same blob must not lose it with him.
	fillTimeout = time.Minute
	// maxFills is how many blobs are fetched at a time: what is being filled is not
	// yet counted against the cache.
	maxFills = 4
)

// Cache holds the bytes of the blobs used last, and the facts of many more. It is
// safe for concurrent use.
type Cache struct {
	known
	blobs    artifact.Blobs
	capacity int64
	fills    chan struct{}

	lock    sync.Mutex
	entries map[string]*list.Element // of *entry
	recent  list.List                // the newest in front
	bytes   int64
	filling map[string]*fill
}

type entry struct {
	sha256 string
	data   []byte
}

// fill is one fetch; those who want the same blob wait for it together.
type fill struct {
	done chan struct{}
	data []byte
	err  error
}

// NewCache returns a cache of at most capacity bytes over the blobs.
func NewCache(catalog artifact.Catalog, blobs artifact.Blobs, capacity int64) *Cache {
	return &Cache{
		known: known{catalog: catalog, facts: map[string]artifact.Facts{}},
		blobs: blobs, capacity: capacity, fills: make(chan struct{}, maxFills),
		entries: map[string]*list.Element{}, filling: map[string]*fill{},
	}
}

// fits reports whether a blob of this size is kept: one that would drive most of
// the others out is not.
func (c *Cache) fits(size int64) bool { return size <= c.capacity/4 }

// Bytes returns all bytes of a blob, from memory or the object store. They are
// shared: nobody may change them. Errors: NotFound, Unavailable, that of ctx.
func (c *Cache) Bytes(ctx context.Context, sha256 string, size int64) ([]byte, error) {
	c.lock.Lock()
	if e, ok := c.entries[sha256]; ok {
		c.recent.MoveToFront(e)
		c.lock.Unlock()
		return e.Value.(*entry).data, nil
	}
	f := c.filling[sha256]
	if f == nil {
		f = &fill{done: make(chan struct{})}
		c.filling[sha256] = f
		go c.fill(context.WithoutCancel(ctx), sha256, size, f)
	}
	c.lock.Unlock()

	select {
	case <-f.done:
		return f.data, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Cache) fill(ctx context.Context, sha256 string, size int64, f *fill) {
	ctx, cancel := context.WithTimeout(ctx, fillTimeout)
	defer cancel()
	f.data, f.err = c.fetch(ctx, sha256, size)

	c.lock.Lock()
	delete(c.filling, sha256)
	if f.err == nil {
		c.entries[sha256] = c.recent.PushFront(&entry{sha256, f.data})
		c.bytes += size
		c.evict()
	}
	c.lock.Unlock()
	close(f.done)
}

func (c *Cache) fetch(ctx context.Context, sha256 string, size int64) ([]byte, error) {
	select {
	case c.fills <- struct{}{}:
		defer func() { <-c.fills }()
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Unavailable, "the object store is busy")
	}
	body, stored, err := c.blobs.Get(ctx, sha256, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if stored != size {
		return nil, fault.New(fault.Internal, "blob %s has %d bytes, not %d", sha256, stored, size)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(body, data); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "the object store broke off")
	}
	// One read more: the store's own verification ends with the last byte.
	if _, err := body.Read(make([]byte, 1)); err != io.EOF {
		return nil, fault.Wrap(err, fault.Internal, "blob %s is not what its name says", sha256)
	}
	return data, nil
}

// evict drops the blobs used longest ago until the rest fits.
func (c *Cache) evict() {
	for c.bytes > c.capacity {
		oldest := c.recent.Back()
		e := c.recent.Remove(oldest).(*entry)
		delete(c.entries, e.sha256)
		c.bytes -= int64(len(e.data))
	}
}
