// Package repl operates a MicroPython board over its REPL: it runs code there, and
// puts files on it, as mpremote does. The protocol is that of
// https://docs.micropython.org/en/latest/reference/repl.html ("Raw mode and raw-paste mode").
package repl

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// What can be wrong with the cable, whatever was asked over it.
var (
	// ErrNoREPL is returned where nothing answers as MicroPython does.
	ErrNoREPL = errors.New("there is no MicroPython REPL")
	// ErrGone is returned when the port cannot be read or written any more.
	ErrGone = errors.New("the serial port is gone")
)

// Options change how a board is talked to. A zero value is what boards expect.
type Options struct {
	Chunk  int           // bytes that are written at once where the board does not say how many; 256
	Pace   time.Duration // between two such chunks; 10 ms
	Settle time.Duration // how long a board that was interrupted may go on printing; 200 ms
	Enter  time.Duration // how often entering the raw REPL is tried; 2 s
	// Silence is how long a board may say nothing while it runs code; 15 s.
	Silence time.Duration
	// Restart is how long a board that is reset may take until its port goes, where that is
	// its own USB; 1.5 s.
	Restart time.Duration
}

func (o Options) complete() Options {
	def := func(d *time.Duration, usual time.Duration) {
		if *d == 0 {
			*d = usual
		}
	}
	if o.Chunk == 0 {
		o.Chunk = 256
	}
	def(&o.Pace, 10*time.Millisecond)
	def(&o.Settle, 200*time.Millisecond)
	def(&o.Enter, 2*time.Second)
	def(&o.Silence, 15*time.Second)
	def(&o.Restart, 1500*time.Millisecond)
	return o
}

// Exception is what code on the board ended with.
type Exception struct {
	Trace string // as MicroPython prints it, LF at the ends of lines
}

// Error is the last line of the trace: the exception itself.
func (e *Exception) Error() string {
	lines := strings.Split(strings.TrimSpace(e.Trace), "\n")
	return "MicroPython: " + lines[len(lines)-1]
}

// Session is a board whose program was interrupted, and which waits for ours in the raw
// REPL. Use it from one goroutine at a time. Each method ends with its context; after an
// error that is neither an Exception nor a fault the session is over.
type Session struct {
	port    io.ReadWriter
	o       Options
	in      <-chan []byte // closed when the port is gone
	buffer  []byte        // read, and not looked at
	noPaste bool          // the board knows no raw-paste mode
	helped  bool          // the board has the functions of files.go
}

// control characters of the REPL
const (
	ctrlA = "\x01" // raw REPL
	ctrlB = "\x02" // friendly REPL
	ctrlC = "\x03" // interrupt
	ctrlD = "\x04" // end; soft reset where there was nothing before it
)

const prompt = "raw REPL; CTRL-B to exit\r\n>"

// Open interrupts whatever runs and enters the raw REPL, again and again until the board
// answers or ctx ends. It reads the port from now on, until that ends: close it when
// the session is over, after Close. Errors wrap ErrNoREPL or ErrGone.
func Open(ctx context.Context, port io.ReadWriter, o Options) (*Session, error) {
	in := make(chan []byte, 64)
	go pump(port, in)
	s := &Session{port: port, o: o.complete(), in: in}
	for {
		err := s.enter(ctx)
		if err == nil || errors.Is(err, ErrGone) {
			return s, err
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoREPL, context.Cause(ctx))
		}
	}
}

// pump reads a port until its end.
func pump(port io.Reader, in chan<- []byte) {
	defer close(in)
	for {
		piece := make([]byte, 1024)
		n, err := port.Read(piece)
		if n > 0 {
			in <- piece[:n]
		}
		if err != nil && !errors.Is(err, io.ErrNoProgress) {
			return
		}
	}
}

