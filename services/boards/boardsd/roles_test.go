package boardsd_test

import (
	"strings"
	"testing"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/identity"
)

// given is what a device is given; the server is anything.
func given(device string) m {
	return m{
		"server": "https://flota.example", "workspace": "w1", "device": device, "product_id": "bot_001", "key": vectors.Key,
		"keys": []string{public("first"), public("second")}, "board": board,
		"wifi": []m{{"ssid": "workshop", "password": "hunter2hunter2"}},
	}
}

// agent is a shell that answers the dialogue over the cable.
const agent = `
while read -r line; do case $line in
*'"hello"'*) echo '{"flota":"hello","agent":"sh","chip":"ESP32","mac":"x","board":"","slot_size":1310720,"rollback":"bootloader","provisioned":false}';;
*'"provision"'*) echo "$line" >/board/nvs/given; d=${line#*'"device":"'}; echo '{"flota":"provisioned","device":"'"${d%%'"'*}"'"}';;
*over*) break;;
esac; done`

// provision makes the board a device.
func (c caller) provision(id, device string) (b shown) {
	c.in.t.Helper()
	c.run(id, "true")
	c.must("POST", "/boards/"+id+"/serial", m{"text": agent + "\n"}, nil)
	c.must("POST", "/boards/"+id+"/provision", given(device), &b)
	c.must("POST", "/boards/"+id+"/serial", m{"text": "over\n"}, nil)
	return b
}

// Who may do what. A product reads and operates the board that it was given to, and
// learns of no other; another workspace sees nothing of this one.
func TestRoles(t *testing.T) {
	in := install(t)
	in.start()
	ada := in.as(identity.Owner)
	mine, other := ada.create("mine").ID, ada.create("other").ID
	ada.provision(mine, "d1")
	ada.provision(other, "d2")

	callers := []caller{
		{in, ""}, in.as(identity.Viewer), in.as(identity.Maintainer), in.as(identity.Owner),
		in.as(identity.Product, product("d1")), in.as(identity.Product), in.as(identity.Owner, elsewhere),
	}
	provision, foreign, wrong := given("d1"), given("d2"), given("d1")
	wrong["workspace"] = "w2"
	for _, c := range []struct {
		method, path string
		body         m
		// nobody, viewer, maintainer, owner, product d1, product of no device, owner of another workspace
		status [7]int
	}{
		{"GET", "/boards", nil, [7]int{401, 200, 200, 200, 200, 200, 200}},
		{"GET", "/boards/" + mine, nil, [7]int{401, 200, 200, 200, 200, 404, 404}},
		{"GET", "/boards/" + other, nil, [7]int{401, 200, 200, 200, 404, 404, 404}},
		{"GET", "/boards/none", nil, [7]int{401, 404, 404, 404, 404, 404, 404}},
		{"GET", "/boards/" + mine + "/serial", nil, [7]int{401, 200, 200, 200, 200, 404, 404}},
		{"GET", "/boards/" + other + "/serial", nil, [7]int{401, 200, 200, 200, 404, 404, 404}},
		{"POST", "/boards/" + mine + "/serial", m{"text": "#\n"}, [7]int{401, 403, 204, 204, 204, 404, 404}},
		{"POST", "/boards/" + other + "/serial", m{"text": "#\n"}, [7]int{401, 403, 204, 204, 404, 404, 404}},
		{"PUT", "/boards/" + mine + "/pins/0", m{"value": 1}, [7]int{401, 403, 204, 204, 204, 404, 404}},
		{"PUT", "/boards/" + other + "/pins/0", m{"value": 1}, [7]int{401, 403, 204, 204, 404, 404, 404}},
		{"POST", "/boards/" + mine + "/power", m{"action": "on"}, [7]int{401, 403, 200, 200, 200, 404, 404}},
		{"POST", "/boards/" + other + "/power", m{"action": "on"}, [7]int{401, 403, 200, 200, 404, 404, 404}},
		{"POST", "/boards/" + mine + "/provision", wrong, [7]int{401, 403, 400, 400, 400, 404, 404}},
		{"POST", "/boards/" + mine + "/provision", foreign, [7]int{401, 403, 0, 0, 403, 404, 404}}, // people: below
		{"POST", "/boards/" + other + "/provision", provision, [7]int{401, 403, 0, 0, 404, 404, 404}},
		{"POST", "/boards/" + mine + "/flash", m{"build": "good"}, [7]int{401, 403, 200, 200, 404, 404, 404}},
		{"POST", "/boards/" + mine + "/flash", m{"build": "own-d2"}, [7]int{401, 403, 200, 200, 404, 404, 404}},
		{"POST", "/boards/" + mine + "/flash", m{"build": "own-d1"}, [7]int{401, 403, 200, 200, 200, 404, 404}},
		{"POST", "/boards/" + mine + "/flash", m{}, [7]int{401, 403, 200, 200, 200, 404, 404}},
		{"POST", "/boards/" + other + "/flash", m{}, [7]int{401, 403, 200, 200, 404, 404, 404}},
		{"POST", "/boards", m{"name": ""}, [7]int{401, 400, 400, 400, 400, 400, 400}},
		{"POST", "/boards", m{"name": "mine"}, [7]int{401, 403, 409, 409, 403, 403, 201}},
		{"DELETE", "/boards/" + mine, nil, [7]int{401, 403, 0, 0, 403, 404, 404}}, // people: below
		{"DELETE", "/boards/" + other, nil, [7]int{401, 403, 0, 0, 404, 404, 404}},
	} {
		for i, caller := range callers {
			if c.status[i] == 0 {
				continue
			}
			var body any
			if c.body != nil {
				body = c.body
			}
			if status, p := caller.do(c.method, c.path, body, nil); status != c.status[i] {
				t.Errorf("%s %s %v by caller %d: %d %+v", c.method, c.path, c.body["build"], i, status, p)
			}
		}
	}
	for i, n := range map[int]int{1: 2, 3: 2, 4: 1, 5: 0, 6: 1} {
		if l := callers[i].list(); len(l) != n || i == 4 && l[0].ID != mine {
			t.Errorf("caller %d sees %+v", i, l)
		}
	}
	// What strangers tried has changed nothing.
	if b := ada.board(mine); b.Device != "d1" || b.ProductID != "bot_001" {
		t.Errorf("%+v", b)
	}
	callers[2].must("DELETE", "/boards/"+other, nil, nil)
	callers[3].must("DELETE", "/boards/"+mine, nil, nil)
}

