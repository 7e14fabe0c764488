package solo_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/firmware/simulator"
	"github.com/flota/flota/pkg/deviceproto"
	boardsapi "github.com/flota/flota/services/boards/httpapi"
	editorapi "github.com/flota/flota/services/editor/httpapi"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

const picoBoard = "micropython:py:rpi_pico_w"

// A MicroPython project of twenty files, from the editor to a Pico; then one of them
// changes, and nothing else is fetched.
func TestMicroPythonDelta(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, 3*time.Minute)
	project, err := s.admin.CreateProject(ctx, "Blinker", "micropython-blink")
	require.NoError(t, err)
	require.Equal(t, picoBoard, *project.Fqbn)
	module := func(n int, text string) string {
		path := fmt.Sprintf("lib/m%02d.py", n)
		_, err := s.admin.PutFile(ctx, project.Id, path, text)
		require.NoError(t, err)
		return path
	}
	for n := range 18 {
		module(n, strings.Repeat(fmt.Sprintf("X%d = %d\n", n, n), 100))
	}
	build := s.build(project.Id, solotest.BuildWish{})
	require.NotNil(t, build.Agent)
	require.Contains(t, build.Agent.Version, "flota_agent/")
	require.Positive(t, build.Memory.FlashUsed)
	index := s.index(build)
	listed := s.listed(build)
	require.Len(t, own(listed), 20)

	product := s.register("bot_001")
	disk := simulator.Disk{Dir: filepath.Join(t.TempDir(), "bot_001")}
	client := simulator.NewClient(nil)
	fetched := &imagesFetched{next: client.Transport}
	client.Transport = fetched
	devices, err := solotest.RunDevices(ctx, []deviceproto.Provision{s.provision(product, picoBoard)}, map[string]simulator.Storage{"bot_001": disk},
		simulator.Options{Poll: 100 * time.Millisecond, HTTP: client, SlotSize: 400 << 10, Print: func(line string) { t.Log(line) }})
	require.NoError(t, err)
	defer func() { require.NoError(t, devices.Stop()) }()
	runs := func(build editorapi.Build) {
		t.Helper()
		wanted := s.deploy(product.Product.Device, build.Id)
		d, err := s.admin.WaitDevice(ctx, product.Product.Device, func(d fleetapi.Device) bool {
			return d.State == fleetapi.Confirmed && *d.WantedDeployment == wanted.Number
		})
		require.NoError(t, err)
		require.Equal(t, s.index(build).Sha256, *d.RunningSha256)
		require.Equal(t, picoBoard, *d.Board)
		s.holds(disk, build)
	}
	runs(build)
	require.Len(t, fetched.take(), 1+len(listed), "the index and each file, once")

	// One of twenty.
	module(7, "X7 = 'changed'\n")
	changed := s.build(project.Id, solotest.BuildWish{})
	require.NotEqual(t, index.Sha256, s.index(changed).Sha256)
	runs(changed)
	numbers := fetched.take()
	require.Len(t, numbers, 2)
	require.Equal(t, "lib/m07.py", s.listed(changed)[numbers[1]-1].Path)

	// The same, compiled: another release for the same board.
	compiled := s.build(project.Id, solotest.BuildWish{FQBN: picoBoard + ":format=mpy"})
	require.Contains(t, files(compiled), "lib/m07.mpy")
	require.Contains(t, files(compiled), "main.py")
	require.NotContains(t, files(compiled), "lib/m07.py")
	runs(compiled)
	require.Len(t, fetched.take(), 1+19, "main.py and the agent were there")

	// And back: the other slot holds it still.
	runs(changed)
	require.Empty(t, fetched.take())
}

