// Package blob keeps objects in any S3 store: content-addressed ones, which are
// named by their SHA-256 and never change, and named ones, such as logs.
//
// Nothing half-written is ever visible: S3 shows an object when the last byte of its
// upload has arrived, and Put withholds that byte until size and digest are right.
// What is read whole is verified on its way, too.
package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/fault"
)

// Config says which bucket of which S3 store.
type Config struct {
	Endpoint  string        `env:"ENDPOINT" desc:"host:port of the S3 store"`
	Region    string        `env:"REGION" envDefault:"us-east-1" desc:"region of the S3 store"`
	Bucket    string        `env:"BUCKET" envDefault:"flota" desc:"bucket for all objects"`
	AccessKey string        `env:"ACCESS_KEY" desc:"access key of the S3 store"`
	SecretKey config.Secret `env:"SECRET_KEY" desc:"secret key of the S3 store"`
	Secure    bool          `env:"SECURE" desc:"speak TLS with the S3 store"`
}

// MaxSize is the largest object in bytes: what S3 takes in one request.
const MaxSize = 5 << 30

const (
	attempts    = 4                // of a request that may be repeated
	idleTimeout = 20 * time.Second // less than any server's, so that no request meets a closing connection
	idlePerHost = 64
)

// Store is a bucket. It is safe for concurrent use.
type Store struct {
	s3     *minio.Core
	bucket string
	idle   interface{ CloseIdleConnections() }
}

// Info describes an object.
type Info struct {
	SHA256  string    // lower-case hex
	Size    int64     // in bytes
	ModTime time.Time // when it was stored, or last touched; whole seconds
}

// Open connects to the store and makes the bucket where it is missing. It returns
// fault.Unavailable when the store does not answer.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	transport, err := minio.DefaultTransport(cfg.Secure)
	if err != nil {
		return nil, err
	}
	transport.MaxIdleConnsPerHost = idlePerHost
	transport.IdleConnTimeout = idleTimeout
	core, err := minio.NewCore(cfg.Endpoint, &minio.Options{
		Creds:           credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey.Reveal(), ""),
		Secure:          cfg.Secure,
		Region:          cfg.Region,
		Transport:       transport,
		MaxRetries:      attempts,
		TrailingHeaders: false, // not every S3 server takes trailing checksums
	})
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	s := &Store{s3: core, bucket: cfg.Bucket, idle: transport}
	if err := s.makeBucket(ctx, cfg.Region); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close lets go of the idle connections; running calls go on.
func (s *Store) Close() { s.idle.CloseIdleConnections() }

func (s *Store) makeBucket(ctx context.Context, region string) error {
	err := s.Ping(ctx)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	err = s.s3.MakeBucket(ctx, s.bucket, minio.MakeBucketOptions{Region: region})
	if minio.ToErrorResponse(err).Code == minio.BucketAlreadyOwnedByYou {
		return nil // another service was faster
	}
	return explain(err)
}

// Ping tells whether the store answers and the bucket is there.
func (s *Store) Ping(ctx context.Context) error {
	exists, err := s.s3.BucketExists(ctx, s.bucket)
	if err == nil && !exists {
		return fault.New(fault.NotFound, "the object store has no bucket %s", s.bucket)
	}
	return explain(err)
}

const prefix = "sha256/"

// key returns where the object with this digest lies: sha256/ab/cd/abcd….
func key(digest string) string {
	return prefix + digest[:2] + "/" + digest[2:4] + "/" + digest
}

func checkDigest(digest string) error {
	if len(digest) != 64 || strings.Trim(digest, "0123456789abcdef") != "" {
		return fault.Field("sha256", "a digest is 64 lower-case hex digits")
	}
	return nil
}

// checkName keeps named objects apart from content-addressed ones, and to names that
// every store can hold.
func checkName(name string) error {
	if !fs.ValidPath(name) || name == "." || len(name) > 512 || strings.HasPrefix(name, prefix) {
		return fault.Field("name", "%q is not a name for an object", name)
	}
	return nil
}

// explain turns what the S3 client reports into faults.
func explain(err error) error {
	if err == nil {
		return nil
	}
	response, answered := errors.AsType[minio.ErrorResponse](err)
	switch {
	case !answered:
		return fault.Wrap(err, fault.Unavailable, "the object store does not answer")
	case response.Code == minio.NoSuchBucket:
		return fault.Wrap(err, fault.Unavailable, "the object store lacks the bucket")
	case response.StatusCode == http.StatusNotFound:
		return fault.Wrap(err, fault.NotFound, "no such object")
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return fault.Wrap(err, fault.Invalid, "the object is shorter than that")
	case response.StatusCode >= 500:
		return fault.Wrap(err, fault.Unavailable, "the object store cannot answer")
	}
	return fmt.Errorf("blob: %w", err)
}
