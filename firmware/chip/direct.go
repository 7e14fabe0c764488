package chip

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Direct runs sketches as plain processes of this one's user, with nothing between them
// and the machine: for your own code, and for tests.
type Direct struct {
	// Memory limits the process's data (RLIMIT_DATA), in bytes; 0: no limit.
	Memory uint64
}

// Start is a Start.
func (d Direct) Start(ctx context.Context, e Exec) (Process, error) {
	dir, err := filepath.Abs(e.Dir)
	if err != nil {
		return nil, err
	}
	p := &process{exit: make(chan Exit, 1)}
	started := make(chan error, 1)
	go p.run(d, e, dir, started)
	select {
	case err := <-started:
		return p, err
	case <-ctx.Done():
		go func() {
			if <-started == nil {
				p.Kill()
			}
		}()
		return nil, ctx.Err()
	}
}

type process struct {
	pid  int
	exit chan Exit

	mu     sync.Mutex
	reaped bool // the ID may be somebody else's
}

// run starts the process and sees it through to its end on one thread, since the end
// of the thread that started a process is what PDEATHSIG means by its parent's death.
func (p *process) run(d Direct, e Exec, dir string, started chan<- error) {
	runtime.LockOSThread()
	const program = "/proc/self/fd/4"
	cmd := exec.Cmd{
		Path: program, Args: append([]string{"sketch"}, e.Args...), Dir: dir, Env: append([]string{"BOARD_DIR=" + dir}, e.Env...),
		Stdin: e.Stdin, Stdout: e.Serial, Stderr: e.Serial, ExtraFiles: []*os.File{e.Control, e.Program},
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	if d.Memory > 0 {
		_ = unix.Prlimit(p.pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: d.Memory, Max: d.Memory}, nil)
	}
	started <- nil
	// Its ID is its group's: the group is ended before somebody else can have the ID.
	for {
		if err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			break
		}
	}
	p.Kill()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	_ = cmd.Wait()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		p.exit <- Exit{Signal: status.Signal()}
	} else {
		p.exit <- Exit{Status: status.ExitStatus()}
	}
}

func (p *process) Wait() Exit { return <-p.exit }

func (p *process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = unix.Kill(-p.pid, unix.SIGKILL)
	}
}
