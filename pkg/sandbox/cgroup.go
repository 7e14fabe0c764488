package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// groups makes control groups below this process's own, in whichever hierarchy
// has the memory controller and lets us. There may be none.
type groups struct {
	version int // 1, 2, or 0 for none
	memory  string
	pids    string // version 1 only: its own hierarchy, where there is one
	cpu     string // the same in version 1; in version 2 that of memory; or ""
}

// groupNumber tells the groups of a process apart, whichever sandbox they are of.
var groupNumber atomic.Int64

// group is one task's.
type group struct {
	of    *groups
	dirs  []string // the first has the memory controller
	paced bool     // its share of the processor is limited
}

const groupPrefix = "flota-"

// openGroups looks for a usable memory controller: version 1, then version 2.
func openGroups() *groups {
	mounts, own := cgroupMounts(), ownCgroups()
	g := &groups{}
	if m, ok := mounts["memory"]; ok && usable(m.dir(own["memory"]), "memory.limit_in_bytes") {
		g.version, g.memory = 1, m.dir(own["memory"])
		if m, ok := mounts["pids"]; ok && usable(m.dir(own["pids"]), "pids.max") {
			g.pids = m.dir(own["pids"])
		}
		if m, ok := mounts["cpu"]; ok && usable(m.dir(own["cpu"]), "cpu.cfs_quota_us") {
			g.cpu = m.dir(own["cpu"])
		}
	} else if m, ok := mounts[""]; ok {
		base := m.dir(own[""])
		// Allowed only where no process is in the group itself; if not, the check says so.
		_ = os.WriteFile(filepath.Join(base, "cgroup.subtree_control"), []byte("+memory +pids"), 0)
		_ = os.WriteFile(filepath.Join(base, "cgroup.subtree_control"), []byte("+cpu"), 0)
		if usable(base, "memory.max") {
			g.version, g.memory = 2, base
			if usable(base, "cpu.max") {
				g.cpu = base
			}
		}
	}
	for _, dir := range []string{g.memory, g.pids, g.cpu} {
		sweep(dir)
	}
	return g
}

func (g *groups) kind() string {
	if g.version == 0 {
		return "limit of each process (no memory cgroup)"
	}
	return fmt.Sprintf("cgroup v%d", g.version)
}

// usable tells whether a child of dir can be made and has the file.
func usable(dir, file string) bool {
	child, err := os.MkdirTemp(dir, fmt.Sprintf("%s%d-try-", groupPrefix, os.Getpid()))
	if err != nil {
		return false
	}
	defer func() { _ = os.Remove(child) }()
	f, err := os.OpenFile(filepath.Join(child, file), os.O_WRONLY, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// sweep removes the groups of processes that are gone.
func sweep(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, groupPrefix+"*"))
	for _, d := range left {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(d), groupPrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			_ = syscall.Rmdir(d)
		}
	}
}

// pace is the time over which a share of the processor is counted: who was idle
// for so long may then do as much at once, and more than twice as much never.
const pace = time.Second

// make makes a task's group and sets its limits; share is of one processor, 0 for
// no limit.
func (g *groups) make(l Limits, share float64) (*group, error) {
	one := &group{of: g}
	if g.version == 0 {
		return one, nil
	}
	name := fmt.Sprintf("%s%d-%d", groupPrefix, os.Getpid(), groupNumber.Add(1))
	one.dirs = []string{filepath.Join(g.memory, name)}
	if g.pids != "" {
		one.dirs = append(one.dirs, filepath.Join(g.pids, name))
	}
	one.paced = share > 0 && g.cpu != ""
	if one.paced && g.cpu != g.memory {
		one.dirs = slices.Insert(one.dirs, 1, filepath.Join(g.cpu, name))
	}
	for _, dir := range one.dirs {
		if err := os.Mkdir(dir, 0o755); err != nil {
			one.remove()
			return nil, fmt.Errorf("make a control group: %w", err)
		}
	}
	var err error
	set := func(dir, file string, value int64, optional bool) {
		if value <= 0 {
			return
		}
		writeErr := os.WriteFile(filepath.Join(dir, file), strconv.AppendInt(nil, value, 10), 0)
		if writeErr != nil && !optional {
			err = errors.Join(err, writeErr)
		}
	}
	memory, pids := one.dirs[0], one.dirs[0]
	if g.pids != "" {
		pids = one.dirs[len(one.dirs)-1]
	}
	if g.version == 1 {
		set(memory, "memory.limit_in_bytes", l.Memory, false)
		set(memory, "memory.memsw.limit_in_bytes", l.Memory, true) // no swap, where it is counted
	} else {
		set(memory, "memory.max", l.Memory, false)
		_ = os.WriteFile(filepath.Join(memory, "memory.swap.max"), []byte("0"), 0)
		_ = os.WriteFile(filepath.Join(memory, "memory.oom.group"), []byte("1"), 0)
	}
	set(pids, "pids.max", int64(l.Processes)+1, true) // one holds the leash
	if quota := int64(share * float64(pace.Microseconds())); one.paced && g.version == 1 {
		cpu := one.dirs[1]
		set(cpu, "cpu.cfs_period_us", pace.Microseconds(), false)
		set(cpu, "cpu.cfs_quota_us", quota, false)
		set(cpu, "cpu.cfs_burst_us", quota, true) // newer kernels only
		set(cpu, "cpu.shares", 102, true)         // a tenth of others': among groups no nice counts
	} else if one.paced {
		if limitErr := os.WriteFile(filepath.Join(memory, "cpu.max"), fmt.Appendf(nil, "%d %d", quota, pace.Microseconds()), 0); limitErr != nil {
			err = errors.Join(err, limitErr)
		}
		set(memory, "cpu.max.burst", quota, true)
		set(memory, "cpu.weight", 10, true)
	}
	if err != nil {
		one.remove()
		return nil, fmt.Errorf("limit a control group: %w", err)
	}
	return one, nil
}

