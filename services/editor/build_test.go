package editor

import (
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
)

var begin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestClaim(t *testing.T) {
	const limit = time.Minute
	first := Delivery{Sequence: 7, Count: 1}
	running := func(b *Build) { b.claim("w1", first, begin, limit) }
	for name, test := range map[string]struct {
		before   func(*Build)
		delivery Delivery
		after    time.Duration
		attempt  int // granted; 0 for none
		state    State
		fenced   int
	}{
		"queued":                       {func(*Build) {}, first, 0, 1, Running, 0},
		"delivered again":              {running, Delivery{7, 2}, time.Second, 2, Running, 1},
		"published again":              {running, Delivery{9, 1}, time.Second, 2, Running, 1},
		"asked again by the same":      {running, first, time.Second, 2, Running, 1},
		"unknown delivery":             {running, Delivery{}, time.Second, 2, Running, 1},
		"an earlier delivery is late":  {func(b *Build) { b.claim("w1", Delivery{7, 2}, begin, limit) }, first, 0, 0, Running, 0},
		"an earlier job is late":       {running, Delivery{6, 3}, 0, 0, Running, 0},
		"overdue":                      {running, Delivery{7, 2}, limit + 1, 0, Running, 0},
		"cancelled":                    {func(b *Build) { b.stop(Cancelled, begin, "") }, first, 0, 0, Cancelled, 0},
		"cancelled while it ran":       {func(b *Build) { running(b); b.stop(Cancelled, begin, "") }, Delivery{7, 2}, 0, 0, Cancelled, 1},
		"succeeded":                    {func(b *Build) { running(b); b.end(Succeeded, begin, "") }, Delivery{7, 2}, 0, 0, Succeeded, 0},
		"back in the queue":            {func(b *Build) { running(b); b.trouble("x", begin, 0) }, Delivery{9, 1}, 0, 2, Running, 0},
		"has taken down five workers":  {func(b *Build) { b.Attempt = maxAttempts }, first, 0, 0, Errored, 0},
		"the fifth is its last chance": {func(b *Build) { b.Attempt = maxAttempts - 1 }, first, 0, maxAttempts, Running, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := &Build{State: Queued, Waiting: true}
			test.before(b)
			granted := b.claim("w2", test.delivery, begin.Add(test.after), limit)
			if granted != (test.attempt > 0) || b.State != test.state || b.Fenced != test.fenced {
				t.Fatalf("granted %t, state %s, fenced %d", granted, b.State, b.Fenced)
			}
			if !granted {
				return
			}
			if b.Attempt != test.attempt || b.Worker != "w2" || b.Waiting || !b.Deadline.Equal(begin.Add(test.after+limit)) {
				t.Errorf("got %+v", b)
			}
			if !b.Current(test.attempt) || b.Current(test.attempt-1) {
				t.Error("the new attempt is not the one that counts")
			}
		})
	}
}

func TestTroubleIsTriedThreeTimes(t *testing.T) {
	b := &Build{State: Queued}
	for n := 1; n < maxTroubles; n++ {
		b.claim("w", Delivery{Sequence: uint64(n), Count: 1}, begin, time.Minute)
		b.trouble("the disk is full", begin, time.Second)
		if b.State != Queued || b.Waiting || b.Current(n) {
			t.Fatalf("after %d: %+v", n, b)
		}
		if want := begin.Add(time.Second << (n - 1)); !b.NotBefore.Equal(want) {
			t.Errorf("after %d: not before %s, want %s", n, b.NotBefore, want)
		}
	}
	b.claim("w", Delivery{Sequence: 9, Count: 1}, begin, time.Minute)
	b.trouble("the disk is full", begin, time.Second)
	if b.State != Errored || !strings.Contains(b.Message, "the disk is full") || !b.LogDue {
		t.Errorf("got %s: %s", b.State, b.Message)
	}
}

