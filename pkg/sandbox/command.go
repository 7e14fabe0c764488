package sandbox

import (
	"fmt"
	"strconv"
	"strings"
)

// SourceDate is the moment at which every build happens, for compilers that put
// the date into what they make: 2000-01-01 00:00:00 UTC, in unix seconds.
const SourceDate = 946684800

// environment is all that a task sees of one.
var environment = [][2]string{
	{"PATH", "/usr/bin:/bin"},
	{"HOME", "/tmp"},
	{"TMPDIR", "/tmp"},
	{"LC_ALL", "C"},
	{"TZ", "UTC"},
	{"SOURCE_DATE_EPOCH", strconv.Itoa(SourceDate)},
	{"PYTHONDONTWRITEBYTECODE", "1"},
}

// command returns the whole command line of a task: join the cgroups, become
// another user, isolate, set the limits, run the script.
func (s *Sandbox) command(script string, l Limits, uid int, g *group) []string {
	run := []string{"/bin/sh", "-c", s.leash(5) + limits(l, g.limitsMemory()) + script}
	if s.none {
		argv := append(join(g), "/usr/bin/env", "-i")
		for _, v := range environment {
			argv = append(argv, v[0]+"="+v[1])
		}
		return append(argv, run...)
	}
	argv := append(join(g), s.isolate(4, l.Disk)...)
	argv = append(argv, "--perms", "1777", "--size", strconv.FormatInt(l.Disk, 10), "--tmpfs", "/job", "--remount-ro", "/", "--chdir", "/job")
	for _, v := range environment {
		argv = append(argv, "--setenv", v[0], v[1])
	}
	return append(append(argv, "--"), s.as(uid, run)...)
}

// join is the head of a command line: whatever follows is in the control groups.
// It is joined before anything is started, by the process itself: what it starts
// is then counted from the first byte on.
func join(g *group) []string {
	files := g.procs()
	if len(files) == 0 {
		return nil
	}
	argv := []string{"/bin/sh", "-c", `until [ "$1" = -- ]; do echo $$ >"$1" || exit 120; shift; done; shift; exec "$@"`, "sh"}
	return append(append(argv, files...), "--")
}

// isolate is bubblewrap and what every task has in common; the filter comes on
// descriptor filter, /tmp has so many bytes.
func (s *Sandbox) isolate(filter int, tmp int64) []string {
	argv := []string{
		"bwrap", "--die-with-parent", "--new-session", "--clearenv", "--seccomp", strconv.Itoa(filter),
		"--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "flota", "--cap-drop", "ALL",
	}
	if s.proc {
		// How the machine's kernel was started can hold secrets, and a sketch can
		// have it quoted in an error: #include "/proc/cmdline".
		argv = append(argv, "--proc", "/proc", "--ro-bind", "/dev/null", "/proc/cmdline")
	}
	if s.root {
		argv = append(argv, "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID") // for as
	} else {
		argv = append(argv, "--unshare-user", "--disable-userns")
	}
	argv = append(argv,
		"--ro-bind", "/usr", "/usr", "--tmpfs", "/usr/local", "--remount-ro", "/usr/local",
		"--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
		"--perms", "0755", "--dir", "/etc", "--ro-bind-try", "/etc/alternatives", "/etc/alternatives",
		"--dev", "/dev", "--remount-ro", "/dev",
		"--perms", "1777", "--size", strconv.FormatInt(tmp, 10), "--tmpfs", "/tmp")
	if s.cfg.Toolchain != "" {
		argv = append(argv, "--ro-bind", s.cfg.Toolchain, "/toolchain")
	}
	return argv
}

// as runs a command as the task's user. As root the user is changed inside, by
// setpriv: bubblewrap needs its rights to mount folders that only root can reach.
func (s *Sandbox) as(uid int, run []string) []string {
	if !s.root {
		return run
	}
	id := strconv.Itoa(uid)
	return append([]string{"/usr/bin/setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--inh-caps", "-all", "--ambient-caps", "-all"}, run...)
}

// leash is the head of a script that ends everything when the other end of a pipe is
// closed, as when we are killed. bubblewrap dies with whoever started it, but only from
// the moment on at which each of its processes asked the kernel for that; whoever is
// killed before would leave a sandbox behind for ever. The descriptor has one digit, as
// the shell knows no others. The one who waits is nobody's child whom the task might
// wait for.
func (s *Sandbox) leash(descriptor int) string {
	all := "-1" // of the process namespace
	if s.none {
		all = "0" // of the process group
	}
	return fmt.Sprintf("((read -r _; kill -KILL %s) <&%[2]d >/dev/null 2>&1 3>&- %[2]d<&- &); exec %[2]d<&-; ", all, descriptor)
}

// limits is the head of a script that sets the limits of each process. At its CPU
// limit a process gets SIGXCPU, of which gcc tells, and two seconds on SIGKILL. The
// memory limit of processes is RLIMIT_DATA, not RLIMIT_AS: Go programs such as
// arduino-cli reserve far more address space than they use, and panic.
func limits(l Limits, memoryLimited bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ulimit -c 0; ulimit -n 512; ulimit -f %d; ", l.FileSize/512)
	if l.CPU > 0 {
		fmt.Fprintf(&b, "ulimit -S -t %d; ulimit -H -t %d; ", int64(l.CPU.Seconds()), int64(l.CPU.Seconds())+2)
	}
	if l.Processes > 0 {
		fmt.Fprintf(&b, "ulimit -p %d; ", l.Processes+1) // one holds the leash
	}
	if l.Memory > 0 && !memoryLimited {
		fmt.Fprintf(&b, "ulimit -d %d; ", l.Memory/1024)
	}
	return b.String()
}
