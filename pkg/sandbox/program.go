package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Program is an executable of a stranger's that may run for long: until it ends,
// or its context does.
type Program struct {
	// Executable is read from its beginning; inside it is the file /program.
	Executable *os.File
	// Args follow the program's name; Env is all that it has of an environment.
	Args, Env []string
	// Mounts are made in their order, on a root that cannot be written.
	Mounts []Mount
	// Files are its descriptors from 0 on; three to six. They and Executable stay the
	// caller's to close.
	Files []*os.File
	// Limits of a program are Memory (of each process even where the whole is
	// limited, so that an exhausted heap is an error that it sees), Processes,
	// FileSize and Disk (of its /tmp). Stack is the size of a thread's.
	Limits Limits
	Stack  int64
	// CPU is its share of one processor, 0 for no limit: counted by the second.
	// Besides, where others want the processor, it comes last.
	CPU float64
}

// Mount is something of this machine inside a sandbox, or, without From, an empty
// file system in memory.
type Mount struct {
	From, To string
	// Writable gives what is there to the program: as root, every file and folder
	// of it gets the program's user ID, without following a link.
	Writable bool
	// Size in bytes of a file system in memory.
	Size int64
}

// Process is a program that was started.
type Process struct {
	done   chan struct{}
	status int
	oom    bool

	init    atomic.Int64    // the first process of its namespace, 0 while nobody knows
	devices map[uint64]bool // of the disks that it can write to
	largest int64           // that a file of its can be
}

// Done is closed when the program and everything that it started is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for Done. The status is the program's exit status, 128 and the
// signal's number where one ended it; oom says that it met its memory limit.
func (p *Process) Wait() (status int, oom bool) {
	<-p.done
	return p.status, p.oom
}

// errNone: not even the operator's word is enough for this.
var errNone = errors.New("programs are not run without a sandbox")

// Start starts a program. When ctx ends it is killed. An error is trouble of the
// machine; that the program itself cannot be run is its status.
func (s *Sandbox) Start(ctx context.Context, p Program) (_ *Process, err error) {
	if s.none {
		return nil, errNone
	}
	if len(p.Files) < 3 || len(p.Files) > 6 {
		return nil, errors.New("a program has descriptors 0, 1 and 2, and at most three more")
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	r := &running{box: s, program: p}
	var executable, filterR, filterW, infoW, leashR *os.File
	r.uid, r.free = tasks.take(s.cfg.UID)
	defer func() {
		for _, f := range []*os.File{executable, filterR, filterW, infoW, leashR} {
			if f != nil {
				f.Close()
			}
		}
		if err != nil {
			r.tidy()
		}
	}()
	if s.root {
		for _, m := range p.Mounts {
			if m.Writable && m.From != "" {
				if err := give(m.From, r.uid); err != nil {
					return nil, fmt.Errorf("give the program what is its own: %w", err)
				}
			}
		}
	}
	// Opened anew: with a position of its own, as many may run the same file.
	if executable, err = os.Open(fmt.Sprintf("/proc/self/fd/%d", p.Executable.Fd())); err != nil {
		return nil, err
	}
	if filterR, filterW, err = os.Pipe(); err != nil {
		return nil, err
	}
	if r.info, infoW, err = os.Pipe(); err != nil {
		return nil, err
	}
	if leashR, r.leash, err = os.Pipe(); err != nil {
		return nil, err
	}
	if r.group, err = s.group.make(p.Limits, p.CPU); err != nil {
		return nil, err
	}
	// Without fallocate a disk fills no faster than it is written to.
	if _, err = filterW.Write(filter(unix.SYS_FALLOCATE)); err != nil {
		return nil, err
	}

	r.command(executable, filterR, infoW, leashR)
	started := make(chan error)
	process := &Process{done: make(chan struct{}), devices: devicesOf(p.Mounts), largest: p.Limits.FileSize}
	go func() {
		// bubblewrap dies with the thread that started it: this one is kept until
		// the program is over.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := r.cmd.Start(); err != nil {
			started <- fmt.Errorf("start the sandbox: %w", err)
			return
		}
		started <- nil
		process.status, process.oom = r.wait(ctx, &process.init)
		close(process.done)
	}()
	if err = <-started; err != nil {
		return nil, err
	}
	return process, nil
}

// running is what there is of a program that runs.
type running struct {
	box     *Sandbox
	program Program
	cmd     *exec.Cmd
	info    *os.File // where bubblewrap says which process it made
	leash   *os.File // never written to, and open as long as the program may run
	group   *group
	uid     int
	free    func()
}

func (r *running) tidy() {
	for _, f := range []*os.File{r.info, r.leash} {
		if f != nil {
			f.Close()
		}
	}
	r.group.remove()
	r.free()
}

