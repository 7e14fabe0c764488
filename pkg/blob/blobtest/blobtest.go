// Package blobtest is the conformance suite of pkg/blob: what it must do on every S3
// server. S3 and MinIO start servers for it, and for the tests of others.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/rs/xid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flota/flota/pkg/blob"
	"github.com/flota/flota/pkg/fault"
)

// large is more than Put keeps in memory.
const large = 5<<20 + 12345

// Run runs the suite in new buckets of the server that cfg names.
func Run(t *testing.T, cfg blob.Config) {
	tests := []struct {
		name string
		run  func(*testing.T, blob.Config)
	}{
		{"round trip", roundTrip},
		{"wrong content is refused", wrongContent},
		{"broken upload", brokenUpload},
		{"sent once", sentOnce},
		{"torn object is replaced", tornObject},
		{"corrupt object is not read", corruptObject},
		{"ranges", ranges},
		{"list and delete", listAndDelete},
		{"at the same time", atTheSameTime},
		{"named objects", named},
		{"bad names", badNames},
		{"opening", opening},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := cfg
			cfg.Bucket = "test-" + xid.New().String()
			test.run(t, cfg)
		})
	}
}

func open(t *testing.T, cfg blob.Config) *blob.Store {
	t.Helper()
	store, err := blob.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

// client speaks to the server past the package under test.
func client(t *testing.T, cfg blob.Config) *minio.Client {
	t.Helper()
	transport, err := minio.DefaultTransport(cfg.Secure)
	require.NoError(t, err)
	c, err := minio.New(cfg.Endpoint, &minio.Options{
		Transport: transport, Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey.Reveal(), ""), Region: cfg.Region, Secure: cfg.Secure,
	})
	require.NoError(t, err)
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

func content(size int) (data []byte, digest string) {
	data = make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8)})
	_, _ = source.Read(data)
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:])
}

// stream hides everything of a reader but Read, and reads in odd pieces.
func stream(data []byte) io.Reader { return iotest.HalfReader(bytes.NewReader(data)) }

func requireCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	require.Equalf(t, code, fault.CodeOf(err), "%v", err)
}

func requireEmpty(t *testing.T, cfg blob.Config) {
	t.Helper()
	requireOnly(t, cfg, nil)
}

// requireOnly allows objects of the given sizes, each under its digest.
func requireOnly(t *testing.T, cfg blob.Config, sizes map[string]int64) {
	t.Helper()
	for object := range client(t, cfg).ListObjectsIter(t.Context(), cfg.Bucket, minio.ListObjectsOptions{Recursive: true}) {
		require.NoError(t, object.Err)
		if size, ok := sizes[path.Base(object.Key)]; !ok || size != object.Size {
			t.Fatalf("the bucket holds %s, %d bytes", object.Key, object.Size)
		}
	}
}

func roundTrip(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	for _, size := range []int{0, 1, 1000, 4 << 20, 4<<20 + 1, large} {
		data, digest := content(size)
		for name, put := range map[string]func() (string, error){
			"stream":                 func() (string, error) { return store.Put(ctx, stream(data), int64(size), digest) },
			"stream, unknown digest": func() (string, error) { return store.Put(ctx, stream(data), int64(size), "") },
			"seeker, unknown digest": func() (string, error) { return store.Put(ctx, bytes.NewReader(data), int64(size), "") },
		} {
			_, err := store.Stat(ctx, digest)
			requireCode(t, err, fault.NotFound)
			_, _, err = store.Get(ctx, digest, 0, -1)
			requireCode(t, err, fault.NotFound)

			stored, err := put()
			require.NoErrorf(t, err, "%s, %d bytes", name, size)
			require.Equal(t, digest, stored)

			info, err := store.Stat(ctx, digest)
			require.NoError(t, err)
			require.Equal(t, digest, info.SHA256)
			require.EqualValues(t, size, info.Size)
			require.WithinDuration(t, time.Now(), info.ModTime, time.Minute)

			body, whole, err := store.Get(ctx, digest, 0, -1)
			require.NoError(t, err)
			require.EqualValues(t, size, whole)
			read, err := io.ReadAll(body)
			require.NoError(t, err)
			require.NoError(t, body.Close())
			require.True(t, bytes.Equal(data, read))

			require.NoError(t, store.Delete(ctx, digest))
		}
	}
}

