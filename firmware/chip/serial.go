package chip

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The speeds that a sketch may set.
const (
	slowestBaud = 300
	fastestBaud = 921600
)

// fifo is what waits in each direction when the other side is slow: one page of a pipe.
const fifo = 4096

// serial is UART 0: two pipes, each no faster than its speed.
type serial struct {
	out     io.Writer
	initial int

	sending chan struct{} // holds one: who sends

	mu      sync.Mutex
	baud    int           // 0: unlimited
	toBoard *os.File      // nil while no process runs
	gone    chan struct{} // closed when the process is
	printed chan struct{} // closed when all of its output was read
	output  *os.File
}

func newSerial(out io.Writer, baud int) *serial {
	if out == nil {
		out = io.Discard
	}
	switch {
	case baud == 0:
		baud = defaultBaud
	case baud < 0:
		baud = 0
	}
	return &serial{out: out, initial: baud, sending: make(chan struct{}, 1)}
}

// print is what the chip itself says. No process runs then.
func (s *serial) print(text string) { _, _ = io.WriteString(s.out, text) }

func (s *serial) setBaud(baud int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.initial != 0 {
		s.baud = min(max(baud, slowestBaud), fastestBaud)
	}
}

// lasting is how long so many bytes take: ten bits each.
func (s *serial) lasting(bytes int) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.baud == 0 {
		return 0
	}
	return time.Duration(bytes) * 10 * time.Second / time.Duration(s.baud)
}

// chunk is how much goes at once: 10 ms worth of bytes.
func (s *serial) chunk() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.baud == 0 {
		return fifo
	}
	return max(1, s.baud/10/100)
}

// plug makes the pipes of a new process and gives its ends.
func (s *serial) plug() (stdin, stdout *os.File, err error) {
	stdin, toBoard, err := pipe(true)
	if err != nil {
		return nil, nil, err
	}
	output, stdout, err := pipe(false)
	if err != nil {
		stdin.Close()
		toBoard.Close()
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.baud = s.initial
	s.toBoard, s.output = toBoard, output
	s.gone, s.printed = make(chan struct{}), make(chan struct{})
	go s.copyOut(output, s.gone, s.printed)
	return stdin, stdout, nil
}

// unplug returns when what the process printed has been read. What was sent and not read
// by it is lost.
func (s *serial) unplug() {
	s.mu.Lock()
	toBoard, output, gone, printed := s.toBoard, s.output, s.gone, s.printed
	s.toBoard = nil
	s.mu.Unlock()
	toBoard.Close()
	close(gone)
	_ = output.SetReadDeadline(time.Now().Add(time.Second)) // something may have escaped with the other end
	<-printed
	output.Close()
}

func (s *serial) copyOut(output *os.File, gone <-chan struct{}, printed chan<- struct{}) {
	defer close(printed)
	buffer := make([]byte, fifo)
	var pace pace
	for {
		n, err := output.Read(buffer[:s.chunk()])
		if n > 0 {
			_, _ = s.out.Write(buffer[:n])
		}
		if err != nil {
			return
		}
		pace.wait(s.lasting(n), gone)
	}
}

func (s *serial) send(ctx context.Context, data []byte) error {
	select {
	case s.sending <- struct{}{}:
		defer func() { <-s.sending }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	toBoard, gone := s.toBoard, s.gone
	s.mu.Unlock()
	if toBoard == nil {
		return nil
	}
	defer context.AfterFunc(ctx, func() { _ = toBoard.SetWriteDeadline(time.Now()) })()
	var pace pace
	for len(data) > 0 {
		_ = toBoard.SetWriteDeadline(time.Time{}) // of a sender before
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := toBoard.Write(data[:min(len(data), s.chunk())])
		data = data[n:]
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // the context says whether it was for us
		case errors.Is(err, os.ErrClosed), errors.Is(err, syscall.EPIPE):
			return nil // a reset: the rest is lost
		case err != nil:
			return err
		}
		pace.wait(s.lasting(n), gone)
	}
	return nil
}

// pace keeps to a speed over many steps.
type pace struct{ next time.Time }

// wait waits until what takes so long would be over, or until something is gone.
func (p *pace) wait(long time.Duration, gone <-chan struct{}) {
	if long == 0 {
		return
	}
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(long)
	timer := time.NewTimer(p.next.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-gone:
	}
}

// pipe makes one of a page; our end does not block the goroutine's thread, the other
// is a plain blocking descriptor.
func pipe(weWrite bool) (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	ours := 0
	if weWrite {
		ours = 1
	}
	_, err = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, fifo)
	if err := errors.Join(err, syscall.SetNonblock(fds[ours], true)); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "uart"), os.NewFile(uintptr(fds[1]), "uart"), nil
}