func (r *running) command(executable, filter, info, leash *os.File) {
	p, s := r.program, r.box
	next := len(p.Files)
	argv := append(join(r.group), "/usr/bin/nice", "-n", "19")
	argv = append(argv, s.isolate(next, p.Limits.Disk)...)
	argv = append(argv, "--info-fd", strconv.Itoa(next+1), "--perms", "0555", "--ro-bind-data", strconv.Itoa(next+2), "/program")
	for _, m := range p.Mounts {
		switch {
		case m.From == "":
			argv = append(argv, "--perms", "1777", "--size", strconv.FormatInt(m.Size, 10), "--tmpfs", m.To)
		case m.Writable:
			argv = append(argv, "--bind", m.From, m.To)
		default:
			argv = append(argv, "--ro-bind", m.From, m.To)
		}
	}
	argv = append(argv, "--remount-ro", "/", "--chdir", "/tmp", "--")
	// Fewer files than a compiler's: what is open, or on its way through a socket, can take
	// disk without a name to find it by.
	head := s.leash(next+3) + limits(p.Limits, false) + "ulimit -n 128; "
	if p.Stack > 0 {
		head += fmt.Sprintf("ulimit -s %d; ", p.Stack/1024)
	}
	run := append([]string{"/bin/sh", "-c", head + `exec /usr/bin/env -i "$@"`, "sh"}, p.Env...)
	argv = append(argv, s.as(r.uid, append(append(run, "/program"), p.Args...))...)

	r.cmd = exec.Command(argv[0], argv[1:]...) //nolint:noctx // wait ends it, from the inside
	r.cmd.Env = []string{"PATH=/usr/bin:/bin"}
	r.cmd.Dir = "/"
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = p.Files[0], p.Files[1], p.Files[2]
	r.cmd.ExtraFiles = append(slices.Clone(p.Files[3:]), filter, info, executable, leash)
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

// wait waits for the program's end, which it brings about when ctx ends.
func (r *running) wait(ctx context.Context, known *atomic.Int64) (status int, oom bool) {
	over := make(chan struct{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		init := r.init()
		if init != nil {
			known.Store(int64(init.pid))
			defer known.Store(0) // the number may be another's then
		}
		if init != nil && r.program.CPU > 0 && !r.group.paced {
			defer r.box.pacer.add(init.pid, r.program.CPU)()
		}
		select {
		case <-over:
		case <-ctx.Done():
		}
		// bubblewrap ends with the program's status; what the program left behind ends
		// with the first process of its namespace, and only then is that one gone.
		if !init.end() {
			_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		}
	}()
	_ = r.cmd.Wait()
	close(over)
	<-gone
	r.group.kill()
	_, oom = r.group.usage()
	r.tidy()
	state := r.cmd.ProcessState
	if status = state.ExitCode(); status < 0 {
		if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
			status = 128 + int(w.Signal())
		}
	}
	return status, oom
}

// killPatience is how long killing a namespace may take.
const killPatience = 5 * time.Second

// namespaceInit is the first process of a program's process namespace.
type namespaceInit struct {
	pid int
	fd  int
}

// init reads which process it is; nil where bubblewrap failed before it made one.
func (r *running) init() *namespaceInit {
	var info struct {
		PID int `json:"child-pid"`
	}
	if err := json.NewDecoder(r.info).Decode(&info); err != nil || info.PID <= 1 {
		return nil
	}
	fd, err := unix.PidfdOpen(info.PID, 0)
	if err != nil {
		return nil
	}
	return &namespaceInit{info.PID, fd}
}

// end kills the whole namespace and reports whether it is gone.
func (n *namespaceInit) end() bool {
	if n == nil {
		return false
	}
	defer func() { _ = unix.Close(n.fd) }()
	_ = unix.PidfdSendSignal(n.fd, unix.SIGKILL, nil, 0) // it may be gone already
	for deadline := time.Now().Add(killPatience); ; {
		left := time.Until(deadline)
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLIN}}, int(max(0, left.Milliseconds())))
		if ready > 0 {
			return true
		}
		if left <= 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
	}
}

// maxGiven is how many files and folders a program may be given.
const maxGiven = 10000

// give makes a file, or a folder with everything in it, a user's. It follows no
// link, as whoever had it before may have put any there.
func give(path string, uid int) error {
	root, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(root) }()
	left := maxGiven
	return giveAt(root, uid, &left)
}

func giveAt(fd, uid int, left *int) error {
	if *left--; *left < 0 {
		return fmt.Errorf("more than %d files", maxGiven)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if err := unix.Fchownat(fd, "", uid, uid, unix.AT_EMPTY_PATH|unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	folder, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	list := os.NewFile(uintptr(folder), "")
	defer list.Close()
	for {
		names, err := list.Readdirnames(100)
		if len(names) == 0 || err != nil {
			return nil
		}
		for _, name := range names {
			child, err := unix.Openat(folder, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			err = giveAt(child, uid, left)
			_ = unix.Close(child)
			if err != nil {
				return err
			}
		}
	}
}
