package solo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/pkg/deviceproto"
	authapi "github.com/flota/flota/services/auth/httpapi"
	boardsapi "github.com/flota/flota/services/boards/httpapi"
	editorapi "github.com/flota/flota/services/editor/httpapi"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

// bot is what the seed tells of: bot_001, whose holder has its password and nothing
// else. Its board asks every hour, so that whatever happens sooner is the button's doing.
type bot struct {
	*server
	holder  *solotest.Client
	device  authapi.NewProduct
	project editorapi.Project
	// press presses its board's trigger button, words are what that wrote.
	press func()
	words func() string
	last  time.Time // that it was pressed
}

const (
	wifiPassword = "a password of the shed"
	trigger      = 0 // the pin of the button
)

// newBot takes the steps before there is any hardware: bot_001 is registered, its
// holder logs in, enters the Wi-Fi and opens the bot's own project.
func newBot(t *testing.T, env ...string) *bot {
	t.Helper()
	b := &bot{server: startFarm(t, append([]string{"FLOTA_POLL=1h"}, env...)...)}
	base(t)
	ctx := within(t, patience)
	made, err := b.admin.Register(ctx, solotest.NewProduct{ID: "bot_001", Password: "12345"})
	require.NoError(t, err)
	b.device = made[0]

	b.holder = b.client()
	require.NoError(t, b.holder.ProductLogin(ctx, b.admin.Session().Me.WorkspaceSlug, "bot_001", "12345"))
	b.seen.add(wifiPassword)
	require.NoError(t, b.holder.SetWiFi(ctx, b.id(), deviceproto.Network{SSID: "shed", Password: wifiPassword}))
	b.project, err = b.holder.OwnProject(ctx)
	require.NoError(t, err)
	b.wait("a device", func(fleetapi.Device) bool { return true })
	return b
}

// base is the image of the base sketch.
func base(t testing.TB) string {
	t.Helper()
	image := filepath.Join(toolchain(t), "base", "flota-virtual-esp32.bin")
	require.FileExists(t, image)
	return image
}

func (b *bot) id() string { return b.device.Product.Device }

// must fails the test, also from another goroutine.
func (b *bot) must(err error) {
	if err != nil {
		b.t.Error(err)
	}
}

// compile saves a sketch and builds it, as its holder does in the page. The image has
// nothing of the Wi-Fi in it.
func (b *bot) compile(sketch string) (build editorapi.Build, app editorapi.Output, image []byte) {
	b.t.Helper()
	ctx := within(b.t, 3*time.Minute)
	_, err := b.holder.PutFile(ctx, b.project.Id, b.project.Main, sketch)
	require.NoError(b.t, err)
	build, err = b.holder.Build(ctx, b.project.Id, solotest.BuildWish{FQBN: blinkBoard})
	require.NoError(b.t, err)
	build, err = b.holder.WaitBuild(ctx, build.Id)
	require.NoError(b.t, err)
	require.Equal(b.t, editorapi.BuildStateSucceeded, build.State)
	app, err = solotest.App(build)
	require.NoError(b.t, err)
	image, err = b.holder.Output(ctx, build.Id, app.Name)
	require.NoError(b.t, err)
	require.False(b.t, bytes.Contains(image, []byte(wifiPassword)))
	return build, app, image
}

// says is a sketch that prints a line again and again.
func says(line string) string {
	return `
void setup() { Serial.begin(115200); }
void loop() { Serial.println("` + line + `"); delay(200); }
`
}

const crashes = `
void setup() { Serial.begin(115200); Serial.println("going down"); abort(); }
void loop() {}
`

// handOut is the provisioning file.
func (b *bot) handOut() deviceproto.Provision {
	b.t.Helper()
	p, err := b.holder.HandOut(within(b.t, patience), b.id(), blinkBoard)
	require.NoError(b.t, err)
	require.NoError(b.t, p.Check())
	require.Equal(b.t, []deviceproto.Network{{SSID: "shed", Password: wifiPassword}}, p.WiFi)
	b.seen.add(p.Key)
	return p
}

// wait waits until the page shows the device as wanted.
func (b *bot) wait(what string, wanted func(fleetapi.Device) bool) fleetapi.Device {
	b.t.Helper()
	d, err := b.holder.WaitDevice(within(b.t, 2*time.Minute), b.id(), wanted)
	if err != nil && b.words != nil {
		b.t.Logf("the board wrote:\n%s", b.words())
	}
	require.NoError(b.t, err, what)
	return d
}

// hear waits until the board has written a text.
func (b *bot) hear(text string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return strings.Contains(b.words(), text) }, patience, 50*time.Millisecond, "the board never wrote %q", text)
}

