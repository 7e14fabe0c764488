package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Unlinked is how many bytes of disk the program holds in files that have no name any
// more: whoever looks through the folders that it was given does not find them. A file
// that is mapped and not open counts as the largest that there can be. Needed for it is
// what ptrace needs: CAP_SYS_PTRACE where this process is root; without, it is 0.
func (p *Process) Unlinked() int64 {
	held := holdings{devices: p.devices, seen: map[inode]bool{}, largest: p.largest}
	if pid := int(p.init.Load()); pid > 0 && len(p.devices) > 0 {
		held.tree(pid)
	}
	return held.bytes
}

// inode is a file, wherever it is open.
type inode struct{ device, number uint64 }

// holdings adds up what processes hold.
type holdings struct {
	devices map[uint64]bool // the others are in memory, which is counted elsewhere
	seen    map[inode]bool
	largest int64
	bytes   int64
}

// tree adds a process and all that came of it.
func (h *holdings) tree(pid int) {
	dir := "/proc/" + strconv.Itoa(pid)
	h.open(dir + "/fd")
	h.mapped(dir + "/maps")
	tasks, _ := filepath.Glob(dir + "/task/*/children")
	for _, task := range tasks {
		children, _ := os.ReadFile(task) //nolint:gosec // below /proc
		for one := range strings.FieldsSeq(string(children)) {
			if child, err := strconv.Atoi(one); err == nil {
				h.tree(child)
			}
		}
	}
}

// open adds the files that are open and have no name.
func (h *holdings) open(dir string) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, name := range names {
		var st syscall.Stat_t
		if syscall.Stat(filepath.Join(dir, name.Name()), &st) != nil || st.Nlink > 0 || st.Mode&syscall.S_IFMT != syscall.S_IFREG {
			continue
		}
		h.add(inode{st.Dev, st.Ino}, st.Blocks*512)
	}
}

// mapped adds the others that are mapped: "address perms offset major:minor inode path (deleted)".
func (h *holdings) mapped(file string) {
	eachLine(file, func(line string) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(line, " (deleted)") || len(fields) < 6 {
			return
		}
		majorText, minorText, _ := strings.Cut(fields[3], ":")
		major, majorErr := strconv.ParseUint(majorText, 16, 32)
		minor, minorErr := strconv.ParseUint(minorText, 16, 32)
		number, err := strconv.ParseUint(fields[4], 10, 64)
		if majorErr == nil && minorErr == nil && err == nil {
			h.add(inode{unix.Mkdev(uint32(major), uint32(minor)), number}, h.largest)
		}
	})
}

func (h *holdings) add(file inode, bytes int64) {
	if !h.devices[file.device] || h.seen[file] {
		return
	}
	h.seen[file] = true
	h.bytes += bytes
}

// devicesOf are those that a program can write to.
func devicesOf(mounts []Mount) map[uint64]bool {
	devices := map[uint64]bool{}
	for _, m := range mounts {
		var st syscall.Stat_t
		if m.Writable && m.From != "" && syscall.Stat(m.From, &st) == nil {
			devices[st.Dev] = true
		}
	}
	return devices
}
