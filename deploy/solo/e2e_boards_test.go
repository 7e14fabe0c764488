package solo_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
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

// desk is a virtual board that was made a device.
type desk struct {
	*server
	board  string
	device authapi.NewProduct
}

// atDesk starts a farm with a virtual board that is provisioned as bot_001 and has
// checked in.
func atDesk(t *testing.T, env ...string) *desk {
	t.Helper()
	s := startFarm(t, append([]string{"FLOTA_POLL=1s"}, env...)...)
	if _, err := os.Stat(filepath.Join(toolchain(t), "base", "flota-virtual-esp32.bin")); err != nil {
		t.Skipf("the toolchain has no base sketch for virtual boards: %v", err)
	}
	ctx := within(t, 2*time.Minute)
	board, err := s.admin.CreateBoard(ctx, "desk")
	require.NoError(t, err)
	_, err = s.admin.WaitBoard(ctx, board.Id, func(b boardsapi.Board) bool { return b.Starts == 1 && b.State == boardsapi.BoardStateRunning })
	require.NoError(t, err)
	d := &desk{server: s, board: board.Id, device: s.register("bot_001")}
	given := s.provision(d.device, blinkBoard)
	given.WiFi = []deviceproto.Network{{SSID: "workshop", Password: "a wifi password"}}
	s.seen.add("a wifi password")
	provisioned, err := s.admin.ProvisionBoard(ctx, board.Id, given)
	require.NoError(t, err, d.serial())
	require.Equal(t, d.device.Product.Device, *provisioned.Device)
	d.wait("a check-in", func(d fleetapi.Device) bool { return d.Online })
	return d
}

func (d *desk) serial() string {
	text, _, _ := d.admin.Serial(d.t.Context(), d.board)
	return "the board wrote:\n" + text
}

// wait waits until the device is as wanted.
func (d *desk) wait(what string, wanted func(fleetapi.Device) bool) fleetapi.Device {
	d.t.Helper()
	device, err := d.admin.WaitDevice(within(d.t, 2*time.Minute), d.device.Product.Device, wanted)
	require.NoError(d.t, err, "%s; %s", what, d.serial())
	return device
}

// compile makes a build of a sketch.
func (d *desk) compile(sketch string) (editorapi.Build, editorapi.Output) {
	d.t.Helper()
	ctx := within(d.t, 2*time.Minute)
	project, err := d.admin.CreateProject(ctx, "sketch", "blink")
	require.NoError(d.t, err)
	_, err = d.admin.PutFile(ctx, project.Id, project.Main, sketch)
	require.NoError(d.t, err)
	b := d.build(project.Id, solotest.BuildWish{})
	app, err := solotest.App(b)
	require.NoError(d.t, err)
	return b, app
}

const helloSketch = `
void setup() { Serial.begin(115200); pinMode(2, OUTPUT); digitalWrite(2, HIGH); }
void loop() { Serial.println("hello from the sketch"); delay(200); }
`

// Without any hardware: a virtual board is provisioned, polls, gets a sketch over the
// real protocol, prints live in the page, and falls back from one that crashes.
func TestVirtualBoard(t *testing.T) {
	d := atDesk(t)
	good, app := d.compile(helloSketch)
	heard := make(chan string, 1)
	listening := make(chan struct{})
	go func() {
		first := true
		err := d.admin.BoardEvents(t.Context(), d.board, func(e solotest.Event) error {
			if first {
				close(listening)
			}
			first = false
			var chunk editorapi.SerialEvent
			if e.Name == "serial" && json.Unmarshal(e.Data, &chunk) == nil && strings.Contains(chunk.Text, "hello") {
				heard <- chunk.Text
				return errors.New("enough")
			}
			return nil
		})
		if first {
			t.Errorf("no event stream: %v", err)
			close(listening)
		}
	}()
	<-listening
	d.deploy(d.device.Product.Device, good.Id)
	confirmed := d.wait("confirmation", func(d fleetapi.Device) bool { return d.State == fleetapi.Confirmed })
	require.Equal(t, app.Sha256, *confirmed.RunningSha256)
	require.Equal(t, "ESP32", *confirmed.Chip)
	select {
	case <-heard:
	case <-time.After(patience):
		require.FailNow(t, "nothing is heard", d.serial())
	}
	board, err := d.admin.WaitBoard(within(t, patience), d.board, func(b boardsapi.Board) bool { return len(b.Pins) > 0 })
	require.NoError(t, err)
	require.Equal(t, boardsapi.BoardSlot("app1"), *board.Slot)
	require.Contains(t, board.Pins, boardsapi.Pin{Number: 2, Mode: boardsapi.Out, Value: 1})

	bad, badApp := d.compile("void setup() { Serial.begin(115200); Serial.println(\"going down\"); abort(); }\nvoid loop() {}\n")
	require.NotEqual(t, app.Sha256, badApp.Sha256)
	wanted := d.deploy(d.device.Product.Device, bad.Id)
	back := d.wait("rollback", func(d fleetapi.Device) bool { return d.State == fleetapi.RolledBack })
	require.Equal(t, "crash", *back.Reason)
	require.Equal(t, wanted.Number, *back.WantedDeployment)
	require.Equal(t, app.Sha256, *back.RunningSha256)
	require.Contains(t, d.serial(), "going down")

	// And by cable, as with esptool.
	_, err = d.admin.FlashBoard(within(t, patience), d.board, good.Id, false)
	require.NoError(t, err)
	board, err = d.admin.WaitBoard(within(t, patience), d.board, func(b boardsapi.Board) bool { return *b.Reset == "external" && *b.Slot == "app0" })
	require.NoError(t, err)
	require.Equal(t, d.device.Product.Device, *board.Device)
}

// A board that was on runs again after flota-solo was killed, as the device that it
// was, and nothing of it runs meanwhile.
func TestVirtualBoardAfterAKill(t *testing.T) {
	d := atDesk(t)
	d.Kill()
	require.Eventually(t, func() bool { return len(d.processes()) == 0 }, patience, 20*time.Millisecond, "%v", d.processes())
	require.NoError(t, d.Start(t.Context()))
	require.NoError(t, d.admin.Login(within(t, patience), login, password))
	begin := time.Now()
	device := d.wait("a check-in after the kill", func(d fleetapi.Device) bool { return d.SeenAt != nil && d.SeenAt.After(begin) })
	require.True(t, device.Online)
	board, err := d.admin.Board(within(t, patience), d.board)
	require.NoError(t, err)
	require.Equal(t, boardsapi.BoardStateRunning, board.State)
	require.GreaterOrEqual(t, board.Starts, 2)
}

// processes are those that have this installation's boards.
func (d *desk) processes() (found []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), filepath.Join(d.Data(), "boards")) {
			found = append(found, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return found
}

// Virtual boards are optional.
func TestWithoutVirtualBoards(t *testing.T) {
	for name, env := range map[string][]string{
		"switched off":   {"FLOTA_BOARDS=false"},
		"no base sketch": {"FLOTA_BOARDS_BASE=/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, env...)
			var p *solotest.Problem
			_, err := s.admin.VirtualBoards(within(t, patience))
			require.ErrorAs(t, err, &p)
			require.Equal(t, 404, p.Status)
			require.EqualValues(t, "no_boards", p.Code)
			_, err = s.admin.Devices(within(t, patience))
			require.NoError(t, err, "the rest works")
		})
	}
}
