package editor

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// ErrUnchanged is returned by a change that leaves the thing as it is; it is no
// error to whoever asked for the change.
var ErrUnchanged = errors.New("editor: nothing to change")

// Page asks for a part of a list.
type Page struct {
	After string // from the page before
	Limit int
}

// ProjectStore keeps projects and revisions. Things of another workspace, and
// deleted projects, are NotFound. It is safe for concurrent use.
type ProjectStore interface {
	// InsertProject returns Conflict where the slot is taken.
	InsertProject(ctx context.Context, p *Project) error
	Project(ctx context.Context, workspace, id string) (*Project, error)
	OwnProject(ctx context.Context, workspace, device string) (*Project, error)
	// Projects lists them, the newest change first, and where the next page begins.
	Projects(ctx context.Context, workspace string, page Page) ([]*Project, string, error)
	// ChangeProject applies a change by compare-and-set; it may call it again.
	ChangeProject(ctx context.Context, workspace, id string, change func(*Project) error) (*Project, error)

	// InsertRevision returns Conflict where the project has that number.
	InsertRevision(ctx context.Context, r *Revision) error
	Revision(ctx context.Context, workspace, project string, number int) (*Revision, error)
	// Revisions lists them, the newest first.
	Revisions(ctx context.Context, workspace, project string, page Page) ([]*Revision, string, error)
}

// Contents keeps the contents of files by their digest. It is safe for
// concurrent use.
type Contents interface {
	Put(ctx context.Context, content []byte) (sha256 string, err error)
	// Get returns NotFound for a digest that was never put.
	Get(ctx context.Context, sha256 string) ([]byte, error)
}

// Example is what a new project can start from.
type Example struct {
	ID          string
	Name        string
	Description string
	Kind        Kind
	FQBN        string
	Files       map[string]string // path → content
}

// Projects is everything that can be done with projects.
type Projects struct {
	Store    ProjectStore
	Contents Contents
	Examples []Example
	Packages PackageSource // of MicroPython projects
	Now      func() time.Time

	resolving resolutions
}

// NewProject describes a project to make.
type NewProject struct {
	Name    string
	Example string // ID; "" for an empty project
	Kind    Kind   // of an empty project; "" is Arduino
	FQBN    string // "" is the example's
	Device  string // whose own project it is
	// Unmanaged leaves out the update agent.
	Unmanaged bool
}

// ProjectChange is what to change of a project; nil leaves it.
type ProjectChange struct {
	Name, FQBN *string
	Unmanaged  *bool
}

// Create makes a project. Errors: Invalid with the field.
func (s *Projects) Create(ctx context.Context, workspace string, wish NewProject) (*Project, error) {
	if err := CheckName(wish.Name); err != nil {
		return nil, err
	}
	if wish.Kind == "" {
		wish.Kind = Arduino
	}
	path, content := starter(wish.Kind, wish.Name)
	files := map[string]string{path: content}
	if wish.Example != "" {
		example, err := s.example(wish.Example)
		if err != nil {
			return nil, err
		}
		files, wish.Kind = example.Files, example.Kind
		if wish.FQBN == "" {
			wish.FQBN = example.FQBN
		}
	}
	if err := CheckKind(wish.Kind); err != nil {
		return nil, err
	}
	if wish.FQBN != "" {
		if err := CheckFQBN(wish.FQBN); err != nil {
			return nil, err
		}
	}
	now := s.Now()
	p := &Project{
		Meta: docstore.Meta{ID: NewID()}, Workspace: workspace, Device: wish.Device, Name: wish.Name,
		Kind: wish.Kind, FQBN: wish.FQBN, Unmanaged: wish.Unmanaged, Created: now, Changed: now,
	}
	p.Slot = p.ID
	if p.Device != "" {
		p.Slot = OwnSlot(p.Device)
	}
	for path, content := range files {
		sha, err := s.Contents.Put(ctx, []byte(content))
		if err != nil {
			return nil, err
		}
		if err := p.Put(File{Path: path, Size: len(content), SHA256: sha}, nil); err != nil {
			return nil, err
		}
	}
	if err := s.Store.InsertProject(ctx, p); err != nil {
		return nil, err
	}
	return p, nil
}

// OwnSlot is the slot of a product's own project.
func OwnSlot(device string) string { return "device-" + device }

func (s *Projects) example(id string) (Example, error) {
	for _, e := range s.Examples {
		if e.ID == id {
			return e, nil
		}
	}
	return Example{}, fault.Field("example", "there is no example %q", id)
}

// OpenOwn returns the project of a product, and makes it where there is none yet:
// from the first example for the kind of its board, "" where that is not known.
func (s *Projects) OpenOwn(ctx context.Context, workspace, device, name, fqbn string) (*Project, error) {
	p, err := s.Store.OwnProject(ctx, workspace, device)
	if !fault.Is(err, fault.NotFound) {
		return p, err
	}
	if name == "" || CheckName(name) != nil {
		name = "My project"
	}
	if CheckFQBN(fqbn) != nil { // a device may call itself anything
		fqbn = ""
	}
	p, err = s.Create(ctx, workspace, NewProject{Name: name, Example: s.firstFor(fqbn).ID, FQBN: fqbn, Device: device})
	if fault.Is(err, fault.Conflict) { // opened twice at once
		return s.Store.OwnProject(ctx, workspace, device)
	}
	return p, err
}

