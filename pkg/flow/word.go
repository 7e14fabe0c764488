package flow

import (
	"fmt"
	"strings"
)

// Key joins words to a key of a bucket. Like Name it panics where a part is not
// one word.
func Key(parts ...string) string {
	for _, p := range parts {
		mustBeWord(p)
	}
	return strings.Join(parts, ".")
}

// Word makes one word of a subject from a name such as "arduino:avr@1.8.7":
// whatever is no letter, digit or "-" becomes "_".
func Word(name string) string {
	return strings.Map(func(r rune) rune {
		if inWord(r) {
			return r
		}
		return '_'
	}, name)
}

// PlatformWord is the word for a platform at one version, in subjects.
func PlatformWord(id, version string) string { return Word(id + "@" + version) }

// PlatformKey is the key of what a platform at one version offers with one
// toolchain.
func PlatformKey(id, version, toolchain string) string {
	return Word(id + "@" + version + "@" + toolchain)
}

func inWord(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}

func mustBeWord(p string) {
	if p == "" || strings.ContainsFunc(p, func(r rune) bool { return !inWord(r) }) {
		panic(fmt.Sprintf("flow: %q is not one word of a subject", p))
	}
}

// fill puts the parts in the place of the pattern's braces. With open, a part
// that is missing, empty or "*" stands for any word.
func fill(pattern string, parts []string, open bool) string {
	var filled strings.Builder
	rest, n := pattern, 0
	for ; ; n++ {
		before, after, found := strings.Cut(rest, "{")
		filled.WriteString(before)
		if !found {
			break
		}
		part := ""
		if n < len(parts) {
			part = parts[n]
		}
		if open && part == "" {
			part = "*"
		}
		if !open || part != "*" {
			mustBeWord(part)
		}
		filled.WriteString(part)
		_, rest, _ = strings.Cut(after, "}")
	}
	if len(parts) > n {
		panic(fmt.Sprintf("flow: %s takes %d parts, not %d", pattern, n, len(parts)))
	}
	return filled.String()
}

// wildcard is the pattern as a NATS subject, with "*" for every brace.
func wildcard(pattern string) string { return fill(pattern, nil, true) }
