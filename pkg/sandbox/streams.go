package sandbox

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"sync"
)

// bounded reads until a limit and then fails; left is below zero once it did.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errOutput
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errOutput
	}
	return n, err
}

// readLines calls f with each line, short ones only: a task that writes a line
// without an end is not to be remembered.
func readLines(r io.Reader, f func(string)) {
	for lines := bufio.NewReaderSize(r, 4096); ; {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		if err == nil && f != nil {
			f(strings.TrimSuffix(string(line), "\n"))
		}
	}
}

// uids gives each running task a user ID that no other has.
type uids struct {
	mu   sync.Mutex
	used map[int]bool
}

// tasks are those of all sandboxes of this process.
var tasks = uids{used: map[int]bool{}}

func (u *uids) take(first int) (uid int, free func()) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for uid = first; u.used[uid]; uid++ {
	}
	u.used[uid] = true
	return uid, func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.used, uid)
	}
}
