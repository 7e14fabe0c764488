package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// Status is how a device is doing.
type Status struct {
	Network    string `json:"network"` // none, connecting, connected, or why not: no_ssid, wrong_password
	IP         string `json:"ip"`
	RSSI       int64  `json:"rssi"`       // dBm
	Server     string `json:"server"`     // none, ok, unreachable, unknown_device, clock, certificate
	Deployment int64  `json:"deployment"` // that it runs; 0 for none
	Version    string `json:"version"`
}

// OK reports whether the device is on the network and has checked in with its server.
func (s Status) OK() bool { return s.Network == "connected" && s.Server == "ok" }

// Trouble says in one sentence what is wrong, and what to do; "" where all is well.
// It is passing where waiting may be all that is needed.
func (s Status) Trouble() (sentence string, passing bool) {
	if s.OK() {
		return "", false
	}
	switch s.Network {
	case "none":
		return "The device knows no Wi-Fi network: enter one on its page, or give it one with flota-provision --wifi-ssid.", false
	case "no_ssid":
		return "None of the device's Wi-Fi networks is in reach: look at the name and the distance, and whether it is a network of 2.4 GHz, which ESP32 needs.", false
	case "wrong_password":
		return "The Wi-Fi network refuses the device's password: enter it again.", false
	case "connecting":
		return "The device is still connecting to Wi-Fi: wait, or bring it nearer.", true
	}
	switch s.Server {
	case "none":
		return "The device is on the network and has not asked its server yet: wait a moment.", true
	case "unreachable":
		return "The device is on the network and does not reach its server: look whether the server's address can be reached from that network, and past a firewall.", false
	case "unknown_device":
		return "The server does not know the device's key: provision it with a fresh file, since each one makes the key of those before void.", false
	case "clock":
		return "The clocks of the device and the server do not agree: set the server's clock right.", false
	case "certificate":
		return "The device does not trust the server's certificate: provision it with a fresh file, or look whether its server is really the one you mean.", false
	}
	return fmt.Sprintf("The device says %q of its network and %q of its server, which this program does not know: it may be too old.", s.Network, s.Server), false
}

// Online asks for the status until the device has checked in with its server. It
// gives up when ctx ends, or when the same trouble has lasted; the error is then a
// Precondition fault with the sentence of Trouble, and the status the last one.
// told, unless nil, gets each status that says something new.
func (d *Dialogue) Online(ctx context.Context, told func(Status)) (Status, error) {
	var last Status
	var sentence string
	var since time.Time
	for {
		s, err := d.Status(ctx)
		switch {
		case err != nil && ctx.Err() != nil && sentence != "":
			return last, tooLong(ctx, sentence)
		case err != nil:
			return last, err
		}
		if told != nil && (s.Network != last.Network || s.Server != last.Server) {
			told(s)
		}
		last = s
		if s.OK() {
			return s, nil
		}
		trouble, passing := s.Trouble()
		if trouble != sentence || passing {
			sentence, since = trouble, time.Now()
		}
		if time.Since(since) >= d.o.Settled {
			return s, fault.New(fault.Precondition, "%s", sentence)
		}
		select {
		case <-time.After(d.o.Ask):
		case <-ctx.Done():
			return s, tooLong(ctx, sentence)
		}
	}
}

// tooLong is what is wrong when the time is over; who cancelled knows why.
func tooLong(ctx context.Context, sentence string) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return fault.New(fault.Precondition, "%s", sentence)
}
