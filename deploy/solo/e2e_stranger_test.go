package solo_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	authapi "github.com/flota/flota/services/auth/httpapi"
	boardsapi "github.com/flota/flota/services/boards/httpapi"
	editorapi "github.com/flota/flota/services/editor/httpapi"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

// operation is one thing that an API offers for something that has an ID.
type operation struct{ method, base, path string }

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// operations are those of all APIs whose path names something, as their documents
// tell: one that is added is tried, too.
func operations(t *testing.T) (all []operation) {
	t.Helper()
	auth, err := authapi.GetSpec()
	require.NoError(t, err)
	editor, err := editorapi.GetSpec()
	require.NoError(t, err)
	fleet, err := fleetapi.GetSpec()
	require.NoError(t, err)
	boards, err := boardsapi.GetSpec()
	require.NoError(t, err)
	for _, spec := range []interface{ MarshalJSON() ([]byte, error) }{auth, editor, fleet, boards} {
		text, err := spec.MarshalJSON()
		require.NoError(t, err)
		var document struct {
			Servers []struct{ URL string }
			Paths   map[string]map[string]json.RawMessage
		}
		require.NoError(t, json.Unmarshal(text, &document))
		for path, item := range document.Paths {
			for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete} {
				if _, ok := item[strings.ToLower(method)]; ok && parameter.MatchString(path) {
					all = append(all, operation{method, document.Servers[0].URL, path})
				}
			}
		}
	}
	require.Greater(t, len(all), 20)
	return all
}

// What belongs to one workspace is not there for the owner of another, whatever is
// asked; a product reaches no other product's; nobody reaches anything.
func TestStrangersReachNothing(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, 2*time.Minute)
	mine, other := s.register("bot_001"), s.register("bot_002")
	project, err := s.admin.CreateProject(ctx, "Secret", "blink")
	require.NoError(t, err)
	build := s.build(project.Id, solotest.BuildWish{})
	_, err = s.admin.Deploy(ctx, solotest.DeployWish{Device: mine.Product.Device, Build: build.Id})
	require.NoError(t, err)
	var tokens struct{ Token authapi.Token }
	require.NoError(t, s.admin.Do(ctx, http.MethodPost, "/api/auth/v1/tokens", map[string]any{"name": "ci", "role": "viewer"}, &tokens))
	board, err := s.admin.CreateBoard(ctx, "mine")
	require.NoError(t, err)
	// It runs first and is switched off then: what it does by itself would count as changed.
	_, err = s.admin.WaitBoard(ctx, board.Id, func(b boardsapi.Board) bool { return b.Starts == 1 })
	require.NoError(t, err)
	_, err = s.admin.Power(ctx, board.Id, "off")
	require.NoError(t, err)
	_, err = s.admin.WaitBoard(ctx, board.Id, func(b boardsapi.Board) bool { return b.State == boardsapi.BoardStateOff && b.Starts == 1 })
	require.NoError(t, err)
	ids := map[string]string{
		"board": board.Id, "pin": "0",
		"project": project.Id, "build": build.Id, "device": mine.Product.Device, "token": tokens.Token.Id,
		"user": s.admin.Session().Me.Id, "name": build.Outputs[0].Name,
	}
	// Valid ones: it is not for them that the request is refused.
	bodies := map[string]any{
		"/members/{user}": m{"role": "viewer"}, "/products/{device}/password": m{"password": "stolen-1234"},
		"/projects/{project}": m{"name": "Stolen"}, "/projects/{project}/file": m{"content": "stolen"},
		"/projects/{project}/rename": m{"from": project.Main, "to": "stolen.ino"}, "/projects/{project}/revisions": m{"message": "stolen"},
		"/products/{device}/wifi": m{"networks": []m{}}, "/boards/{board}/flash": m{"erase": true}, "/boards/{board}/power": m{"action": "on"},
		"/boards/{board}/pins/{pin}": m{"value": 0}, "/boards/{board}/serial": m{"text": "stolen"},
		"/boards/{board}/provision":  m{"workspace": "w", "device": "d", "product_id": "p", "key": "k", "keys": []string{"k"}, "board": "b"},
		"/projects/{project}/builds": m{"fqbn": blinkBoard}, "/projects/{project}/dependencies": m{"overwrite": true}, "/devices/{device}": m{"tags": []string{"stolen"}},
	}

	// Eve owns a workspace of her own: one that her host made for her and left.
	viewer := "eve's own password"
	eve := s.client()
	_, err = s.admin.AddMember(ctx, "eve", viewer, authapi.RoleViewer)
	require.NoError(t, err)
	require.NoError(t, eve.Login(ctx, "eve", viewer))
	var own authapi.Membership
	require.NoError(t, eve.Do(ctx, http.MethodPost, "/api/auth/v1/workspaces", m{"name": "Eve's"}, &own))
	require.NoError(t, eve.Do(ctx, http.MethodDelete, "/api/auth/v1/members/"+eve.Session().Me.Id, nil, nil))
	require.NoError(t, eve.Refresh(ctx))
	require.Equal(t, own.Workspace, eve.Session().Me.Workspace)

	product := s.client()
	require.NoError(t, product.ProductLogin(ctx, s.admin.Session().Me.WorkspaceSlug, "bot_002", other.Password))

	before := s.everything(ids)
	for _, op := range operations(t) {
		path := op.base + parameter.ReplaceAllStringFunc(op.path, func(name string) string { return ids[name[1:len(name)-1]] })
		if op.path == "/projects/{project}/file" {
			path += "?path=" + project.Main
		}
		var body any
		if op.method != http.MethodGet && op.method != http.MethodDelete {
			body = bodies[op.path]
		}
		for name, who := range map[string]struct {
			client *solotest.Client
			status []int
		}{
			"stranger": {eve, []int{404}}, "other product": {product, []int{403, 404}}, "nobody": {s.client(), []int{401}},
		} {
			require.Contains(t, who.status, statusOf(who.client.Do(ctx, op.method, path, body, nil)), "%s: %s %s", name, op.method, op.path)
		}
	}
	for _, client := range []*solotest.Client{eve, product} {
		require.Contains(t, []int{403, 404}, statusOf(client.Do(ctx, http.MethodPost, "/api/fleet/v1/deployments", m{"device": mine.Product.Device, "build": build.Id}, nil)))
		require.Contains(t, []int{403, 404}, statusOf(client.Do(ctx, http.MethodGet, "/api/editor/v1/events?build="+build.Id, nil, nil)))
	}
	require.Equal(t, before, s.everything(ids), "nothing has changed")
}

type m = map[string]any

// everything is what its owner sees of the things with these IDs.
func (s *server) everything(ids map[string]string) (all []m) {
	s.t.Helper()
	for _, path := range []string{
		"/api/auth/v1/members", "/api/auth/v1/tokens", "/api/auth/v1/products/" + ids["device"], "/api/editor/v1/projects/" + ids["project"],
		"/api/editor/v1/builds/" + ids["build"], "/api/fleet/v1/devices/" + ids["device"], "/api/fleet/v1/deployments", "/api/boards/v1/boards/" + ids["board"],
	} {
		var seen m
		require.NoError(s.t, s.admin.Do(within(s.t, patience), http.MethodGet, path, nil, &seen))
		all = append(all, seen)
	}
	return all
}

// statusOf is the status of an answer that is an error, 200 of any other.
func statusOf(err error) int {
	if p, ok := err.(*solotest.Problem); ok { //nolint:errorlint // Do returns it as it is
		return p.Status
	}
	if err != nil {
		return 0
	}
	return http.StatusOK
}