// A project of as many files as a release has room for, on a fleet of Picos.
func TestMicroPythonManyFiles(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, 3*time.Minute)
	project, err := s.admin.CreateProject(ctx, "Blinker", "micropython-blink")
	require.NoError(t, err)
	small := s.build(project.Id, solotest.BuildWish{})
	for n := range deviceproto.MaxIndexLines - len(files(small)) {
		_, err := s.admin.PutFile(ctx, project.Id, fmt.Sprintf("lib/m%03d.py", n), fmt.Sprintf("X = %d\n", n))
		require.NoError(t, err)
	}
	build := s.build(project.Id, solotest.BuildWish{})
	t.Logf("built in %s", build.FinishedAt.Sub(*build.StartedAt))
	require.Len(t, s.listed(build), deviceproto.MaxIndexLines)

	const fleet = 10
	var provisions []deviceproto.Provision
	for n := range fleet {
		product := s.register(fmt.Sprintf("bot_%03d", n))
		provisions = append(provisions, s.provision(product, picoBoard))
		s.deploy(product.Product.Device, build.Id)
	}
	disk := simulator.Disk{Dir: filepath.Join(t.TempDir(), "bot_000")}
	devices, err := solotest.RunDevices(ctx, provisions, map[string]simulator.Storage{"bot_000": disk}, simulator.Options{Poll: time.Second})
	require.NoError(t, err)
	defer func() { require.NoError(t, devices.Stop()) }()
	for _, p := range provisions {
		d, err := s.admin.WaitDevice(ctx, p.Device, func(d fleetapi.Device) bool { return d.State == fleetapi.Confirmed })
		require.NoError(t, err)
		require.Equal(t, s.index(build).Sha256, *d.RunningSha256)
	}
	s.holds(disk, build)
}

// The same on MicroPython itself: a virtual Pico with its file system, the bootloader
// and the agent that the farm has added. Then a release that raises, from which it goes back.
func TestMicroPythonOnAVirtualPico(t *testing.T) {
	d := atPico(t)
	s, ctx := d.server, within(t, 5*time.Minute)
	project, err := s.admin.CreateProject(ctx, "Blinker", "micropython-blink")
	require.NoError(t, err)
	_, err = s.admin.ChangeProject(ctx, project.Id, editorapi.ChangeProjectJSONBody{Fqbn: ptr(virtualPico)})
	require.NoError(t, err)
	put := func(path, text string) {
		_, err := s.admin.PutFile(ctx, project.Id, path, text)
		require.NoError(t, err)
	}
	for n := range 18 {
		put(fmt.Sprintf("lib/m%02d.py", n), strings.Repeat(fmt.Sprintf("X%d = %d\n", n, n), 50))
	}
	const program = "import time\nfrom m07 import X7\nwhile True:\n    print('seven is', X7)\n    time.sleep(1)\n"
	put("main.py", program)
	build, device := d.becomes(project.Id, fleetapi.Confirmed)
	require.Equal(t, s.index(build).Sha256, *device.RunningSha256)
	require.Equal(t, virtualPico, *device.Board)
	require.Contains(t, *device.Agent, "flota_agent/")
	require.Contains(t, d.serial(), "seven is 7")
	first := s.imagesServed()
	require.GreaterOrEqual(t, first, 1+20)

	put("lib/m07.py", "X7 = 'changed'\n")
	build, device = d.becomes(project.Id, fleetapi.Confirmed)
	require.Equal(t, s.index(build).Sha256, *device.RunningSha256)
	require.Contains(t, d.serial(), "seven is changed")
	require.Equal(t, 2, s.imagesServed()-first, "the index and one file")

	good := *device.RunningSha256
	put("main.py", "raise ValueError('going down')\n")
	_, device = d.becomes(project.Id, fleetapi.RolledBack)
	require.Equal(t, "crash", *device.Reason)
	require.Equal(t, good, *device.RunningSha256)
	require.Contains(t, d.serial(), "going down")
}

