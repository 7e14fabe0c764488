package editor

import (
	"path"
	"slices"
	"strings"

	"github.com/flota/flota/pkg/fault"
)

// Limits of a project's files.
const (
	MaxFiles       = 256
	MaxFileSize    = 1 << 20 // bytes
	MaxProjectSize = 8 << 20 // bytes, all files together
	maxPath        = 200     // bytes
	maxBoardPath   = 128     // bytes, of what becomes a file on a board (firmware/README.md)
	maxDepth       = 8       // parts
	maxPart        = 64      // bytes of each part
)

// extensions are what the files of a kind end in. What an Arduino project's
// folder "data" holds is for the board's file system: there any will do.
var extensions = map[Kind][]string{
	Arduino: {
		".ino", ".c", ".cc", ".cpp", ".cxx", ".s", ".h", ".hh", ".hpp", ".hxx", ".inc", ".inl", ".ipp", ".tpp", ".def",
		".txt", ".md", ".adoc", ".json", ".html", ".htm", ".css", ".js", ".svg",
	},
	MicroPython: {
		".py", ".pyi", ".txt", ".md", ".json", ".csv", ".toml", ".ini", ".cfg", ".html", ".htm", ".css", ".js", ".svg", ".xml",
	},
}

const (
	belongsToCore = "it belongs to a board's core"
	chosenInBoard = "the board and its options are chosen in the project"
	optionsFile   = "compiler options are not taken from a project; use #define in a header of your own"
	compilerNotes = "the compiler keeps its notes under that name"
)

// reserved are names that would change how a project is compiled rather than
// what it says. None of them may come from a user: some run commands.
var reserved = map[string]string{
	"sketch.yaml": chosenInBoard, "sketch.yml": chosenInBoard,
	"build_opt.h": optionsFile, "file_opts": optionsFile,
	"platform.txt": belongsToCore, "boards.txt": belongsToCore, "programmers.txt": belongsToCore,
	"compile_commands.json": compilerNotes, "build.options.json": compilerNotes,
	"includes.cache": compilerNotes, "libraries.cache": compilerNotes,
}

// CheckPath returns an Invalid fault of field "path" unless a project of this
// kind may have a file of this name.
func CheckPath(kind Kind, name string) error {
	refuse := func(format string, args ...any) error { return fault.Field("path", format, args...) }
	switch {
	case name == "":
		return refuse("a file needs a name")
	case len(name) > maxPath:
		return refuse("a file's path has at most %d characters", maxPath)
	case kind == MicroPython && len(name) > maxBoardPath:
		return refuse("a file's path has at most %d characters on a board", maxBoardPath)
	case strings.HasPrefix(name, "/"):
		return refuse("a path starts in the project's folder, not with /")
	}
	parts := strings.Split(name, "/")
	if len(parts) > maxDepth {
		return refuse("folders are at most %d deep", maxDepth-1)
	}
	for _, part := range parts {
		if err := checkPart(part); err != nil {
			return err
		}
	}
	base := strings.ToLower(path.Base(name))
	if why := whyReserved(kind, name, base); why != "" {
		return refuse("%s is a reserved name: %s", base, why)
	}
	free := kind == Arduino && (parts[0] == "data" && len(parts) > 1 || name == "partitions.csv")
	if known := extensions[kind]; !free && !slices.Contains(known, path.Ext(base)) {
		return refuse("a file of this project ends in one of %s", strings.Join(known, " "))
	}
	return nil
}

func checkPart(part string) error {
	switch {
	case part == "":
		return fault.Field("path", "a path has no empty part")
	case part == "." || part == "..":
		return fault.Field("path", "a path has no part that is %q", part)
	case len(part) > maxPart:
		return fault.Field("path", "a name has at most %d characters", maxPart)
	case strings.ContainsAny(part[:1], ".-+"):
		return fault.Field("path", "a name starts with a letter, a digit or _")
	case strings.HasSuffix(part, "."):
		return fault.Field("path", "a name does not end with a dot")
	}
	for _, r := range part {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && !strings.ContainsRune("._+-", r) {
			return fault.Field("path", "a name has only the letters A to Z, digits, and . _ + -, not %q", r)
		}
	}
	return nil
}

// whyReserved says why a name, or its last part in lower case, is reserved.
func whyReserved(kind Kind, name, base string) string {
	switch {
	case reserved[base] != "":
		return reserved[base]
	case strings.HasSuffix(base, ".local.txt"):
		return belongsToCore
	case strings.HasSuffix(base, ".globals.h"):
		return optionsFile
	case kind == Arduino && strings.HasPrefix(base, "sketch.ino."):
		return compilerNotes
	case kind == MicroPython && name == "manifest.json":
		return "it is the list of the bundle's files"
	case kind == MicroPython && strings.HasPrefix(strings.ToLower(name), "flota_"):
		return "what begins with flota_ belongs to the update agent"
	}
	return ""
}