// firstFor is the first example of the kind that a board's programs are of.
func (s *Projects) firstFor(fqbn string) Example {
	if strings.HasPrefix(fqbn, microPythonBoards) {
		for _, e := range s.Examples {
			if e.Kind == MicroPython {
				return e
			}
		}
	}
	return s.Examples[0]
}

// microPythonBoards is how the names of boards begin that run MicroPython.
const microPythonBoards = "micropython:"

// Change gives a project another name or board, or opts out of the agent.
// Errors: Invalid with the field.
func (s *Projects) Change(ctx context.Context, p *Project, to ProjectChange) (*Project, error) {
	if to.Name != nil {
		if err := CheckName(*to.Name); err != nil {
			return nil, err
		}
	}
	if to.FQBN != nil && *to.FQBN != "" {
		if err := CheckFQBN(*to.FQBN); err != nil {
			return nil, err
		}
	}
	return s.change(ctx, p, func(p *Project) error {
		if to.Name != nil {
			p.Name = *to.Name
		}
		if to.FQBN != nil {
			p.FQBN = *to.FQBN
		}
		if to.Unmanaged != nil {
			p.Unmanaged = *to.Unmanaged
		}
		return nil
	})
}

// Delete removes a project for everybody. Its builds and revisions follow soon.
func (s *Projects) Delete(ctx context.Context, p *Project) error {
	_, err := s.change(ctx, p, func(p *Project) error {
		p.Deleted, p.Slot = true, p.ID
		return nil
	})
	return err
}

func (s *Projects) change(ctx context.Context, p *Project, change func(*Project) error) (*Project, error) {
	return s.Store.ChangeProject(ctx, p.Workspace, p.ID, func(p *Project) error {
		if err := change(p); err != nil {
			return err
		}
		p.Changed = s.Now()
		return nil
	})
}

// PutFile saves a working file; see Project.Put for base.
func (s *Projects) PutFile(ctx context.Context, p *Project, path, content string, base *string) (File, error) {
	if err := CheckPath(p.Kind, path); err != nil {
		return File{}, err
	}
	if err := CheckContent(content); err != nil {
		return File{}, err
	}
	file := File{Path: path, Size: len(content), SHA256: Digest([]byte(content))}
	if err := new(*p).Put(file, base); err != nil { // nothing is stored of what will be refused
		return File{}, err
	}
	if _, err := s.Contents.Put(ctx, []byte(content)); err != nil {
		return File{}, err
	}
	_, err := s.change(ctx, p, func(p *Project) error {
		if old, _ := p.Files.Find(path); old == file {
			return ErrUnchanged
		}
		return p.Put(file, base)
	})
	return file, err
}

// RemoveFile takes a working file away.
func (s *Projects) RemoveFile(ctx context.Context, p *Project, path string) error {
	_, err := s.change(ctx, p, func(p *Project) error { return p.Remove(path) })
	return err
}

// RenameFile gives a working file another path.
func (s *Projects) RenameFile(ctx context.Context, p *Project, from, to string) (File, error) {
	p, err := s.change(ctx, p, func(p *Project) error { return p.Rename(from, to) })
	if err != nil {
		return File{}, err
	}
	file, _ := p.Files.Find(to)
	return file, nil
}

// ReadFile returns a working file, or that of a revision where it is not 0.
func (s *Projects) ReadFile(ctx context.Context, p *Project, path string, revision int) (File, []byte, error) {
	files := p.Files
	if revision != 0 {
		r, err := s.Store.Revision(ctx, p.Workspace, p.ID, revision)
		if err != nil {
			return File{}, nil, err
		}
		files = r.Files
	}
	file, ok := files.Find(path)
	if !ok {
		return File{}, nil, noFile(path)
	}
	content, err := s.Contents.Get(ctx, file.SHA256)
	return file, content, err
}

const keepTries = 10

// Keep makes a revision of the working files, or returns the newest one where
// nothing changed since. The revision comes before the project that points to
// it, so that a crash in between is mended by whoever comes next.
func (s *Projects) Keep(ctx context.Context, p *Project, author, message string) (*Revision, error) {
	for range keepTries {
		tree := p.Files.Tree()
		if p.Head.Number > 0 && p.Head.Tree == tree {
			return s.Store.Revision(ctx, p.Workspace, p.ID, p.Head.Number)
		}
		number := p.Head.Number + 1
		r := &Revision{
			Meta: docstore.Meta{ID: RevisionID(p.ID, number)}, Workspace: p.Workspace, Project: p.ID, Number: number,
			Tree: tree, Main: p.Main, Files: p.Files, Author: author, Message: message, Created: s.Now(),
		}
		err := s.Store.InsertRevision(ctx, r)
		if fault.Is(err, fault.Conflict) {
			r, err = s.Store.Revision(ctx, p.Workspace, p.ID, number)
		}
		if err != nil {
			return nil, err
		}
		p, err = s.Store.ChangeProject(ctx, p.Workspace, p.ID, func(p *Project) error {
			if p.Head.Number >= r.Number {
				return ErrUnchanged
			}
			p.Head = Head{Number: r.Number, Tree: r.Tree}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if r.Tree == tree {
			return r, nil
		}
	}
	return nil, fault.New(fault.Conflict, "the project changes too often; try again")
}
