// Package provision gives a device what it needs, over its serial port: it is the
// host's side of "Provisioning over the cable" in firmware/README.md.
package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

// What can be wrong with the cable, whatever was asked over it.
var (
	// ErrNoAnswer is returned when the device has not answered in time.
	ErrNoAnswer = errors.New("the device does not answer")
	// ErrGone is returned when the port cannot be read or written any more: a board
	// that is unplugged, or that restarts with its own USB.
	ErrGone = errors.New("the serial port is gone")
)

// tries is how often a line is sent that gets no answer, or that was damaged on
// its way: the device does the same thing however often it is told.
const tries = 3

// Options change how a dialogue is held. A zero value is what the protocol says.
type Options struct {
	Chunk  int           // bytes that are written at once; 64
	Pace   time.Duration // between two chunks; 10 ms
	Answer time.Duration // how long a device may take to answer; 5 s
	Hello  time.Duration // how often hello is repeated; 1 s
	// Nudge is how long hello may go without an answer before the board is taken for a
	// MicroPython that runs something else, and told to listen; 2 s. Negative: it is not.
	Nudge time.Duration
	Ask   time.Duration // how often Online asks for the status; 1 s
	// Settled is how long the same trouble must last before Online gives up; 15 s.
	Settled time.Duration
}

func (o Options) complete() Options {
	def := func(d *time.Duration, usual time.Duration) {
		if *d == 0 {
			*d = usual
		}
	}
	if o.Chunk == 0 {
		o.Chunk = 64
	}
	def(&o.Pace, 10*time.Millisecond)
	def(&o.Answer, 5*time.Second)
	def(&o.Hello, time.Second)
	def(&o.Nudge, 2*time.Second)
	def(&o.Ask, time.Second)
	def(&o.Settled, 15*time.Second)
	return o
}

// Dialogue is held with one device. Use it from one goroutine at a time; each
// method ends with its context. Errors wrap ErrNoAnswer or ErrGone, or are faults:
// what the device says is wrong, with its code and field. None holds a secret.
type Dialogue struct {
	port    io.ReadWriter
	o       Options
	answers <-chan answer // closed when the port is gone
	nudged  bool          // a program may have been ended for the dialogue
}

// New begins a dialogue. It reads the port from now on, until that ends: close it,
// where it can be closed, when the dialogue is over.
func New(port io.ReadWriter, o Options) *Dialogue {
	answers := make(chan answer, 16)
	go listen(port, answers)
	return &Dialogue{port: port, o: o.complete(), answers: answers}
}

// Hello is how a device introduces itself.
type Hello struct {
	Agent       string               `json:"agent"`
	Chip        string               `json:"chip"`
	MAC         string               `json:"mac"`
	Board       string               `json:"board"`     // empty before it was provisioned
	SlotSize    int64                `json:"slot_size"` // bytes
	Rollback    deviceproto.Rollback `json:"rollback"`
	Provisioned bool                 `json:"provisioned"`
}

// Hello asks the device who it is, again and again until it answers or ctx ends. Where
// nobody answers there may be a MicroPython that runs a program, or its REPL: what runs
// is interrupted, and the board told to listen, until Leave. Others pass that over.
func (d *Dialogue) Hello(ctx context.Context) (Hello, error) {
	line, err := deviceproto.Line("hello", nil)
	if err != nil {
		return Hello{}, err
	}
	patience := d.o.Nudge
	for asked := time.Now(); ; {
		if patience > 0 && time.Since(asked) >= patience {
			// Interrupted while it began, a board has modules by half: then it begins anew, with more time.
			do := d.nudge
			if d.nudged {
				do = d.Leave
			}
			if err := do(ctx); err != nil {
				return Hello{}, err
			}
			asked, patience = time.Now(), 2*patience
		}
		next := time.After(d.o.Hello)
		a, err := d.once(ctx, line, d.o.Hello, "hello", "agent")
		var h Hello
		if err == nil {
			err = a.decode(&h)
		}
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrGone) {
			h.Agent, h.Chip, h.MAC, h.Board = printable(h.Agent), printable(h.Chip), printable(h.MAC), printable(h.Board)
			return h, err
		}
		// Nothing, or something else: a device that starts says anything.
		select {
		case <-next:
		case <-ctx.Done():
			return Hello{}, err
		}
	}
}

// Provision hands p over. It returns when the device has stored all of it and read
// it back.
func (d *Dialogue) Provision(ctx context.Context, p deviceproto.Provision) error {
	if err := p.Check(); err != nil {
		return err
	}
	a, err := d.ask(ctx, "provision", p, "provisioned", "device")
	if err != nil {
		return err
	}
	var got struct{ Device string }
	if err := a.decode(&got); err != nil {
		return err
	}
	if got.Device != p.Device {
		return fault.New(fault.Internal, "the device says that it is %q now, not %q", printable(got.Device), p.Device)
	}
	return nil
}

// WiFi replaces the networks that the device knows.
func (d *Dialogue) WiFi(ctx context.Context, networks []deviceproto.Network) error {
	if err := deviceproto.CheckNetworks("wifi", networks); err != nil {
		return err
	}
	if networks == nil {
		networks = []deviceproto.Network{}
	}
	a, err := d.ask(ctx, "wifi", map[string]any{"wifi": networks}, "wifi", "networks")
	if err != nil {
		return err
	}
	var got struct{ Networks int }
	if err := a.decode(&got); err != nil {
		return err
	}
	if got.Networks != len(networks) {
		return fault.New(fault.Internal, "the device says that it knows %d networks now, not %d", got.Networks, len(networks))
	}
	return nil
}