func wrongContent(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	for _, size := range []int{10, large} {
		data, digest := content(size)
		other := bytes.Clone(data)
		other[size-1] ^= 1
		for name, test := range map[string]struct {
			body   io.Reader
			size   int
			digest string
			field  string
		}{
			"other content":              {stream(other), size, digest, "sha256"},
			"a byte too few":             {stream(data[:size-1]), size, digest, "size"},
			"a byte too many":            {stream(append(bytes.Clone(data), 0)), size, digest, "size"},
			"nothing":                    {stream(nil), size, digest, "size"},
			"too few, unknown digest":    {stream(data[:size-1]), size, "", "size"},
			"too many, unknown digest":   {stream(data), size - 1, "", "size"},
			"too many, from a seeker":    {bytes.NewReader(data), size - 1, "", "size"},
			"upper-case digest":          {stream(data), size, strings.ToUpper(digest), "sha256"},
			"a path instead of a digest": {stream(data), size, "../" + digest[3:], "sha256"},
			"negative size":              {stream(data), -1, digest, "size"},
			"a digest cut short":         {stream(data), size, digest[1:], "sha256"},
			"too large":                  {stream(data), blob.MaxSize + 1, digest, "size"},
		} {
			_, err := store.Put(ctx, test.body, int64(test.size), test.digest)
			requireCode(t, err, fault.Invalid)
			assert.Equal(t, test.field, fault.As(err).Field, name)
		}
		requireEmpty(t, cfg)

		_, err := store.Put(ctx, stream(data), int64(size), digest)
		require.NoError(t, err)
		_, err = store.Put(ctx, stream(other), int64(size), digest)
		requireCode(t, err, fault.Invalid) // though an object of that name exists
		require.NoError(t, store.Delete(ctx, digest))
	}
}

func brokenUpload(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	broken := errors.New("the cable was pulled")
	for _, size := range []int{10, large} {
		data, digest := content(size)
		body := io.MultiReader(stream(data[:size-5]), iotest.ErrReader(broken))
		_, err := store.Put(ctx, body, int64(size), digest)
		require.ErrorIs(t, err, broken)
	}
	requireEmpty(t, cfg)

	whole := map[string]int64{} // the last bytes may reach the server before the cancellation does
	for _, size := range []int{10, large} {
		data, digest := content(size)
		whole[digest] = int64(size)
		cancelled, cancel := context.WithCancel(ctx)
		body := io.MultiReader(stream(data[:size-5]), readerFunc(func([]byte) (int, error) { cancel(); return 0, nil }), stream(data[size-5:]))
		_, err := store.Put(cancelled, body, int64(size), digest)
		require.ErrorIs(t, err, context.Canceled)
	}
	requireOnly(t, cfg, whole)
}

// readerFunc is called once.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	if _, err := f(p); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// sentOnce counts the uploads that reach the server.
func sentOnce(t *testing.T, cfg blob.Config) {
	var uploads atomic.Int32
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", cfg.Endpoint // Host stays: it is signed
			if r.In.Method == http.MethodPut && strings.Contains(r.In.URL.Path, "sha256") {
				uploads.Add(1)
			}
		},
	})
	defer proxy.Close()
	through := cfg
	through.Endpoint = strings.TrimPrefix(proxy.URL, "http://")
	store := open(t, through)
	for i, size := range []int{10, large} {
		data, digest := content(size)
		for _, announced := range []string{digest, digest, ""} {
			_, err := store.Put(t.Context(), stream(data), int64(size), announced)
			require.NoError(t, err)
		}
		require.EqualValues(t, i+1, uploads.Load())
	}
}

func tornObject(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	data, digest := content(1000)
	overwrite(t, cfg, digest, nil)
	_, err := store.Put(ctx, stream(data), 1000, digest)
	require.NoError(t, err)
	body, _, err := store.Get(ctx, digest, 0, -1)
	require.NoError(t, err)
	defer body.Close()
	read, err := io.ReadAll(body)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, read))
}

func corruptObject(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	for _, size := range []int{10, large} {
		data, digest := content(size)
		_, err := store.Put(ctx, stream(data), int64(size), digest)
		require.NoError(t, err)
		data[0] ^= 1
		overwrite(t, cfg, digest, data)
		body, _, err := store.Get(ctx, digest, 0, -1)
		require.NoError(t, err)
		read, err := io.ReadAll(body)
		requireCode(t, err, fault.Internal)
		require.Less(t, len(read), size, "the last bytes are withheld")
		require.NoError(t, body.Close())
	}
}

func overwrite(t *testing.T, cfg blob.Config, digest string, data []byte) {
	t.Helper()
	_, err := client(t, cfg).PutObject(t.Context(), cfg.Bucket, "sha256/"+digest[:2]+"/"+digest[2:4]+"/"+digest,
		bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{})
	require.NoError(t, err)
}

func ranges(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	data, digest := content(1000)
	_, err := store.Put(ctx, stream(data), 1000, digest)
	require.NoError(t, err)
	for _, test := range []struct{ offset, length, from, to int64 }{
		{0, -1, 0, 1000}, {0, 1000, 0, 1000}, {0, 1, 0, 1}, {0, 5000, 0, 1000},
		{1, -1, 1, 1000}, {999, -1, 999, 1000}, {500, 10, 500, 510}, {990, 100, 990, 1000},
		{0, 0, 0, 0}, {500, 0, 500, 500}, {1000, 0, 0, 0},
	} {
		body, whole, err := store.Get(ctx, digest, test.offset, test.length)
		require.NoErrorf(t, err, "%+v", test)
		read, err := io.ReadAll(body)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		require.Truef(t, bytes.Equal(data[test.from:test.to], read), "%+v", test)
		require.EqualValues(t, 1000, whole)
	}
	for _, offset := range []int64{-1, 1001, 1 << 40} {
		for _, length := range []int64{-1, 0, 5} {
			_, _, err := store.Get(ctx, digest, offset, length)
			requireCode(t, err, fault.Invalid)
		}
	}
}

