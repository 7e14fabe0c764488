package virtual

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// What a program can change of its board's folder.
var (
	ofESP32 = []string{"flash.bin", "rtc.bin", "nvs", "fs"}
	ofPico  = []string{"flash.bin", "rtc.bin"}
)

// What a board's storage holds, in bytes and in files and folders together. A chip's
// is smaller; what it would refuse is the sketch's own affair.
var quotas = map[string]quota{
	"nvs": {256 << 10, 2048},
	"fs":  {4 << 20, 2048},
}

type quota struct {
	bytes   int64
	entries int
}

// settle makes a board's folder what it must be before its sketch starts, and after it
// ended: files and folders that can be read, nothing else, and no more of them than there
// is room for. It reports how many files had to go. Everything is done below the
// folder by descriptors (os.Root): no link, whoever planted it, leads anywhere else.
func settle(dir string, storage []string) (removed int, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer func() { _ = root.Close() }()
	for _, name := range storage {
		_, isFolder := quotas[name]
		info, err := root.Lstat(name)
		if err == nil && (isFolder && !info.IsDir() || !isFolder && !info.Mode().IsRegular()) {
			if err = root.RemoveAll(name); err == nil {
				err = fs.ErrNotExist
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist) && isFolder:
			err = root.Mkdir(name, 0o700)
		case errors.Is(err, fs.ErrNotExist):
			err = touch(root, name)
		case err == nil && isFolder:
			err = root.Chmod(name, 0o700)
		case err == nil:
			err = root.Chmod(name, 0o600)
		}
		if err == nil && isFolder {
			left := quotas[name]
			var n int
			n, err = tidy(root, name, &left)
			removed += n
		}
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

func touch(root *os.Root, name string) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// maxDepth of folders.
const maxDepth = 16

// tidy goes through a folder; what there is no room for, or is no file, goes.
func tidy(root *os.Root, name string, left *quota) (removed int, err error) {
	return removed, each(root, name, func(one string, info fs.FileInfo) error {
		left.entries--
		switch {
		case left.entries >= 0 && info.IsDir() && strings.Count(one, "/") <= maxDepth:
			if err := root.Chmod(one, 0o700); err != nil {
				return err
			}
			n, err := tidy(root, one, left)
			removed += n
			return err
		case left.entries >= 0 && info.Mode().IsRegular() && used(info) <= left.bytes:
			left.bytes -= used(info)
			return root.Chmod(one, 0o600)
		}
		removed++
		return remove(root, one, info)
	})
}

// remove removes a file, or a folder that may not be readable yet.
func remove(root *os.Root, name string, info fs.FileInfo) error {
	if !info.IsDir() {
		return root.Remove(name)
	}
	if err := root.Chmod(name, 0o700); err != nil {
		return err
	}
	err := each(root, name, func(one string, info fs.FileInfo) error { return remove(root, one, info) })
	return errors.Join(err, root.Remove(name))
}

// overfull tells whether a sketch that runs has written more than there is room for;
// unlinked are the bytes that it holds without a name.
func overfull(dir string, unlinked int64) bool {
	if unlinked > quotas["fs"].bytes {
		return true
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }()
	for name, left := range quotas {
		if !within(root, name, &left) {
			return true
		}
	}
	return false
}

var errFull = errors.New("full")

func within(root *os.Root, name string, left *quota) bool {
	err := each(root, name, func(one string, info fs.FileInfo) error {
		left.entries--
		left.bytes -= used(info)
		if left.entries < 0 || left.bytes < 0 || strings.Count(one, "/") > maxDepth {
			return errFull
		}
		if info.IsDir() && !within(root, one, left) {
			return errFull
		}
		return nil
	})
	return !errors.Is(err, errFull) // what cannot be read now is looked at when the sketch has ended
}

// each calls f for everything in a folder, which f may remove.
func each(root *os.Root, name string, f func(path string, info fs.FileInfo) error) error {
	folder, err := root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer folder.Close()
	for {
		names, err := folder.Readdirnames(256)
		for _, n := range names {
			one := path.Join(name, n)
			info, err := root.Lstat(one)
			if errors.Is(err, fs.ErrNotExist) { // the sketch removed it
				continue
			}
			if err == nil {
				err = f(one, info)
			}
			if err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// used is what a file takes of the disk.
func used(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}

// removeAll removes a board's folder, whatever its sketch made of it.
func removeAll(dir, id string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	info, err := root.Lstat(id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return remove(root, id, info)
}
