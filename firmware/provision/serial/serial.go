// Package serial opens the serial ports of this machine: an adapter of
// go.bug.st/serial, for a dialogue with a board.
package serial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.bug.st/serial"
	"go.bug.st/serial/enumerator"

	"github.com/flota/flota/pkg/fault"
)

// Baud is the speed that devices listen at.
const Baud = 115200

const (
	look = 200 * time.Millisecond // how often a port is looked for
	// settling is how long a port that has just appeared may be somebody else's: the
	// system makes the file first, and gives us permission then.
	settling = 2 * time.Second
)

// Port is a serial port of this machine.
type Port struct {
	Name    string // what Open takes: /dev/ttyUSB0, COM3
	USB     string // vendor and product as 303A:1001; empty where it is no USB
	Product string // as it calls itself
}

// List returns the ports that there are, those on USB first.
func List() ([]Port, error) {
	details, err := enumerator.GetDetailedPortsList()
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "the serial ports cannot be listed")
	}
	var ports []Port
	for _, d := range details {
		if d.Name == "" {
			continue
		}
		port := Port{Name: d.Name, Product: d.Product}
		if d.IsUSB {
			port.USB = d.VID + ":" + d.PID
		}
		ports = append(ports, port)
	}
	slices.SortFunc(ports, func(a, b Port) int {
		if (a.USB == "") != (b.USB == "") {
			return strings.Compare(b.USB, a.USB)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return ports, nil
}

// Open opens a port, at Baud, 8N1; a pseudo-terminal does as well. It waits until
// there is one of this name or ctx ends, and calls waiting, unless nil, once when it
// begins to. Errors: Unavailable with what to do.
//
// DTR and RTS are raised, as by every terminal program: boards with a USB of their
// own send nothing otherwise. Others may restart by it.
func Open(ctx context.Context, name string, waiting func()) (io.ReadWriteCloser, error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	var appeared time.Time
	for waited := false; ; waited = true {
		port, err := serial.Open(name, &serial.Mode{BaudRate: Baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit})
		if err == nil {
			return port, nil
		}
		missing := isMissing(err)
		if !missing && appeared.IsZero() {
			appeared = time.Now()
		}
		if !missing && (!waited || time.Since(appeared) > settling) {
			return nil, explain(name, err)
		}
		if !waited && waiting != nil {
			waiting()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if missing {
				err = fault.Wrap(err, fault.Unavailable, "there is no serial port %s: plug the board in, with a cable that carries data", name)
			} else {
				err = explain(name, err)
			}
			return nil, err
		}
	}
}

// isMissing: it may come yet.
func isMissing(err error) bool {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ENODEV) {
		return true
	}
	port, ok := errors.AsType[*serial.PortError](err)
	return ok && port.Code() == serial.PortNotFound
}

func explain(name string, err error) error {
	what := "cannot be opened"
	if port, ok := errors.AsType[*serial.PortError](err); ok {
		switch port.Code() {
		case serial.PortBusy:
			what = "is used by another program, perhaps a serial monitor: close that first"
		case serial.PermissionDenied:
			what = "is not yours to use: on Linux, become a member of its group (sudo usermod -aG dialout $USER) and log in again"
		case serial.InvalidSerialPort:
			what = "is no serial port"
		default:
		}
	}
	return fault.Wrap(err, fault.Unavailable, "%s", fmt.Sprintf("%s %s", name, what))
}
