package flow

import (
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string // "" = it panics
	}{
		{[]string{"avr", "b1"}, "jobs.build.avr.b1"},
		{[]string{"arduino_avr_1_8_7", "B-2_x"}, "jobs.build.arduino_avr_1_8_7.B-2_x"},
		{nil, ""},
		{[]string{"avr"}, ""},
		{[]string{"avr", "b1", "more"}, ""},
		{[]string{"avr", ""}, ""},
		{[]string{"avr", "*"}, ""},
		{[]string{"avr", ">"}, ""},
		{[]string{"avr", "b1.b2"}, ""},
		{[]string{"avr", "b 1"}, ""},
		{[]string{"avr", "b1\r\n"}, ""},
		{[]string{"avr", "bü"}, ""},
		{[]string{"avr", "{build}"}, ""},
	} {
		if got := orPanic(func() string { return BuildJob.Name(c.parts...) }); got != c.want {
			t.Errorf("Name(%q) = %q, not %q", c.parts, got, c.want)
		}
	}
}

func TestFilter(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string // "" = it panics
	}{
		{nil, "jobs.build.*.*"},
		{[]string{"avr"}, "jobs.build.avr.*"},
		{[]string{"", "b1"}, "jobs.build.*.b1"},
		{[]string{"*", "b1"}, "jobs.build.*.b1"},
		{[]string{"avr", "b1"}, "jobs.build.avr.b1"},
		{[]string{"avr", "b1", ""}, ""},
		{[]string{">"}, ""},
		{[]string{"a.b"}, ""},
	} {
		if got := orPanic(func() string { return BuildJob.Filter(c.parts...) }); got != c.want {
			t.Errorf("Filter(%q) = %q, not %q", c.parts, got, c.want)
		}
	}
}

func TestDeclare(t *testing.T) {
	c := CompileJobs.Declare("avr")
	if c.Name != "compile-avr" || c.Filter != "jobs.build.avr.*" || c.Stream != Jobs || c.By != Compiler || c.AckWait != CompileJobs.AckWait {
		t.Errorf("declared %+v", c)
	}
	if c := TakeFinished.Declare(); c.Name != "editor-finished" || c.Filter != "builds.*.*.finished" {
		t.Errorf("declared %+v", c)
	}
	for what, f := range map[string]func() string{
		"without its platform": func() string { return CompileJobs.Declare().Name },
		"with an open one":     func() string { return CompileJobs.Declare("*").Name },
		"with one too many":    func() string { return TakeFinished.Declare("x").Name },
	} {
		if got := orPanic(f); got != "" {
			t.Errorf("%s: %q", what, got)
		}
	}
}

func TestWord(t *testing.T) {
	for name, want := range map[string]string{
		"arduino:avr@1.8.7": "arduino_avr_1_8_7",
		"esp32":             "esp32",
		"a-b_c":             "a-b_c",
		"a.b *>\tc":         "a_b____c",
		"größe":             "gr__e",
		"\xff":              "_",
	} {
		got := Word(name)
		if got != want {
			t.Errorf("Word(%q) = %q, not %q", name, got, want)
		}
		mustBeWord(got)
	}
}

func TestKey(t *testing.T) {
	if got := Key("w1", "17"); got != "w1.17" {
		t.Errorf("Key = %q", got)
	}
	for _, parts := range [][]string{{""}, {"a", ""}, {"a.b"}, {"a b"}, {"*"}} {
		if got := orPanic(func() string { return Key(parts...) }); got != "" {
			t.Errorf("Key(%q) = %q", parts, got)
		}
	}
}

// orPanic is "" where f panics as this package does.
func orPanic(f func() string) (s string) {
	defer func() {
		if p := recover(); p != nil {
			if text, ours := p.(string); !ours || !strings.HasPrefix(text, "flow: ") {
				panic(p)
			}
			s = ""
		}
	}()
	return f()
}
