// Package chip is what a chip does around a sketch: flash, bootloader with rollback,
// resets, watchdog, power, serial port and pins of a virtual board. README.md tells
// what lies between it and the sketch's process.
package chip

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// Config is a board that is switched on, and who watches it.
type Config struct {
	// Dir is the board's folder, made by Create. Nobody else has it open.
	Dir string
	// Start runs a sketch's process; Direct{}.Start where left out.
	Start Start
	// MicroPython is the toolchain's folder of that name, with the interpreter (root) and the boot ROM
	// (virtual): what a Pico runs; others need none. MicroPythonAt is where its process sees that
	// folder: at the same place where left out.
	MicroPython, MicroPythonAt string
	// Network says how the process reaches the world; NetworkDirect where left out.
	Network Network
	// WiFi are the networks in range; all there are, whatever their password, where left out.
	WiFi []WiFi
	// Clock is what the board's clock shows at a start; the right time where left out.
	Clock func() time.Time
	// Hurry, for tests, is how much faster than the world's the update agent's time goes:
	// its waits, trials and back-offs. 0 and 1: as fast as the world's.
	Hurry int
	// Serial gets what the board writes on UART 0, one Write at a time. While a Write
	// blocks, so does the sketch when it prints. Nowhere where left out.
	Serial io.Writer
	// Event is told what happens, one event at a time, in order. It must return soon
	// and must not call methods of the Board other than State.
	Event func(Event)
	// Baud is the speed of UART 0 until the sketch sets another: 115200 where it is 0.
	// Unlimited: no speed, whatever the sketch says.
	Baud int
	// Pause is what a start takes: 100 ms where it is 0. MaxPause bounds the pauses of
	// a board that panics in a row: 5 s where it is 0.
	Pause, MaxPause time.Duration
}

// Unlimited as Config.Baud: as fast as can be.
const Unlimited = -1

// WiFi is a network in range, as its access point knows it.
type WiFi struct{ SSID, Password string }

// Network says how the process reaches the world.
type Network string

// The two ways; see README.md for net/out, and Proxy, which serves it.
const (
	NetworkDirect Network = "direct"
	NetworkProxy  Network = "proxy"
)

// Exec is a process to be started. The files are the process's ends; who starts it does
// not close them. It gets them as descriptors 0 to 3: Stdin, Serial, Serial again, Control.
type Exec struct {
	// Dir is the board's folder, to which the process may write.
	Dir string
	// Env is the process's whole environment but for BOARD_DIR, where it finds Dir.
	Env []string
	// Program is the executable: a sealed file in memory, which nobody can write to; a Pico's is
	// MicroPython's own loader. Args follow its name.
	Program *os.File
	Args    []string
	Stdin   *os.File
	Serial  *os.File
	Control *os.File
}

// Start starts a process; the context says only how long starting may take.
type Start func(ctx context.Context, e Exec) (Process, error)

// Process is one that was started.
type Process interface {
	// Wait returns when it and all that it started are gone. It is called once.
	Wait() Exit
	// Kill ends it at once, with all that it started, and does not wait. It may be
	// called at any time, again, and after the end.
	Kill()
}

// Exit is how a process ended: by a signal, or with a status.
type Exit struct {
	Status int
	Signal syscall.Signal
}

// Reset is why a board starts.
type Reset string

// The reasons.
const (
	ResetPower    Reset = "power"
	ResetSoftware Reset = "software"
	ResetCrash    Reset = "crash"
	ResetWatchdog Reset = "watchdog"
	ResetBrownout Reset = "brownout"
	ResetSleep    Reset = "sleep"
	ResetExternal Reset = "external"
)

// Phase is what a board does.
type Phase string

// The phases.
const (
	PhaseOff      Phase = "off"
	PhaseStarting Phase = "starting" // within the pause before a start
	PhaseRunning  Phase = "running"
	PhaseSleeping Phase = "sleeping" // deep sleep
	PhaseWaiting  Phase = "waiting"  // no image that starts
)

// State is a board at one moment.
type State struct {
	Phase  Phase
	Starts int    // since Open
	Reset  Reset  // why the last start
	Slot   string // what runs, or ran last: "app0", "app1"; a Pico's is its own affair: empty
	Pins   []Pin  // that the sketch has set, by number
}

// Pin is a pin as the sketch set it.
type Pin struct {
	Number int
	Mode   string // in, out, pullup, pulldown, pwm, adc
	Value  int
}

// Event is something that happened. Kind says which of the others are set.
type Event struct {
	Kind  EventKind
	Start int // the how-manieth start it belongs to

	Reset Reset  // Started
	Slot  string // Started

	Exit Exit  // Stopped
	Err  error // Stopped: the process could not be started

	Pin Pin // PinChanged

	From, To int64  // Written: bytes since CutAfter
	Where    string // Written: a partition's label, or "nvs <namespace>/<key>"
}

