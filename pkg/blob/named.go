package blob

import (
	"context"
	"io"

	"github.com/flota/flota/pkg/fault"
)

// PutNamed stores size bytes of r under a name such as logs/<build>/<attempt>, and
// replaces what was there. A name is a slash-separated path, and no name may be a
// folder of another. It returns fault.Invalid with the field size or name.
func (s *Store) PutNamed(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := checkName(name); err != nil {
		return err
	}
	if size < 0 || size > MaxSize {
		return fault.Field("size", "must be 0 to %d bytes", int64(MaxSize))
	}
	body, digest, release, err := prepare(r, size, "")
	defer release()
	if err != nil {
		return err
	}
	return s.put(ctx, name, body, size, digest)
}

// GetNamed opens a named object as Get does, without verification.
func (s *Store) GetNamed(ctx context.Context, name string, offset, length int64) (body io.ReadCloser, size int64, err error) {
	if err := checkName(name); err != nil {
		return nil, 0, err
	}
	return s.get(ctx, name, offset, length)
}

// DeleteNamed removes a named object; it is no error when there is none.
func (s *Store) DeleteNamed(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	return s.remove(ctx, name)
}
