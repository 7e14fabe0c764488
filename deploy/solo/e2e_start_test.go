package solo_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo"
	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	editorapi "github.com/flota/flota/services/editor/httpapi"
)

// A script gets one line of JSON on standard output, when everything answers.
func TestReadyLine(t *testing.T) {
	s := startFresh(t, solotest.SoloOptions{})
	require.Equal(t, s.Process.PID(), s.Ready.PID)
	require.Equal(t, s.URL+"/?setup="+s.SetupToken(), s.SetupURL)
	for _, url := range []string{s.URL + "/healthz", s.URL + "/", s.InsideURL + "/fleet/readyz", s.InsideURL + "/editor/metrics"} {
		answer, err := http.Get(url)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusOK, answer.StatusCode, url)
	}
	// What is for inside is not at the door for people, nor people's things at the devices'.
	for _, url := range []string{s.URL + "/metrics", s.URL + "/readyz", s.URL + "/src/x", s.URL + "/up/x/y", s.DeviceURL + "/", s.DeviceURL + "/api/auth/v1/setup"} {
		answer, err := http.Get(url)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusNotFound, answer.StatusCode, url)
	}
	for name, file := range map[string]string{"master key": s.MasterKeyFile(), "database": filepath.Join(s.Data(), "auth.db")} {
		info, err := os.Stat(file)
		require.NoError(t, err, name)
		require.Zero(t, info.Mode().Perm()&0o077, "%s: %s", name, info.Mode())
	}
}

func TestSetupTokenCountsOnce(t *testing.T) {
	s := startFresh(t, solotest.SoloOptions{})
	ctx := within(t, patience)
	stranger := s.client()
	needed, err := stranger.SetupNeeded(ctx)
	require.NoError(t, err)
	require.True(t, needed)
	err = stranger.Setup(ctx, "setup-guessed", "mallory", password, "Mine")
	require.Equal(t, "token", requireProblem(t, err, http.StatusForbidden, fault.Forbidden).Field)

	// It is the same after a restart, and an attempt that is refused does not spend it.
	s.Kill()
	require.NoError(t, s.Start(ctx))
	admin := s.client()
	err = admin.Setup(ctx, s.SetupToken(), login, "short", "Greenhouse")
	require.Equal(t, "password", requireProblem(t, err, http.StatusBadRequest, fault.Invalid).Field)
	require.NoError(t, admin.Setup(ctx, s.SetupToken(), login, password, "Greenhouse"))
	requireProblem(t, stranger.Setup(ctx, s.SetupToken(), "mallory", password, "Mine"), http.StatusConflict, "")

	_, err = s.Stop(within(t, drainTime))
	require.NoError(t, err)
	require.NoError(t, s.Start(ctx))
	require.Empty(t, s.SetupURL, "there is an administrator")
	requireProblem(t, stranger.Setup(ctx, s.SetupToken(), "mallory", password, "Mine"), http.StatusConflict, "")
	require.NoError(t, admin.Login(ctx, login, password))
	requireProblem(t, stranger.Login(ctx, login, "a wrong password"), http.StatusUnauthorized, fault.Unauthenticated)
}

func TestASecondStartOnTheSameFolderIsRefused(t *testing.T) {
	s := start(t)
	out, code := run(t, "FLOTA_DATA="+s.Data(), "FLOTA_LISTEN=127.0.0.1:0", "FLOTA_DEVICE_LISTEN=off", "FLOTA_SLOTS=-1")
	require.Equal(t, 1, code)
	require.Contains(t, out, "is in use by another flota-solo")
	_, err := s.admin.Me(t.Context())
	require.NoError(t, err, "the first goes on")
}

func TestWrongSettingsAreNamed(t *testing.T) {
	data := "FLOTA_DATA=" + filepath.Join(t.TempDir(), "data")
	for setting, named := range map[string]string{
		"FLOTA_LISTENN=:1":              "FLOTA_LISTENN",
		"FLOTA_SLOTS=many":              "FLOTA_SLOTS",
		"FLOTA_TLS_MODE=maybe":          "maybe",
		"FLOTA_LISTEN=256.0.0.1:1":      "256.0.0.1",
		"FLOTA_TOOLCHAIN=/nonexistent/": "/nonexistent",
	} {
		out, code := run(t, data, "FLOTA_LISTEN=127.0.0.1:0", "FLOTA_DEVICE_LISTEN=off", setting)
		require.Contains(t, []int{1, 2}, code, "%s: %s", setting, out)
		words := out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]
		require.Contains(t, words, named, setting)
		require.True(t, strings.HasPrefix(words, "flota-solo: "), words)
	}
}

// run runs flota-solo to its end; the last of settings wins.
func run(t *testing.T, settings ...string) (output string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), drainTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t, "flota-solo"))
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, settings...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		require.IsType(t, &exec.ExitError{}, err)
	}
	require.NoError(t, ctx.Err(), "it went on running: %s", out)
	return string(out), cmd.ProcessState.ExitCode()
}

