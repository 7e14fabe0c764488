package solo_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/firmware/simulator"
	"github.com/flota/flota/pkg/deviceproto"
	authapi "github.com/flota/flota/services/auth/httpapi"
	editorapi "github.com/flota/flota/services/editor/httpapi"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

// The README's first update, step by step, with the commands that it names.
func TestFirstUpdate(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, 2*time.Minute)
	project, err := s.admin.CreateProject(ctx, "Blink", "blink")
	require.NoError(t, err)

	build := s.build(project.Id, solotest.BuildWish{})
	app, err := solotest.App(build)
	require.NoError(t, err)
	firmware, err := s.admin.Output(ctx, build.Id, app.Name)
	require.NoError(t, err)
	sum := sha256.Sum256(firmware)
	require.Equal(t, app.Sha256, hex.EncodeToString(sum[:]), "what the signed link gives")

	product := s.register("bot_001")
	provision := s.provision(product, blinkBoard)
	file := filepath.Join(t.TempDir(), "bot_001.json")
	text, err := json.Marshal(provision)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	log := new(solotest.Log)
	board, err := solotest.StartProcess(solotest.ProcessOptions{
		Name: "flota-simulator", Path: binary(t, "flota-simulator"), Args: []string{"run", "--provision", file, "--poll", "200ms"}, Log: log,
	})
	require.NoError(t, err)
	defer board.Kill()
	online, err := s.admin.WaitDevice(ctx, product.Product.Device, func(d fleetapi.Device) bool { return d.Online })
	require.NoError(t, err, log)
	require.Equal(t, fleetapi.Idle, online.State)

	deployment, err := s.admin.Deploy(ctx, solotest.DeployWish{Device: product.Product.Device, Build: build.Id, Version: "1.0.0"})
	require.NoError(t, err)
	confirmed, err := s.admin.WaitDevice(ctx, product.Product.Device, func(d fleetapi.Device) bool { return d.State == fleetapi.Confirmed })
	require.NoError(t, err, log)
	require.Equal(t, deployment.Number, *confirmed.WantedDeployment)
	require.Equal(t, "1.0.0", *confirmed.RunningVersion)
	require.Equal(t, app.Sha256, *confirmed.RunningSha256)

	code, err := board.Stop(ctx)
	require.NoError(t, err)
	require.Zero(t, code, log)
	installed, err := exec.CommandContext(ctx, binary(t, "flota-simulator"), "image", "--dir", filepath.Join(filepath.Dir(file), "devices", "bot_001")).Output()
	require.NoError(t, err)
	require.Equal(t, firmware, installed, "the device runs what was built, byte for byte")

	_, history, err := s.admin.Device(ctx, product.Product.Device)
	require.NoError(t, err)
	var states []string
	for _, h := range history {
		states = append(states, h.State)
	}
	require.Equal(t, []string{"confirmed", "applied", "verified", "downloading", "wanted"}, states)

	s.seen.check(t, log.String())
	_, err = s.Stop(ctx)
	require.NoError(t, err)
	s.seen.checkFolder(t, s.Data())
}

func TestABadImageRollsBack(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, 2*time.Minute)
	project, err := s.admin.CreateProject(ctx, "Blink", "blink")
	require.NoError(t, err)
	good := s.build(project.Id, solotest.BuildWish{})
	goodApp, err := solotest.App(good)
	require.NoError(t, err)
	_, err = s.admin.PutFile(ctx, project.Id, project.Main, "void setup() {}\nvoid loop() { abort(); }\n")
	require.NoError(t, err)
	bad := s.build(project.Id, solotest.BuildWish{})
	badApp, err := solotest.App(bad)
	require.NoError(t, err)
	require.NotEqual(t, goodApp.Sha256, badApp.Sha256)

	product := s.register("bot_001")
	judge, err := simulator.Faults(badApp.Sha256 + "=crash")
	require.NoError(t, err)
	disk := simulator.Disk{Dir: filepath.Join(t.TempDir(), "bot_001")}
	devices, err := solotest.RunDevices(ctx, []deviceproto.Provision{s.provision(product, blinkBoard)},
		map[string]simulator.Storage{"bot_001": disk}, simulator.Options{Poll: 100 * time.Millisecond, Judge: judge, Print: func(line string) { t.Log(line) }})
	require.NoError(t, err)

	s.deploy(product.Product.Device, good.Id)
	_, err = s.admin.WaitDevice(ctx, product.Product.Device, func(d fleetapi.Device) bool { return d.State == fleetapi.Confirmed })
	require.NoError(t, err)
	wanted := s.deploy(product.Product.Device, bad.Id)
	back, err := s.admin.WaitDevice(ctx, product.Product.Device, func(d fleetapi.Device) bool { return d.State == fleetapi.RolledBack })
	require.NoError(t, err)
	require.Equal(t, "crash", *back.Reason)
	require.Equal(t, goodApp.Sha256, *back.RunningSha256)
	require.Equal(t, wanted.Number, *back.WantedDeployment)

	// Nothing is tried for ever: some polls later it is as it was.
	time.Sleep(500 * time.Millisecond)
	require.NoError(t, devices.Stop())
	_, image, err := solotest.Installed(disk)
	require.NoError(t, err)
	require.Equal(t, goodApp.Sha256, image.SHA256)
}