func listAndDelete(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	want := map[string]int64{}
	for size := range 30 {
		data, digest := content(size)
		_, err := store.Put(ctx, stream(data), int64(size), "")
		require.NoError(t, err)
		want[digest] = int64(size)
	}
	require.NoError(t, store.PutNamed(ctx, "logs/not/listed", strings.NewReader("x"), 1))
	got, last := map[string]int64{}, ""
	require.NoError(t, store.List(ctx, func(info blob.Info) error {
		require.Greater(t, info.SHA256, last)
		require.WithinDuration(t, time.Now(), info.ModTime, time.Minute)
		got[info.SHA256], last = info.Size, info.SHA256
		return nil
	}))
	require.Equal(t, want, got)

	enough := errors.New("enough")
	calls := 0
	require.ErrorIs(t, store.List(ctx, func(blob.Info) error { calls++; return enough }), enough)
	require.Equal(t, 1, calls)

	for digest := range want {
		require.NoError(t, store.Delete(ctx, digest))
		require.NoError(t, store.Delete(ctx, digest), "no error when there is none")
		_, err := store.Stat(ctx, digest)
		requireCode(t, err, fault.NotFound)
	}
	require.NoError(t, store.List(ctx, func(blob.Info) error { return enough }))
}

func atTheSameTime(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	data, digest := content(large)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := store.Put(ctx, stream(data), large, digest)
			assert.NoError(t, err)
			body, _, err := store.Get(ctx, digest, 0, -1)
			if !assert.NoError(t, err) {
				return
			}
			n, err := io.Copy(io.Discard, body)
			assert.NoError(t, err)
			assert.EqualValues(t, large, n)
			assert.NoError(t, body.Close())
		})
	}
	wg.Wait()
}

func named(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	const name = "logs/c0ffee/1"
	_, _, err := store.GetNamed(ctx, name, 0, -1)
	requireCode(t, err, fault.NotFound)
	for _, size := range []int{100, 0, large} { // each replaces the one before
		data, _ := content(size)
		require.NoError(t, store.PutNamed(ctx, name, stream(data), int64(size)))
		body, whole, err := store.GetNamed(ctx, name, 0, -1)
		require.NoError(t, err)
		read, err := io.ReadAll(body)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		require.True(t, bytes.Equal(data, read))
		require.EqualValues(t, size, whole)
	}
	err = store.PutNamed(ctx, name, strings.NewReader("short"), 6)
	requireCode(t, err, fault.Invalid)
	body, whole, err := store.GetNamed(ctx, name, large-3, 10)
	require.NoError(t, err, "what was there is untouched")
	read, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Len(t, read, 3)
	require.EqualValues(t, large, whole)
	require.NoError(t, store.DeleteNamed(ctx, name))
	require.NoError(t, store.DeleteNamed(ctx, name))
	requireEmpty(t, cfg)
}

func badNames(t *testing.T, cfg blob.Config) {
	store, ctx := open(t, cfg), t.Context()
	_, digest := content(1)
	for _, name := range []string{"", ".", "/a", "a/", "a//b", "../a", "a/../b", "sha256/" + digest, strings.Repeat("a", 600)} {
		requireCode(t, store.PutNamed(ctx, name, strings.NewReader("x"), 1), fault.Invalid)
		_, _, err := store.GetNamed(ctx, name, 0, -1)
		requireCode(t, err, fault.Invalid)
		requireCode(t, store.DeleteNamed(ctx, name), fault.Invalid)
	}
	for _, digest := range []string{"", "x", digest + "0", strings.ToUpper(digest)} {
		_, err := store.Stat(ctx, digest)
		requireCode(t, err, fault.Invalid)
		_, _, err = store.Get(ctx, digest, 0, -1)
		requireCode(t, err, fault.Invalid)
		requireCode(t, store.Delete(ctx, digest), fault.Invalid)
	}
}

func opening(t *testing.T, cfg blob.Config) {
	var wg sync.WaitGroup
	for range 4 { // five services start at the same time
		wg.Go(func() {
			store, err := blob.Open(t.Context(), cfg)
			if assert.NoError(t, err) {
				assert.NoError(t, store.Ping(t.Context()))
				store.Close()
			}
		})
	}
	wg.Wait()

	stranger := cfg
	stranger.SecretKey = "not the right one"
	_, err := blob.Open(t.Context(), stranger)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "not the right one")

	away := cfg
	away.Endpoint = "127.0.0.1:1"
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = blob.Open(ctx, away)
	requireCode(t, err, fault.Unavailable)
}
