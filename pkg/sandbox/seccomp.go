package sandbox

import (
	"encoding/binary"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"
)

// denied are system calls that no compiler needs and that holes in kernels were
// reached through. A new user namespace above all would give back what is
// dropped.
var denied = []uint32{
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT,
	unix.SYS_FSOPEN, unix.SYS_FSMOUNT, unix.SYS_FSCONFIG, unix.SYS_FSPICK, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_MOUNT_SETATTR,
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP,
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY,
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD,
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_KEXEC_LOAD, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_REBOOT,
	unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_OPEN_BY_HANDLE_AT,
}

// families are those of sockets that reach no further than the sandbox's own network,
// which has nothing in it. Others are of no namespace: by AF_VSOCK a virtual machine
// talks to its host.
var families = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// Offsets in what a filter sees of a call.
const (
	callNumber = 0
	callArch   = 4
	callArg0   = 16 // low half: both architectures are little-endian
)

// filter is the seccomp program in the kernel's form; besides denied, it denies more.
func filter(more ...uint32) []byte {
	arch := uint32(unix.AUDIT_ARCH_X86_64)
	if runtime.GOARCH == "arm64" {
		arch = unix.AUDIT_ARCH_AARCH64
	}
	fail := func(errno uint32) uint32 { return unix.SECCOMP_RET_ERRNO | errno }
	var p []unix.SockFilter
	load := func(offset uint32) {
		p = append(p, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
	}
	answer := func(value uint32) { p = append(p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: value}) }
	// unless skips the next instruction when the test holds not.
	unless := func(test uint16, value uint32) {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, K: value, Jf: 1})
	}

	load(callArch)
	p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jt: 1})
	answer(unix.SECCOMP_RET_KILL_PROCESS)
	load(callNumber)
	unless(unix.BPF_JGE, 0x40000000) // the x32 calls
	answer(fail(uint32(unix.ENOSYS)))
	unless(unix.BPF_JEQ, unix.SYS_CLONE3) // its flags are in memory; the C library then takes clone
	answer(fail(uint32(unix.ENOSYS)))
	for _, call := range append(slices.Clone(denied), more...) {
		unless(unix.BPF_JEQ, call)
		answer(fail(uint32(unix.EPERM)))
	}
	p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_CLONE, Jf: 4})
	load(callArg0)
	unless(unix.BPF_JSET, namespaces)
	answer(fail(uint32(unix.EPERM)))
	answer(unix.SECCOMP_RET_ALLOW)
	p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: uint8(2 + 2*len(families))})
	load(callArg0)
	for _, family := range families {
		unless(unix.BPF_JEQ, family)
		answer(unix.SECCOMP_RET_ALLOW)
	}
	answer(fail(uint32(unix.EAFNOSUPPORT)))
	answer(unix.SECCOMP_RET_ALLOW)

	var raw []byte
	for _, i := range p {
		raw = binary.NativeEndian.AppendUint16(raw, i.Code)
		raw = append(raw, i.Jt, i.Jf)
		raw = binary.NativeEndian.AppendUint32(raw, i.K)
	}
	return raw
}
