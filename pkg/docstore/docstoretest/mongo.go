package docstoretest

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// Mongo returns the URI of a server for tests: the MongoDB named by
// FLOTA_TEST_MONGO_URI, or else FerretDB from the binary named by
// FLOTA_TEST_FERRETDB (see deploy/tools/ferretdb), as a child process of this test
// and with one connection only, since FerretDB's updates are atomic no further.
// Without either the test is skipped. Use one client per server.
func Mongo(t *testing.T) (uri string, real bool) {
	t.Helper()
	if uri := os.Getenv("FLOTA_TEST_MONGO_URI"); uri != "" {
		return uri, true
	}
	binary := os.Getenv("FLOTA_TEST_FERRETDB")
	if binary == "" {
		t.Skip("no MongoDB: set FLOTA_TEST_MONGO_URI to a server, or FLOTA_TEST_FERRETDB to the binary of deploy/tools/ferretdb")
	}
	command := exec.CommandContext(context.WithoutCancel(t.Context()), binary)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe() // its end, by Cleanup or by the death of this process, ends the child
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", binary, err)
	}
	t.Cleanup(sync.OnceFunc(func() {
		_ = stdin.Close()
		timer := time.AfterFunc(10*time.Second, func() { _ = command.Process.Kill() })
		defer timer.Stop()
		_ = command.Wait()
	}))
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%s gave no URI: %v", binary, err)
	}
	return strings.TrimSpace(line) + "?maxPoolSize=1", false
}