// Status asks how the device is doing.
func (d *Dialogue) Status(ctx context.Context) (Status, error) {
	a, err := d.ask(ctx, "status", nil, "status", "network")
	if err != nil {
		return Status{}, err
	}
	var s Status
	err = a.decode(&s)
	s.Network, s.IP, s.Server, s.Version = printable(s.Network), printable(s.IP), printable(s.Server), printable(s.Version)
	return s, err
}

// Erase makes the device forget everything that it was given.
func (d *Dialogue) Erase(ctx context.Context) error {
	_, err := d.ask(ctx, "erase", nil, "erased", "")
	return err
}

// ask sends a line and returns the answer that begins with word and has the given
// member: an echo of the line has not.
func (d *Dialogue) ask(ctx context.Context, line string, body any, word, member string) (answer, error) {
	text, err := deviceproto.Line(line, body)
	if err != nil {
		return answer{}, err
	}
	if len(text) > deviceproto.MaxLine {
		return answer{}, fault.New(fault.TooLarge, "this has %d bytes, more than the %d that a device can take", len(text), deviceproto.MaxLine)
	}
	for try := 1; ; try++ {
		a, err := d.once(ctx, text, d.o.Answer, word, member)
		damaged := fault.Is(err, fault.Invalid) && fault.As(err).Field == "" // the device could not read the line
		if ctx.Err() == nil && try < tries && (errors.Is(err, ErrNoAnswer) || damaged) {
			continue
		}
		return a, err
	}
}

// once sends a line and waits so long for its answer.
func (d *Dialogue) once(ctx context.Context, line []byte, wait time.Duration, word, member string) (answer, error) {
	d.forget()
	if err := d.write(ctx, line); err != nil {
		return answer{}, err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case a, ok := <-d.answers:
			switch {
			case !ok:
				return answer{}, ErrGone
			case a.word == word && (member == "" || a.members[member] != nil):
				return a, nil
			case a.word == "error" && a.members["code"] != nil:
				return answer{}, a.fault()
			}
		case <-timer.C:
			return answer{}, fmt.Errorf("%w within %s", ErrNoAnswer, wait)
		case <-ctx.Done():
			return answer{}, fmt.Errorf("%w: %w", ErrNoAnswer, context.Cause(ctx))
		}
	}
}

// forget drops the answers to what was asked before.
func (d *Dialogue) forget() {
	for {
		select {
		case _, ok := <-d.answers:
			if ok {
				continue
			}
		default:
		}
		return
	}
}

// nudge ends a program of MicroPython's and has it listen to the dialogue.
func (d *Dialogue) nudge(ctx context.Context) error {
	d.nudged = true
	// Ctrl-B leaves the raw REPL, where another host may have left it.
	return d.keys(ctx, "\x03", "\x03", "\x02import flota_cable; flota_cable.listen()\r")
}

// Leave lets a program run again that was ended for the dialogue: MicroPython begins
// anew, without a reset of the chip.
func (d *Dialogue) Leave(ctx context.Context) error {
	if !d.nudged {
		return nil
	}
	d.nudged = false
	return d.keys(ctx, "\x03", "\x03", "\x04")
}

// keys presses some at a REPL. A program has a moment to end after each Ctrl-C.
func (d *Dialogue) keys(ctx context.Context, texts ...string) error {
	for _, text := range texts {
		if err := d.send(ctx, []byte(text)); err != nil {
			return err
		}
		select {
		case <-time.After(d.o.Hello / 4):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNoAnswer, context.Cause(ctx))
		}
	}
	return nil
}

// write sends a line. An LF goes before it, which ends whatever came there half.
func (d *Dialogue) write(ctx context.Context, line []byte) error {
	return d.send(ctx, append(append([]byte{'\n'}, line...), '\n'))
}

// send sends bytes, no faster than a device's receive buffer stands.
func (d *Dialogue) send(ctx context.Context, text []byte) error {
	for {
		n := min(len(text), d.o.Chunk)
		written := make(chan error, 1)
		go func(chunk []byte) { written <- writeAll(d.port, chunk) }(text[:n]) // it may block as long as nobody reads
		select {
		case err := <-written:
			if err != nil {
				return fmt.Errorf("%w: %w", ErrGone, err)
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: it takes nothing: %w", ErrNoAnswer, context.Cause(ctx))
		}
		if text = text[n:]; len(text) == 0 {
			return nil
		}
		select {
		case <-time.After(d.o.Pace):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNoAnswer, context.Cause(ctx))
		}
	}
}

// writeAll goes on after a short write, which a serial port does not call an error.
func writeAll(port io.Writer, text []byte) error {
	for len(text) > 0 {
		n, err := port.Write(text)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
		text = text[n:]
	}
	return nil
}

// answer is one object of the device's.
type answer struct {
	word    string
	members map[string]json.RawMessage
}

// decode reads the members into the struct that into points to.
func (a answer) decode(into any) error {
	text, err := json.Marshal(a.members)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fault.Wrap(err, fault.Internal, "the device answers %q in a form that nobody understands", a.word)
	}
	return nil
}

// fault is what the device says is wrong.
func (a answer) fault() error {
	var said struct{ Code, Field, Message string }
	if err := a.decode(&said); err != nil {
		return err
	}
	return &fault.Error{Code: fault.Code(printable(said.Code)), Field: printable(said.Field), Message: "the device refuses it: " + printable(said.Message)}
}

// printable is what a device says, fit for a terminal.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return text
}
