package solo

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lock takes the data folder for this process. It is let go when the process
// ends, however it ends.
func lock(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("the data folder %s is in use by another flota-solo", folder)
	}
	return f, nil
}