func (g *group) limitsMemory() bool { return len(g.dirs) > 0 }

// procs are the files that a process writes its ID to, to join.
func (g *group) procs() []string {
	var files []string
	for _, d := range g.dirs {
		files = append(files, filepath.Join(d, "cgroup.procs"))
	}
	return files
}

// usage returns the highest use of memory, and whether the limit killed somebody.
func (g *group) usage() (peak int64, oom bool) {
	if !g.limitsMemory() {
		return 0, false
	}
	peakFile, eventFile := "memory.max_usage_in_bytes", "memory.oom_control"
	if g.of.version == 2 {
		peakFile, eventFile = "memory.peak", "memory.events"
	}
	text, _ := os.ReadFile(filepath.Join(g.dirs[0], peakFile))
	peak, _ = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	events, _ := os.ReadFile(filepath.Join(g.dirs[0], eventFile))
	for line := range strings.SplitSeq(string(events), "\n") {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok && n != "0" {
			oom = true
		}
	}
	return peak, oom
}

// kill ends every process of the group.
func (g *group) kill() {
	if g == nil || !g.limitsMemory() {
		return
	}
	for range 1000 {
		text, err := os.ReadFile(filepath.Join(g.dirs[0], "cgroup.procs"))
		pids := strings.Fields(string(text))
		if err != nil || len(pids) == 0 {
			return
		}
		for _, p := range pids {
			if pid, err := strconv.Atoi(p); err == nil && pid > 1 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// remove removes the group; the kernel may need a moment after the last process.
func (g *group) remove() {
	if g == nil {
		return
	}
	for _, dir := range slices.Backward(g.dirs) {
		for range 100 {
			if err := syscall.Rmdir(dir); !errors.Is(err, syscall.EBUSY) {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// mount is where a hierarchy can be seen; in a container from a root further down.
type mount struct{ root, point string }

// dir is the folder of a group.
func (m mount) dir(path string) string {
	return filepath.Join(m.point, strings.TrimPrefix(path, strings.TrimSuffix(m.root, "/")))
}

// cgroupMounts returns where each version 1 controller is mounted, and version 2
// as "".
func cgroupMounts() map[string]mount {
	mounts := map[string]mount{}
	eachLine("/proc/self/mountinfo", func(line string) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			return
		}
		switch kind[0] {
		case "cgroup2":
			mounts[""] = mount{fields[3], fields[4]}
		case "cgroup":
			for controller := range strings.SplitSeq(kind[2], ",") {
				mounts[controller] = mount{fields[3], fields[4]}
			}
		}
	})
	return mounts
}

// ownCgroups returns this process's path in each hierarchy.
func ownCgroups() map[string]string {
	own := map[string]string{}
	eachLine("/proc/self/cgroup", func(line string) {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) < 3 {
			return
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			own[controller] = parts[2]
		}
	})
	return own
}

func eachLine(file string, f func(string)) {
	r, err := os.Open(file)
	if err != nil {
		return
	}
	defer r.Close()
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f(lines.Text())
	}
}
