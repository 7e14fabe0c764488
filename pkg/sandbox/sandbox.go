// Package sandbox runs untrusted programs: compilers fed with strangers' source
// (Run), and what came out of them (Start). Each task gets its own bubblewrap: namespaces of its own (no network,
// no other process to see), a read-only system and toolchain, a file system in
// memory at /job, no capability, no environment, a seccomp filter, limits of
// time, memory, processes and bytes. When a task ends, however it ends, nothing
// of it is left.
package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Config is what a sandbox needs to know of its machine.
type Config struct {
	// Toolchain is the folder that tasks see, read-only, as /toolchain; "" for none.
	Toolchain string
	// UID is the first of the user IDs that tasks run as where this process is
	// root; each running task has one of its own. 0 takes a range that no other
	// process has: limits of processes are counted by user.
	UID int
	// AllowNone lets tasks run without isolation where none can be had, one at a
	// time. It is for a container per job, and for nothing else.
	AllowNone bool
}

// Task is a shell script to run, and what goes in and comes out. The script
// starts in /job with the toolchain at /toolchain.
type Task struct {
	Script string
	// Input writes the script's standard input. It may be nil.
	Input func(io.Writer) error
	// Output reads the script's standard output, to its end. What it gets is a
	// stranger's: to be checked.
	Output func(io.Reader) error
	// Note gets each line that the script writes to descriptor 3, as it happens.
	// It may be nil.
	Note func(line string)
	// Limits must all be set, except Memory.
	Limits Limits
}

// Exit is how a task ended.
type Exit struct {
	// Status is the script's exit status, -1 where it was killed.
	Status int
	// Exceeded is the limit that ended the task, "" if none did.
	Exceeded Limit
	// Stderr is the beginning of what the script wrote there.
	Stderr string
	// Memory is the highest use in bytes; 0 where nothing measured it.
	Memory int64
}

// Sandbox runs tasks, any number at a time.
type Sandbox struct {
	cfg   Config
	log   *zap.Logger
	none  bool // no isolation at all
	proc  bool // tasks have a /proc, of their own processes
	root  bool // tasks get a user ID of their own, else a user namespace
	group *groups
	pacer pacer
	alone sync.Mutex // without isolation tasks share /job
}

// Open finds out what this machine offers, proves that it works (see Probe),
// and logs it. Without isolation it is an error, unless cfg allows that.
func Open(ctx context.Context, cfg Config, log *zap.Logger) (*Sandbox, error) {
	if cfg.UID == 0 {
		cfg.UID = 1<<28 + os.Getpid()<<8
	}
	s := &Sandbox{cfg: cfg, log: log, root: os.Geteuid() == 0}
	// What this process was started with may be inheritable; nothing of it is a task's.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	s.group = openGroups()
	s.proc = true
	err := s.Probe(ctx)
	if err != nil {
		// A container that hides parts of its /proc may not mount a new one either.
		// Compilers do without.
		s.proc = false
		if s.Probe(ctx) == nil {
			err = nil
		}
	}
	switch {
	case err == nil:
		log.Info("sandbox ready", zap.String("isolation", "bubblewrap"), zap.String("user", s.user()), zap.String("memory", s.group.kind()), zap.Bool("proc", s.proc))
		return s, nil
	case !cfg.AllowNone:
		return nil, fmt.Errorf("no working sandbox: %w (what it needs stands in pkg/sandbox/README.md)", err)
	}
	s.none = true
	if noneErr := s.checkNone(); noneErr != nil {
		return nil, errors.Join(noneErr, err)
	}
	log.Error("NO SANDBOX: sources of strangers run with this process's rights, because the configuration allows it", zap.Error(err))
	return s, nil
}

func (s *Sandbox) user() string {
	if s.root {
		return fmt.Sprintf("own uid from %d", s.cfg.UID)
	}
	return "user namespace"
}

// errOutput is why a task that says too much ends.
var errOutput = errors.New("too much output")

// maxStderr is how much of a task's standard error is kept.
const maxStderr = 64 << 10

// Run runs a task to its end. Cancelling ctx kills it and returns ctx's cause.
// An error is trouble of the machine or of the task's Input and Output, not of
// the script.
func (s *Sandbox) Run(ctx context.Context, t Task) (Exit, error) {
	b, err := s.start(ctx, t.Script, t.Limits)
	if err != nil {
		return Exit{}, err
	}
	return b.run(ctx, t)
}

// box is a sandbox that has started and waits for its standard input.
type box struct {
	cmd            *exec.Cmd
	in             io.WriteCloser
	out, err, note *os.File
	leash          *os.File // never written to, and open as long as the task may run
	group          *group
	none           bool
	free           func() // gives the user ID back
	kill           context.CancelCauseFunc
	killed         context.Context
}

