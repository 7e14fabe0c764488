package sandbox

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// pacer holds programs to their share of the processor where no control group
// does: it looks at what they used, stops those that had too much, and lets them
// go on when they have made up for it. The zero value is ready.
type pacer struct {
	mu     sync.Mutex
	paced  map[int]*budget // by the first process of the namespace
	active bool
}

// budget is a program's account.
type budget struct {
	share   float64
	left    time.Duration // of processor time; below zero it is stopped
	used    time.Duration // so far, as of the last look
	seen    time.Time
	stopped bool
}

const (
	// paceEvery is how often the pacer looks: it reads all of /proc each time.
	paceEvery = 100 * time.Millisecond
	tick      = time.Second / 100 // the unit of /proc/<pid>/stat
)

// add begins to pace a program; call the result when it is over.
func (p *pacer) add(pid int, share float64) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paced == nil {
		p.paced = map[int]*budget{}
	}
	p.paced[pid] = &budget{share: share, left: time.Duration(share * float64(pace)), seen: time.Now()}
	if !p.active {
		p.active = true
		go p.run()
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.paced, pid)
	}
}

func (p *pacer) run() {
	for clock := time.NewTicker(paceEvery); ; <-clock.C {
		p.mu.Lock()
		if len(p.paced) == 0 {
			p.active = false
			p.mu.Unlock()
			clock.Stop()
			return
		}
		p.look(time.Now())
		p.mu.Unlock()
	}
}

// look settles every account; the caller holds mu.
func (p *pacer) look(now time.Time) {
	trees := processTrees()
	for pid, b := range p.paced {
		processes := trees.below(pid)
		used := time.Duration(0)
		for _, one := range processes {
			used += one.used
		}
		limit := 2 * time.Duration(b.share*float64(pace))
		b.left += time.Duration(float64(now.Sub(b.seen)) * b.share)
		b.left = min(b.left-max(0, used-b.used), limit)
		b.used, b.seen = max(used, b.used), now
		switch {
		case b.left < 0:
			// Again at each look: somebody may have been born meanwhile.
			b.stopped = true
			signalAll(processes[min(1, len(processes)):], syscall.SIGSTOP)
		case b.stopped:
			b.stopped = false
			signalAll(processes, syscall.SIGCONT)
		}
	}
}

func signalAll(processes []process, signal syscall.Signal) {
	for _, one := range processes {
		_ = syscall.Kill(one.pid, signal)
	}
}

// process is what the pacer knows of one.
type process struct {
	pid, parent int
	used        time.Duration // with what its children used that are gone
}

// tree is every process, by its parent.
type tree map[int][]process

// processTrees reads /proc.
func processTrees() tree {
	all := tree{}
	proc, err := os.Open("/proc")
	if err != nil {
		return all
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if one, ok := readStat(pid); ok {
				all[one.parent] = append(all[one.parent], one)
			}
		}
	}
	return all
}

func readStat(pid int) (process, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	end := bytes.LastIndexByte(text, ')') // of the name, which may hold anything
	if err != nil || end < 0 {
		return process{}, false
	}
	fields := bytes.Fields(text[end+1:]) // from the state on
	if len(fields) < 15 {
		return process{}, false
	}
	one := process{pid: pid}
	one.parent, _ = strconv.Atoi(string(fields[1]))
	for _, f := range fields[11:15] { // user, system, and the children's
		ticks, _ := strconv.ParseInt(string(f), 10, 64)
		one.used += time.Duration(ticks) * tick
	}
	return one, true
}

// below returns a process and all that came of it, it first.
func (t tree) below(pid int) []process {
	one, ok := readStat(pid)
	if !ok {
		return nil
	}
	found := []process{one}
	for i := 0; i < len(found); i++ {
		found = append(found, t[found[i].pid]...)
	}
	return found
}
