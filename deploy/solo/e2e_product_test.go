package solo_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/firmware/simulator"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	authapi "github.com/flota/flota/services/auth/httpapi"
	editorapi "github.com/flota/flota/services/editor/httpapi"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

// Whoever has a product's label edits, builds and deploys that product's own
// project, and sees nothing else.
func TestAProductsSession(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, 2*time.Minute)
	mine, other := s.register("bot_001"), s.register("bot_002")
	secretProject, err := s.admin.CreateProject(ctx, "Secret", "blink")
	require.NoError(t, err)
	secretBuild := s.build(secretProject.Id, solotest.BuildWish{})
	provision := s.provision(mine, blinkBoard)

	holder := s.client()
	slug := s.admin.Session().Me.WorkspaceSlug
	requireProblem(t, holder.ProductLogin(ctx, slug, "bot_001", other.Password), http.StatusUnauthorized, fault.Unauthenticated)
	requireProblem(t, holder.ProductLogin(ctx, "elsewhere", "bot_001", mine.Password), http.StatusUnauthorized, fault.Unauthenticated)
	require.NoError(t, holder.ProductLogin(ctx, slug, "bot_001", mine.Password))
	require.Equal(t, mine.Product.Device, *holder.Session().Me.Device)

	own, err := holder.OwnProject(ctx)
	require.NoError(t, err)
	again, err := holder.OwnProject(ctx)
	require.NoError(t, err)
	require.Equal(t, own.Id, again.Id, "opened again, not made again")
	_, err = holder.PutFile(ctx, own.Id, own.Main, "void setup() { Serial.begin(115200); }\nvoid loop() { Serial.println(\"mine\"); delay(1000); }\n")
	require.NoError(t, err)
	build, err := holder.Build(ctx, own.Id, solotest.BuildWish{FQBN: blinkBoard})
	require.NoError(t, err)
	build, err = holder.WaitBuild(ctx, build.Id)
	require.NoError(t, err)
	require.Equal(t, editorapi.BuildStateSucceeded, build.State)
	app, err := solotest.App(build)
	require.NoError(t, err)
	_, err = holder.Output(ctx, build.Id, app.Name)
	require.NoError(t, err)

	devices, err := solotest.RunDevices(ctx, []deviceproto.Provision{provision}, nil, simulator.Options{Poll: 100 * time.Millisecond})
	require.NoError(t, err)
	defer func() { require.NoError(t, devices.Stop()) }()
	_, err = holder.Deploy(ctx, solotest.DeployWish{Device: mine.Product.Device, Build: build.Id})
	require.NoError(t, err)
	confirmed, err := holder.WaitDevice(ctx, mine.Product.Device, func(d fleetapi.Device) bool { return d.State == fleetapi.Confirmed })
	require.NoError(t, err)
	require.Equal(t, app.Sha256, *confirmed.RunningSha256)

	seen, err := holder.Projects(ctx)
	require.NoError(t, err)
	require.Len(t, seen, 1)
	all, err := holder.Devices(ctx)
	require.NoError(t, err)
	require.Len(t, all, 1)

	refused := map[string]func(context.Context) error{
		"another's project": func(ctx context.Context) error { _, err := holder.Project(ctx, secretProject.Id); return err },
		"another's file": func(ctx context.Context) error {
			_, err := holder.File(ctx, secretProject.Id, secretProject.Main)
			return err
		},
		"write another's file": func(ctx context.Context) error {
			_, err := holder.PutFile(ctx, secretProject.Id, "x.h", "")
			return err
		},
		"build another's project": func(ctx context.Context) error {
			_, err := holder.Build(ctx, secretProject.Id, solotest.BuildWish{})
			return err
		},
		"another's build":        func(ctx context.Context) error { _, err := holder.GetBuild(ctx, secretBuild.Id); return err },
		"another's log":          func(ctx context.Context) error { _, err := holder.BuildLog(ctx, secretBuild.Id); return err },
		"cancel another's build": func(ctx context.Context) error { _, err := holder.Cancel(ctx, secretBuild.Id); return err },
		"another's outputs": func(ctx context.Context) error {
			_, err := holder.OutputLink(ctx, secretBuild.Id, app.Name)
			return err
		},
		"a new project":  func(ctx context.Context) error { _, err := holder.CreateProject(ctx, "Mine", "blink"); return err },
		"another device": func(ctx context.Context) error { _, _, err := holder.Device(ctx, other.Product.Device); return err },
		"deploy to another": func(ctx context.Context) error {
			_, err := holder.Deploy(ctx, solotest.DeployWish{Device: other.Product.Device, Build: build.Id})
			return err
		},
		"deploy another's build": func(ctx context.Context) error {
			_, err := holder.Deploy(ctx, solotest.DeployWish{Device: mine.Product.Device, Build: secretBuild.Id})
			return err
		},
		"register": func(ctx context.Context) error {
			_, err := holder.Register(ctx, solotest.NewProduct{ID: "bot_003"})
			return err
		},
		"rotate": func(ctx context.Context) error { _, err := holder.RotateKey(ctx, mine.Product.Device); return err },
		"make token": func(ctx context.Context) error {
			_, err := holder.CreateToken(ctx, "x", authapi.RoleViewer)
			return err
		},
		"another's events": func(ctx context.Context) error {
			return holder.Events(ctx, secretBuild.Id, "", func(solotest.Event) error { return errors.New("let in") })
		},
		"members": func(ctx context.Context) error {
			return holder.Do(ctx, http.MethodGet, "/api/auth/v1/members", nil, nil)
		},
	}
	for name, try := range refused {
		p := requireProblem(t, try(within(t, patience)), 0, "")
		require.Contains(t, []int{http.StatusForbidden, http.StatusNotFound}, p.Status, "%s: %v", name, p)
	}
	requireOnlyOwnEvents(t, s, holder, own.Id, secretProject.Id)
}