// EventKind is the kind of an event.
type EventKind string

// The kinds.
const (
	Started    EventKind = "started"
	Stopped    EventKind = "stopped" // the process is gone, whatever the reason
	Slept      EventKind = "slept"   // after Stopped: deep sleep
	Waiting    EventKind = "waiting" // no image starts
	PinChanged EventKind = "pin"
	Watchdog   EventKind = "watchdog" // it was not fed; the process is about to be killed
	Written    EventKind = "written"  // after CutAfter: a write is about to be made
)

// Segment is bytes for the flash, at an offset.
type Segment struct {
	Offset int64
	Data   []byte
}

// ErrClosed is what methods return after Close.
var ErrClosed = errors.New("chip: the board is closed")

// Flash writes by cable, as esptool does: the board is held in reset, the sectors that are
// touched are erased, and it starts again (reason external) where it was on. Bad segments change nothing.
func (b *Board) Flash(ctx context.Context, segments ...Segment) error {
	if err := checkSegments(b.flash, segments); err != nil {
		return err
	}
	return b.held(ctx, func() error { return writeSegments(b.root, b.flash, segments) })
}

// Erase empties the flash and the non-volatile storage by cable, as Flash does.
func (b *Board) Erase(ctx context.Context) error {
	return b.held(ctx, func() error { return erase(b.root, b.flash) })
}

// ReadFlash reads by cable, as Flash does.
func (b *Board) ReadFlash(ctx context.Context, offset, size int64) (data []byte, err error) {
	err = b.held(ctx, func() error {
		data, err = readFlash(b.root, b.flash, offset, size)
		return err
	})
	return data, err
}

// PowerOn gives power; nothing happens where there was some.
func (b *Board) PowerOn(ctx context.Context) error {
	return b.call(ctx, func(m *machine, done func(error)) {
		m.after(func() {
			if m.phase == PhaseOff {
				m.schedule(ResetPower, 0)
			}
			done(nil)
		})
	})
}

// PowerOff returns when the process is gone.
func (b *Board) PowerOff(ctx context.Context) error {
	return b.call(ctx, func(m *machine, done func(error)) {
		m.halt(func() {
			m.enter(PhaseOff)
			done(nil)
		})
	})
}

// Reset is the EN button: what runs ends at once. A board without power stays off.
func (b *Board) Reset(ctx context.Context) error { return b.again(ctx, ResetExternal) }

// CutPower takes the power away in the middle of whatever happens, and gives it back.
// A board without power stays off.
func (b *Board) CutPower(ctx context.Context) error { return b.again(ctx, ResetPower) }

func (b *Board) again(ctx context.Context, reason Reset) error {
	return b.call(ctx, func(m *machine, done func(error)) {
		m.halt(func() {
			if m.phase != PhaseOff {
				m.schedule(reason, 0)
			}
			done(nil)
		})
	})
}

// CutAfter cuts the power once, after so many bytes written to flash and NVS from the next
// start on, restarts or not (an erased sector counts 4096, a key put in its place or removed 1),
// in the middle of the write. Until then every write is told as an event. Negative: no cut,
// but the events.
func (b *Board) CutAfter(ctx context.Context, bytes int64) error {
	return b.call(ctx, func(m *machine, done func(error)) {
		m.cut, m.written = &bytes, 0
		done(nil)
	})
}

// SetPin puts a level on an input: 0 or 1, for analog ones 0 to 4095. It stays over restarts.
func (b *Board) SetPin(ctx context.Context, pin, value int) error {
	if pin < 0 || pin >= pins || value < 0 || value > 4095 {
		return errors.New("chip: no such pin or level")
	}
	return b.call(ctx, func(m *machine, done func(error)) {
		m.setInput(pin, value)
		done(nil)
	})
}

// Press puts 0 on a pin, and 1 after so long; it returns then.
func (b *Board) Press(ctx context.Context, pin int, long time.Duration) error {
	if err := b.SetPin(ctx, pin, 0); err != nil {
		return err
	}
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-b.done:
	}
	return b.SetPin(context.WithoutCancel(ctx), pin, 1)
}

// SetRadio puts every Wi-Fi network in range, or out of it. It stays over restarts.
func (b *Board) SetRadio(ctx context.Context, on bool) error {
	return b.call(ctx, func(m *machine, done func(error)) {
		m.setRadio(on)
		done(nil)
	})
}

// WriteSerial sends to the board, at the speed of its port; it waits while the board's
// buffer of 4 KiB is full, as long as the context says. What is sent to a board that
// does not run is lost, as on the chip.
func (b *Board) WriteSerial(ctx context.Context, data []byte) error { return b.serial.send(ctx, data) }

// State is a copy.
func (b *Board) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state.clone()
}

// Close ends whatever runs and returns when nothing is left of it.
func (b *Board) Close() error {
	b.stop()
	<-b.done
	return nil
}
