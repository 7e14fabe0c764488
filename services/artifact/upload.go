package artifact

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

// Uploads takes the outputs of builds.
type Uploads struct {
	Blobs   Blobs
	Catalog Catalog
	Now     func() time.Time

	mu sync.Mutex
	// arriving are the uploads under way of each attempt, so that those at the same
	// time count against its limits, too.
	arriving map[string]load
}

type load struct {
	outputs int
	bytes   int64
}

// Store stores size bytes of r under their digest for the attempt that the grant
// names. The same upload again changes nothing. Errors: Invalid with the field
// sha256 or size, TooLarge, Unavailable; then nothing is recorded.
func (u *Uploads) Store(ctx context.Context, grant Grant, sha256 string, r io.Reader, size int64) error {
	switch {
	case !deviceproto.ValidDigest(sha256):
		return fault.Field("sha256", "must be 64 lower-case hexadecimal digits")
	case size < 0:
		return fault.Field("size", "Content-Length is missing")
	case size > MaxOutput:
		return fault.New(fault.TooLarge, "an output has at most %d bytes", MaxOutput)
	}
	leave, err := u.enter(ctx, grant, size)
	if err != nil {
		return err
	}
	defer leave()

	measure := NewMeasure()
	if _, err := u.Blobs.Put(ctx, io.TeeReader(r, measure), size, sha256); err != nil {
		return err
	}
	return u.Catalog.Add(ctx, Output{
		Workspace: grant.Workspace, SHA256: sha256, Facts: measure.Facts(sha256),
		Build: grant.Build, Attempt: grant.Attempt, Stored: u.Now(),
	})
}

// enter counts an upload against its attempt's limits until leave is called.
func (u *Uploads) enter(ctx context.Context, grant Grant, size int64) (leave func(), err error) {
	outputs, stored, err := u.Catalog.OfAttempt(ctx, grant.Build, grant.Attempt)
	if err != nil {
		return nil, err
	}
	key := grant.String()
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.arriving[key]
	if outputs+now.outputs >= MaxAttemptOutputs || stored+now.bytes+size > MaxAttempt {
		return nil, fault.New(fault.TooLarge, "a build has at most %d outputs and %d bytes", MaxAttemptOutputs, MaxAttempt)
	}
	if u.arriving == nil {
		u.arriving = map[string]load{}
	}
	u.arriving[key] = load{now.outputs + 1, now.bytes + size}
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if left := u.arriving[key]; left.outputs > 1 {
			u.arriving[key] = load{left.outputs - 1, left.bytes - size}
		} else {
			delete(u.arriving, key)
		}
	}, nil
}
