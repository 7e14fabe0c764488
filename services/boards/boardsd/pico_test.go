package boardsd_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/boards/boardsd"
	"github.com/flota/flota/services/boards/virtualtest"
)

// release is a program for a Pico, with the agent.
func release(t *testing.T, main string) map[string][]byte {
	t.Helper()
	files := virtualtest.Agent(t)
	files["main.py"] = []byte(main)
	return files
}

// What a toolchain has is what can be made; the first is the usual one.
func TestOffers(t *testing.T) {
	in := install(t)
	in.start()
	offers := func() (all []m) {
		var l struct{ Offers []m }
		in.as(identity.Viewer).must("GET", "/boards", nil, &l)
		return l.Offers
	}
	if all := offers(); len(all) != 1 || all[0]["fqbn"] != board || all[0]["kind"] != "esp32" || all[0]["name"] == "" {
		t.Errorf("%v", all)
	}
	in.stop()
	in.cfg.Toolchain = virtualtest.Toolchain(t)
	in.start()
	if all := offers(); len(all) != 2 || all[0]["fqbn"] != board || all[1]["fqbn"] != picoBoard || all[1]["kind"] != "pico" {
		t.Errorf("%v", all)
	}
	ada := in.as(identity.Maintainer)
	var b shown
	ada.must("POST", "/boards", m{"name": "pico", "fqbn": picoBoard}, &b)
	if b.Kind != "pico" || b.FQBN != picoBoard {
		t.Errorf("%+v", b)
	}
	// A toolchain without: the board is there, does nothing, and can go.
	in.stop()
	in.cfg.Toolchain = t.TempDir()
	in.start()
	if now := ada.board(b.ID); now.State != "off" {
		t.Errorf("%+v", now)
	}
	if status, _ := ada.do("POST", "/boards/"+b.ID+"/power", m{"action": "on"}, nil); status != 404 {
		t.Errorf("%d", status)
	}
	ada.must("DELETE", "/boards/"+b.ID, nil, nil)
	if len(ada.list()) != 0 {
		t.Error("it is there still")
	}
}

// A Pico's life: it is given what it needs, gets its programs over the air, and comes back
// from one that crashes; its REPL answers, and what a build made is written to it by cable.
func TestPico(t *testing.T) {
	server := chiptest.NewServer(t)
	in := install(t, func(c *boardsd.Config) { c.Toolchain = virtualtest.Toolchain(t) })
	in.devices = http.HandlerFunc(server.ServeHTTP)
	in.start()
	ada := in.as(identity.Maintainer)
	var b shown
	ada.must("POST", "/boards", m{"name": "pico", "fqbn": picoBoard}, &b)
	in.eventually("start", func() bool { return ada.board(b.ID).Starts > 0 })

	defer func() {
		if _, _, text := ada.serial(b.ID); t.Failed() {
			t.Logf("the board wrote:\n%s", text)
		}
	}()
	p := server.Enrol("bot_001")
	p.Board = picoBoard
	ada.must("POST", "/boards/"+b.ID+"/provision", m{
		"workspace": p.Workspace, "device": p.Device, "product_id": p.ProductID, "key": p.Key, "keys": p.Keys, "board": p.Board,
		"wifi": []m{{"ssid": "workshop", "password": "hunter2hunter2"}},
	}, &b)
	if b.Device != p.Device {
		t.Errorf("%+v", b)
	}
	server.WantFiles(p, 1, release(t, "import time\nprint('program', 'one')\nwhile True:\n    time.sleep(1)\n"))
	server.UntilSaid(p, "1 confirmed")
	ada.until(b.ID, "program one")
	crashing := "print('program', 'two')\nraise ValueError('no such sensor')\n"
	server.WantFiles(p, 2, release(t, crashing))
	server.UntilSaid(p, "2 rolled_back:crash")
	if text := ada.until(b.ID, "program two"); strings.Count(text, "program one") < 1 || !strings.Contains(text, "no such sensor") {
		t.Errorf("%q", text)
	}
	in.eventually("the one before", func() bool {
		_, _, text := ada.serial(b.ID)
		return strings.LastIndex(text, "program one") > strings.LastIndex(text, "program two")
	})
	for _, r := range server.Reports() {
		if r.Deployment == 2 && r.State == "rolled_back" && !strings.Contains(r.Log, "ValueError") {
			t.Errorf("nobody is told why: %q", r.Log)
		}
	}

	// The REPL.
	ada.must("POST", "/boards/"+b.ID+"/serial", m{"text": "\x03"}, nil)
	ada.until(b.ID, ">>> ")
	ada.must("POST", "/boards/"+b.ID+"/serial", m{"text": "print(6 * 7 * 1000)\r"}, nil)
	ada.until(b.ID, "\r\n42000\r\n>>> ")

	// By cable: the slot is another, the identity stays.
	files := release(t, "print('program', 'three')\n")
	in.index, _ = chiptest.Index(t, files)
	for _, data := range files {
		in.store(data)
	}
	after := shown{}
	ada.must("POST", "/boards/"+b.ID+"/flash", m{"build": "pico"}, &after)
	ada.until(b.ID, "program three")
	if after.Device != p.Device {
		t.Errorf("%+v", after)
	}
	for build, want := range map[string]int{"good": 409, "none": 404} {
		if status, problem := ada.do("POST", "/boards/"+b.ID+"/flash", m{"build": build}, nil); status != want {
			t.Errorf("%s: %d %+v", build, status, problem)
		}
	}
	after = shown{}
	ada.must("POST", "/boards/"+b.ID+"/flash", m{"erase": true}, &after)
	if after.Device != "" {
		t.Errorf("%+v", after)
	}
	if _, _, text := ada.serial(b.ID); strings.Contains(text, "hunter2") || strings.Contains(text, p.Key) {
		t.Error("the serial port shows a secret")
	}
}
