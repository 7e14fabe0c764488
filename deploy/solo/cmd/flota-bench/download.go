package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/flota/flota/deploy/solo/solotest"
)

const (
	downloadRounds  = 5
	downloadSeconds = 4
	downloaders     = 16
)

// downloads measures a 1 MB blob through a signed link, in turn with the S3
// server that it comes from and with nginx.
func downloads(ctx context.Context, b *bench) error {
	s, c, err := b.solo(ctx, true, "GOMAXPROCS=1")
	if err != nil {
		return err
	}
	defer stop(s)
	link, image, err := bigBlob(ctx, c)
	if err != nil {
		return err
	}
	if err := pin(ctx, s.Process.PID()); err != nil {
		return err
	}
	s3, s3URL, err := b.s3(ctx, image)
	if err != nil {
		return err
	}
	defer end(s3)
	nginx, nginxURL, err := b.nginx(ctx, image)
	if err != nil {
		return err
	}
	defer end(nginx)
	var ours, theirs, static []float64
	for range downloadRounds {
		for _, m := range []struct {
			to  *[]float64
			url string
		}{{&ours, s.URL + link}, {&theirs, s3URL}, {&static, nginxURL}} {
			rate, err := wrk(ctx, m.url, downloadSeconds, downloaders)
			if err != nil {
				return err
			}
			*m.to = append(*m.to, rate)
		}
	}
	how := func(other []float64) string {
		return fmt.Sprintf("%d bytes, wrk, %d connections, one processor each; %.0f/s against %.0f/s", len(image), downloaders, median(ours), median(other))
	}
	b.results.set("download.hot.vs_s3", median(ratios(ours, theirs)), "ratio", downloadRounds, "versitygw, presigned GET; "+how(theirs))
	b.results.set("download.hot.vs_nginx", median(ratios(ours, static)), "ratio", downloadRounds, how(static))
	return nil
}

// bigBlob makes an output of about a megabyte: a MicroPython bundle.
func bigBlob(ctx context.Context, c *solotest.Client) (link string, content []byte, err error) {
	project, err := c.CreateProject(ctx, "big", "micropython-blink")
	if err != nil {
		return "", nil, err
	}
	random := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < 1_000_000 {
		fmt.Fprintf(&text, "# %016x%016x\n", random.Uint64(), random.Uint64())
	}
	if _, err := c.PutFile(ctx, project.Id, "big.py", text.String()); err != nil {
		return "", nil, err
	}
	if err := c.WaitForBoard(ctx, *project.Fqbn); err != nil {
		return "", nil, err
	}
	build, err := c.Build(ctx, project.Id, solotest.BuildWish{})
	if err != nil {
		return "", nil, err
	}
	if build, err = c.WaitBuild(ctx, build.Id); err != nil {
		return "", nil, err
	}
	if len(build.Outputs) == 0 {
		return "", nil, fmt.Errorf("the bundle's build is %s", build.State)
	}
	if link, err = c.OutputLink(ctx, build.Id, build.Outputs[0].Name); err != nil {
		return "", nil, err
	}
	content, err = c.Download(ctx, link)
	return link, content, err
}

// s3 starts the embedded S3 server alone and gives a presigned URL of the blob.
func (b *bench) s3(ctx context.Context, content []byte) (*solotest.Process, string, error) {
	const access, secret = "bench", "bench-secret"
	dir, err := os.MkdirTemp(b.dir, "s3-")
	if err != nil {
		return nil, "", err
	}
	process, err := solotest.StartProcess(solotest.ProcessOptions{
		Name: "s3server", Path: b.binaries.Path("s3server"), Args: []string{dir}, Stdin: true, Dir: b.dir, Log: new(solotest.Log),
		Env: []string{"FLOTA_S3_ACCESS_KEY=" + access, "FLOTA_S3_SECRET_KEY=" + secret, "GOMAXPROCS=1"},
	})
	if err != nil {
		return nil, "", err
	}
	endpoint, err := process.Line(ctx, func(line string) bool { return strings.HasPrefix(line, "127.0.0.1:") })
	if err != nil {
		return nil, "", err
	}
	client, err := minio.New(endpoint, &minio.Options{Creds: credentials.NewStaticV4(access, secret, ""), Region: "us-east-1"})
	if err != nil {
		return nil, "", err
	}
	if err := client.MakeBucket(ctx, "bench", minio.MakeBucketOptions{}); err != nil {
		return nil, "", err
	}
	if _, err := client.PutObject(ctx, "bench", "image", bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{}); err != nil {
		return nil, "", err
	}
	link, err := client.PresignedGetObject(ctx, "bench", "image", time.Hour, url.Values{})
	if err != nil {
		return nil, "", err
	}
	return process, link.String(), pin(ctx, process.PID())
}

func freePort(ctx context.Context) (int, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

func etagOf(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if etag := answer.Header.Get("ETag"); etag != "" && answer.StatusCode == http.StatusOK {
		return etag, nil
	}
	return "", fmt.Errorf("%s answers %d without ETag", url, answer.StatusCode)
}

// eventually repeats for ten seconds what needs a moment to work.
func eventually(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := do()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
