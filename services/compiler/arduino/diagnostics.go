package arduino

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/flota/flota/services/compiler"
)

// maxDiagnostics is how many diagnostics a result has at most.
const maxDiagnostics = 200

// maxMessage is how long one's message is at most, in bytes.
const maxMessage = 1000

var (
	// file.cpp:12:5: error: what is wrong
	located = regexp.MustCompile(`^(?:In file included from )?([^\s:][^:]*):(\d+):(?:(\d+):)?\s+(fatal error|error|warning|note|sorry, unimplemented|Error|Warning|Fatal error): (.*)$`)
	// In file included from b.h:1:0, | from sketch.ino:1:
	included = regexp.MustCompile(`^\s*(?:In file included )?from ([^:]+):(\d+)(?::(\d+))?[,:]$`)
	// sketch.ino:7:12:   required from here
	required = regexp.MustCompile(`^([^\s:][^:]*):(\d+):(?:(\d+):)?\s+(required (?:from|by) .*|in .*constexpr.* expansion of .*)$`)
	// ld: sketch.ino:5:(.text.loop+0x5): undefined reference to `foo()'
	// ld: x.o: in function `f': | x.cpp:3: undefined reference to `g' | <artificial>:(.text+0x8c): undefined ...
	linker = regexp.MustCompile(`^(?:\S*\bld(?:\.\w+)?: )?(?:([^\s:(][^:(]*):)?(?:(\d+):\s?)?(?:\([^)]*\):)?\s?((?:undefined reference to|multiple definition of|relocation truncated|region [\x60']).*)$`)
	// avr-g++: error: unrecognized option | cc1plus: out of memory | ld: region `text' overflowed by 12 bytes
	tool = regexp.MustCompile(`^(?:\S*/)?(cc1plus|cc1|lto1|lto-wrapper|collect2|ld|as|(?:[\w+]+-)*(?:gcc|g\+\+|ld|as))(?:\.\w+)?: (?:(fatal error|error|internal compiler error|Error): )?(.*)$`)
)

// noise are errors that only repeat that there was one.
var noise = regexp.MustCompile(`^(?:ld returned \d+ exit status|error: ld returned|recipe for target|lto-wrapper failed|.*returned [1-9]\d* exit status)`)

// parseDiagnostics finds what gcc, its assembler and linker said, in their order.
// place maps a path as the compiler saw it to the name that the user knows, and
// tells whether the file is the user's.
func parseDiagnostics(text string, place func(string) (string, bool)) []compiler.Diagnostic {
	var found []compiler.Diagnostic
	seen := map[compiler.Diagnostic]bool{}
	add := func(file, line, column string, severity compiler.Severity, message string) {
		d := compiler.Diagnostic{Severity: severity, Message: cut(strings.TrimSpace(message))}
		if file != "" {
			d.File, _ = place(file)
			d.Line, _ = strconv.Atoi(line)
			d.Column, _ = strconv.Atoi(column)
		}
		// The library detection runs the preprocessor over what is compiled later.
		if !seen[d] {
			seen[d] = true
			found = append(found, d)
		}
	}
	// trace is where the user's own source includes what the next error is in.
	var trace []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if m := included.FindStringSubmatch(line); m != nil {
			if strings.Contains(line, "In file included") {
				trace = nil
			}
			if _, own := place(m[1]); own {
				trace = m
			}
			continue
		}
		if m := located.FindStringSubmatch(line); m != nil {
			add(m[1], m[2], m[3], severity(m[4]), m[5])
			if _, own := place(m[1]); !own && trace != nil && severity(m[4]) != compiler.Note {
				add(trace[1], trace[2], trace[3], compiler.Note, "included from here: "+m[5])
			}
			trace = nil
			continue
		}
		if m := required.FindStringSubmatch(line); m != nil {
			add(m[1], m[2], m[3], compiler.Note, m[4])
			continue
		}
		if m := linker.FindStringSubmatch(line); m != nil {
			// Object files and what the optimiser made up are no places for people.
			if strings.HasSuffix(m[1], ".o") || strings.HasSuffix(m[1], ".a") || strings.HasPrefix(m[1], "<") || m[2] == "" {
				m[1], m[2] = "", ""
			}
			add(m[1], m[2], "", compiler.Error, m[3])
			continue
		}
		if m := tool.FindStringSubmatch(line); m != nil && !noise.MatchString(m[3]) && (m[2] != "" || strings.Contains(m[3], "out of memory")) {
			add("", "", "", compiler.Error, m[3])
		}
	}
	return first(found, maxDiagnostics)
}

// first returns n diagnostics of all in their order: every error goes before the
// warnings, which may have been hundreds before it.
func first(all []compiler.Diagnostic, n int) []compiler.Diagnostic {
	errors := 0
	for _, d := range all {
		if d.Severity == compiler.Error {
			errors++
		}
	}
	errors = min(errors, n)
	others := n - errors
	return slices.DeleteFunc(all, func(d compiler.Diagnostic) bool {
		room := &others
		if d.Severity == compiler.Error {
			room = &errors
		}
		*room--
		return *room < 0
	})
}

func severity(word string) compiler.Severity {
	switch word {
	case "warning", "Warning":
		return compiler.Warning
	case "note":
		return compiler.Note
	}
	return compiler.Error
}

func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "…"
}
