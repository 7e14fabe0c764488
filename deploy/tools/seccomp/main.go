// Command seccomp prints the profile that a compile worker's container needs:
// Docker's default one, with what bubblewrap calls to make a sandbox without
// privileges. Inside a user namespace these calls reach nothing of the host's.
//
//	go run . >../../docker/seccomp-compiler.json
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func main() {
	profile := seccomp.DefaultProfile()
	profile.Syscalls = append(profile.Syscalls, &seccomp.Syscall{
		LinuxSyscall: forSandbox,
		Comment:      "bubblewrap: namespaces, their mounts, and the host name inside",
	})
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "\t")
	if err := out.Encode(profile); err != nil {
		log.Fatal(err)
	}
}

// clone3 stays answered with ENOSYS, as by default: glibc then uses clone, whose flags a filter can read.
var forSandbox = specs.LinuxSyscall{
	Names:  []string{"clone", "mount", "pivot_root", "setns", "sethostname", "umount2", "unshare"},
	Action: specs.ActAllow,
}
