package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Probe runs a small task and checks that it was isolated: another user without
// capabilities, no network but its own loopback, no other process, nothing of
// the machine but /usr, nowhere to write but /job and /tmp.
func (s *Sandbox) Probe(ctx context.Context) error {
	if s.none {
		return errors.New("there is no isolation")
	}
	secret, err := os.CreateTemp("", "flota-probe-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(secret.Name()) }()
	defer secret.Close()
	toolchain := `[ ! -e /toolchain ] || echo "there is a toolchain"`
	if s.cfg.Toolchain != "" {
		toolchain = `[ -r /toolchain ] || echo "the toolchain cannot be read"`
	}
	// Each line is a hole.
	script := `
[ ! -e ` + secret.Name() + ` ] || echo "the machine's /tmp is visible"
[ ! -e /etc/passwd ] || echo "the machine's /etc is visible"
! touch /usr/x /toolchain/x /x 2>/dev/null || echo "the system is writable"
if [ -e /proc/self/status ]; then
  [ "$(grep -c : /proc/net/dev)" -le 1 ] || echo "there is a network"
  grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status || echo "there are capabilities"
  grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/self/status || echo "privileges can be gained"
  grep -q '^Seccomp:[[:space:]]*2$' /proc/self/status || echo "there is no system call filter"
fi
! unshare -U true 2>/dev/null || echo "user namespaces can be made"
! kill -0 ` + fmt.Sprint(os.Getpid()) + ` 2>/dev/null || [ ` + fmt.Sprint(os.Getpid()) + ` -lt 10 ] || echo "the machine's processes are visible"
` + toolchain + `
: >/job/x && : >/tmp/x || echo "there is nowhere to write"
echo done`
	var said []byte
	exit, err := s.Run(ctx, Task{
		Script: script,
		Output: func(r io.Reader) (err error) { said, err = io.ReadAll(r); return err },
		Limits: Limits{
			Wall: 10 * time.Second, CPU: 5 * time.Second, Memory: 64 << 20, Processes: 32, FileSize: 1 << 20, Disk: 1 << 20, Output: 1 << 16,
		},
	})
	if err != nil {
		return err
	}
	holes, done := strings.CutSuffix(string(said), "done\n")
	if !done || exit.Status != 0 {
		return fmt.Errorf("bubblewrap does not work here (status %d): %s", exit.Status, strings.TrimSpace(exit.Stderr))
	}
	if holes != "" {
		return fmt.Errorf("the sandbox has holes: %s", strings.Join(strings.Split(strings.TrimSpace(holes), "\n"), "; "))
	}
	return nil
}