// The event stream of a product tells of its own builds only.
func requireOnlyOwnEvents(t *testing.T, s *server, holder *solotest.Client, own, secret string) {
	t.Helper()
	ctx := within(t, patience)
	done := errors.New("seen")
	err := holder.Events(ctx, "", "", func(e solotest.Event) error {
		switch e.Name {
		case "": // the stream is open
			s.build(secret, solotest.BuildWish{Fresh: true})
			_, err := holder.Build(ctx, own, solotest.BuildWish{})
			return err
		case "build":
			var change editorapi.BuildEvent
			require.NoError(t, json.Unmarshal(e.Data, &change))
			require.Equal(t, own, change.Project)
			return done
		}
		return nil
	})
	require.ErrorIs(t, err, done)
}

// A program with an API token does what its role may, and nothing after the token is gone.
func TestAProgramWithAToken(t *testing.T) {
	s := start(t)
	maintainer, err := s.admin.CreateToken(t.Context(), "ci", authapi.RoleMaintainer)
	require.NoError(t, err)
	viewer, err := s.admin.CreateToken(t.Context(), "wallboard", authapi.RoleViewer)
	require.NoError(t, err)
	program, board := s.client(), s.client()
	program.Use(maintainer)
	board.Use(viewer)

	project, err := program.CreateProject(t.Context(), "By a program", "blink")
	require.NoError(t, err)
	_, err = program.Register(t.Context(), solotest.NewProduct{ID: "bot_001"})
	require.NoError(t, err)
	_, err = board.Project(t.Context(), project.Id)
	require.NoError(t, err)
	_, err = board.PutFile(t.Context(), project.Id, project.Main, "")
	requireProblem(t, err, http.StatusForbidden, fault.Forbidden)
	_, err = board.Register(t.Context(), solotest.NewProduct{ID: "bot_002"})
	requireProblem(t, err, http.StatusForbidden, fault.Forbidden)

	me, err := program.Me(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.admin.Do(t.Context(), http.MethodDelete, "/api/auth/v1/tokens/"+me.Id, nil, nil))
	_, err = program.Me(t.Context())
	requireProblem(t, err, http.StatusUnauthorized, fault.Unauthenticated)
}
