package s3server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/s3server"
	"github.com/flota/flota/pkg/blob"
	"github.com/flota/flota/pkg/blob/blobtest"
)

const accessKey, secretKey = "flota", "a secret for this test"

func start(t testing.TB, dir string) (*s3server.Server, blob.Config) {
	t.Helper()
	server, err := s3server.Start(t.Context(), dir, accessKey, secretKey)
	require.NoError(t, err)
	return server, blob.Config{
		Endpoint: server.Endpoint(), Region: "us-east-1", Bucket: "flota", AccessKey: accessKey, SecretKey: secretKey,
	}
}

func TestConformance(t *testing.T) {
	server, cfg := start(t, t.TempDir())
	blobtest.Run(t, cfg)
	require.NoError(t, server.Close())
	<-server.Done()
}

func TestObjectsSurviveARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "at start")
	server, cfg := start(t, dir)
	_, err := s3server.Start(t.Context(), t.TempDir(), accessKey, secretKey)
	require.ErrorContains(t, err, "one already")
	store, err := blob.Open(t.Context(), cfg)
	require.NoError(t, err)
	digest, err := store.Put(t.Context(), strings.NewReader("hello"), 5, "")
	require.NoError(t, err)
	require.NoError(t, server.Close())
	_, err = http.Get("http://" + cfg.Endpoint)
	require.Error(t, err)

	server, cfg = start(t, dir)
	defer func() { require.NoError(t, server.Close()) }()
	store, err = blob.Open(t.Context(), cfg)
	require.NoError(t, err)
	found, err := store.Stat(t.Context(), digest)
	require.NoError(t, err)
	require.EqualValues(t, 5, found.Size)

	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		require.NoError(t, err)
		file, err := entry.Info()
		require.NoError(t, err)
		require.Zero(t, file.Mode().Perm()&0o077, path)
		return nil
	}))
}

func TestStrangersAreRefused(t *testing.T) {
	server, cfg := start(t, t.TempDir())
	defer func() { require.NoError(t, server.Close()) }()
	_, err := blob.Open(t.Context(), cfg)
	require.NoError(t, err)
	for _, path := range []string{"/", "/flota", "/flota/sha256/x"} {
		response, err := http.Get("http://" + cfg.Endpoint + path)
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, response.StatusCode, path)
		require.NoError(t, response.Body.Close())
	}
}
