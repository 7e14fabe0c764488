package solo_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
)

const (
	login    = "ada@example.org"
	password = "correct horse battery"
	// drainTime is how long a stop may take.
	drainTime = 30 * time.Second
	// patience is for what takes a moment on a busy machine.
	patience = 60 * time.Second

	blinkBoard = "flota:virtual:esp32"
)

var scratch string // of the whole run

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if scratch, err = os.MkdirTemp("", "flota-e2e-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(scratch)
		return m.Run()
	}())
}

// binaries builds the product's commands, once in a run.
var binaries = sync.OnceValues(func() (solotest.Binaries, error) {
	return solotest.BuildBinaries(context.Background(), scratch, "./deploy/solo/cmd/flota-solo", "./firmware/simulator/cmd/flota-simulator",
		"./firmware/chip/cmd/flota-board", "./firmware/provision/cmd/flota-provision")
})

func binary(t testing.TB, name string) string {
	t.Helper()
	b, err := binaries()
	require.NoError(t, err)
	return b.Path(name)
}

// toolchain skips where there are no compilers: make test always has them.
func toolchain(t testing.TB) string {
	t.Helper()
	root := os.Getenv("FLOTA_TEST_TOOLCHAIN")
	if root == "" {
		t.Skip("FLOTA_TEST_TOOLCHAIN is not set: nothing to compile with (deploy/setup/env.sh sets it)")
	}
	return root
}

// server is a flota-solo with its administrator. At the end of the test it must
// stop with 0, in time, and its log must hold no secret.
type server struct {
	*solotest.Solo
	product
}

// product is an installation of either shape, as its administrator uses it.
type product struct {
	t     testing.TB
	seen  *secrets
	admin *solotest.Client
}

// start starts a flota-solo without a compiler; env are settings.
func start(t testing.TB, env ...string) *server {
	t.Helper()
	return startWith(t, solotest.SoloOptions{Env: env})
}

// startFarm starts one that compiles, and waits until it offers its boards.
func startFarm(t testing.TB, env ...string) *server {
	t.Helper()
	s := startWith(t, solotest.SoloOptions{Toolchain: toolchain(t), Env: env})
	require.NoError(t, s.admin.WaitForBoard(within(t, patience), blinkBoard))
	return s
}

func startWith(t testing.TB, o solotest.SoloOptions) *server {
	t.Helper()
	s := startFresh(t, o)
	s.admin = s.client()
	require.NoError(t, s.admin.Setup(within(t, patience), s.SetupToken(), login, password, "Greenhouse"))
	return s
}

// startFresh starts one that has no administrator yet.
func startFresh(t testing.TB, o solotest.SoloOptions) *server {
	t.Helper()
	o.Binary = binary(t, "flota-solo")
	if o.Data == "" {
		o.Data = filepath.Join(t.TempDir(), "data")
	}
	s := &server{product: product{t: t, seen: &secrets{}}}
	var err error
	s.Solo, err = solotest.StartSolo(t.Context(), o)
	require.NoError(t, err)
	s.seen.add(password, s.SetupToken())
	t.Cleanup(s.end)
	return s
}

func (s *server) end() {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	code, err := s.Stop(ctx)
	if s.t.Failed() {
		s.t.Logf("the end of the log, without requests:\n%s", lastWords(s.Log.String(), 40))
	}
	require.NoError(s.t, err)
	require.Zero(s.t, code, "exit code after SIGTERM")
	s.seen.check(s.t, s.Log.String())
}

func lastWords(log string, n int) string {
	lines := slices.DeleteFunc(strings.Split(log, "\n"), func(line string) bool { return strings.Contains(line, `"msg":"request"`) })
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// client is one more browser; the secrets that it sees must be in no log.
func (s *server) client() *solotest.Client {
	return solotest.NewClient(s.URL, s.DeviceURL, s.seen)
}

// within is a context for a step of the test.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// secrets collects what clients are told and nobody else may know.
type secrets struct {
	transport http.RoundTripper // nil is the default one
	mu        sync.Mutex
	all       []string
}

var secretFields = regexp.MustCompile(`"(?:access_token|key|password|secret|token)":"([^"]{8,})"|/(?:dl|up|src|d/v1/image)/([^/"]{8,})`)

// RoundTrip implements http.RoundTripper.
func (s *secrets) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := s.transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	for _, cookie := range answer.Cookies() {
		s.add(cookie.Value)
	}
	if !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
		return answer, nil
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	answer.Body = io.NopCloser(bytes.NewReader(body))
	for _, match := range secretFields.FindAllSubmatch(body, -1) {
		s.add(string(match[1]), string(match[2]))
	}
	return answer, err
}

func (s *secrets) add(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if v != "" && !slices.Contains(s.all, v) {
			s.all = append(s.all, v)
		}
	}
}

// check looks for secrets in a log. Two lines tell the setup link, to a person and
// to a script: they are no log.
func (s *secrets) check(t testing.TB, log string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.NotEmpty(t, s.all)
	for line := range strings.Lines(log) {
		told := strings.HasPrefix(line, `{"url":`) || strings.HasPrefix(line, "    http") && strings.Contains(line, "/?setup=")
		for _, secret := range s.all {
			if !told && strings.Contains(line, secret) {
				t.Errorf("the log holds a secret (%.4s…): %s", secret, line)
			}
		}
	}
}

// checkFolder looks for secrets in all files of a folder: a stolen backup must not
// give them away.
func (s *secrets) checkFolder(t testing.TB, folder string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.NotEmpty(t, s.all)
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, secret := range s.all {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds a secret (%.4s…)", path, secret)
			}
		}
		return err
	}))
}
