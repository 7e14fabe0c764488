package boardsd_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/identity"
	boardsv1 "github.com/flota/flota/pkg/pb/flota/boards/v1"
)

// A board's life, as a person at the page sees it.
func TestLife(t *testing.T) {
	in := install(t)
	in.start()
	ada := in.as(identity.Maintainer)
	b := ada.create("  my first  ")
	if b.Name != "my first" || b.FQBN != board || b.Kind != "esp32" || len(b.MAC) != 12 || b.Device != "" || b.State != "running" {
		t.Errorf("%+v", b)
	}
	if got := ada.run(b.ID, "echo $BOARD_RESET $BOARD_SLOT $BOARD_NET $BOARD_DIR"); got != "power app0 proxy /board" {
		t.Errorf("%q", got)
	}
	in.eventually("state", func() bool {
		now := ada.board(b.ID)
		return now.State == "running" && now.Starts == 1 && now.Reset == "power" && now.Slot == "app0"
	})

	// Pins go both ways.
	ada.run(b.ID, `echo pin 2 out 1 >&3; echo pin 34 adc 100 >&3`)
	in.eventually("pins", func() bool {
		pins := ada.board(b.ID).Pins
		return len(pins) == 2 && pins[0].Number == 2 && pins[0].Mode == "out" && pins[0].Value == 1 && pins[1].Value == 100
	})
	ada.must("PUT", "/boards/"+b.ID+"/pins/0", m{"value": 0, "release_ms": 1}, nil)
	if got := ada.run(b.ID, `read -r a <&3; read -r b <&3; echo "$a, $b"`); got != "pin 0 0, pin 0 1" {
		t.Errorf("the button: %q", got)
	}

	// Every way to start again.
	power := func(action string) {
		t.Helper()
		ada.must("POST", "/boards/"+b.ID+"/power", m{"action": action}, nil)
	}
	reset := func(want string) {
		t.Helper()
		if got := ada.run(b.ID, "echo $BOARD_RESET"); got != want {
			t.Errorf("reset: %q, want %q", got, want)
		}
	}
	starts := func(n int) func() bool { return func() bool { return ada.board(b.ID).Starts == n } }
	power("reset")
	in.eventually("start 2", starts(2))
	reset("external")
	power("cut")
	in.eventually("start 3", starts(3))
	reset("power")
	ada.must("POST", "/boards/"+b.ID+"/serial", m{"text": "exit 64\n"}, nil)
	in.eventually("start 4", starts(4))
	reset("software")
	ada.must("POST", "/boards/"+b.ID+"/serial", m{"text": "kill -SEGV $$\n"}, nil)
	in.eventually("start 5", starts(5))
	reset("crash")
	if _, _, text := ada.serial(b.ID); !strings.Contains(text, "panic: segmentation fault") {
		t.Errorf("no panic in %q", text)
	}
	ada.must("POST", "/boards/"+b.ID+"/serial", m{"text": "echo sleep 200000 >&3; exit 65\n"}, nil)
	in.eventually("start 6", starts(6))
	reset("sleep")
	ada.must("POST", "/boards/"+b.ID+"/serial", m{"text": "echo watchdog 1 >&3\n"}, nil)
	in.eventually("start 7", starts(7))
	reset("watchdog")

	power("off")
	if now := ada.board(b.ID); now.State != "off" {
		t.Errorf("%+v", now)
	}
	for _, path := range []string{"/serial", "/power"} {
		if status, p := ada.do("POST", "/boards/"+b.ID+path, m{"text": "x", "action": "reset"}, nil); status != 409 || p.Code != "precondition" {
			t.Errorf("%s while it is off: %d %+v", path, status, p)
		}
	}
	power("on")
	in.eventually("start 8", starts(8))

	ada.must("DELETE", "/boards/"+b.ID, nil, nil)
	if status, _ := ada.do("GET", "/boards/"+b.ID, nil, nil); status != 404 || len(ada.list()) != 0 {
		t.Errorf("after it was removed: %d", status)
	}
}

// heard is what pages are told.
type heard struct {
	mu      sync.Mutex
	serial  []*boardsv1.SerialChunk
	changes []*boardsv1.BoardChanged
}

