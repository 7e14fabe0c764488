// Package virtual makes boards of folders and processes: firmware/chip is the chip,
// pkg/sandbox what stands between a stranger's sketch and this machine.
package virtual

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/firmware/provision"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/boards"
)

// Options make a workshop.
type Options struct {
	// Dir holds a folder for each board, named after it. Nobody else has it open.
	Dir string
	// Base is the base sketch's image, by FQBN, of the boards that are an ESP32; Pico is what
	// the others run, nil where there are none. Offers are all of them in their order.
	Base   map[string][]byte
	Pico   *Pico
	Offers []boards.Offer
	// Memory of a board, in bytes, which is more than a Pico's gets; CPU is its share of one processor.
	Memory int64
	CPU    float64
	Box    *sandbox.Sandbox
	// Network serves a board's way out until ctx ends.
	Network func(ctx context.Context, way net.Listener) error
	Log     *zap.Logger
}

// Workshop implements boards.Hardware. Close it when every machine is closed.
type Workshop struct {
	Options
	held    *os.File // locked while the workshop is open
	sockets string   // short: the path of a socket has 108 bytes
	next    atomic.Int64
}

// New returns a workshop. It is an error where another process has the folder.
func New(o Options) (_ *Workshop, err error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	w := &Workshop{Options: o}
	if w.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if w.held, err = os.OpenFile(filepath.Join(w.Dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(w.held.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another process has the virtual boards in %s: %w", w.Dir, err), w.held.Close())
	}
	if w.sockets, err = os.MkdirTemp("", "flota-boards-"); err != nil {
		return nil, errors.Join(err, w.held.Close())
	}
	return w, nil
}

// Close removes what is left.
func (w *Workshop) Close() error { return errors.Join(os.RemoveAll(w.sockets), w.held.Close()) }

// Offers implements boards.Hardware.
func (w *Workshop) Offers() []boards.Offer { return w.Options.Offers }

func (w *Workshop) dir(id string) string { return filepath.Join(w.Dir, id) }

// Make implements boards.Hardware.
func (w *Workshop) Make(_ context.Context, id, fqbn string) (mac string, err error) {
	dir := w.dir(id)
	if fuses, err := chip.ReadFuses(dir); err == nil {
		return fuses.MAC, nil
	}
	fuses, first, err := w.first(fqbn)
	if err != nil {
		return "", err
	}
	// Aside, and in its place when it is whole.
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	aside := filepath.Join(w.Dir, ".new-"+id)
	if err := os.RemoveAll(aside); err != nil {
		return "", err
	}
	if err := chip.Create(aside, fuses, first...); err != nil {
		return "", errors.Join(err, os.RemoveAll(aside))
	}
	// For the sketch, which is another user where we are root.
	if err := errors.Join(os.Chmod(aside, 0o755), os.Chmod(filepath.Join(aside, "efuse.json"), 0o644), os.Rename(aside, dir)); err != nil {
		return "", err
	}
	fuses, err = chip.ReadFuses(dir)
	return fuses.MAC, err
}

// first is what a new board is born with, and what is on it.
func (w *Workshop) first(fqbn string) (chip.Fuses, []chip.Segment, error) {
	switch base := w.Base[fqbn]; {
	case boards.KindOf(fqbn) == boards.Pico && w.Pico != nil:
		return chip.Fuses{Chip: chip.RP2040}, []chip.Segment{{Data: w.Pico.Image}}, nil
	case base != nil:
		return chip.Fuses{}, chip.FirstFlash(base), nil
	}
	return chip.Fuses{}, nil, fault.New(fault.Precondition, "there is nothing to flash on a %s", fqbn)
}

// Remove implements boards.Hardware.
func (w *Workshop) Remove(id string) error { return removeAll(w.Dir, id) }

// boardID is what a board's folder is called.
var boardID = regexp.MustCompile(`^(?:\.new-)?[0-9a-v]{20}$`)

// Keep implements boards.Hardware.
func (w *Workshop) Keep(ids []string) error {
	entries, err := os.ReadDir(w.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if boardID.MatchString(e.Name()) && !slices.Contains(ids, e.Name()) {
			if err := w.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// Open implements boards.Hardware.
func (w *Workshop) Open(ctx context.Context, id, fqbn string, serial func([]byte), changed func()) (boards.Machine, error) {
	m := &machine{
		shop: w, dir: w.dir(id), base: w.Base[fqbn], storage: ofESP32, limits: sandbox.Limits{Memory: w.Memory, Processes: processes, FileSize: chip.FlashSize},
		changed: changed, log: w.Log.With(zap.String("board", id)),
	}
	c := chip.Config{Dir: m.dir, Network: chip.NetworkProxy, Start: m.start, Event: m.event, Serial: &m.port}
	if boards.KindOf(fqbn) == boards.Pico {
		if w.Pico == nil {
			return nil, fault.New(fault.Precondition, "there is no MicroPython for a %s", fqbn)
		}
		m.pico, m.storage, m.limits = w.Pico, ofPico, sandbox.Limits{Memory: min(w.Memory, picoMemory), Processes: picoProcesses, FileSize: chip.PicoFlashSize}
		c.MicroPython, c.MicroPythonAt, c.Baud = w.Pico.Dir, micropython, picoBaud
	}
	m.port.out = serial
	if _, err := settle(m.dir, m.storage); err != nil { // the service may have been killed
		return nil, err
	}
	m.socket = filepath.Join(w.sockets, strconv.FormatInt(w.next.Add(1), 36))
	way, err := new(net.ListenConfig).Listen(ctx, "unix", m.socket)
	if err != nil {
		return nil, err
	}
	// The sketch may be another user; the folder around it is ours alone.
	if err := os.Chmod(m.socket, 0o666); err != nil {
		way.Close()
		return nil, err
	}
	if m.board, err = chip.Open(c); err != nil {
		way.Close()
		return nil, err
	}
	var life context.Context
	life, m.disconnect = context.WithCancel(context.Background())
	m.network.Go(func() {
		if err := w.Network(life, way); err != nil {
			m.log.Warn("the way out of a board", zap.Error(err))
		}
	})
	return m, nil
}

// machine implements boards.Machine.
type machine struct {
	shop       *Workshop
	dir        string
	base       []byte // of an ESP32
	pico       *Pico  // nil: an ESP32
	storage    []string
	limits     sandbox.Limits
	socket     string
	board      *chip.Board
	port       port
	changed    func()
	log        *zap.Logger
	disconnect context.CancelFunc
	network    sync.WaitGroup
	cable      sync.Mutex // one at a time is at the other end of the cable
}

// Close implements boards.Machine.
func (m *machine) Close() error {
	err := m.board.Close()
	m.disconnect()
	m.network.Wait()
	return err
}

var phases = map[chip.Phase]boards.Phase{
	chip.PhaseOff: boards.Off, chip.PhaseStarting: boards.Running, chip.PhaseRunning: boards.Running,
	chip.PhaseSleeping: boards.Sleeping, chip.PhaseWaiting: boards.Waiting,
}

// State implements boards.Machine.
func (m *machine) State() boards.State {
	s := m.board.State()
	out := boards.State{Phase: phases[s.Phase], Starts: s.Starts, Reset: string(s.Reset), Slot: s.Slot}
	for _, p := range s.Pins {
		out.Pins = append(out.Pins, boards.Pin{Number: p.Number, Mode: p.Mode, Value: p.Value})
	}
	return out
}

// event is told by the chip.
func (m *machine) event(e chip.Event) {
	if e.Kind == chip.Stopped && e.Err != nil {
		m.log.Warn("a board does not start", zap.Error(e.Err))
	}
	m.changed()
}

// Power implements boards.Machine.
func (m *machine) Power(ctx context.Context, p boards.Power) error {
	do := map[boards.Power]func(context.Context) error{
		boards.PowerOn: m.board.PowerOn, boards.PowerOff: m.board.PowerOff, boards.PowerReset: m.board.Reset, boards.PowerCut: m.board.CutPower,
	}[p]
	if do == nil {
		return fault.Field("action", "must be on, off, reset or cut")
	}
	defer m.changed()
	return m.trouble(do(ctx))
}

// pins are how many the chip has.
const pins = 40

// SetPin implements boards.Machine.
func (m *machine) SetPin(ctx context.Context, pin, value int) error {
	if pin < 0 || pin >= pins {
		return fault.Field("pin", "must be from 0 to %d", pins-1)
	}
	return m.trouble(m.board.SetPin(ctx, pin, value))
}

// Write implements boards.Machine.
func (m *machine) Write(ctx context.Context, data []byte) error {
	return m.trouble(m.board.WriteSerial(ctx, data))
}

// Flash implements boards.Machine.
func (m *machine) Flash(ctx context.Context, f boards.Firmware, erase bool) error {
	defer m.changed()
	if m.pico != nil {
		return m.trouble(m.flashPico(ctx, f, erase))
	}
	image := f.App
	if image == nil {
		image = m.base
	}
	if _, _, err := chip.ParseImage(image); err != nil {
		return &fault.Error{Code: fault.Precondition, Field: "build", Message: "the build's image does not start on this board: " + err.Error()}
	}
	if erase {
		if err := m.board.Erase(ctx); err != nil {
			return m.trouble(err)
		}
	}
	return m.trouble(m.board.Flash(ctx, chip.FirstFlash(image)...))
}

// Provision implements boards.Machine.
func (m *machine) Provision(ctx context.Context, p deviceproto.Provision) error {
	if !m.cable.TryLock() {
		return fault.New(fault.Precondition, "somebody else is giving the board something over its serial port now")
	}
	defer m.cable.Unlock()
	secrets := []string{p.Key}
	for _, n := range p.WiFi {
		secrets = append(secrets, n.Password)
	}
	defer m.port.conceal(secrets)()
	end := m.port.listen(ctx, m.board.WriteSerial)
	defer end.Close()
	// The chip paces what is sent to it itself.
	o := provision.Options{Pace: time.Millisecond}
	if o.Nudge = picoNudge; m.pico == nil {
		o.Nudge = -1
	}
	talk := provision.New(end, o)
	_, err := talk.Hello(ctx)
	if err == nil {
		err = talk.Provision(ctx, p)
	}
	if err == nil {
		err = talk.Leave(ctx)
	}
	switch f := fault.As(err); {
	case err == nil:
		return nil
	case errors.Is(err, provision.ErrNoAnswer):
		return fault.Wrap(err, fault.Precondition,
			"the board does not answer on its serial port, where only the first flash and what was given nothing yet listen; write the first flash again")
	case errors.Is(err, provision.ErrGone):
		return fault.Wrap(err, fault.Unavailable, "the board's serial port went away meanwhile")
	case f != nil && f.Code != fault.Internal:
		return &fault.Error{Code: fault.Invalid, Field: f.Field, Message: f.Message, Err: err}
	}
	return fault.Wrap(err, fault.Precondition, "the board gave an answer that cannot be used")
}

// trouble says what went wrong with the chip.
func (m *machine) trouble(err error) error {
	switch {
	case err == nil || fault.As(err) != nil:
		return err
	case errors.Is(err, chip.ErrClosed):
		return fault.Wrap(err, fault.Unavailable, "the board is being put away")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fault.Wrap(err, fault.Unavailable, "the board does not take it")
	}
	return fmt.Errorf("board %s: %w", filepath.Base(m.dir), err)
}
