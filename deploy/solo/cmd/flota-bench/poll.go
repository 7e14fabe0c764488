package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/pkg/deviceproto"
)

const (
	pollRounds  = 5
	pollSeconds = 3
	pollers     = 32
)

// polls measures polls with nothing new, on one processor each, in turn with a
// bare net/http handler and with nginx.
func polls(ctx context.Context, b *bench) error {
	s, c, err := b.solo(ctx, false, "GOMAXPROCS=1", "FLOTA_PLAIN_HTTP_DEVICES=true")
	if err != nil {
		return err
	}
	defer stop(s)
	if err := pin(ctx, s.Process.PID()); err != nil {
		return err
	}
	products, err := c.Register(ctx, solotest.NewProduct{ID: "bot_001"})
	if err != nil {
		return err
	}
	key := products[0].Key
	bare, bareURL, err := b.bare(ctx, key)
	if err != nil {
		return err
	}
	defer end(bare)
	nginx, nginxURL, err := b.nginx(ctx, []byte("{}\n"))
	if err != nil {
		return err
	}
	defer end(nginx)

	update := s.DeviceURL + deviceproto.PathUpdate
	bearer := []string{"Authorization: Bearer " + key, `If-None-Match: "1"`}
	if err := eventually(ctx, func() error { _, err := wrk(ctx, update, 1, 1, bearer...); return err }); err != nil {
		return err // the key reaches the artifact service a moment later
	}
	etag, err := etagOf(ctx, nginxURL)
	if err != nil {
		return err
	}
	var ours, theirs, signedOurs, signedTheirs, static []float64
	for range pollRounds {
		signed := signedHeaders(key)
		for _, m := range []struct {
			to      *[]float64
			url     string
			headers []string
		}{
			{&ours, update, bearer}, {&theirs, bareURL + deviceproto.PathUpdate, bearer},
			{&signedOurs, update, signed}, {&signedTheirs, bareURL + deviceproto.PathUpdate, signed},
			{&static, nginxURL, []string{"If-None-Match: " + etag}},
		} {
			rate, err := wrk(ctx, m.url, pollSeconds, pollers, m.headers...)
			if err != nil {
				return err
			}
			*m.to = append(*m.to, rate)
		}
	}
	how := func(a, b []float64) string {
		return fmt.Sprintf("wrk, %d connections, %d s each in turn; %.0f/s against %.0f/s", pollers, pollSeconds, median(a), median(b))
	}
	b.results.set("poll.vs_nethttp", median(ratios(ours, theirs)), "ratio", pollRounds, "Bearer; "+how(ours, theirs))
	b.results.set("poll.signed.vs_nethttp", median(ratios(signedOurs, signedTheirs)), "ratio", pollRounds, "Flota1, request and answer signed; "+how(signedOurs, signedTheirs))
	b.results.set("poll.vs_nginx", median(ratios(ours, static)), "ratio", pollRounds, "Bearer; "+how(ours, static))
	b.results.set("poll.per_s", median(ours), "1/s", pollRounds, "whole product in the process, one processor")
	return nil
}

// signedHeaders sign one poll; within the clock's window it may be sent again and again.
func signedHeaders(key string) []string {
	k := deviceproto.KeyHash(key)
	r := deviceproto.Request{
		Method: "GET", Path: deviceproto.PathUpdate, Nonce: deviceproto.NewNonce(), Time: strconv.FormatInt(time.Now().Unix(), 10), ETag: `"1"`,
	}
	return []string{
		"Authorization: " + deviceproto.Authorization(deviceproto.KeyID(k), deviceproto.RequestMAC(k, r)),
		deviceproto.HeaderNonce + ": " + r.Nonce, deviceproto.HeaderTime + ": " + r.Time, "If-None-Match: " + r.ETag,
	}
}

// pin moves a process with all its threads to the servers' processor.
func pin(ctx context.Context, pid int) error {
	out, err := exec.CommandContext(ctx, "taskset", "-apc", serverCPU, strconv.Itoa(pid)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("taskset: %w: %s", err, out)
	}
	return nil
}

func (b *bench) bare(ctx context.Context, key string) (*solotest.Process, string, error) {
	p, err := solotest.StartProcess(solotest.ProcessOptions{
		Name: "bare net/http", Path: b.binaries.Path("flota-bench"), Args: []string{"bare", key}, Env: []string{"GOMAXPROCS=1"},
		Dir: b.dir, Log: new(solotest.Log),
	})
	if err != nil {
		return nil, "", err
	}
	url, err := p.Line(ctx, func(line string) bool { return strings.HasPrefix(line, "http://") })
	if err == nil {
		err = pin(ctx, p.PID())
	}
	return p, url, err
}

// nginx serves one file from memory's page cache, with one worker.
func (b *bench) nginx(ctx context.Context, content []byte) (*solotest.Process, string, error) {
	dir, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return nil, "", err
	}
	// The worker is another user where the master is root.
	for d := dir; d != filepath.Dir(b.dir); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			return nil, "", err
		}
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, "", err
	}
	config := fmt.Sprintf(`daemon off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; etag on; keepalive_requests 100000000; open_file_cache max=10;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen 127.0.0.1:%[2]d; root %[1]s/www; }
}
`, dir, port)
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o755); err != nil {
		return nil, "", err
	}
	for name, data := range map[string][]byte{"nginx.conf": []byte(config), "www/file": content} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return nil, "", err
		}
	}
	p, err := solotest.StartProcess(solotest.ProcessOptions{
		Name: "nginx", Path: "/usr/sbin/nginx", Args: []string{"-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "error.log")},
		Dir: dir, Log: new(solotest.Log),
	})
	if err != nil {
		return nil, "", err
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/file", port)
	if err := eventually(ctx, func() error { _, err := etagOf(ctx, url); return err }); err != nil {
		end(p)
		return nil, "", err
	}
	children, err := exec.CommandContext(ctx, "pgrep", "-P", strconv.Itoa(p.PID())).Output()
	if err != nil {
		return nil, "", fmt.Errorf("nginx's worker: %w", err)
	}
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			return nil, "", err
		}
		if err := pin(ctx, pid); err != nil {
			return nil, "", err
		}
	}
	return p, url, nil
}