// deploy wants a build on the device; nothing happens by that.
func (b *bot) deploy(wish solotest.DeployWish) {
	b.t.Helper()
	wish.Device = b.id()
	deployment, err := b.holder.Deploy(within(b.t, patience), wish)
	require.NoError(b.t, err)
	d := b.wait("the wish", func(d fleetapi.Device) bool {
		return d.WantedDeployment != nil && *d.WantedDeployment == deployment.Number
	})
	require.Equal(b.t, fleetapi.Wanted, d.State, "nobody has pressed the button yet")
}

// again presses the button while the board has nothing to show for it: it may have
// asked a moment before there was something to tell.
func (b *bot) again(vain bool) {
	if vain && time.Since(b.last) > 10*time.Second {
		b.last = time.Now()
		b.press()
	}
}

// pressed presses the button, and waits until the page shows what becomes of it.
func (b *bot) pressed(state fleetapi.DeviceState) fleetapi.Device {
	b.t.Helper()
	b.last = time.Time{}
	return b.wait(string(state), func(d fleetapi.Device) bool {
		b.again(d.State == fleetapi.Wanted)
		return d.State == state
	})
}

// update changes the sketch until it runs: compile, deploy, press the button.
func (b *bot) update(line, version string) (running editorapi.Output) {
	b.t.Helper()
	build, app, _ := b.compile(says(line))
	b.deploy(solotest.DeployWish{Build: build.Id, Version: version})
	confirmed := b.pressed(fleetapi.Confirmed)
	require.Equal(b.t, app.Sha256, *confirmed.RunningSha256)
	require.Equal(b.t, version, *confirmed.RunningVersion)
	b.hear(line)
	return app
}

// rollBack deploys a sketch that crashes, and sees what ran before run again.
func (b *bot) rollBack(running editorapi.Output) {
	b.t.Helper()
	bad, _, _ := b.compile(crashes)
	b.deploy(solotest.DeployWish{Build: bad.Id, Version: "1.0.2"})
	back := b.pressed(fleetapi.RolledBack)
	require.Equal(b.t, "crash", *back.Reason)
	require.Equal(b.t, running.Sha256, *back.RunningSha256)
	b.hear("going down")
	_, history, err := b.holder.Device(within(b.t, patience), b.id())
	require.NoError(b.t, err)
	require.Equal(b.t, "rolled_back", history[0].State, "the page shows it")
}

// The seed's steps with a virtual board of services/boards: the sketch itself is what
// comes by cable, and the board is told where it belongs while that runs.
func TestSeedWithABoardInThePage(t *testing.T) {
	b := newBot(t)
	board := b.plug()
	first, app, _ := b.compile(says("the first sketch"))
	ctx := within(t, 2*time.Minute)
	_, err := b.admin.FlashBoard(ctx, board, first.Id, true)
	require.NoError(t, err)
	b.hear("the first sketch")
	_, err = b.admin.ProvisionBoard(ctx, board, b.handOut())
	require.NoError(t, err)
	online := b.wait("a poll", func(d fleetapi.Device) bool { return d.Online && d.RunningSha256 != nil })
	require.Equal(t, app.Sha256, *online.RunningSha256)
	seen, err := b.holder.Board(ctx, board)
	require.NoError(t, err, "its holder sees the board now")
	require.Equal(t, b.id(), *seen.Device)

	running := b.update("the second sketch", "1.0.1")
	b.rollBack(running)
}

// plug makes a virtual board, as it comes from the factory.
func (b *bot) plug() (id string) {
	b.t.Helper()
	ctx := within(b.t, 2*time.Minute)
	board, err := b.admin.CreateBoard(ctx, "bot_001")
	require.NoError(b.t, err)
	_, err = b.admin.WaitBoard(ctx, board.Id, func(now boardsapi.Board) bool { return now.State == boardsapi.BoardStateRunning })
	require.NoError(b.t, err)
	b.press = func() { b.must(b.admin.Press(b.t.Context(), board.Id, trigger, 0, 300*time.Millisecond)) }
	b.words = func() string {
		text, _, err := b.admin.Serial(b.t.Context(), board.Id)
		b.must(err)
		return text
	}
	return board.Id
}

