package sandbox

import (
	"errors"
	"os"
	"path/filepath"
)

// checkNone tells whether tasks can run without isolation: they find everything
// at the same paths as in a sandbox.
func (s *Sandbox) checkNone() error {
	own, err := os.Stat(s.cfg.Toolchain)
	fixed, fixedErr := os.Stat("/toolchain")
	if err != nil || fixedErr != nil || !os.SameFile(own, fixed) {
		return errors.New("without a sandbox the toolchain must lie at /toolchain")
	}
	file, err := os.CreateTemp("/job", "try-")
	if err != nil {
		return errors.New("without a sandbox there must be a folder /job to write in")
	}
	_ = file.Close()
	return os.Remove(file.Name())
}

// takeJob makes the machine's own /job the next task's: one task at a time, in
// an empty folder.
func (s *Sandbox) takeJob() (free func()) {
	s.alone.Lock()
	empty := func() {
		left, _ := filepath.Glob("/job/*")
		for _, name := range left {
			_ = os.RemoveAll(name)
		}
	}
	empty()
	return func() {
		empty()
		s.alone.Unlock()
	}
}
