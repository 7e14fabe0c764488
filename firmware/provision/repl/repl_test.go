package repl_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/firmware/provision/provisiontest"
	"github.com/flota/flota/firmware/provision/repl"
)

const patience = 60 * time.Second

// quick is for boards that answer at once.
var quick = repl.Options{Settle: 20 * time.Millisecond, Pace: time.Millisecond}

// open plugs a board in, and enters its REPL.
func open(t *testing.T, board *provisiontest.REPL, o repl.Options) (*repl.Session, context.Context) {
	t.Helper()
	board.Start(t, 64)
	ours, theirs := net.Pipe()
	served := make(chan struct{})
	go func() { defer close(served); board.Serve(theirs) }()
	t.Cleanup(func() { ours.Close(); theirs.Close(); <-served })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s, err := repl.Open(ctx, ours, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, ctx
}

// Code runs, its output and its errors come back, whatever the board can and prints.
func TestRun(t *testing.T) {
	for name, board := range map[string]*provisiontest.REPL{
		"raw-paste":            {},
		"no raw-paste":         {NoPaste: true},
		"the smallest buffer":  {Window: 1},
		"boots and says so":    {Boot: "MicroPython v1.25.0\n>>> ", Program: "Traceback (most recent call last):\nKeyboardInterrupt: \n"},
		"is deaf at first":     {Deaf: 8},
		"says its own prompts": {Boot: "raw REPL; CTRL-B to exit\n>raw REPL", Program: "raw REPL; CTRL-B to exit\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := open(t, board, repl.Options{Settle: 20 * time.Millisecond, Pace: time.Millisecond, Enter: time.Second})
			for range 2 {
				if out, err := s.Run(ctx, "print(6 * 7)\nprint('ñandú')\n"); err != nil || out != "42\nñandú\n" {
					t.Errorf("%q, %v", out, err)
				}
			}
			long := "x = 0\n" + strings.Repeat("x += 1  # ................................................\n", 200) + "print(x)\n"
			if out, err := s.Run(ctx, long); err != nil || out != "200\n" {
				t.Errorf("%q, %v", out, err)
			}
			out, err := s.Run(ctx, "print('before')\n1 // 0\n")
			var e *repl.Exception
			if !errors.As(err, &e) || out != "before\n" || !strings.Contains(e.Trace, "line 2") || !strings.Contains(err.Error(), "ZeroDivisionError") {
				t.Errorf("%q, %v", out, err)
			}
			if err := s.SoftReset(ctx); err != nil {
				t.Error(err)
			}
			if out, err := s.Run(ctx, "print(1)"); err != nil || out != "1\n" {
				t.Errorf("%q, %v", out, err)
			}
			if n := board.Overrun(); n > 0 {
				t.Errorf("%d bytes more than the board had room for", n)
			}
			if err := s.Close(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	s, ctx := open(t, &provisiontest.REPL{}, quick)
	binary := make([]byte, 5000)
	for i := range binary {
		binary[i] = byte(i * 7)
	}
	for name, data := range map[string][]byte{
		"/boot.py": []byte("print('\\x00')\n"), "/a/.index": nil, "/a/deep/er/page.html": binary, `/data/ä "b" \c.txt`: []byte("x"),
	} {
		for range 2 { // in place of itself, too
			last := 0
			if err := s.WriteFile(ctx, name, data, func(n int) { last = n }); err != nil || last != len(data) {
				t.Fatalf("%s: %d, %v", name, last, err)
			}
		}
	}
	entries, err := s.List(ctx, "/")
	if want := []repl.Entry{{Name: "a", Folder: true}, {Name: "boot.py", Size: 14}, {Name: "data", Folder: true}}; err != nil || !slices.Equal(entries, want) {
		t.Errorf("%v, %v", entries, err)
	}
	if entries, err := s.List(ctx, "/data"); err != nil || len(entries) != 1 || entries[0].Name != `ä "b" \c.txt` {
		t.Errorf("%v, %v", entries, err)
	}
	out, err := s.Run(ctx, "f = open('/a/deep/er/page.html', 'rb').read()\nprint(f == bytes(i * 7 & 255 for i in range(5000)))")
	if err != nil || out != "True\n" {
		t.Errorf("%q, %v", out, err)
	}
	if d, err := s.Digest(ctx, "/nothing"); err != nil || d != "" {
		t.Errorf("%q, %v", d, err)
	}
	if d, err := s.Digest(ctx, "/a/.index"); err != nil || !strings.HasPrefix(d, "e3b0c44298fc1c149afb") {
		t.Errorf("%q, %v", d, err)
	}
	if err := errors.Join(s.Remove(ctx, "/boot.py"), s.MakeFolder(ctx, "/a/deep")); err != nil {
		t.Error(err)
	}
	info, err := s.Info(ctx)
	if err != nil || info.Name != "micropython" || info.Version[0] != 1 || info.Version[1] != 25 || info.Total != 64*4096 || info.Free <= 0 || info.Free >= info.Total {
		t.Errorf("%+v, %v", info, err)
	}
	// A flash that is full: what was there stays.
	if err := s.WriteFile(ctx, "/a/deep/er/page.html", bytes.Repeat([]byte("x"), 300_000), nil); err == nil || !strings.Contains(err.Error(), "28") {
		t.Errorf("%v", err)
	}
	if out, err := s.Run(ctx, "print(len(open('/a/deep/er/page.html', 'rb').read()))"); err != nil || out != "5000\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// What comes to the board spoilt never becomes a file.
func TestSpoiltBytes(t *testing.T) {
	spoil := false
	board := &provisiontest.REPL{Spoil: func(_ int, b byte) byte {
		if spoil && b == 'Q' {
			return 'R'
		}
		return b
	}}
	s, ctx := open(t, board, quick)
	if err := s.WriteFile(ctx, "/main.py", []byte("print('before')\n"), nil); err != nil {
		t.Fatal(err)
	}
	spoil = true
	if err := s.WriteFile(ctx, "/main.py", bytes.Repeat([]byte{0x41, 0x04, 0x10}, 500), nil); err == nil || !strings.Contains(err.Error(), "other bytes") {
		t.Errorf("%v", err)
	}
	spoil = false
	if out, err := s.Run(ctx, "print(open('/main.py').read(), sorted(__import__('os').listdir('/')))"); err != nil || out != "print('before')\n ['main.py']\n" {
		t.Errorf("%q, %v", out, err)
	}
}

// Who is no MicroPython, or goes away, is found out in time.
func TestNobody(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	sketch := &provisiontest.Device{}
	go sketch.Serve(theirs)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := repl.Open(ctx, ours, repl.Options{Settle: 10 * time.Millisecond, Enter: 50 * time.Millisecond}); !errors.Is(err, repl.ErrNoREPL) {
		t.Errorf("%v", err)
	}

	s, ctx := open(t, &provisiontest.REPL{}, repl.Options{Settle: 20 * time.Millisecond, Silence: 200 * time.Millisecond})
	if _, err := s.Run(ctx, "import time\ntime.sleep(1)\n"); !errors.Is(err, repl.ErrNoREPL) {
		t.Errorf("%v", err)
	}
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := s.Run(short, "pass"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestGone(t *testing.T) {
	ours, theirs := net.Pipe()
	board := &provisiontest.REPL{}
	board.Start(t, 8)
	go board.Serve(theirs)
	s, err := repl.Open(t.Context(), ours, quick)
	if err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	if _, err := s.Run(t.Context(), "pass"); !errors.Is(err, repl.ErrGone) {
		t.Errorf("%v", err)
	}
}
