package boardsd_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/identity"
)

// A board is given what a device needs over its serial port, and keeps it alone.
func TestProvision(t *testing.T) {
	in := install(t)
	in.start()
	ada := in.as(identity.Maintainer)
	b := ada.create("b")
	if after := ada.provision(b.ID, "d1"); after.Device != "d1" || after.ProductID != "bot_001" {
		t.Errorf("%+v", after)
	}
	var got struct {
		Flota, Server, Workspace, Device, Key string
		Wifi                                  []struct{ SSID, Password string }
	}
	text := ada.run(b.ID, "cat /board/nvs/given")
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if got.Flota != "provision" || got.Server != "http://flota" || got.Device != "d1" || got.Workspace != "w1" || len(got.Wifi) != 1 {
		t.Errorf("%+v", got)
	}
	// While it is off there is nobody to talk to.
	ada.must("POST", "/boards/"+b.ID+"/power", m{"action": "off"}, nil)
	if status, p := ada.do("POST", "/boards/"+b.ID+"/provision", given("d1"), nil); status != 409 || p.Code != "precondition" {
		t.Errorf("%d %+v", status, p)
	}
	// One that does not listen is not waited for for ever.
	ada.must("POST", "/boards/"+b.ID+"/power", m{"action": "on"}, nil)
	ada.run(b.ID, "true")
	if status, p := ada.do("POST", "/boards/"+b.ID+"/provision", given("d2"), nil); status != 409 || !strings.Contains(p.Detail, "does not answer") {
		t.Errorf("%d %+v", status, p)
	}
	if now := ada.board(b.ID); now.Device != "d1" {
		t.Errorf("%+v", now)
	}
}

// Flashing leaves the storage alone, erasing does not.
func TestFlash(t *testing.T) {
	in := install(t)
	in.start()
	ada := in.as(identity.Maintainer)
	b := ada.create("b")
	ada.provision(b.ID, "d1")
	ada.run(b.ID, "mkdir -p /board/fs/deep; echo kept | tee /board/fs/deep/file >/board/nvs/value; printf broken | dd of=/board/flash.bin bs=1 seek=65536 conv=notrunc 2>/dev/null")
	ada.must("POST", "/boards/"+b.ID+"/power", m{"action": "reset"}, nil)
	in.eventually("broken image", func() bool { return ada.board(b.ID).State == "waiting" })

	var after shown
	ada.must("POST", "/boards/"+b.ID+"/flash", m{"build": "good"}, &after)
	if got := ada.run(b.ID, "cat /board/nvs/value /board/fs/deep/file; echo $BOARD_RESET"); got != "kept\nkept\nexternal" || after.Device != "d1" {
		t.Errorf("%q %+v", got, after)
	}
	after = shown{}
	ada.must("POST", "/boards/"+b.ID+"/flash", m{"erase": true}, &after)
	if got := ada.run(b.ID, "ls -A /board/nvs /board/fs"); strings.Join(strings.Fields(got), " ") != "/board/fs: /board/nvs:" || after.Device != "" {
		t.Errorf("%q %+v", got, after)
	}
	if now := ada.board(b.ID); now.MAC != b.MAC {
		t.Errorf("it is another board now: %+v", now)
	}
}