// SIGTERM: a build that runs is finished first, what came in is kept, and nothing
// else is taken.
func TestSIGTERMDrains(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, 2*time.Minute)
	project, err := s.admin.CreateProject(ctx, "Slow", "blink")
	require.NoError(t, err)
	_, err = s.admin.PutFile(ctx, project.Id, project.Main, slowSketch(6))
	require.NoError(t, err)
	b, err := s.admin.Build(ctx, project.Id, solotest.BuildWish{})
	require.NoError(t, err)
	s.waitPhase(b.Id, editorapi.Compile)
	code, err := s.Stop(within(t, drainTime))
	require.NoError(t, err)
	require.Zero(t, code)
	require.NotContains(t, s.Log.String(), `"level":"error"`)

	require.NoError(t, s.Start(ctx))
	b, err = s.admin.WaitBuild(ctx, b.Id) // that it is finished may still be to be read
	require.NoError(t, err)
	require.Equal(t, editorapi.BuildStateSucceeded, b.State)
	require.Equal(t, 1, b.Attempt)
}

// The first line that a script reads is the one that is promised.
func TestReadyIsOneLineOfJSON(t *testing.T) {
	cmd := exec.CommandContext(within(t, patience), binary(t, "flota-solo"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "FLOTA_DATA=" + filepath.Join(t.TempDir(), "data"), "FLOTA_LISTEN=127.0.0.1:0", "FLOTA_DEVICE_LISTEN=off", "FLOTA_SLOTS=-1"}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var ready solo.Ready
	decoder := json.NewDecoder(out)
	require.NoError(t, decoder.Decode(&ready))
	require.Equal(t, cmd.Process.Pid, ready.PID)
	require.NotEmpty(t, ready.SetupURL, "a token is made where none is given")
	require.Equal(t, ready.URL, ready.DeviceURL, "without a door of their own devices come to the same")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, decoder.Decode(&ready), "nothing else on standard output")
	require.NoError(t, cmd.Wait())
}

// Two run beside each other with no more than these three settings.
func TestTwoOnFreePorts(t *testing.T) {
	home := t.TempDir()
	cache := filepath.Join(home, ".cache", "flota") // where set-up puts the toolchain
	require.NoError(t, os.MkdirAll(cache, 0o700))
	require.NoError(t, os.Symlink(toolchain(t), filepath.Join(cache, "toolchain")))
	doors := map[string]bool{}
	for _, data := range []string{"one", "two"} {
		ready, _ := startBare(t, solotest.ProcessOptions{Path: binary(t, "flota-solo"), Env: []string{
			"HOME=" + home, "FLOTA_DATA=" + filepath.Join(home, data), "FLOTA_LISTEN=127.0.0.1:0", "FLOTA_SETUP_TOKEN=setup-" + data,
		}})
		require.Equal(t, ready.URL+"/?setup=setup-"+data, ready.SetupURL)
		doors[ready.URL], doors[ready.DeviceURL] = true, true
	}
	require.Len(t, doors, 4)
	for url := range doors { // all of them at once
		answer, err := http.Get(url + deviceproto.PathUpdate)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusUnauthorized, answer.StatusCode, url)
	}
}

// Without bubblewrap nothing is compiled, unless the operator says so.
func TestNoSandbox(t *testing.T) {
	settings := []string{"FLOTA_DATA=" + filepath.Join(t.TempDir(), "data"), "FLOTA_LISTEN=127.0.0.1:0", "FLOTA_TOOLCHAIN=/toolchain"}
	command := withoutBubblewrap(t)
	cmd := exec.CommandContext(within(t, patience), command[0], command[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, settings...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), "flota-solo: compiler: no working sandbox: ")
	require.NotContains(t, string(out), `"url"`, "it was ready before")

	_, log := startBare(t, solotest.ProcessOptions{Path: command[0], Args: command[1:], Env: append(settings, "FLOTA_UNSANDBOXED=true")})
	require.Contains(t, log.String(), "NO SANDBOX")
}

// withoutBubblewrap is a command line that runs flota-solo where bubblewrap is not to be found, and all that
// FLOTA_UNSANDBOXED asks for is. Bubblewrap makes that place.
func withoutBubblewrap(t *testing.T) []string {
	t.Helper()
	solo := binary(t, "flota-solo")
	return []string{
		"/usr/bin/bwrap", "--die-with-parent", "--tmpfs", "/", "--ro-bind", "/usr", "/usr", "--dev-bind", "/dev/null", "/usr/bin/bwrap",
		"--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--ro-bind", "/etc", "/etc",
		"--dev-bind", "/proc", "/proc", "--dev", "/dev", "--bind", os.TempDir(), os.TempDir(), "--ro-bind", filepath.Dir(solo), filepath.Dir(solo),
		"--ro-bind", toolchain(t), "/toolchain", "--tmpfs", "/job", "--", solo,
	}
}

// startBare starts flota-solo with these settings alone, and waits until it is ready. It ends with the test.
func startBare(t *testing.T, o solotest.ProcessOptions) (ready solo.Ready, log *solotest.Log) {
	t.Helper()
	o.Name, o.Dir, o.Log = "flota-solo", t.TempDir(), new(solotest.Log)
	p, err := solotest.StartProcess(o)
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	line, err := p.Line(within(t, patience), func(line string) bool { return strings.HasPrefix(line, `{"url"`) })
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(line), &ready))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		require.NoError(t, syscall.Kill(ready.PID, syscall.SIGTERM)) // p may be what started it
		code, err := p.Wait(ctx)
		require.NoError(t, err)
		require.Zero(t, code)
	})
	return ready, o.Log
}
