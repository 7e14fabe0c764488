// Package editor answers one question: what was written, and what was built
// from it? It holds projects, their revisions and builds, the rules about them,
// the model of the farm and the scheduler; what it needs of the outside stands
// in small interfaces beside the code that needs it.
package editor

import (
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// Kind is the kind of a project.
type Kind string

// The kinds.
const (
	Arduino     Kind = "arduino"
	MicroPython Kind = "micropython"
)

// MicroPythonMain is the main file of every MicroPython project.
const MicroPythonMain = "main.py"

// Project is what somebody works on: a tree of working files and a board.
type Project struct {
	docstore.Meta `bson:",inline"`

	Workspace string `bson:"workspace"`
	// Slot is unique in a workspace: a product has one project of its own.
	Slot   string `bson:"slot"`
	Device string `bson:"device,omitempty"` // whose own project this is
	Name   string `bson:"name"`
	Kind   Kind   `bson:"kind"`
	FQBN   string `bson:"fqbn,omitempty"`
	Main   string `bson:"main,omitempty"` // the file that a build starts from; "" where there is none
	// Unmanaged projects do without the update agent that the farm adds.
	Unmanaged bool      `bson:"unmanaged,omitempty"`
	Files     Files     `bson:"files"`
	Head      Head      `bson:"head"`
	Created   time.Time `bson:"created"`
	Changed   time.Time `bson:"changed"`
	// Deleted projects are gone for everybody; the sweeper takes their builds
	// and revisions away, and then them.
	Deleted bool `bson:"deleted"`
}

// Head is the newest revision; number 0 where there is none.
type Head struct {
	Number int    `bson:"number"`
	Tree   string `bson:"tree"`
}

// Revision is a tree that is kept for ever.
type Revision struct {
	docstore.Meta `bson:",inline"`

	Workspace string    `bson:"workspace"`
	Project   string    `bson:"project"`
	Number    int       `bson:"number"` // from 1
	Tree      string    `bson:"tree"`
	Main      string    `bson:"main"`
	Files     Files     `bson:"files"`
	Author    string    `bson:"author"`
	Message   string    `bson:"message,omitempty"`
	Created   time.Time `bson:"created"`
}

// RevisionID is the ID of a project's revision.
func RevisionID(project string, number int) string { return fmt.Sprintf("%s.%d", project, number) }

const maxName = 100 // characters

// CheckName returns an Invalid fault of field "name" unless a project may be
// called that.
func CheckName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return fault.Field("name", "a project needs a name")
	case len([]rune(name)) > maxName:
		return fault.Field("name", "a name has at most %d characters", maxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return fault.Field("name", "a name is one line of text")
	}
	return nil
}

// CheckKind returns an Invalid fault of field "kind" for one that is not known.
func CheckKind(kind Kind) error {
	if _, ok := extensions[kind]; !ok {
		return fault.Field("kind", "a project is of kind %s or %s", Arduino, MicroPython)
	}
	return nil
}

// Put adds or replaces a working file. Base, where it is not nil, is the digest
// that the file must still have, "" for none: else the fault is Conflict.
func (p *Project) Put(file File, base *string) error {
	if err := CheckPath(p.Kind, file.Path); err != nil {
		return err
	}
	old, _ := p.Files.Find(file.Path)
	if base != nil && *base != old.SHA256 && old.SHA256 != file.SHA256 {
		return &fault.Error{Code: fault.Conflict, Field: "base", Message: "somebody else saved this file meanwhile"}
	}
	files, err := p.Files.with(file)
	if err != nil {
		return err
	}
	return p.set(files, p.Main)
}

// Remove takes a working file away.
func (p *Project) Remove(path string) error {
	if _, ok := p.Files.Find(path); !ok {
		return noFile(path)
	}
	return p.set(p.Files.without(path), p.Main)
}

// Rename gives a working file another path.
func (p *Project) Rename(from, to string) error {
	file, ok := p.Files.Find(from)
	if !ok {
		return noFile(from)
	}
	if err := CheckPath(p.Kind, to); err != nil {
		return rename(err)
	}
	if _, taken := p.Files.Find(to); taken && from != to {
		return &fault.Error{Code: fault.Conflict, Field: "to", Message: to + " exists already"}
	}
	file.Path = to
	files, err := p.Files.without(from).with(file)
	if err != nil {
		return rename(err)
	}
	main := p.Main
	if main == from {
		main = to
	}
	return rename(p.set(files, main))
}

// rename tells of a wrong path by the name that a renaming has for it.
func rename(err error) error {
	if f := fault.As(err); f != nil && f.Field == "path" {
		return &fault.Error{Code: f.Code, Field: "to", Message: f.Message}
	}
	return err
}

func noFile(path string) error {
	return &fault.Error{Code: fault.NotFound, Field: "path", Message: fmt.Sprintf("the project has no file %s", path)}
}

// set takes a new tree and finds its main file: the one before, if it can
// still be that.
func (p *Project) set(files Files, main string) error {
	if _, ok := files.Find(main); !ok || !canBeMain(p.Kind, main) {
		main = findMain(p.Kind, p.Name, files)
	}
	// The compiler knows the main file as sketch.ino, whatever its name.
	if i := strings.ToLower(main); p.Kind == Arduino && i != "sketch.ino" {
		for _, f := range files {
			if strings.EqualFold(f.Path, "sketch.ino") {
				return fault.Field("path", "only the main file can be called sketch.ino: compilers know it by that name")
			}
		}
	}
	p.Files, p.Main = files, main
	return nil
}

func canBeMain(kind Kind, name string) bool {
	if kind == MicroPython {
		return name == MicroPythonMain
	}
	return !strings.Contains(name, "/") && path.Ext(name) == ".ino"
}

// findMain returns the file that has the project's name, else the first one
// that can be the main file, else "".
func findMain(kind Kind, name string, files Files) (main string) {
	for _, f := range files {
		if !canBeMain(kind, f.Path) {
			continue
		}
		if strings.EqualFold(f.Path, name+".ino") {
			return f.Path
		}
		if main == "" {
			main = f.Path
		}
	}
	return main
}

// CheckMain returns a Precondition fault for a tree that nothing can be built of.
func CheckMain(kind Kind, main string) error {
	switch {
	case main != "":
		return nil
	case kind == MicroPython:
		return fault.New(fault.Precondition, "the project has no main.py: a MicroPython program starts there")
	}
	return fault.New(fault.Precondition, "the project has no .ino file in its first folder: a sketch starts there")
}

// starter is the file that a new project without an example begins with.
func starter(kind Kind, name string) (path, content string) {
	if kind == MicroPython {
		return MicroPythonMain, "print(\"hello\")\n"
	}
	return fileName(name) + ".ino", "void setup() {\n  Serial.begin(115200);\n}\n\nvoid loop() {\n}\n"
}

// fileName makes a file's name, without extension, from a project's name.
func fileName(name string) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
	if mapped = strings.Trim(mapped, "_"); mapped == "" {
		return "sketch"
	}
	return mapped[:min(len(mapped), 60)]
}
