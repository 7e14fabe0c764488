package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/flota/flota/services/boards"
	"github.com/flota/flota/services/boards/journal"
)

func open(t *testing.T, f journal.Folder) boards.Journal {
	t.Helper()
	j, err := f.Open("b")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// What was appended last is there, with its offset, whenever it is opened again and
// although nobody closed it.
func TestLast(t *testing.T) {
	f := journal.Folder{Dir: t.TempDir()}
	j := open(t, f)
	var all []byte
	for i := range 3000 {
		line := fmt.Appendf(nil, "%d %*s\n", i, i%97, "")
		offset, err := j.Append(line)
		if err != nil || offset != int64(len(all)) {
			t.Fatalf("%d: %d, %v", i, offset, err)
		}
		all = append(all, line...)
		if i%500 == 0 {
			j = open(t, f) // as after a kill
		}
		offset, last := j.Last()
		if want := all[max(0, len(all)-journal.Kept):]; !bytes.Equal(last, want) || offset != int64(len(all)-len(want)) {
			t.Fatalf("after %d bytes: %d bytes from %d", len(all), len(last), offset)
		}
	}
	files, _ := filepath.Glob(filepath.Join(f.Dir, "b", "*"))
	size := int64(0)
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if len(files) > 2 || size > 3*journal.Kept {
		t.Errorf("%d files of %d bytes for %d", len(files), size, len(all))
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Forget("b"); err != nil {
		t.Error(err)
	}
	if offset, last := open(t, f).Last(); offset != 0 || len(last) != 0 {
		t.Errorf("after it was forgotten: %d %d", offset, len(last))
	}
}

// One chunk longer than all that is kept.
func TestLong(t *testing.T) {
	f := journal.Folder{Dir: t.TempDir()}
	j := open(t, f)
	long := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	for range 3 {
		if _, err := j.Append(long); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if offset, last := j.Last(); offset != int64(3*len(long)-journal.Kept) || !bytes.Equal(last, long[len(long)-journal.Kept:]) {
			t.Errorf("%d %d", offset, len(last))
		}
		j = open(t, f)
	}
}

// A disk that takes nothing loses what is on it, not the offsets.
func TestTrouble(t *testing.T) {
	f := journal.Folder{Dir: t.TempDir()}
	j := open(t, f)
	if _, err := j.Append([]byte("one ")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(f.Dir, "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(bytes.Repeat([]byte("x"), journal.Kept)); err != nil {
		t.Fatal(err) // into a file that has no name any more
	}
	if _, err := j.Append([]byte("two ")); err == nil {
		t.Error("a new file in a folder that is gone")
	}
	if err := os.Mkdir(filepath.Join(f.Dir, "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	offset, err := j.Append([]byte("three"))
	if err != nil || offset != 4+journal.Kept+4 {
		t.Errorf("%d %v", offset, err)
	}
	if _, last := j.Last(); !bytes.HasSuffix(last, []byte("xtwo three")) {
		t.Errorf("%q", last[len(last)-20:])
	}
	if offset, last := open(t, f).Last(); offset != 4+journal.Kept+4 || string(last) != "three" {
		t.Errorf("opened again: %d %q", offset, last)
	}
}
