// Package compiler answers one question: what firmware does this source give?
// It holds the words of the trade, the rules that need no technology, and the
// interface of what does the work; arduino and micropython do it, in sandbox.
package compiler

// Kind is the kind of a project.
type Kind string

// The kinds.
const (
	Arduino     Kind = "arduino"
	MicroPython Kind = "micropython"
)

// File is one file of a source tree; Path is relative and uses slashes.
type File struct {
	Path string
	Data []byte
}

// Job is one build to do.
type Job struct {
	// Build names the job in logs.
	Build string
	Kind  Kind
	// FQBN is the board with its options: "arduino:avr:mega:cpu=atmega1280".
	FQBN  string
	Files []File
	// Main is the main file's path as the user named it; where it is empty, the
	// kind's own convention finds it.
	Main string
	// Unmanaged leaves out the update agent that the farm adds.
	Unmanaged bool
	// Verbose asks for every command in the log.
	Verbose bool
}
