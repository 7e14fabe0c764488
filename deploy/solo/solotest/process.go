package solotest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a child process. It ends with this process at the latest.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  *Log
	// Lines are those of standard output; nobody needs to read them.
	lines chan string
	ended chan struct{}
	err   error
}

// ProcessOptions say what to run.
type ProcessOptions struct {
	Name string // for errors
	Path string
	Args []string
	// Env is all that the process sees of FLOTA_…; of the rest it has PATH, HOME and TMPDIR.
	Env []string
	Dir string
	// Log gets standard output and error.
	Log *Log
	// Stdin is held open as long as this process lives, for those that end with it.
	Stdin bool
}

// StartProcess starts a process.
func StartProcess(o ProcessOptions) (*Process, error) {
	// Not CommandContext: a process ends when its test says so, and how.
	cmd := exec.Command(o.Path, o.Args...) //nolint:noctx // see above
	cmd.Dir = o.Dir
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "GORACE"} {
		if value := os.Getenv(key); value != "" {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	cmd.Env = append(cmd.Env, o.Env...)
	// In a group of its own: Ctrl+C at the tests is theirs to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = o.Log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if o.Stdin {
		if _, err := cmd.StdinPipe(); err != nil {
			return nil, err
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Name, err)
	}
	p := &Process{Name: o.Name, cmd: cmd, log: o.Log, lines: make(chan string, 64), ended: make(chan struct{})}
	go p.wait(out)
	return p, nil
}

func (p *Process) wait(out io.Reader) {
	defer close(p.ended)
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		fmt.Fprintln(p.log, scanner.Text())
		select {
		case p.lines <- scanner.Text():
		default: // nobody reads
		}
	}
	close(p.lines)
	p.err = p.cmd.Wait()
}

// Line returns the first line of standard output that is wanted. An error tells
// that the process ended before, or ctx.
func (p *Process) Line(ctx context.Context, wanted func(string) bool) (string, error) {
	for {
		select {
		case line, open := <-p.lines:
			switch {
			case !open:
				<-p.ended
				return "", fmt.Errorf("%s ended: %w\n%s", p.Name, errOr(p.err, errors.New("without a word")), p.log.Tail(20))
			case wanted(line):
				return line, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%s said nothing: %w\n%s", p.Name, ctx.Err(), p.log.Tail(20))
		}
	}
}

// PID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Kill ends the process as a power cut would (SIGKILL).
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// Terminate tells the process to stop (SIGTERM).
func (p *Process) Terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// Stop tells the process to stop and returns its exit code. One that is not gone when
// ctx ends is killed, and an error.
func (p *Process) Stop(ctx context.Context) (code int, err error) {
	p.Terminate()
	return p.Wait(ctx)
}

// Wait is Stop without telling.
func (p *Process) Wait(ctx context.Context) (code int, err error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		p.Kill()
		return -1, fmt.Errorf("%s did not end: %w\n%s", p.Name, ctx.Err(), p.log.Tail(20))
	}
}

// Log keeps what processes print. It is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Tail returns the last lines.
func (l *Log) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(l.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// poll calls done until it reports true or fails, or ctx ends.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}