func TestResultIsChecked(t *testing.T) {
	good := Output{Role: App, Name: "blink.ino.bin", Size: 3, SHA256: Digest([]byte("abc"))}
	with := func(change func(*Output)) Result {
		o := good
		change(&o)
		return Result{Outputs: []Output{good, o}}
	}
	for name, r := range map[string]Result{
		"same name twice":   with(func(*Output) {}),
		"a path":            with(func(o *Output) { o.Name = "../x" }),
		"no name":           with(func(o *Output) { o.Name = "" }),
		"control character": with(func(o *Output) { o.Name = "a\nb" }),
		"long name":         with(func(o *Output) { o.Name = strings.Repeat("x", 300) }),
		"no digest":         with(func(o *Output) { o.Name, o.SHA256 = "b", "" }),
		"upper case":        with(func(o *Output) { o.Name, o.SHA256 = "b", strings.ToUpper(good.SHA256) }),
		"negative size":     with(func(o *Output) { o.Name, o.Size = "b", -1 }),
		"agent, no version": {Agent: &Agent{Flash: 1}},
		"agent, too small":  {Agent: &Agent{Version: "1", RAM: -1}},
		"flash, no chip":    {Flash: &FlashBy{Baud: 921600}},
		"flash, more words": {Flash: &FlashBy{Chip: "esp32", Mode: "dio; reboot"}},
		"flash, a size":     {Flash: &FlashBy{Chip: "esp32", Size: "4 MB"}},
		"too many":          {Outputs: make([]Output, maxOutputs+1)},
		"a way out":         with(func(o *Output) { o.Role, o.Name = BoardFile, "lib/../../x.py" }),
		"from the root":     with(func(o *Output) { o.Role, o.Name = BoardFile, "/main.py" }),
		"a long path":       with(func(o *Output) { o.Role, o.Name = BoardFile, strings.Repeat("x/", 101)+"y" }),
	} {
		if err := r.check(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	esp32 := Result{
		Agent: &Agent{Version: "1.0.0", Flash: 70000, RAM: 900}, Flash: &FlashBy{Chip: "esp32c3", Baud: 921600, Mode: "keep", Frequency: "80m", Size: "4MB"},
	}
	if err := esp32.check(); err != nil {
		t.Error(err)
	}
	files := Result{Outputs: []Output{{Role: Index, Name: "index", SHA256: good.SHA256}, {Role: BoardFile, Name: "lib/umqtt/simple.py", SHA256: good.SHA256}}}
	if err := files.check(); err != nil {
		t.Error(err)
	}
	long := Result{Outputs: []Output{good}, Diagnostics: make([]Diagnostic, maxDiagnostics+5)}
	long.Diagnostics[0].Message = strings.Repeat("ü", maxMessage)
	if err := long.check(); err != nil {
		t.Fatal(err)
	}
	if got := long.Diagnostics[0].Message; len(long.Diagnostics) != maxDiagnostics || len(got) > maxMessage+3 || !strings.HasSuffix(got, "ü…") {
		t.Errorf("%d diagnostics, the first of %d bytes", len(long.Diagnostics), len(got))
	}
}

// Whatever decides what bytes come out is in the key; nothing else is.
func TestResultKey(t *testing.T) {
	base := Build{Workspace: "w", Tree: "t", Main: "m", FQBN: "f"}
	key := base.resultKey("chain")
	same := base
	same.ID, same.Author, same.Revision, same.Project = "x", "y", 7, "z"
	if same.resultKey("chain") != key {
		t.Error("the key depends on who asked")
	}
	if base.resultKey("other") == key {
		t.Error("the key does not depend on the toolchain")
	}
	for name, change := range map[string]func(*Build){
		"workspace": func(b *Build) { b.Workspace = "v" }, "tree": func(b *Build) { b.Tree = "u" },
		"main": func(b *Build) { b.Main = "n" }, "board": func(b *Build) { b.FQBN = "g" }, "verbose": func(b *Build) { b.Verbose = true },
		"agent": func(b *Build) { b.Unmanaged = true },
	} {
		other := base
		change(&other)
		if other.resultKey("chain") == key {
			t.Errorf("the key does not depend on the %s", name)
		}
	}
}

func TestFlashedAt(t *testing.T) {
	esp32 := Result{Flash: &FlashBy{Chip: "esp32c3"}}
	for name, c := range map[string]struct {
		result  Result
		output  Output
		flashed bool
	}{
		"at its place":          {esp32, Output{Role: App, Offset: 0x10000}, true},
		"a bootloader at 0":     {esp32, Output{Role: Bootloader}, true},
		"not flashed":           {esp32, Output{Role: ELF}, false},
		"no such board":         {Result{}, Output{Role: Bootloader}, false},
		"no flash, but a place": {Result{}, Output{Role: Other, Offset: 4}, true},
	} {
		if offset, flashed := c.result.FlashedAt(c.output); flashed != c.flashed || offset != c.output.Offset {
			t.Errorf("%s: %d %t", name, offset, flashed)
		}
	}
}

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Minute: "10 minutes", time.Hour: "one hour", 90 * time.Second: "90 seconds", 1500 * time.Millisecond: "1.5s",
	} {
		if got := spell(d); got != want {
			t.Errorf("%s: %q", d, got)
		}
	}
}
