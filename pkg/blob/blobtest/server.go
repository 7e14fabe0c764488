package blobtest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flota/flota/pkg/blob"
)

// The keys that the servers below are started with.
const (
	accessKey = "flota-test"
	secretKey = "flota-test-secret"
)

// S3 starts the embedded S3 server as a child process, from the binary that
// FLOTA_TEST_S3 names (deploy/solo/cmd/s3server), and returns how to reach it, with a
// bucket that does not exist yet. Without the variable the test is skipped.
func S3(t testing.TB) blob.Config {
	t.Helper()
	binary := os.Getenv("FLOTA_TEST_S3")
	if binary == "" {
		t.Skip("no S3 server: set FLOTA_TEST_S3 to the binary of deploy/solo/cmd/s3server")
	}
	command := exec.CommandContext(context.WithoutCancel(t.Context()), binary, t.TempDir())
	command.Env = append(os.Environ(), "FLOTA_S3_ACCESS_KEY="+accessKey, "FLOTA_S3_SECRET_KEY="+secretKey)
	stdin, err := command.StdinPipe() // its end, by Cleanup or by the death of this process, ends the child
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, command)
	t.Cleanup(func() { _ = stdin.Close() })
	endpoint, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%s gave no endpoint: %v", binary, err)
	}
	return config(strings.TrimSpace(endpoint))
}

// MinIO starts a MinIO server as a child process from the binary that FLOTA_TEST_MINIO
// names (deploy/tools/minio). Without the variable the test is skipped.
func MinIO(t testing.TB) blob.Config {
	t.Helper()
	binary := os.Getenv("FLOTA_TEST_MINIO")
	if binary == "" {
		t.Skip("no MinIO: set FLOTA_TEST_MINIO to a minio binary")
	}
	endpoint := freeAddress(t)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), binary,
		"server", "--quiet", "--address", endpoint, "--console-address", freeAddress(t), t.TempDir())
	command.Env = append(os.Environ(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey,
		"MINIO_UPDATE=off", "MINIO_BROWSER=off", "HOME="+t.TempDir())
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it reads no standard input
	start(t, command)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		response, err := http.Get(fmt.Sprintf("http://%s/minio/health/ready", endpoint)) //nolint:noctx // a loop with a deadline
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return config(endpoint)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("MinIO is not ready: %v", err)
		}
	}
}

func start(t testing.TB, command *exec.Cmd) {
	t.Helper()
	command.Stderr = os.Stderr
	command.WaitDelay = 10 * time.Second
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", command.Path, err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(10*time.Second, func() { _ = command.Process.Kill() })
		defer timer.Stop()
		_ = command.Wait()
	})
}

func config(endpoint string) blob.Config {
	return blob.Config{Endpoint: endpoint, Region: "us-east-1", Bucket: "flota", AccessKey: accessKey, SecretKey: secretKey}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // local, at once
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