// A project that opts out of the agent gets firmware without; it goes on a
// device only with consent.
func TestUnmanagedFirmwareNeedsConsent(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, 2*time.Minute)
	project, err := s.admin.CreateProject(ctx, "Blink", "blink")
	require.NoError(t, err)
	require.False(t, project.Unmanaged)
	managed := s.build(project.Id, solotest.BuildWish{})
	require.NotNil(t, managed.Agent)
	require.NotEmpty(t, managed.Agent.Version)
	require.Positive(t, managed.Agent.Flash)
	require.Less(t, managed.Agent.Flash, managed.Memory.FlashUsed)

	unmanaged := true
	project, err = s.admin.ChangeProject(ctx, project.Id, editorapi.ChangeProjectJSONBody{Unmanaged: &unmanaged})
	require.NoError(t, err)
	require.True(t, project.Unmanaged)
	alone := s.build(project.Id, solotest.BuildWish{})
	require.Nil(t, alone.Agent)
	require.Nil(t, alone.Cached)
	require.True(t, alone.Unmanaged)
	require.Less(t, alone.Memory.FlashUsed, managed.Memory.FlashUsed)
	lines, err := s.admin.BuildLog(ctx, alone.Id)
	require.NoError(t, err)
	require.Contains(t, lines[1].Text, "Warning: this project does without FlotaOTA")

	product := s.register("bot_001")
	wish := solotest.DeployWish{Device: product.Product.Device, Build: alone.Id}
	_, err = s.admin.Deploy(ctx, wish)
	var problem *solotest.Problem
	require.ErrorAs(t, err, &problem)
	require.Equal(t, "accept_unmanaged", problem.Field)
	wish.AcceptUnmanaged = true
	deployment, err := s.admin.Deploy(ctx, wish)
	require.NoError(t, err)
	// Another time it is that release, and it is remembered of it.
	_, err = s.admin.Deploy(ctx, solotest.DeployWish{Device: product.Product.Device, Release: deployment.Release})
	require.ErrorAs(t, err, &problem)
	require.Equal(t, "accept_unmanaged", problem.Field)
	_, err = s.admin.Deploy(ctx, solotest.DeployWish{Device: product.Product.Device, Build: managed.Id})
	require.NoError(t, err)
}

// build builds and must succeed.
func (p *product) build(project string, wish solotest.BuildWish) editorapi.Build {
	p.t.Helper()
	b := p.tryBuild(project, wish)
	if b.State != editorapi.BuildStateSucceeded {
		lines, _ := p.admin.BuildLog(p.t.Context(), b.Id)
		var text strings.Builder
		for _, l := range lines {
			text.WriteString(l.Text + "\n")
		}
		message := ""
		if b.Message != nil {
			message = *b.Message
		}
		require.FailNow(p.t, "the build is "+string(b.State), "%s\n%s", message, text.String())
	}
	return b
}

func (p *product) tryBuild(project string, wish solotest.BuildWish) editorapi.Build {
	p.t.Helper()
	b, err := p.admin.Build(p.t.Context(), project, wish)
	require.NoError(p.t, err)
	b, err = p.admin.WaitBuild(within(p.t, 2*time.Minute), b.Id)
	require.NoError(p.t, err)
	return b
}

func (p *product) register(productID string) authapi.NewProduct {
	p.t.Helper()
	made, err := p.admin.Register(p.t.Context(), solotest.NewProduct{ID: productID})
	require.NoError(p.t, err)
	// The fleet hears of it a moment later.
	_, err = p.admin.WaitDevice(within(p.t, patience), made[0].Product.Device, func(fleetapi.Device) bool { return true })
	require.NoError(p.t, err)
	return made[0]
}

func (p *product) provision(device authapi.NewProduct, board string) deviceproto.Provision {
	p.t.Helper()
	provision, err := p.admin.Provision(p.t.Context(), device, board)
	require.NoError(p.t, err)
	return provision
}

// deploy wants a build on a device that is known already.
func (p *product) deploy(device, build string) fleetapi.Deployment {
	p.t.Helper()
	d, err := p.admin.Deploy(p.t.Context(), solotest.DeployWish{Device: device, Build: build})
	require.NoError(p.t, err)
	return d
}