// start makes a box. It must be followed by run.
func (s *Sandbox) start(ctx context.Context, script string, l Limits) (_ *box, err error) {
	b := &box{}
	b.killed, b.kill = context.WithCancelCause(ctx)
	uid, free := tasks.take(s.cfg.UID)
	b.free = free
	if b.none = s.none; s.none {
		b.free = s.takeJob()
	}
	var theirs, ours []*os.File
	defer func() {
		for _, f := range theirs {
			f.Close()
		}
		if err != nil {
			for _, f := range ours {
				f.Close()
			}
			b.group.remove()
			b.free()
			b.kill(err)
		}
	}()
	pipe := func() (r, w *os.File) {
		if err == nil {
			r, w, err = os.Pipe()
		}
		return r, w
	}
	inR, inW := pipe()
	outR, outW := pipe()
	errR, errW := pipe()
	noteR, noteW := pipe()
	filterR, filterW := pipe()
	leashR, leashW := pipe()
	theirs, ours = []*os.File{inR, outW, errW, noteW, filterR, leashR}, []*os.File{inW, outR, errR, noteR, filterW, leashW}
	if err != nil {
		return nil, err
	}
	if b.group, err = s.group.make(l, 0); err != nil {
		return nil, err
	}
	// The filter is smaller than a pipe's buffer: nobody needs to be reading yet.
	if _, err = filterW.Write(filter()); err != nil {
		return nil, err
	}
	filterW.Close()

	argv := s.command(script, l, uid, b.group)
	b.cmd = exec.CommandContext(b.killed, argv[0], argv[1:]...)
	b.cmd.Env = []string{"PATH=/usr/bin:/bin"}
	b.cmd.Dir = "/"
	if s.none {
		b.cmd.Dir = "/job"
	}
	b.cmd.Stdin, b.cmd.Stdout, b.cmd.Stderr = inR, outW, errW
	b.cmd.ExtraFiles = []*os.File{noteW, filterR, leashR} // from 3 on
	// Its own process group: a Ctrl-C at the terminal is the worker's to handle.
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	b.cmd.Cancel = func() error {
		b.group.kill()
		return syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	}
	b.in, b.out, b.err, b.note, b.leash = inW, outR, errR, noteR, leashW
	if err = b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the sandbox: %w", err)
	}
	return b, nil
}

// run feeds a box and waits for its end.
func (b *box) run(ctx context.Context, t Task) (Exit, error) {
	// bubblewrap dies with the thread that started it; this goroutine keeps the
	// thread until the task is over.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer b.free()
	defer b.leash.Close()
	clock := time.AfterFunc(t.Limits.Wall, func() { b.kill(limitError(WallLimit)) })
	defer clock.Stop()

	var streams sync.WaitGroup
	var inErr, outErr error
	streams.Go(func() {
		defer b.in.Close()
		if t.Input != nil {
			inErr = t.Input(b.in)
		}
	})
	streams.Go(func() {
		defer b.out.Close()
		r := &bounded{r: b.out, left: t.Limits.Output}
		outErr = t.Output(r)
		if r.left < 0 {
			outErr = nil
			b.kill(limitError(OutputLimit))
		}
		_, _ = io.Copy(io.Discard, &bounded{r: b.out, left: t.Limits.Output})
	})
	var stderr bytes.Buffer
	streams.Go(func() {
		defer b.err.Close()
		_, _ = io.CopyN(&stderr, b.err, maxStderr)
		_, _ = io.Copy(io.Discard, b.err)
	})
	streams.Go(func() {
		defer b.note.Close()
		readLines(b.note, t.Note)
	})

	waitErr := b.cmd.Wait()
	b.group.kill()
	if b.none { // no process namespace ends with the script
		_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	}
	streams.Wait()
	memory, oom := b.group.usage()
	b.group.remove()
	cause := context.Cause(b.killed)
	b.kill(nil)

	exit := Exit{Status: b.cmd.ProcessState.ExitCode(), Stderr: stderr.String(), Memory: memory}
	var limit limitError
	switch {
	case ctx.Err() != nil:
		return exit, context.Cause(ctx)
	case errors.As(cause, &limit):
		exit.Exceeded = Limit(limit)
		return exit, nil
	case oom:
		exit.Exceeded = MemoryLimit
		return exit, nil
	case exit.Status == 128+int(syscall.SIGXCPU):
		exit.Exceeded = CPULimit
		return exit, nil
	}
	var exitErr *exec.ExitError
	if waitErr != nil && !errors.As(waitErr, &exitErr) {
		return exit, waitErr
	}
	// A task that ended early leaves its input unread: that is its exit's matter.
	if inErr != nil && !errors.Is(inErr, syscall.EPIPE) {
		return exit, fmt.Errorf("hand the task in: %w", inErr)
	}
	if outErr != nil && exit.Status == 0 {
		return exit, fmt.Errorf("read what the task hands back: %w", outErr)
	}
	return exit, nil
}

// limitError is why a task was killed.
type limitError Limit

func (e limitError) Error() string { return string(e) + " limit exceeded" }