// The seed's steps as with a real board: its serial port is a terminal, and two
// commands do what a person with a cable does. First flota-provision with the file that
// the page handed out, while the base sketch runs; then all goes over the air.
func TestSeedWithACable(t *testing.T) {
	b := newBot(t)
	desk := b.cable()
	first, app, image := b.compile(says("the first sketch"))

	p := b.handOut()
	file := filepath.Join(desk, "bot_001.json")
	text, err := json.Marshal(p)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	said := b.command("flota-provision", "--port", filepath.Join(desk, "tty"), "--file", file)
	require.Contains(t, said, "The board is bot_001 now")
	require.Contains(t, said, "It is online")
	b.wait("a poll", func(d fleetapi.Device) bool { return d.Online })
	port := b.monitor(filepath.Join(desk, "tty"))
	b.words = port.String

	b.deploy(solotest.DeployWish{Build: first.Id, Version: "1.0.0"})
	confirmed := b.pressed(fleetapi.Confirmed)
	require.Equal(t, app.Sha256, *confirmed.RunningSha256)
	b.hear("the first sketch")
	flash, err := os.ReadFile(filepath.Join(desk, "bot", "flash.bin"))
	require.NoError(t, err)
	require.True(t, bytes.Contains(flash, image), "the board has what was built, byte for byte")
	require.False(t, bytes.Contains(flash, []byte(wifiPassword)))

	running := b.update("the second sketch", "1.0.1")
	b.rollBack(running)
	b.seen.check(t, port.String())
	_, err = b.Stop(within(t, drainTime))
	require.NoError(t, err)
	b.seen.checkFolder(t, b.Data())
}

// cable puts a new board with the base sketch on the desk, at a serial port there
// called tty, and switches it on.
func (b *bot) cable() (desk string) {
	b.t.Helper()
	desk = b.t.TempDir()
	b.command("flota-board", "new", filepath.Join(desk, "bot"), "--base", base(b.t))
	tty, log := filepath.Join(desk, "tty"), new(solotest.Log)
	board, err := solotest.StartProcess(solotest.ProcessOptions{
		Name: "flota-board", Path: binary(b.t, "flota-board"), Log: log,
		Args: []string{"run", filepath.Join(desk, "bot"), "--pty", tty, "--server", strings.TrimPrefix(b.DeviceURL, "http://")},
	})
	require.NoError(b.t, err)
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		code, err := board.Stop(ctx)
		require.NoError(b.t, err)
		require.Zero(b.t, code, log)
		if b.t.Failed() {
			b.t.Logf("flota-board:\n%s", log)
		}
	})
	require.Eventually(b.t, func() bool { _, err := os.Stat(tty); return err == nil }, patience, 20*time.Millisecond, "%s", log)
	b.press = func() { b.must(syscall.Kill(board.PID(), syscall.SIGUSR1)) }
	return desk
}

// command runs one of the product's commands, which must succeed.
func (b *bot) command(name string, args ...string) string {
	b.t.Helper()
	said, err := exec.CommandContext(within(b.t, 3*time.Minute), binary(b.t, name), args...).CombinedOutput()
	require.NoError(b.t, err, "%s %s: %s", name, args[0], said)
	b.seen.check(b.t, string(said))
	return string(said)
}

// monitor is a serial monitor.
func (b *bot) monitor(port string) *solotest.Log {
	b.t.Helper()
	tty, err := os.OpenFile(port, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { tty.Close() })
	words := new(solotest.Log)
	go func() { _, _ = tty.WriteTo(words) }()
	return words
}

// Without FlotaOTA: a sketch that updates itself with the stock HTTPUpdate library, by
// the seed's static link, when the button is pressed.
func TestSeedWithStockHTTPUpdate(t *testing.T) {
	b := newBot(t, "FLOTA_PLAIN_HTTP_DEVICES=true")
	board := b.plug()
	ctx := within(t, 3*time.Minute)
	_, err := b.admin.ProvisionBoard(ctx, board, b.handOut())
	require.NoError(t, err)
	b.wait("a poll", func(d fleetapi.Device) bool { return d.Online })

	unmanaged := true
	_, err = b.holder.ChangeProject(ctx, b.project.Id, editorapi.ChangeProjectJSONBody{Unmanaged: &unmanaged})
	require.NoError(t, err)
	first, _, _ := b.compile(stockSketch(t, 1))
	require.Nil(t, first.Agent)
	_, err = b.holder.FlashBoard(ctx, board, first.Id, false)
	require.NoError(t, err)

	second, app, _ := b.compile(stockSketch(t, 2))
	b.deploy(solotest.DeployWish{Build: second.Id, AcceptUnmanaged: true})
	_, err = b.holder.WaitBoard(ctx, board, func(now boardsapi.Board) bool {
		updated := *now.Slot == "app1"
		b.again(!updated)
		return updated && *now.Reset == "software"
	})
	require.NoError(t, err, b.words())
	// It says what it runs when it asks again.
	b.last = time.Time{}
	b.wait("what it runs", func(d fleetapi.Device) bool {
		known := d.RunningSha256 != nil && *d.RunningSha256 == app.Sha256
		b.again(!known)
		return known
	})
}

// stockSketch is the library's example; each number makes another image of it.
func stockSketch(t *testing.T, number int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(solotest.Root(), "firmware", "esp32", "FlotaOTA", "examples", "StockHTTPUpdate", "StockHTTPUpdate.ino"))
	require.NoError(t, err)
	return fmt.Sprintf("%s\nstruct Edition { Edition() { number = %d; } volatile int number; } edition;\n", text, number)
}