func TestBadRequests(t *testing.T) {
	in := install(t)
	in.start()
	ada := in.as(identity.Maintainer)
	b := ada.create("b").ID
	with := func(field string, value any) m {
		g := given("d1")
		g[field] = value
		return g
	}
	secret := "fk_" + strings.Repeat("s3cret", 20)
	for _, c := range []struct {
		method, path string
		body         m
		status       int
		field        string
	}{
		{"POST", "/boards", m{}, 400, "name"},
		{"POST", "/boards", m{"name": "   "}, 400, "name"},
		{"POST", "/boards", m{"name": "a\nb"}, 400, "name"},
		{"POST", "/boards", m{"name": strings.Repeat("x", 65)}, 400, "name"},
		{"POST", "/boards", m{"name": "n", "fqbn": "arduino:avr:uno"}, 400, "fqbn"},
		{"POST", "/boards/" + b + "/power", m{"action": "explode"}, 400, "action"},
		{"PUT", "/boards/" + b + "/pins/49", m{"value": 1}, 400, "pin"},
		{"PUT", "/boards/" + b + "/pins/41", m{"value": 1}, 400, "pin"},
		{"PUT", "/boards/" + b + "/pins/-1", m{"value": 1}, 400, "pin"},
		{"PUT", "/boards/" + b + "/pins/4", m{"value": 5000}, 400, "value"},
		{"PUT", "/boards/" + b + "/pins/4", m{"value": 0, "release_ms": 600000}, 400, "release_ms"},
		{"POST", "/boards/" + b + "/serial", m{"text": ""}, 400, "text"},
		{"POST", "/boards/" + b + "/serial", m{"text": strings.Repeat("x", 4097)}, 400, "text"},
		{"POST", "/boards/" + b + "/provision", with("key", secret), 400, "key"},
		{"POST", "/boards/" + b + "/provision", with("key", "fk_short"), 400, "key"},
		{"POST", "/boards/" + b + "/provision", with("device", "no such/word"), 400, "device"},
		{"POST", "/boards/" + b + "/provision", with("board", "esp32:esp32:esp32"), 400, "board"},
		{"POST", "/boards/" + b + "/provision", with("workspace", "w9"), 400, "workspace"},
		{"POST", "/boards/" + b + "/provision", with("wifi", []m{{"ssid": "x", "password": "short"}}), 400, "wifi.0.password"},
		{"POST", "/boards/" + b + "/flash", m{"build": "none"}, 404, ""},
		{"POST", "/boards/" + b + "/flash", m{"build": "failed"}, 409, "build"},
		{"POST", "/boards/" + b + "/flash", m{"build": "uno"}, 409, "build"},
		{"POST", "/boards/" + b + "/flash", m{"build": "noapp"}, 409, "build"},
		{"POST", "/boards/" + b + "/flash", m{"build": "huge"}, 413, "build"},
		{"POST", "/boards/" + b + "/flash", m{"build": "lost"}, 404, ""},
		{"POST", "/boards/" + b + "/flash", m{"build": "forged"}, 503, ""},
		{"POST", "/boards/" + b + "/flash", m{"build": "junk"}, 409, "build"},
		{"GET", "/nothing", nil, 404, ""},
		{"GET", "/boards/..%2f..%2fetc", nil, 404, ""},
		{"GET", "/boards/x/serial", nil, 404, ""},
	} {
		var body any
		if c.body != nil {
			body = c.body
		}
		status, p := ada.do(c.method, c.path, body, nil)
		if status != c.status || p.Field != c.field {
			t.Errorf("%s %s %.60v: %d %+v", c.method, c.path, c.body, status, p)
		}
		if strings.Contains(p.Detail, "s3cret") || strings.Contains(p.Detail, "hunter2") {
			t.Errorf("%s %s tells a secret: %+v", c.method, c.path, p)
		}
	}
	if b := ada.board(b); b.Starts != 1 || b.Device != "" {
		t.Errorf("something changed: %+v", b)
	}
}

func public(name string) string {
	return deviceproto.FormatPublicKey(&vectors.SigningKey(name).PublicKey)
}