// The largest release that the farm makes for a Pico fits beside another one of that
// size, on the file system itself: from the first flash to it, and from it to the next.
func TestMicroPythonFillsAPico(t *testing.T) {
	d := atPico(t)
	s, ctx := d.server, within(t, 8*time.Minute)
	project, err := s.admin.CreateProject(ctx, "Blinker", "micropython-blink")
	require.NoError(t, err)
	_, err = s.admin.ChangeProject(ctx, project.Id, editorapi.ChangeProjectJSONBody{Fqbn: ptr(virtualPico)})
	require.NoError(t, err)
	_, err = s.admin.PutFile(ctx, project.Id, "main.py", "import time\nwhile True:\n    time.sleep(1)\n")
	require.NoError(t, err)
	memory := s.build(project.Id, solotest.BuildWish{}).Memory
	left := memory.FlashMax - memory.FlashUsed
	for _, fill := range []string{"a", "b", "c"} {
		_, err := s.admin.PutFile(ctx, project.Id, "www/page.html", strings.Repeat(fill, left-5*4096)) // less the folder, and the pointers
		require.NoError(t, err)
		build, device := d.becomes(project.Id, fleetapi.Confirmed)
		require.Equal(t, memory.FlashMax, build.Memory.FlashUsed)
		require.Equal(t, s.index(build).Sha256, *device.RunningSha256)
		require.GreaterOrEqual(t, int(*device.SlotSize), memory.FlashMax, "what the board says that it has room for")
	}
}

const virtualPico = "micropython:py:virtual_pico_w"

// atPico starts a farm with a virtual Pico that is provisioned as bot_001 and has
// checked in.
func atPico(t *testing.T) *desk {
	t.Helper()
	s := startFarm(t, "FLOTA_POLL=1s")
	ctx := within(t, 2*time.Minute)
	var board boardsapi.Board
	require.NoError(t, s.admin.Do(ctx, http.MethodPost, "/api/boards/v1/boards", map[string]string{"name": "pico", "fqbn": virtualPico}, &board))
	_, err := s.admin.WaitBoard(ctx, board.Id, func(b boardsapi.Board) bool { return b.State == boardsapi.BoardStateRunning })
	require.NoError(t, err)
	d := &desk{server: s, board: board.Id, device: s.register("bot_001")}
	given := s.provision(d.device, virtualPico)
	given.WiFi = []deviceproto.Network{{SSID: "workshop", Password: "a wifi password"}}
	s.seen.add("a wifi password")
	_, err = s.admin.ProvisionBoard(ctx, board.Id, given)
	require.NoError(t, err, d.serial())
	d.wait("a check-in", func(d fleetapi.Device) bool { return d.Online })
	return d
}

// becomes deploys a project as it is now, and waits for how that ends.
func (d *desk) becomes(project string, state fleetapi.DeviceState) (editorapi.Build, fleetapi.Device) {
	d.t.Helper()
	build := d.build(project, solotest.BuildWish{})
	wanted := d.deploy(d.device.Product.Device, build.Id)
	device := d.wait(string(state), func(d fleetapi.Device) bool {
		ended := d.State == fleetapi.Confirmed || d.State == fleetapi.Failed || d.State == fleetapi.RolledBack
		return ended && *d.WantedDeployment == wanted.Number
	})
	reason := ""
	if device.Reason != nil {
		reason = *device.Reason
	}
	require.Equal(d.t, state, device.State, "reason %q\n%s", reason, d.serial())
	return build, device
}

