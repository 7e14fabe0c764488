package arduino

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

// What compilers say, as they said it, and what is made of it: one diagnostic a
// line, "file:line:column severity: message".
func TestParseDiagnostics(t *testing.T) {
	for _, c := range []struct{ name, said, want string }{
		{"an error with its surroundings", `/job/sketch/sketch.ino: In function 'void loop()':
/job/sketch/sketch.ino:3:3: error: 'foo' was not declared in this scope
    3 |   foo();
      |   ^~~
`, "user.ino:3:3 error: 'foo' was not declared in this scope"},
		{"one without a column", "/job/sketch/util.cpp:7: warning: unused\n", "util.cpp:7:0 warning: unused"},
		{"a missing header", `/job/sketch/sketch.ino:1:10: fatal error: nope.h: No such file or directory
    1 | #include "nope.h"
compilation terminated.
`, "user.ino:1:10 error: nope.h: No such file or directory"},
		{"arduino-cli's copy", "/job/cache/sketches/416433AF16B67BC99A69C2B4ECCA718D/sketch/src/x.cpp:2:1: error: bad\n", "src/x.cpp:2:1 error: bad"},
		{"arduino-cli's merged main file", "/job/cache/sketches/416433AF16B67BC99A69C2B4ECCA718D/sketch/sketch.ino.cpp:2:1: error: bad\n", "user.ino:2:1 error: bad"},
		{"an error in a header of the user's", `In file included from /job/sketch/a.h:2,
                 from /job/sketch/sketch.ino:1:
/job/sketch/b.h:4:1: error: bad
`, "b.h:4:1 error: bad"},
		{"an error in a library, by the user's include", `In file included from /toolchain/user/libraries/Lib/src/inner.h:2:0,
                 from /job/sketch/sketch.ino:5:
/toolchain/user/libraries/Lib/src/deep.h:4:1: error: bad
`, "libraries/Lib/src/deep.h:4:1 error: bad\nuser.ino:5:0 note: included from here: bad"},
		{"in an installed core", "/toolchain/data/packages/esp32/hardware/esp32/3.3.0/cores/esp32/x.h:9:2: warning: old\n", "cores/esp32/x.h:9:2 warning: old"},
		{"a template", `/job/sketch/t.h: In instantiation of 'void f(T) [with T = int]':
/job/sketch/sketch.ino:7:12:   required from here
/job/sketch/t.h:3:5: error: no member
/job/sketch/t.h:3:5: note: candidate
`, "user.ino:7:12 note: required from here\nt.h:3:5 error: no member\nt.h:3:5 note: candidate"},
		{"the same twice", "/job/sketch/sketch.ino:1:1: error: bad\n/job/sketch/sketch.ino:1:1: error: bad\n", "user.ino:1:1 error: bad"},
		{"an assembler's file", "/job/sketch/x.S: Assembler messages:\n/job/sketch/x.S:3: Error: unknown opcode `frob'\n", "x.S:3:0 error: unknown opcode `frob'"},
		{"an undefined name, new linker", `/usr/bin/ld: /job/cache/sketches/AB12/sketch/sketch.ino.cpp.o: in function ` + "`loop':" + `
/job/sketch/sketch.ino:5:(.text.loop+0x5): undefined reference to ` + "`foo()'" + `
collect2: error: ld returned 1 exit status
`, "user.ino:5:0 error: undefined reference to `foo()'"},
		{"an undefined name, after link-time optimisation", `/tmp/ccAbCdEf.ltrans0.ltrans.o: In function ` + "`main':" + `
<artificial>:(.text.startup+0x8c): undefined reference to ` + "`foo()'" + `
collect2: error: ld returned 1 exit status
`, "error: undefined reference to `foo()'"},
		{"an undefined name in an object file", "/usr/bin/ld: sketch.ino.cpp.o:(.text+0x5): undefined reference to `foo'\n", "error: undefined reference to `foo'"},
		{"a name defined twice", "/usr/bin/ld: /job/cache/sketches/AB12/sketch/b.cpp.o: in function `f':\n/job/sketch/b.cpp:1: multiple definition of `f'; a.cpp.o:a.cpp:1: first defined here\n",
			"b.cpp:1:0 error: multiple definition of `f'; a.cpp.o:a.cpp:1: first defined here"},
		{"too big for the linker", "/toolchain/data/packages/x/tools/gcc/1.0/bin/../lib/gcc/ld: region `text' overflowed by 12 bytes\n", "error: region `text' overflowed by 12 bytes"},
		{"a compiler that gave up", "avr-g++: internal compiler error: Killed (program cc1plus)\n", "error: Killed (program cc1plus)"},
		{"no diagnostics", "Sketch uses 962 bytes (2%)\n   3 |   foo();\nnote to self: error: no\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			names := names{intake.Sketch{Main: "user.ino"}}
			if got := shown(parseDiagnostics(c.said, names.place)); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// The same with real compilers: the place is the user's, whatever the build
// makes of the files.
func TestRealDiagnostics(t *testing.T) {
	e := setup(t)
	rest := "void setup() {}\nvoid loop() {}\n"
	for _, c := range []struct {
		name  string
		files []string
		want  map[string]string // by board
	}{
		{"undeclared", []string{"my.ino", "void setup() {\n  nothing();\n}\nvoid loop() {}\n"}, all("my.ino:2:# error: 'nothing' was not declared")},
		{"no semicolon", []string{"my.ino", "int x = 1\nvoid setup() {}\nvoid loop() {}\n"}, all("my.ino:#:# error: expected ',' or ';'")},
		{"no header", []string{"my.ino", "#include <Nope.h>\n" + rest}, all("my.ino:1:# error: Nope.h: No such file")},
		{"a tab", []string{"my.ino", rest, "tab.ino", "\n\nvoid tab() { return 1; }\n"}, map[string]string{
			"arduino:avr:uno": "tab.ino:3:# warning: return-statement with a value", "flota:virtual:esp32": "tab.ino:3:# error: return-statement with a value",
		}},
		{"a file in a folder", []string{"my.ino", rest, "src/deep/x.cpp", "int f() { return nothing; }\n"}, all("src/deep/x.cpp:1:# error: 'nothing' was not declared")},
		{"a header", []string{"my.ino", "#include \"h.h\"\n" + rest, "h.h", "#pragma once\nthing x;\n"}, all("h.h:2:# error: 'thing' does not name a type")},
		{"#error", []string{"my.ino", rest + "#error stop here\n"}, all("my.ino:3:# error: #error stop here")},
		{"a warning", []string{"my.ino", "void setup() {\n#warning careful\n}\nvoid loop() {}\n"}, all("my.ino:2:# warning: #warning careful")},
		{"undefined", []string{"my.ino", "void missing();\nvoid setup() { missing(); }\nvoid loop() {}\n"}, all("my.ino:2:0 error: undefined reference to `missing()'")},
		{"assembler", []string{"my.ino", rest, "x.S", "\n  frobnicate r1\n"}, all("x.S:2:0 error: ")},
	} {
		for fqbn, want := range c.want {
			t.Run(c.name+" "+fqbn, func(t *testing.T) {
				t.Parallel()
				log := &record{}
				r, err := e.Execute(t.Context(), compiler.Job{FQBN: fqbn, Files: project(c.files...), Main: "my.ino"}, log)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Discard()
				if bad := strings.Contains(want, "error:"); bad != (r.Outcome == compiler.Failed) {
					t.Errorf("%s: %s", r.Outcome, r.Message)
				}
				got := shown(r.Diagnostics)
				for line := range strings.SplitSeq(got, "\n") {
					if matches(line, want) {
						return
					}
				}
				t.Errorf("got\n%s\nwant\n%s\nlog\n%s", got, want, log)
			})
		}
	}
}

func all(want string) map[string]string {
	return map[string]string{"arduino:avr:uno": want, "flota:virtual:esp32": want}
}

// matches: "#" stands for a line or column; the message may go on.
func matches(got, want string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), ":#", `:\d+`)
	return regexp.MustCompile("^" + pattern).MatchString(got)
}

func shown(found []compiler.Diagnostic) string {
	var lines []string
	for _, d := range found {
		place := ""
		if d.File != "" {
			place = fmt.Sprintf("%s:%d:%d ", d.File, d.Line, d.Column)
		}
		lines = append(lines, fmt.Sprintf("%s%s: %s", place, d.Severity, d.Message))
	}
	return strings.Join(lines, "\n")
}

// However much is warned of, no error is left out for it.
func TestManyDiagnostics(t *testing.T) {
	for name, c := range map[string]struct{ before, errors, after, first int }{
		"warnings before an error": {before: 300, errors: 1, first: 1},
		"too many errors":          {before: 5, errors: 300, after: 5, first: 6},
		"warnings after":           {errors: 10, after: 300, first: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var said strings.Builder
			for i := range c.before + c.errors + c.after {
				word := "warning"
				if i >= c.before && i < c.before+c.errors {
					word = "error"
				}
				fmt.Fprintf(&said, "/job/sketch/sketch.ino:%d:1: %s: no\n", i+1, word)
			}
			got := parseDiagnostics(said.String(), names{intake.Sketch{Main: "user.ino"}}.place)
			if len(got) != maxDiagnostics || got[0].Line != c.first {
				t.Fatalf("%d, from line %d", len(got), got[0].Line)
			}
			errors := 0
			for _, d := range got {
				if d.Severity == compiler.Error {
					errors++
				}
			}
			if want := min(c.errors, maxDiagnostics); errors != want {
				t.Errorf("%d of %d errors", errors, want)
			}
			if last := got[len(got)-1]; name == "warnings before an error" && last.Line != c.before+1 {
				t.Errorf("it ends with line %d", last.Line)
			}
		})
	}
}