// enter is one try.
func (s *Session) enter(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Enter)
	defer cancel()
	// A program has a moment to end by itself after the first.
	for _, text := range []string{"\r" + ctrlC, ctrlC} {
		if err := s.write(ctx, []byte(text)); err != nil {
			return err
		}
		if err := s.drain(ctx); err != nil {
			return err
		}
	}
	if err := s.write(ctx, []byte("\r"+ctrlA)); err != nil {
		return err
	}
	_, err := s.until(ctx, prompt, 64<<10)
	return err
}

// Close goes back to the friendly REPL, as far as that is possible still.
func (s *Session) Close(ctx context.Context) error {
	return s.write(ctx, []byte("\r"+ctrlC+ctrlB))
}

// Run runs code and returns what it printed, at most 64 KiB. Errors: Exception, with
// which the code ended.
func (s *Session) Run(ctx context.Context, code string) (output string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := s.submit(ctx, []byte(code)); err != nil {
		return "", err
	}
	text, err := s.until(ctx, ctrlD, 64<<10)
	if err != nil {
		return "", err
	}
	trace, err := s.until(ctx, ctrlD, 64<<10)
	if err != nil {
		return "", err
	}
	if _, err := s.until(ctx, ">", 16); err != nil {
		return "", err
	}
	output = strings.ReplaceAll(string(text), "\r\n", "\n")
	if len(trace) > 0 {
		return output, &Exception{Trace: strings.ReplaceAll(string(trace), "\r\n", "\n")}
	}
	return output, nil
}

