package blob

import (
	"context"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/flota/flota/pkg/fault"
)

// Get opens length bytes of an object from offset on; length -1 goes to the end, and
// a length beyond it is cut there. The caller closes the reader; size is that of the
// whole object, in bytes. It returns fault.NotFound, and fault.Invalid when offset
// lies beyond the end.
//
// An object that is read whole (0, -1) is verified: where its content does not match
// its digest, reading fails before the last bytes.
func (s *Store) Get(ctx context.Context, digest string, offset, length int64) (body io.ReadCloser, size int64, err error) {
	if err := checkDigest(digest); err != nil {
		return nil, 0, err
	}
	body, size, err = s.get(ctx, key(digest), offset, length)
	if err == nil && offset == 0 && length < 0 {
		body = verifiedBody{verify(body, size, digest, fault.Internal), body}
	}
	return body, size, err
}

type verifiedBody struct {
	io.Reader
	io.Closer
}

func (s *Store) get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, int64, error) {
	if offset < 0 || length == 0 {
		return s.getNothing(ctx, key, offset)
	}
	var options minio.GetObjectOptions
	switch {
	case length > 0:
		_ = options.SetRange(offset, offset+length-1) // fails on negative numbers only
	case offset > 0:
		_ = options.SetRange(offset, 0)
	}
	body, object, header, err := s.s3.GetObject(ctx, s.bucket, key, options)
	if err != nil {
		return nil, 0, explain(err)
	}
	return body, wholeSize(header, object.Size), nil
}

// getNothing answers what S3 has no range for.
func (s *Store) getNothing(ctx context.Context, key string, offset int64) (io.ReadCloser, int64, error) {
	info, err := s.stat(ctx, key)
	if err == nil && (offset < 0 || offset > info.Size) {
		err = fault.Field("offset", "must be 0 to %d", info.Size)
	}
	if err != nil {
		return nil, 0, err
	}
	return http.NoBody, info.Size, nil
}

// wholeSize takes the size after the slash of "Content-Range: bytes 0-9/100".
func wholeSize(header http.Header, contentLength int64) int64 {
	_, total, _ := strings.Cut(header.Get("Content-Range"), "/")
	if size, err := strconv.ParseInt(total, 10, 64); err == nil {
		return size
	}
	return contentLength
}

// Stat describes an object, or returns fault.NotFound.
func (s *Store) Stat(ctx context.Context, digest string) (Info, error) {
	if err := checkDigest(digest); err != nil {
		return Info{}, err
	}
	info, err := s.stat(ctx, key(digest))
	info.SHA256 = digest
	return info, err
}

func (s *Store) stat(ctx context.Context, key string) (Info, error) {
	object, err := s.s3.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return Info{}, explain(err)
	}
	return Info{Size: object.Size, ModTime: object.LastModified}, nil
}

// Delete removes an object; it is no error when there is none.
func (s *Store) Delete(ctx context.Context, digest string) error {
	if err := checkDigest(digest); err != nil {
		return err
	}
	return s.remove(ctx, key(digest))
}

func (s *Store) remove(ctx context.Context, key string) error {
	err := explain(s.s3.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}))
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// List calls each for every content-addressed object, in the order of their digests,
// and ends with the first error.
func (s *Store) List(ctx context.Context, each func(Info) error) error {
	ctx, cancel := context.WithCancel(ctx) // ends the listing when each does
	defer cancel()
	for object := range s.s3.ListObjectsIter(ctx, s.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if object.Err != nil {
			return explain(object.Err)
		}
		digest := path.Base(object.Key)
		if checkDigest(digest) != nil || key(digest) != object.Key {
			continue // not put there by this package
		}
		if err := each(Info{SHA256: digest, Size: object.Size, ModTime: object.LastModified}); err != nil {
			return err
		}
	}
	return ctx.Err()
}