func (in *installation) listen() *heard {
	h := &heard{}
	in.background(func(ctx context.Context) error {
		return bus.Tail(ctx, in.editor, flow.BoardSerial, flow.BoardSerial.Filter("w1"), 0, func(e bus.Event[*boardsv1.SerialChunk]) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.serial = append(h.serial, e.Body)
			return nil
		})
	})
	in.background(func(ctx context.Context) error {
		return bus.Tail(ctx, in.editor, flow.BoardChanged, flow.BoardChanged.Filter("w1"), 0, func(e bus.Event[*boardsv1.BoardChanged]) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.changes = append(h.changes, e.Body)
			return nil
		})
	})
	return h
}

// Pages hear of everything, in order and without a gap, and not of every single byte.
func TestWhatPagesHear(t *testing.T) {
	in := install(t)
	in.start()
	h := in.listen()
	ada := in.as(identity.Maintainer)
	b := ada.create("b")
	ada.run(b.ID, `i=0; while [ $i -lt 500 ]; do echo "$i ÄÖÜ €"; i=$((i+1)); done`)
	ada.run(b.ID, `i=0; while [ $i -lt 1000 ]; do echo pin 2 out $((i%2)) >&3; i=$((i+1)); done; echo pin 2 out 7 >&3`)
	all := func() (text string, chunks int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, c := range h.serial {
			if int(c.GetOffset()) != len(text) || c.GetBoard() != b.ID {
				t.Fatalf("a gap at %d: %d of %s", len(text), c.GetOffset(), c.GetBoard())
			}
			if strings.ToValidUTF8(string(c.GetData()), "") != string(c.GetData()) {
				t.Fatalf("a character was cut: %q", c.GetData())
			}
			text += string(c.GetData())
		}
		return text, len(h.serial)
	}
	_, end, kept := ada.serial(b.ID)
	in.eventually("all of it", func() bool { text, _ := all(); return int64(len(text)) >= end })
	if text, chunks := all(); !strings.HasSuffix(text, kept) || chunks > 200 {
		t.Errorf("%d chunks, %d bytes", chunks, len(text))
	}
	last := func() *boardsv1.BoardChanged {
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.changes) == 0 {
			return &boardsv1.BoardChanged{}
		}
		return h.changes[len(h.changes)-1]
	}
	in.eventually("the pin", func() bool {
		c := last()
		return c.GetExists() && c.GetState() == "running" && c.GetStarts() == 1 && len(c.GetPins()) == 1 && c.GetPins()[0].GetValue() == 7
	})
	h.mu.Lock()
	if n := len(h.changes); n > 200 {
		t.Errorf("%d changes were told", n)
	}
	h.mu.Unlock()
	ada.must("DELETE", "/boards/"+b.ID, nil, nil)
	in.eventually("its end", func() bool { return !last().GetExists() && last().GetBoard() == b.ID })
}

func TestQuotas(t *testing.T) {
	in := install(t)
	in.cfg.Board.Workspace, in.cfg.Board.All = 2, 3
	in.start()
	ada, eve := in.as(identity.Maintainer), in.as(identity.Owner, elsewhere)
	one := ada.create("one")
	ada.create("two")
	if status, p := ada.do("POST", "/boards", m{"name": "three"}, nil); status != 409 || p.Code != "precondition" {
		t.Errorf("%d %+v", status, p)
	}
	eve.create("one")
	if status, p := eve.do("POST", "/boards", m{"name": "two"}, nil); status != 409 || !strings.Contains(p.Detail, "installation") {
		t.Errorf("%d %+v", status, p)
	}
	ada.must("DELETE", "/boards/"+one.ID, nil, nil)
	eve.create("two")

	// At once, too.
	in = installAgain(in)
	bob := in.as(identity.Maintainer, func(p *identity.Principal) { p.Workspace = "w3" })
	var all sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 8 {
		all.Go(func() {
			if status, _ := bob.do("POST", "/boards", m{"name": mark()}, nil); status == 201 {
				mu.Lock()
				made++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if made != 2 {
		t.Errorf("%d were made", made)
	}
}

// installAgain starts the same installation with more room.
func installAgain(in *installation) *installation {
	in.stop()
	in.cfg.Board.All = 32
	in.start()
	return in
}