// submit hands code over and returns when it runs.
func (s *Session) submit(ctx context.Context, code []byte) error {
	if bytes.ContainsAny(code, ctrlA+ctrlB+ctrlC+ctrlD) {
		return fault.New(fault.Internal, "code with control characters in it")
	}
	if !s.noPaste {
		done, err := s.paste(ctx, code)
		if done || err != nil {
			return err
		}
		s.noPaste = true
	}
	for len(code) > 0 {
		n := min(len(code), s.o.Chunk)
		if err := s.write(ctx, code[:n]); err != nil {
			return err
		}
		code = code[n:]
		select {
		case <-time.After(s.o.Pace):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := s.write(ctx, []byte(ctrlD)); err != nil {
		return err
	}
	ok, err := s.take(ctx, 2)
	if err == nil && string(ok) != "OK" {
		err = fmt.Errorf("%w: it answers %q to code", ErrNoREPL, ok)
	}
	return err
}

// paste hands code over in raw-paste mode, whose flow control fits the smallest of
// buffers. It reports whether the board knows it.
func (s *Session) paste(ctx context.Context, code []byte) (done bool, err error) {
	if err := s.write(ctx, []byte("\x05A\x01")); err != nil {
		return false, err
	}
	answer, err := s.take(ctx, 2)
	if err != nil {
		return false, err
	}
	switch string(answer) {
	case "R\x01":
	case "R\x00":
		return false, nil
	case "ra": // a board that does not know it begins its raw REPL anew
		_, err := s.until(ctx, prompt[2:], 256)
		return false, err
	default:
		return false, fmt.Errorf("%w: it answers %q to raw-paste", ErrNoREPL, answer)
	}
	head, err := s.take(ctx, 2)
	if err != nil {
		return true, err
	}
	size := int(binary.LittleEndian.Uint16(head))
	if size == 0 {
		return true, fmt.Errorf("%w: it takes nothing by raw-paste", ErrNoREPL)
	}
	for window := size; len(code) > 0; {
		for window == 0 || s.waiting() {
			b, err := s.take(ctx, 1)
			switch {
			case err != nil:
				return true, err
			case b[0] == ctrlA[0]:
				window += size
			case b[0] == ctrlD[0]: // it has had enough: the code is wrong
				return true, s.write(ctx, []byte(ctrlD))
			default:
				return true, fmt.Errorf("%w: it says %q while code is handed over", ErrNoREPL, b)
			}
		}
		n := min(window, len(code))
		if err := s.write(ctx, code[:n]); err != nil {
			return true, err
		}
		window -= n
		code = code[n:]
	}
	if err := s.write(ctx, []byte(ctrlD)); err != nil {
		return true, err
	}
	_, err = s.until(ctx, ctrlD, 256) // and what is left of the windows
	return true, err
}

// SoftReset begins anew without a reset of the chip: the heap is empty, boot.py runs,
// main.py does not.
func (s *Session) SoftReset(ctx context.Context) error {
	s.helped = false
	if err := s.write(ctx, []byte(ctrlD)); err != nil {
		return err
	}
	if _, err := s.until(ctx, "soft reboot\r\n", 64<<10); err != nil {
		return err
	}
	_, err := s.until(ctx, prompt, 64<<10)
	return err
}

// Reset starts the chip again, and returns when its port is gone, or will not go. The
// session is over.
func (s *Session) Reset(ctx context.Context) error {
	if err := s.submit(ctx, []byte("import machine, time\ntime.sleep_ms(100)\nmachine.reset()\n")); err != nil {
		return err
	}
	timer := time.NewTimer(s.o.Restart)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-s.in:
			if !ok {
				return nil
			}
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// write gives up with ctx: it may block as long as nobody reads.
func (s *Session) write(ctx context.Context, text []byte) error {
	written := make(chan error, 1)
	go func() {
		for len(text) > 0 {
			n, err := s.port.Write(text)
			if err == nil && n == 0 {
				err = io.ErrShortWrite
			}
			if err != nil {
				written <- fmt.Errorf("%w: %w", ErrGone, err)
				return
			}
			text = text[n:]
		}
		written <- nil
	}()
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the board takes nothing: %w", context.Cause(ctx))
	}
}

// more waits for bytes, for as long as the board may say nothing.
func (s *Session) more(ctx context.Context) error {
	timer := time.NewTimer(s.o.Silence)
	defer timer.Stop()
	select {
	case piece, ok := <-s.in:
		if !ok {
			return ErrGone
		}
		s.buffer = append(s.buffer, piece...)
		return nil
	case <-timer.C:
		return fmt.Errorf("%w any more: nothing was heard for %s", ErrNoREPL, s.o.Silence)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waiting reports whether something has come already.
func (s *Session) waiting() bool {
	if len(s.buffer) == 0 {
		select {
		case piece := <-s.in: // nothing at the port's end, which take finds
			s.buffer = append(s.buffer, piece...)
		default:
		}
	}
	return len(s.buffer) > 0
}

// take reads n bytes.
func (s *Session) take(ctx context.Context, n int) ([]byte, error) {
	for len(s.buffer) < n {
		if err := s.more(ctx); err != nil {
			return nil, err
		}
	}
	taken := s.buffer[:n:n]
	s.buffer = s.buffer[n:]
	return taken, nil
}

// until reads up to an ending and returns what is before it: its last keep bytes.
func (s *Session) until(ctx context.Context, ending string, keep int) ([]byte, error) {
	for from := 0; ; {
		if at := bytes.Index(s.buffer[from:], []byte(ending)); at >= 0 {
			found := s.buffer[: from+at : from+at]
			s.buffer = s.buffer[from+at+len(ending):]
			return found[max(0, len(found)-keep):], nil
		}
		if over := len(s.buffer) - keep - len(ending); over > 0 {
			s.buffer = s.buffer[over:]
		}
		from = max(0, len(s.buffer)-len(ending)+1)
		if err := s.more(ctx); err != nil {
			return nil, err
		}
	}
}

// drain drops what the board says until it is quiet, or has gone on for too long.
func (s *Session) drain(ctx context.Context) error {
	s.buffer = nil
	quiet := time.NewTimer(s.o.Settle / 2)
	defer quiet.Stop()
	enough := time.NewTimer(s.o.Settle)
	defer enough.Stop()
	for {
		select {
		case _, ok := <-s.in:
			if !ok {
				return ErrGone
			}
			quiet.Reset(s.o.Settle / 2)
		case <-quiet.C:
			return nil
		case <-enough.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
