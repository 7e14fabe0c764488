package fleetd_test

import (
	"net/http"
	"testing"

	"github.com/flota/flota/pkg/identity"
)

// Who may do what. A product sees and changes its own device, and deploys what
// was built from its own project; another workspace sees nothing of this one.
func TestRoles(t *testing.T) {
	in := install(t)
	in.start()
	in.enrol("d1", "d2")
	first := in.as(identity.Owner).deploy(map[string]any{"device": "d1", "build": "b-" + newBytes})

	elsewhere := func(p *identity.Principal) { p.Workspace = "w2" }
	callers := []caller{
		{in, ""}, in.as(identity.Viewer), in.as(identity.Maintainer), in.as(identity.Owner),
		in.as(identity.Product, product("d1")), in.as(identity.Product), in.as(identity.Owner, elsewhere),
	}
	for _, c := range []struct {
		method, path string
		body         map[string]any
		// nobody, viewer, maintainer, owner, product d1, product of no device, owner of another workspace
		status [7]int
	}{
		{"GET", "/devices", nil, [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET", "/devices/d1", nil, [7]int{401, 200, 200, 200, 200, 403, 404}},
		{"GET", "/devices/d2", nil, [7]int{401, 200, 200, 200, 403, 403, 404}},
		{"GET", "/devices/d9", nil, [7]int{401, 404, 404, 404, 403, 403, 404}},
		{"PATCH", "/devices/d1", map[string]any{"tags": []string{"lab"}}, [7]int{401, 403, 200, 200, 403, 403, 404}},
		{"GET", "/deployments", nil, [7]int{401, 200, 200, 200, 200, 403, 200}},
		{"GET", "/deployments?device=d1", nil, [7]int{401, 200, 200, 200, 200, 403, 200}},
		{"GET", "/deployments?device=d2", nil, [7]int{401, 200, 200, 200, 403, 403, 200}},
		{"POST", "/deployments", map[string]any{"device": "d1", "build": "b-" + newBytes}, [7]int{401, 403, 201, 201, 404, 403, 404}},
		{"POST", "/deployments", map[string]any{"device": "d1", "release": first.Release}, [7]int{401, 403, 201, 201, 404, 403, 404}},
		{"POST", "/deployments", map[string]any{"device": "d1", "build": "own-d1"}, [7]int{401, 403, 201, 201, 201, 403, 404}},
		{"POST", "/deployments", map[string]any{"device": "d1", "build": "own-d2"}, [7]int{401, 403, 201, 201, 404, 403, 404}},
		{"POST", "/deployments", map[string]any{"device": "d2", "build": "own-d2"}, [7]int{401, 403, 201, 201, 403, 403, 404}},
		{"GET", "/releases", nil, [7]int{401, 200, 200, 200, 403, 403, 200}},
		{"GET", "/keys", nil, [7]int{401, 200, 200, 200, 200, 200, 200}},
	} {
		for i, caller := range callers {
			var body any
			if c.body != nil {
				body = c.body
			}
			if status, p := caller.do(c.method, c.path, body, nil); status != c.status[i] {
				t.Errorf("%s %s %v by caller %d: %d %+v", c.method, c.path, c.body, i, status, p)
			}
		}
	}

	// What is listed is the caller's own.
	for i, n := range map[int]int{3: 2, 4: 1, 5: 0, 6: 0} {
		if d := callers[i].devices(); len(d) != n || i == 4 && d[0].Device != "d1" {
			t.Errorf("caller %d sees %+v", i, d)
		}
	}
	for i, own := range map[int]bool{3: false, 4: true, 6: true} {
		var list struct{ Deployments []deployment }
		callers[i].must(http.MethodGet, "/deployments", nil, &list)
		foreign := 0
		for _, d := range list.Deployments {
			if d.Device != "d1" {
				foreign++
			}
		}
		if own != (foreign == 0) || i == 6 && len(list.Deployments) != 0 {
			t.Errorf("caller %d sees %+v", i, list)
		}
	}
}

func TestBadRequests(t *testing.T) {
	in := install(t)
	in.start()
	in.enrol("d1")
	ada := in.as(identity.Maintainer)
	long := make([]byte, 65)
	for i := range long {
		long[i] = 'x'
	}
	for _, c := range []struct {
		method, path string
		body         any
		status       int
		field        string
	}{
		{"POST", "/deployments", map[string]any{}, 400, "device"},
		{"POST", "/deployments", map[string]any{"device": "d1"}, 400, "build"},
		{"POST", "/deployments", map[string]any{"device": "d1", "build": "b-" + newBytes, "release": "r"}, 400, "release"},
		{"POST", "/deployments", map[string]any{"device": "d1", "build": "b-" + newBytes, "version": string(long)}, 400, "version"},
		{"POST", "/deployments", map[string]any{"device": "d1", "build": "failed"}, 409, "build"},
		{"POST", "/deployments", map[string]any{"device": "d1", "build": "none"}, 404, ""},
		{"POST", "/deployments", map[string]any{"device": "d1", "build": "unmanaged"}, 409, "accept_unmanaged"},
		{"POST", "/deployments", map[string]any{"device": "d1", "build": "unmanaged", "accept_unmanaged": true}, 201, ""},
		{"PATCH", "/devices/d1", map[string]any{"tags": []string{""}}, 400, "tags.0"},
		{"GET", "/devices?limit=0", nil, 400, "limit"},
		{"GET", "/devices?after=nonsense", nil, 400, "after"},
		{"GET", "/nothing", nil, 404, ""},
	} {
		if status, p := ada.do(c.method, c.path, c.body, nil); status != c.status || p.Field != c.field {
			t.Errorf("%s %s %v: %d %+v", c.method, c.path, c.body, status, p)
		}
	}
}

func TestPagesOfDevices(t *testing.T) {
	in := install(t)
	in.start()
	in.enrol("d1", "d2", "d3", "d4", "d5")
	ada := in.as(identity.Viewer)
	in.eventually("all of them", func() bool { return len(ada.devices()) == 5 })
	var got []string
	for path := "/devices?limit=2"; ; {
		var page struct {
			Devices []shown
			Next    string
		}
		ada.must(http.MethodGet, path, nil, &page)
		for _, d := range page.Devices {
			got = append(got, d.ProductID)
		}
		if page.Next == "" {
			break
		}
		path = "/devices?limit=2&after=" + page.Next
	}
	if len(got) != 5 || got[0] != "bot_001" || got[4] != "bot_005" {
		t.Errorf("%v", got)
	}
}
