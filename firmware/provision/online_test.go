package provision_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/firmware/provision"
	"github.com/flota/flota/firmware/provision/provisiontest"
	"github.com/flota/flota/pkg/fault"
)

func TestOnline(t *testing.T) {
	connecting, unasked := provision.Status{Network: "connecting", Server: "none"}, provision.Status{Network: "connected", Server: "none"}
	ok := provision.Status{Network: "connected", IP: "192.0.2.7", Server: "ok"}
	device := &provisiontest.Device{Statuses: []provision.Status{
		connecting, connecting, {Network: "no_ssid", Server: "none"}, connecting, unasked, {Network: "connected", Server: "unreachable"}, unasked, ok,
	}}
	talk(t, device, func(t *testing.T, d *provision.Dialogue) {
		var told []string
		s, err := d.Online(t.Context(), func(s provision.Status) { told = append(told, s.Network+" "+s.Server) })
		want := "connecting none, no_ssid none, connecting none, connected none, connected unreachable, connected none, connected ok"
		if err != nil || s != ok || strings.Join(told, ", ") != want {
			t.Errorf("%+v, %v, told %q", s, err, told)
		}
	})
}

// Trouble that lasts is told in a sentence, with what to do; what may pass gets
// all the time there is.
func TestTrouble(t *testing.T) {
	for _, c := range []struct {
		network, server, want string
		after                 time.Duration
	}{
		{"none", "none", "--wifi-ssid", 15 * time.Second},
		{"no_ssid", "none", "in reach", 15 * time.Second},
		{"no_ssid", "unreachable", "in reach", 15 * time.Second},
		{"wrong_password", "none", "password", 15 * time.Second},
		{"connecting", "none", "connecting", time.Minute},
		{"connecting", "unreachable", "connecting", time.Minute},
		{"connected", "none", "not asked", time.Minute},
		{"connected", "unreachable", "firewall", 15 * time.Second},
		{"connected", "unknown_device", "fresh file", 15 * time.Second},
		{"connected", "clock", "clock", 15 * time.Second},
		{"connected", "certificate", "certificate", 15 * time.Second},
		{"dreaming", "of a \x1b[31mlater version", `"dreaming"`, 15 * time.Second},
	} {
		t.Run(c.network+" "+c.server, func(t *testing.T) {
			device := &provisiontest.Device{Statuses: []provision.Status{{Network: c.network, Server: c.server}}}
			talk(t, device, func(t *testing.T, d *provision.Dialogue) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				begin := time.Now()
				_, err := d.Online(ctx, nil)
				f := fault.As(err)
				if f == nil || f.Code != fault.Precondition || !strings.Contains(f.Message, c.want) || strings.Contains(f.Message, "\x1b") {
					t.Errorf("%v", err)
				}
				if took := time.Since(begin); took < c.after || took > c.after+5*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

func TestOnlineEnds(t *testing.T) {
	deaf := &provisiontest.Device{Deaf: 1000}
	talk(t, deaf, func(t *testing.T, d *provision.Dialogue) {
		if _, err := d.Online(t.Context(), nil); !errors.Is(err, provision.ErrNoAnswer) {
			t.Error(err)
		}
	})
	connecting := &provisiontest.Device{Statuses: []provision.Status{{Network: "connecting"}}}
	talk(t, connecting, func(t *testing.T, d *provision.Dialogue) {
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(5500*time.Millisecond, interrupt)
		if _, err := d.Online(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
