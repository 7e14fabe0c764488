package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"github.com/minio/minio-go/v7"

	"github.com/flota/flota/pkg/fault"
)

// maxBuffer is the largest object, in bytes, that is checked in memory before it is
// sent; sending it can then be repeated when a connection breaks.
const maxBuffer = 4 << 20

// Put stores size bytes of r under their digest, which is given as lower-case hex, or
// "" to have it computed, and returns the digest. An object that exists is not sent again, but what r gives
// is verified all the same. It returns fault.Invalid with the field size or sha256
// when r gives something else than announced, and then nothing is stored.
//
// Put does not close r. A digest that is not known in advance costs a pass over r
// before the upload; beyond 4 MiB, unless r can seek, by way of a temporary file.
func (s *Store) Put(ctx context.Context, r io.Reader, size int64, digest string) (string, error) {
	if size < 0 || size > MaxSize {
		return "", fault.Field("size", "must be 0 to %d bytes", int64(MaxSize))
	}
	if digest != "" {
		if err := checkDigest(digest); err != nil {
			return "", err
		}
	}
	body, digest, release, err := prepare(r, size, digest)
	defer release()
	if err != nil {
		return "", err
	}

	found, err := s.Stat(ctx, digest)
	if err == nil && found.Size == size { // another size is a torn leftover: send it anew
		if v, ok := body.(*verifier); ok {
			_, err = io.Copy(io.Discard, v)
		}
		return digest, err
	}
	if err != nil && !fault.Is(err, fault.NotFound) {
		return "", err
	}
	// The signature covers the digest, so the server verifies it a second time.
	err = s.put(ctx, key(digest), body, size, digest)
	if v, ok := body.(*verifier); ok && v.err != nil && !errors.Is(v.err, io.EOF) {
		return "", v.err
	}
	if err != nil {
		return "", err
	}
	return digest, nil
}

func (s *Store) put(ctx context.Context, key string, body io.Reader, size int64, digest string) error {
	_, err := s.s3.PutObject(ctx, s.bucket, key, body, size, "", digest, minio.PutObjectOptions{
		ContentType:          "application/octet-stream",
		DisableContentSha256: true, // no chunked signature: the digest is known
	})
	return explain(err)
}

// prepare returns a body that yields exactly size bytes with the digest, or fails
// before its last byte; where it can it has checked that already.
func prepare(r io.Reader, size int64, digest string) (body io.Reader, sum string, release func(), err error) {
	release = func() {}
	switch {
	case size <= maxBuffer:
		body, sum, err = inMemory(r, size)
	case digest != "":
		return verify(r, size, digest, fault.Invalid), digest, release, nil
	default:
		body, sum, release, err = inTwoPasses(r, size)
	}
	if err == nil && digest != "" && digest != sum {
		err = fault.Field("sha256", "the content has digest %s", sum)
	}
	return body, sum, release, err
}

func inMemory(r io.Reader, size int64) (io.Reader, string, error) {
	buffer := bytes.NewBuffer(make([]byte, 0, size))
	digest, err := copyExactly(buffer, r, size)
	return bytes.NewReader(buffer.Bytes()), digest, err
}

func inTwoPasses(r io.Reader, size int64) (body io.Reader, digest string, release func(), err error) {
	if seeker, ok := r.(io.Seeker); ok {
		if start, err := seeker.Seek(0, io.SeekCurrent); err == nil { // a pipe cannot
			digest, err = copyExactly(io.Discard, r, size)
			if err == nil {
				_, err = seeker.Seek(start, io.SeekStart)
			}
			return verify(r, size, digest, fault.Invalid), digest, func() {}, err // it may change between the passes
		}
	}
	file, err := os.CreateTemp("", "flota-blob-")
	if err != nil {
		return nil, "", func() {}, err
	}
	release = func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}
	digest, err = copyExactly(file, r, size)
	return io.NewSectionReader(file, 0, size), digest, release, err
}

// copyExactly copies what must be size bytes and returns their digest.
func copyExactly(w io.Writer, r io.Reader, size int64) (digest string, err error) {
	hash := sha256.New()
	n, err := io.CopyN(io.MultiWriter(w, hash), r, size)
	switch {
	case errors.Is(err, io.EOF):
		return "", fault.Field("size", "%d bytes are missing", size-n)
	case err != nil:
		return "", err
	case !ended(r):
		return "", fault.Field("size", "there are more bytes than announced")
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
