package chip_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/chip/chiptest"
	"github.com/flota/flota/pkg/deviceproto"
)

const hello = "print('hello from %s')\n"

func newFleetPico(t *testing.T) (*chiptest.Bench, *chiptest.Server, deviceproto.Provision) {
	t.Helper()
	server := chiptest.NewServer(t)
	p := server.EnrolPico("pico_001")
	p.WiFi = []deviceproto.Network{{SSID: "virtual"}}
	b := chiptest.FleetPico(t, &p, func(c *chip.Config) { c.Hurry = 10 })
	b.On()
	server.Until("poll", func() bool { return len(server.Polls()) > 0 })
	return b, server, p
}

// A Pico that was given nothing is provisioned over its cable, polls, takes one update after the other, by
// files, and stays with the last: also with one that never yields.
func TestPicoUpdate(t *testing.T) {
	server := chiptest.NewServer(t)
	p := server.EnrolPico("pico_001")
	p.WiFi = []deviceproto.Network{{SSID: "elsewhere", Password: "whatever it is"}, {SSID: "shed", Password: "secret of the shed"}}
	b := chiptest.FleetPico(t, nil, func(c *chip.Config) {
		c.Hurry = 10
		c.WiFi = []chip.WiFi{{SSID: "shed", Password: "secret of the shed"}}
	})
	b.On()
	b.Provision(p)
	server.Until("poll", func() bool { return len(server.Polls()) > 0 })
	for i, program := range []string{
		"import thing\n" + hello,
		"while True: pass\n",
		"import time\nwhile True: time.sleep(1000)\n",
		hello,
	} {
		version, number := fmt.Sprint("release ", i), int64(i+1)
		program = fmt.Sprintf(hello, version) + strings.ReplaceAll(program, "%s", version)
		index := server.WantFiles(p, number, chiptest.PicoRelease(t, map[string]string{"main.py": program, "thing.py": "n = 1\n"}))
		b.After(0, "hello from "+version)
		server.UntilSaid(p, fmt.Sprintf("%d confirmed", number))
		polls := server.Polls()
		if running := polls[len(polls)-1].Running; running != chiptest.Digest(index) {
			t.Errorf("%s runs", running)
		}
	}
	mark := b.Mark()
	b.Cut()
	b.After(mark, "hello from release 3")
}

// What goes wrong within a trial is gone back from, and told.
func TestPicoGoesBack(t *testing.T) {
	for name, c := range map[string]struct{ program, said string }{
		"exception": {"import time\ntime.sleep(0.1)\n1/0\n", "crash"},
		"syntax":    {"this is no program\n", "crash"},
		"memory":    {"kept = []\nwhile True: kept.append(bytearray(1000))\n", "crash"},
		"self test": {"import flota_agent\nflota_agent.on_self_test(lambda: False)\n", "selftest"},
		"hang":      {"import machine\nmachine.disable_irq()\nwhile True: pass\n", "watchdog"},
	} {
		t.Run(name, func(t *testing.T) {
			b, server, p := newFleetPico(t)
			server.WantFiles(p, 1, chiptest.PicoRelease(t, map[string]string{"main.py": fmt.Sprintf(hello, "good")}))
			server.UntilSaid(p, "1 confirmed")
			mark := b.Mark()
			server.WantFiles(p, 2, chiptest.PicoRelease(t, map[string]string{"main.py": fmt.Sprintf(hello, "bad") + c.program}))
			if name != "syntax" {
				mark = b.After(mark, "hello from bad")
			}
			b.After(mark, "hello from good")
			server.Until("rolled back", func() bool {
				for _, said := range server.Said(p) {
					if strings.HasPrefix(said, "2 rolled_back") {
						if !strings.Contains(said, c.said) {
							t.Error(said)
						}
						return true
					}
				}
				return false
			})
		})
	}
}
