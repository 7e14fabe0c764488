package virtual

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/firmware/chip"
	"github.com/flota/flota/pkg/sandbox"
)

// Where things are in a sketch's world.
const (
	inside    = "/board"
	socketDir = inside + "/net"
	wayOut    = socketDir + "/out"
)

const (
	processes = 64
	// A Pico has one program, and what starts it.
	picoProcesses = 8
	picoMemory    = 32 << 20
	picoBaud      = 921600          // its port is its own USB
	picoNudge     = 4 * time.Second // what a start takes on a busy machine
	stack         = 1 << 20         // of a thread
	scratch       = 1 << 20         // /tmp
	netFolder     = 64 << 10
	overlooked    = 250 * time.Millisecond // how often the size of the storage is looked at
)

// start is the chip's way to start a sketch: in the sandbox. Of its folder it sees
// everything and can change what its storage is, none of which it can put anything else in
// the place of: the flash, the memory that outlives deep sleep, and an ESP32's storage and
// files. Its sockets are in memory, beside the way out.
func (m *machine) start(_ context.Context, e chip.Exec) (chip.Process, error) {
	if _, err := settle(m.dir, m.storage); err != nil {
		return nil, err
	}
	mounts := []sandbox.Mount{{From: m.dir, To: inside}}
	if m.pico != nil {
		mounts = append(mounts, sandbox.Mount{From: m.pico.Dir, To: micropython})
	}
	for _, name := range m.storage {
		mounts = append(mounts, sandbox.Mount{From: filepath.Join(m.dir, name), To: inside + "/" + name, Writable: true})
	}
	mounts = append(mounts, sandbox.Mount{To: socketDir, Size: netFolder}, sandbox.Mount{From: m.socket, To: wayOut})
	// The chip's context is about starting only: what runs ends by Kill.
	ctx, kill := context.WithCancel(context.Background())
	limits := m.limits
	limits.Disk = scratch
	process, err := m.shop.Box.Start(ctx, sandbox.Program{
		Executable: e.Program, Args: e.Args,
		Env:    append([]string{"BOARD_DIR=" + inside, "PATH=/usr/bin:/bin"}, e.Env...),
		Files:  []*os.File{e.Stdin, e.Serial, e.Serial, e.Control},
		Mounts: mounts,
		Limits: limits,
		Stack:  stack, CPU: m.shop.CPU,
	})
	if err != nil {
		kill()
		return nil, err
	}
	r := &running{machine: m, process: process, kill: kill}
	go r.watch()
	return r, nil
}

// running implements chip.Process.
type running struct {
	machine *machine
	process *sandbox.Process
	kill    context.CancelFunc
	full    atomic.Bool // it was ended for its storage
}

// Kill implements chip.Process.
func (r *running) Kill() { r.kill() }

// Wait implements chip.Process.
func (r *running) Wait() chip.Exit {
	status, oom := r.process.Wait()
	r.kill()
	m := r.machine
	if oom {
		m.say("out of memory: a board has %d MiB", m.limits.Memory>>20)
	}
	if removed, err := settle(m.dir, m.storage); err != nil {
		m.log.Warn("a board's storage", zap.Error(err))
	} else if removed > 0 {
		m.say("storage full: %d files were removed", removed)
	} else if r.full.Load() {
		m.say("storage full: of files that it had removed itself and kept open")
	}
	if status > 128 && status < 128+65 {
		return chip.Exit{Signal: syscall.Signal(status - 128)}
	}
	return chip.Exit{Status: status}
}

// watch ends a sketch whose storage grows beyond what there is.
func (r *running) watch() {
	clock := time.NewTicker(overlooked)
	defer clock.Stop()
	for {
		select {
		case <-r.process.Done():
			return
		case <-clock.C:
			if overfull(r.machine.dir, r.process.Unlinked()) {
				r.full.Store(true)
				r.kill()
				return
			}
		}
	}
}

// say prints what a chip's own boot ROM would.
func (m *machine) say(format string, args ...any) {
	_, _ = fmt.Fprintf(&m.port, "\r\n"+format+"\r\n", args...)
}