// imagesServed is how many whole images, indexes and files devices have been given.
func (s *server) imagesServed() (n int) {
	s.t.Helper()
	answer, err := http.Get(s.InsideURL + "/artifact/metrics")
	require.NoError(s.t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(s.t, errors.Join(err, answer.Body.Close()))
	m := regexp.MustCompile(`(?m)^flota_device_requests_total\{request="image",status="200"\} ([0-9]+)$`).FindStringSubmatch(string(text))
	if m != nil {
		n, err = strconv.Atoi(m[1])
		require.NoError(s.t, err)
	}
	return n
}

func ptr[T any](v T) *T { return &v }

// What a Pico has no room for is refused where it is built, or where it is deployed.
func TestMicroPythonTooLarge(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, 2*time.Minute)
	project, err := s.admin.CreateProject(ctx, "Blinker", "micropython-blink")
	require.NoError(t, err)
	fits := s.build(project.Id, solotest.BuildWish{})
	_, err = s.admin.PutFile(ctx, project.Id, "www/page.html", strings.Repeat("0123456789abcde\n", 30_000))
	require.NoError(t, err)
	build := s.tryBuild(project.Id, solotest.BuildWish{})
	require.Equal(t, editorapi.BuildStateFailed, build.State)
	require.Contains(t, *build.Message, strconv.Itoa(build.Memory.FlashUsed))
	large := s.build(project.Id, solotest.BuildWish{FQBN: "micropython:py:rpi_pico2_w"})

	product := s.register("bot_001")
	devices, err := solotest.RunDevices(ctx, []deviceproto.Provision{s.provision(product, picoBoard)}, nil,
		simulator.Options{Poll: 100 * time.Millisecond, SlotSize: int64(fits.Memory.FlashUsed) - 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, devices.Stop()) }()
	// Nothing is known of the device's room: it says so itself, before the first file.
	s.deploy(product.Product.Device, fits.Id)
	d, err := s.admin.WaitDevice(ctx, product.Product.Device, func(d fleetapi.Device) bool { return d.State == fleetapi.Failed })
	require.NoError(t, err)
	require.Equal(t, "too_large", *d.Reason)
	_, err = s.admin.Deploy(ctx, solotest.DeployWish{Device: product.Product.Device, Build: fits.Id})
	require.ErrorContains(t, err, strconv.Itoa(fits.Memory.FlashUsed))
	_, err = s.admin.Deploy(ctx, solotest.DeployWish{Device: product.Product.Device, Build: large.Id})
	require.ErrorContains(t, err, strconv.Itoa(large.Memory.FlashUsed))
}

// index is a build's index.
func (p *product) index(build editorapi.Build) editorapi.Output {
	p.t.Helper()
	o, err := solotest.App(build)
	require.NoError(p.t, err)
	require.Equal(p.t, editorapi.Index, o.Role)
	return o
}

// listed are the files of a build's index, which are the build's outputs, too.
func (p *product) listed(build editorapi.Build) []deviceproto.Part {
	p.t.Helper()
	text, err := p.admin.Output(p.t.Context(), build.Id, p.index(build).Name)
	require.NoError(p.t, err)
	parts, err := deviceproto.ParseIndex(text, nil)
	require.NoError(p.t, err)
	named := files(build)
	require.Len(p.t, parts, len(named))
	for _, part := range parts {
		require.Equal(p.t, part.SHA256, named[part.Path])
	}
	return parts
}

// files are the digests of a build's files, by their paths.
func files(build editorapi.Build) map[string]string {
	all := map[string]string{}
	for _, o := range build.Outputs {
		if o.Role == editorapi.BoardFile {
			all[o.Name] = o.Sha256
		}
	}
	return all
}

// own are those that are not the agent's.
func own(parts []deviceproto.Part) (paths []string) {
	for _, p := range parts {
		if !strings.HasPrefix(p.Path, "flota_") {
			paths = append(paths, p.Path)
		}
	}
	return paths
}

// holds checks that the slot that runs holds a build's files, byte for byte.
func (p *product) holds(disk simulator.Disk, build editorapi.Build) {
	p.t.Helper()
	state, err := disk.Load()
	require.NoError(p.t, err)
	for path := range files(build) {
		want, err := p.admin.Output(p.t.Context(), build.Id, path)
		require.NoError(p.t, err)
		got, err := os.ReadFile(disk.File(state.Active, path))
		require.NoError(p.t, err)
		require.Equal(p.t, string(want), string(got), path)
	}
}

// imagesFetched notes which parts of links a device asks for.
type imagesFetched struct {
	next  http.RoundTripper
	mu    sync.Mutex
	parts []int
}

var imageLink = regexp.MustCompile(`^/d/v1/image/[^/]+(?:/([0-9]+))?$`)

func (f *imagesFetched) RoundTrip(r *http.Request) (*http.Response, error) {
	if m := imageLink.FindStringSubmatch(r.URL.Path); m != nil {
		n, _ := strconv.Atoi(m[1])
		f.mu.Lock()
		f.parts = append(f.parts, n)
		f.mu.Unlock()
	}
	return f.next.RoundTrip(r)
}

// take returns the parts since the last time, in order.
func (f *imagesFetched) take() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.parts
	f.parts = nil
	return taken
}
