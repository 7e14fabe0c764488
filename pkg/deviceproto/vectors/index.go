package vectors

import (
	"fmt"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
)

// Index is a case of index.json.
type Index struct {
	Case
	// Parts are those of the statement, without the index itself.
	Parts []deviceproto.Part `json:"parts"`
	Text  string             `json:"text"`
	// Files are nil where the index is refused.
	Files []deviceproto.Part `json:"files"`
}

func indexCases() []Index {
	const (
		form  = "<sha256, 64 hex characters> SP <size, decimal without leading zeros> SP <path> LF"
		size  = "an index as its last part: text, at most 65536 bytes and 256 lines, read line by line with a buffer of 256 bytes."
		path  = "The rules for a path are those of the table above"
		order = "the lines are ordered by the bytes of their paths, strictly rising"
		twice = "none of them is the path of a part of the statement."
		wrong = "A line of another form: refuse, format."
	)
	var (
		all    []Index
		digest = strings.Repeat("fedcba9876543210", 4)
		parts  = []deviceproto.Part{{Kind: deviceproto.KindFile, Path: "boot.py", Size: 1, SHA256: digest}}
		line   = func(size any, path string) string { return fmt.Sprintf("%s %v %s\n", digest, size, path) }
		bad    = func(name, proves, text string) {
			all = append(all, Index{Case: Case{name, proves}, Parts: parts, Text: text})
		}
		good = func(name, proves, text string, files ...deviceproto.Part) {
			all = append(all, Index{Case: Case{name, proves}, Parts: parts, Text: text, Files: files})
		}
		file = func(path string, size int64) deviceproto.Part {
			return deviceproto.Part{Kind: deviceproto.KindFile, Path: path, Size: size, SHA256: digest}
		}
	)
	good("one file", form, line(10, "main.py"), file("main.py", 10))
	good("two files", order, line(10, "lib/a.py")+line(0, "main.py"), file("lib/a.py", 10), file("main.py", 0))
	good("ordered by bytes, not by letters", order, line(1, "Z")+line(1, "a")+line(1, "é"), file("Z", 1), file("a", 1), file("é", 1))
	good("a path with spaces", path, line(1, "a b  c"), file("a b  c", 1))
	good("2^53 bytes", form, line(int64(1)<<53, "a"), file("a", 1<<53))
	long := strings.Repeat("a", 128)
	good("the longest path", path, line(1, long), file(long, 1))
	var lines strings.Builder
	var many []deviceproto.Part
	for i := range deviceproto.MaxIndexLines {
		name := fmt.Sprintf("%03d", i)
		lines.WriteString(line(i, name))
		many = append(many, file(name, int64(i)))
	}
	good("256 lines", size, lines.String(), many...)
	bad("257 lines", size, lines.String()+line(1, "256"))
	bad("empty", size, "")
	bad("an empty line", wrong, line(1, "a")+"\n")
	bad("no line feed at the end", wrong, strings.TrimSuffix(line(1, "a"), "\n"))
	bad("CR LF", path, strings.Replace(line(1, "a"), "\n", "\r\n", 1))
	bad("two spaces", wrong, digest+"  1 a\n")
	bad("a tab", wrong, digest+"\t1 a\n")
	bad("digest in upper case", wrong, strings.ToUpper(digest)+" 1 a\n")
	bad("digest cut short", wrong, digest[1:]+" 1 a\n")
	bad("no path", wrong, digest+" 1\n")
	bad("an empty path", path, line(1, ""))
	bad("leading zero", form, line("01", "a"))
	bad("a sign", form, line("+1", "a"))
	bad("a negative size", form, line("-1", "a"))
	bad("2^53 + 1 bytes", form, line(int64(1)<<53+1, "a"))
	bad("beyond 64 bits", form, line("99999999999999999999", "a"))
	bad("no size", form, line("", "a"))
	bad("a path of 129 bytes", path, line(1, long+"a"))
	bad("a path out of the folder", path, line(1, "../a"))
	bad("an absolute path", path, line(1, "/a"))
	bad("a backslash", path, line(1, `a\b`))
	bad("NUL", path, line(1, "a\x00"))
	bad("falling", order, line(1, "b")+line(1, "a"))
	bad("the same path twice", order, line(1, "a")+line(2, "a"))
	bad("ordered by letters, not by bytes", order, line(1, "a")+line(1, "Z"))
	bad("a path of the statement", twice, line(1, "boot.py"))
	return all
}
