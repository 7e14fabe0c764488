package arduino

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/flota/flota/services/compiler"
)

// agentStart is the function that starts the agent (flota/ports.h): a program
// that has it has the agent, whoever asked for it.
const agentStart = "_ZN5flota5startEPFvvE"

// linked is what a GNU linker's map says of an image: https://sourceware.org/binutils/docs/ld/Options.html (-Map).
type linked struct {
	// because tells for each archive member what was the first to need it.
	because map[string]string
	// members are the keys of because, in the order in which they were linked:
	// whoever needs one comes before it.
	members []string
	inputs  []input
}

// input is a section of an object that is in the image.
type input struct {
	output string // section of the image
	name   string
	object string // "x.o" or "libx.a(x.o)"
	size   int64
}

// readMap reads a linker's map.
func readMap(r io.Reader) (linked, error) {
	l := linked{because: map[string]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var part int // 0 before the table of members, 1 in it, 2 behind it, 3 the memory map
	var member, output, name string
	for lines.Scan() {
		line := lines.Text()
		switch {
		case line == "Linker script and memory map":
			part = 3
		case part == 0 && strings.HasPrefix(line, "Archive member included"):
			part = 1
		case part == 1:
			first, reason, _ := strings.Cut(line, " ")
			switch {
			case strings.Contains(first, ".a("): // also where the reason is on the next line
				member = first
			case first != "": // the next table
				part = 2
				continue
			}
			if reason = strings.TrimSpace(reason); reason != "" && member != "" {
				reason, _, _ = strings.Cut(reason, " (")
				l.because[member] = reason
				l.members = append(l.members, member)
				member = ""
			}
		case part != 3 || line == "":
		case line[0] != ' ': // .flash.text     0x00000000400d0000     0x2000
			output, _, _ = strings.Cut(line, " ")
			name = ""
		case len(line) > 1 && line[1] != ' ': // ` .text.loop     0x00000000400d0000       0x30 /job/…/sketch.ino.cpp.o`
			fields := strings.Fields(line)
			name = fields[0]
			l.add(output, name, fields[1:])
		case name != "": // or its rest, after a long name
			l.add(output, name, strings.Fields(line))
			name = ""
		}
	}
	return l, lines.Err()
}

// add notes a section by address, size and object.
func (l *linked) add(output, name string, rest []string) {
	if len(rest) < 3 || name[0] == '*' || output == "/DISCARD/" {
		return
	}
	hex, ok := strings.CutPrefix(rest[1], "0x")
	if size, err := strconv.ParseInt(hex, 16, 64); ok && err == nil && size > 0 {
		l.inputs = append(l.inputs, input{output, name, rest[2], size})
	}
}

// cost sums up what the agent's objects put into the image: its own, and the
// archive members that were linked only because of one of them. Those that
// every program has are not.
func (l *linked) cost(own func(object string) bool, everywhere map[string]bool, flash, ram *regexp.Regexp) (a compiler.Agent, started bool) {
	its := map[string]bool{}
	for _, m := range l.members {
		its[m] = own(m) || !everywhere[path.Base(m)] && (own(l.because[m]) || its[l.because[m]])
	}
	for _, in := range l.inputs {
		if !its[in.object] && !own(in.object) {
			continue
		}
		started = started || strings.HasSuffix(in.name, "."+agentStart)
		// As `size -A` shows it: the core's own recipe says what counts as what.
		line := fmt.Sprintf("%s %d 0", in.output, in.size)
		if flash != nil && flash.MatchString(line) {
			a.Flash += in.size
		}
		if ram != nil && ram.MatchString(line) {
			a.RAM += in.size
		}
	}
	return a, started
}

// agentCost tells what the agent is and costs in a build that used its library;
// nil where it is not in the image. Managed says that the farm added it;
// everywhere are the members that every program of the platform has.
func (c *collected) agentCost(version string, managed bool, everywhere map[string]bool, linkMap io.Reader) (*compiler.Agent, error) {
	l, err := readMap(linkMap)
	if err != nil {
		return nil, fmt.Errorf("read the linker's map: %w", err)
	}
	pattern := func(key string) *regexp.Regexp {
		re, err := regexp.Compile("(?m)" + c.result.Build.property(key))
		if err != nil || c.result.Build.property(key) == "" {
			return nil
		}
		return re
	}
	libraries := onlyForAgent(c.dependencies)
	own := func(object string) bool {
		if strings.HasSuffix(object, "/sketch/"+managedFile+".o") {
			return true
		}
		return libraries[libraryOf(object)]
	}
	agent, started := l.cost(own, everywhere, pattern("recipe.size.regex"), pattern("recipe.size.regex.data"))
	if !managed && !started {
		return nil, nil
	}
	agent.Version = version
	return &agent, nil
}

var inLibrary = regexp.MustCompile(`^.*?/libraries/([^/]+)/`)

// libraryOf returns the folder of the library that a file is in, or "".
func libraryOf(path string) string {
	if m := inLibrary.FindStringSubmatch(path); m != nil {
		return m[1]
	}
	return ""
}

// onlyForAgent returns the libraries that are in a build for the agent's sake:
// FlotaOTA, and what it includes and the sketch does not, neither itself nor by
// way of other libraries. Dependencies are what the compilers noted, as make rules.
func onlyForAgent(dependencies string) map[string]bool {
	includes := map[string]map[string]bool{} // by library, "" is the sketch
	for rule := range strings.SplitSeq(strings.ReplaceAll(dependencies, "\\\n", " "), "\n") {
		target, files, ok := strings.Cut(rule, ": ")
		if !ok || strings.HasSuffix(target, "/"+managedFile+".o") {
			continue
		}
		from := libraryOf(target)
		if includes[from] == nil {
			includes[from] = map[string]bool{}
		}
		for file := range strings.FieldsSeq(files) {
			if to := libraryOf(file); to != "" {
				includes[from][to] = true
			}
		}
	}
	reached := map[string]bool{}
	var visit func(from string)
	visit = func(from string) {
		for to := range includes[from] {
			if to != agentLibrary && !reached[to] {
				reached[to] = true
				visit(to)
			}
		}
	}
	visit("")
	only := map[string]bool{agentLibrary: true}
	for from := range includes {
		if from != "" && !reached[from] {
			only[from] = true
		}
	}
	return only
}
