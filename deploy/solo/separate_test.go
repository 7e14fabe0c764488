package solo_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/firmware/simulator"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/flow"
	editorapi "github.com/flota/flota/services/editor/httpapi"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

// The services as separate processes, two workers among them, and what happens
// when one of them dies.
func TestSeparateProcesses(t *testing.T) {
	i := install(t)
	ctx := within(t, 2*time.Minute)
	token := setupToken(i.log("auth"))
	require.NotEmpty(t, token, "the server prints the setup token")
	require.NoError(t, i.admin.Setup(ctx, token, login, password, "Greenhouse"))
	require.NoError(t, i.admin.WaitForBoard(ctx, blinkBoard))

	t.Run("each says that it is ready, and its health check sees it", i.probes)
	t.Run("the first update", i.firstUpdate)
	t.Run("a killed worker's build is taken over", i.workerKilled)
	t.Run("a late attempt is fenced", i.workerLate)
	t.Run("the broker is killed while builds and reports are under way", i.brokerKilled)
	t.Run("every process is killed in turn while all are busy", i.eachKilled)
}

// setupToken is the one that auth's log tells, for whoever may read that.
func setupToken(log string) string {
	_, rest, _ := strings.Cut(log, `"setup_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	return token
}

func (i *installation) probes(t *testing.T) {
	for _, service := range services {
		name, _, _ := strings.Cut(service, "-")
		probe := exec.CommandContext(within(t, patience), i.binary(name), "--probe")
		probe.Env = []string{"FLOTA_LISTEN=" + i.address[service]}
		require.NoError(t, probe.Run(), service)
	}
	for _, url := range []string{"/up/x/y", "/src/x", "/metrics", "/readyz"} {
		answer, err := http.Get(i.origin("caddy") + url)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusNotFound, answer.StatusCode, "%s is for inside", url)
	}
	for _, url := range []string{"/", "/api/auth/v1/setup", "/dl/x/y"} {
		answer, err := http.Get(i.origin("caddy-devices") + url)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusNotFound, answer.StatusCode, "%s is not for devices", url)
	}
}

func (i *installation) firstUpdate(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	project, err := i.admin.CreateProject(ctx, "Blink", "blink")
	require.NoError(t, err)
	build := i.build(project.Id, solotest.BuildWish{})
	app, err := solotest.App(build)
	require.NoError(t, err)
	firmware, err := i.admin.Output(ctx, build.Id, app.Name)
	require.NoError(t, err)
	bot := i.register("bot_001")
	disk := simulator.Disk{Dir: t.TempDir()}
	devices, err := solotest.RunDevices(ctx, []deviceproto.Provision{i.provision(bot, blinkBoard)},
		map[string]simulator.Storage{"bot_001": disk}, simulator.Options{Poll: 200 * time.Millisecond})
	require.NoError(t, err)
	i.deploy(bot.Product.Device, build.Id)
	_, err = i.admin.WaitDevice(ctx, bot.Product.Device, func(d fleetapi.Device) bool { return d.State == fleetapi.Confirmed })
	require.NoError(t, err)
	require.NoError(t, devices.Stop())
	installed, _, err := solotest.Installed(disk)
	require.NoError(t, err)
	require.Equal(t, firmware, installed)
	stock := httpUpdate(t, i.origin("caddy-devices"), "/bot_001.ino.bin", "bot_001", bot.Key)
	require.Equal(t, http.StatusOK, stock.StatusCode, "a stock client, through the gateway")
	require.EqualValues(t, len(firmware), stock.ContentLength)
}

// slowBuild starts a build and returns when it is at the compiler, and on which worker.
func (i *installation) slowBuild(t *testing.T, units int) (build, worker string) {
	t.Helper()
	ctx := within(t, patience)
	project, err := i.admin.CreateProject(ctx, t.Name(), "blink")
	require.NoError(t, err)
	_, err = i.admin.PutFile(ctx, project.Id, project.Main, slowSketch(units))
	require.NoError(t, err)
	b, err := i.admin.Build(ctx, project.Id, solotest.BuildWish{Fresh: true})
	require.NoError(t, err)
	i.waitPhase(b.Id, editorapi.Compile)
	return b.Id, i.workerOf(t, b.Id, 1)
}

// workerOf finds out who claimed an attempt.
func (i *installation) workerOf(t *testing.T, build string, attempt int) (worker string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, name := range services {
			for _, line := range i.linesOf(name, build) {
				if strings.Contains(line, `"claimed"`) && strings.Contains(line, fmt.Sprintf(`"attempt":%d,`, attempt)) {
					worker = name
					return true
				}
			}
		}
		return false
	}, patience, 20*time.Millisecond)
	return worker
}

// linesOf is what a process's log says of a build.
func (i *installation) linesOf(name, build string) (lines []string) {
	for line := range strings.Lines(i.log(name)) {
		if strings.Contains(line, build) {
			lines = append(lines, line)
		}
	}
	return lines
}

// takenOver waits until a second attempt runs elsewhere, which must be soon.
func (i *installation) takenOver(t *testing.T, build, worker string, since time.Time) {
	t.Helper()
	ctx := within(t, patience)
	for {
		b, err := i.admin.GetBuild(ctx, build)
		require.NoError(t, err)
		if b.Attempt == 2 {
			break
		}
		require.Equal(t, editorapi.BuildStateRunning, b.State)
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("taken over after %s", time.Since(since).Round(time.Second))
	require.Less(t, time.Since(since), 45*time.Second)
	require.NotEqual(t, worker, i.workerOf(t, build, 2))
}

func (i *installation) workerKilled(t *testing.T) {
	build, worker := i.slowBuild(t, 12)
	i.kill(worker)
	i.takenOver(t, build, worker, time.Now())
	b, err := i.admin.WaitBuild(within(t, patience), build)
	require.NoError(t, err)
	require.Equal(t, editorapi.BuildStateSucceeded, b.State)
	require.Equal(t, 2, b.Attempt)
	i.start(worker)
	i.waitReady(worker)
}

// A worker that slept past its lease wakes up and goes on; nobody listens.
func (i *installation) workerLate(t *testing.T) {
	build, worker := i.slowBuild(t, 8)
	sleeper := i.processes[worker].PID() // what it started goes on
	require.NoError(t, syscall.Kill(sleeper, syscall.SIGSTOP))
	defer func() { _ = syscall.Kill(sleeper, syscall.SIGCONT) }()
	i.takenOver(t, build, worker, time.Now())
	i.waitPhase(build, editorapi.Compile)
	require.NoError(t, syscall.Kill(sleeper, syscall.SIGCONT))
	b, err := i.admin.WaitBuild(within(t, patience), build)
	require.NoError(t, err)
	require.Equal(t, editorapi.BuildStateSucceeded, b.State)
	require.Equal(t, 2, b.Attempt)
	require.Eventually(t, func() bool { return len(i.linesOf(worker, build)) > 1 }, patience, 20*time.Millisecond, "the late worker notices")
	t.Logf("the late worker: %s", i.linesOf(worker, build)[1])
	// It is of use again.
	i.waitSlots(func(free, slots int) bool { return slots == 2 && free == 2 })
	again, err := i.admin.GetBuild(t.Context(), build)
	require.NoError(t, err)
	require.Equal(t, b, again, "the late attempt changed nothing")
}

func (i *installation) brokerKilled(t *testing.T) {
	w := newWork(t, &i.product, "broker")
	build, _ := i.slowBuild(t, 12)
	w.during(t.Context(), func() {
		i.kill("nats")
		time.Sleep(3 * time.Second)
		i.start("nats")
		time.Sleep(3 * time.Second)
	})
	b, err := i.admin.WaitBuild(within(t, takeOver+patience), build)
	require.NoError(t, err)
	require.Equal(t, editorapi.BuildStateSucceeded, b.State)
	for _, service := range services {
		i.waitReady(service)
	}
	w.check(within(t, 2*takeOver))
}

func (i *installation) eachKilled(t *testing.T) {
	w := newWork(t, &i.product, "each")
	random := seeded(t)
	w.during(t.Context(), func() {
		for _, name := range append([]string{"nats", "caddy"}, services...) {
			time.Sleep(time.Duration(300+random.IntN(1200)) * time.Millisecond)
			i.kill(name)
			time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
			i.start(name)
			if name != "nats" && name != "caddy" {
				i.waitReady(name)
			}
		}
	})
	w.check(within(t, 3*takeOver))
}

// copies are the folders that a service's Dockerfile copies.
func copies(t *testing.T, s flow.Service) (folders []string) {
	t.Helper()
	file := "Dockerfile"
	if s == flow.Compiler || s == flow.Boards {
		file = "Dockerfile.compiler"
	}
	text, err := os.ReadFile(filepath.Join(solotest.Root(), "deploy", "docker", file))
	require.NoError(t, err)
	for _, copied := range regexp.MustCompile(`(?m)^COPY ([^-].*) \S+$`).FindAllStringSubmatch(string(text), -1) {
		folders = append(folders, strings.Fields(copied[1])...)
	}
	return folders
}

// The image of a service is built from what its Dockerfile copies alone.
func TestSeparateServicesBuildOnTheirOwn(t *testing.T) {
	separate(t)
	for _, s := range flow.Services {
		folder := filepath.Join(solotest.Root(), "services", string(s))
		module, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		require.NoError(t, err)
		for line := range strings.Lines(string(module)) {
			if strings.Contains(line, "=> ..") {
				_, folder, _ := strings.Cut(strings.TrimSpace(line), "=> ../../")
				require.Contains(t, copies(t, s), folder, "%s needs more than its Dockerfile copies", s)
			}
		}
		build := exec.CommandContext(within(t, 5*time.Minute), "go", "build", "-trimpath", "-o", filepath.Join(t.TempDir(), string(s)), "./cmd/"+string(s))
		build.Dir = folder
		build.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=")
		out, err := build.CombinedOutput()
		require.NoError(t, err, "%s: %s", s, out)
	}
}
