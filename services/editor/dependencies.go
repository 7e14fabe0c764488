package editor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// The files that say which packages a MicroPython project uses: what is wanted,
// in the form of MicroPython's mip, and what was fetched.
const (
	PackagesFile = "package.json"
	LockFile     = "package.lock.json"
)

// vendorFolder is where the files of packages lie in a project; boards look for
// modules there.
const vendorFolder = "lib/"

const (
	maxDependencies  = 32
	maxDependency    = 250 // bytes of a name
	maxVersion       = 64  // bytes
	lockFormat       = 1
	resolvePatience  = 2 * time.Minute
	resolvingAtATime = 8
	resolvingEach    = 2 // of one workspace
)

// Dependency names a package: by its name in the index or by an address, as mip
// does, and the version that is wanted, "latest" where any will do.
type Dependency struct{ Name, Version string }

// MarshalJSON writes it as mip does: ["name", "version"].
func (d Dependency) MarshalJSON() ([]byte, error) { return json.Marshal([2]string{d.Name, d.Version}) }

// UnmarshalJSON reads ["name", "version"], and ["name"] for the latest.
func (d *Dependency) UnmarshalJSON(data []byte) error {
	var words []string
	if err := json.Unmarshal(data, &words); err != nil || len(words) < 1 || len(words) > 2 {
		return fmt.Errorf(`a dependency is written ["name", "version"], not %s`, clip(string(data), maxWord))
	}
	*d = Dependency{Name: words[0]}
	if len(words) == 2 {
		d.Version = words[1]
	}
	*d = d.OrLatest()
	return nil
}

// OrLatest is the dependency with "latest" for a version that is left out.
func (d Dependency) OrLatest() Dependency {
	d.Version = cmp.Or(d.Version, Latest)
	return d
}

// Latest stands for whatever version is the newest.
const Latest = "latest"

// Package is one that was fetched.
type Package struct {
	Dependency
	Says   string // its own word for its version; may be empty
	Source string // where its description lies, or its only file
	Files  []PackageFile
}

// PackageFile is a file of a package.
type PackageFile struct {
	Path    string // in the project
	Source  string
	Content []byte
}

// FetchProgress is how far a fetching is.
type FetchProgress struct {
	Packages, Files, Bytes int
	Doing                  string // what is fetched now
}

// PackageSource fetches packages, and those that they need. Paths and contents of
// the files are such as a project may have. Errors have a sentence that names the
// package: Invalid, NotFound, TooLarge, Forbidden, Unavailable.
type PackageSource interface {
	Fetch(ctx context.Context, wanted []Dependency, tell func(FetchProgress)) ([]Package, error)
}

// Lock is what was fetched, as LockFile keeps it.
type Lock struct {
	Format   int             `json:"format"`
	Deps     []Dependency    `json:"deps"` // that were wanted then
	Packages []LockedPackage `json:"packages"`
}

// LockedPackage is a package with the files that it brought.
type LockedPackage struct {
	Name    string       `json:"name"`
	Version string       `json:"version"`
	Source  string       `json:"source"`
	Files   []LockedFile `json:"files"`
}

// LockedFile is a file in the project as it was fetched.
type LockedFile struct {
	Path   string `json:"path"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
	Source string `json:"source"`
}

// find returns a locked file by its path.
func (l Lock) find(path string) (LockedFile, bool) {
	for _, p := range l.Packages {
		for _, f := range p.Files {
			if f.Path == path {
				return f, true
			}
		}
	}
	return LockedFile{}, false
}

// FileState is how a fetched file stands in the project.
type FileState string

// The states of fetched files.
const (
	AsFetched FileState = "kept"
	Edited    FileState = "changed"
	Removed   FileState = "removed"
)

// State tells how a fetched file stands among the files of a project.
func (l LockedFile) State(files Files) FileState {
	switch f, ok := files.Find(l.Path); {
	case !ok:
		return Removed
	case f.SHA256 != l.SHA256:
		return Edited
	}
	return AsFetched
}

// Dependencies is what a project wants and has.
type Dependencies struct {
	Wanted []Dependency
	Lock   Lock
	// Resolved is set where what is wanted is what was fetched.
	Resolved bool
}

// ParseDependencies reads the dependencies of a PackagesFile. Errors: Invalid of
// field "deps".
func ParseDependencies(content []byte) ([]Dependency, error) {
	var file struct {
		Deps []Dependency `json:"deps"`
	}
	if err := json.Unmarshal(content, &file); err != nil {
		return nil, fault.Field("deps", "%s is not as it should be: %v", PackagesFile, err)
	}
	return file.Deps, checkDependencies(file.Deps)
}

func checkDependencies(deps []Dependency) error {
	if len(deps) > maxDependencies {
		return fault.Field("deps", "a project has at most %d dependencies of its own", maxDependencies)
	}
	for i, d := range deps {
		switch {
		case d.Name == "" || len(d.Name) > maxDependency:
			return fault.Field("deps", "a dependency has a name of at most %d characters", maxDependency)
		case len(d.Version) > maxVersion:
			return fault.Field("deps", "the version of %s is longer than %d characters", d.Name, maxVersion)
		case slices.ContainsFunc(deps[:i], func(other Dependency) bool { return other.Name == d.Name }):
			return fault.Field("deps", "%s is there twice", d.Name)
		}
	}
	return nil
}

// parseLock reads a lock; one that is not as it should be counts as none.
func parseLock(content []byte) Lock {
	var l Lock
	if json.Unmarshal(content, &l) != nil || l.Format != lockFormat {
		return Lock{}
	}
	for i := range l.Packages {
		// Somebody may have written into it what was never fetched.
		l.Packages[i].Files = slices.DeleteFunc(l.Packages[i].Files, func(f LockedFile) bool {
			return !strings.HasPrefix(f.Path, vendorFolder) || CheckPath(MicroPython, f.Path) != nil
		})
	}
	return l
}

// Dependencies returns what a project wants and has. Errors: Invalid of field
// "deps" where its PackagesFile cannot be read.
func (s *Projects) Dependencies(ctx context.Context, p *Project) (Dependencies, error) {
	var d Dependencies
	content, err := s.optional(ctx, p, PackagesFile)
	if err != nil {
		return d, err
	}
	lock, err := s.optional(ctx, p, LockFile)
	if err != nil {
		return d, err
	}
	d.Lock = parseLock(lock)
	if content != nil {
		if d.Wanted, err = ParseDependencies(content); err != nil {
			return d, err
		}
	}
	d.Resolved = slices.Equal(d.Wanted, d.Lock.Deps)
	return d, nil
}

// optional returns a working file's content, nil where there is no such file.
func (s *Projects) optional(ctx context.Context, p *Project, path string) ([]byte, error) {
	file, ok := p.Files.Find(path)
	if !ok {
		return nil, nil
	}
	return s.Contents.Get(ctx, file.SHA256)
}

// Resolution describes what to fetch.
type Resolution struct {
	Deps      *[]Dependency // replaces what the project wants; nil leaves that
	Overwrite bool          // replaces files that somebody changed
}

// Resolve fetches the packages that a MicroPython project wants, with all that
// they need, into its folder lib, and writes down where each file came from. All
// of it becomes part of the project in one change, or nothing does. Errors:
// Precondition for a project of another kind; Conflict, of field "overwrite"
// where files would be lost that somebody changed; RateLimited where too many are
// under way; those of the PackageSource.
func (s *Projects) Resolve(ctx context.Context, p *Project, wish Resolution, tell func(FetchProgress)) (*Project, error) {
	if p.Kind != MicroPython {
		return nil, fault.New(fault.Precondition, "only a MicroPython project has packages of this kind")
	}
	leave, err := s.resolving.enter(p.Workspace)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, resolvePatience)
	defer cancel()

	wanted, listed, err := s.wanted(ctx, p, wish.Deps)
	if err != nil {
		return nil, err
	}
	packages, err := s.Packages.Fetch(ctx, wanted, tell)
	if err != nil {
		return nil, err
	}
	fetched, lock, err := vendored(wanted, packages)
	if err != nil {
		return nil, err
	}
	if listed != nil {
		fetched[PackagesFile] = listed
	}
	fetched[LockFile] = lock
	var files Files
	for path, content := range fetched {
		sha, err := s.Contents.Put(ctx, content)
		if err != nil {
			return nil, err
		}
		files = append(files, File{Path: path, Size: len(content), SHA256: sha})
	}
	before, _ := p.Files.Find(PackagesFile)
	return s.change(ctx, p, func(p *Project) error {
		if now, _ := p.Files.Find(PackagesFile); now != before {
			return &fault.Error{Code: fault.Conflict, Field: "deps", Message: PackagesFile + " was changed meanwhile; try again"}
		}
		old, err := s.optional(ctx, p, LockFile)
		if err != nil {
			return err
		}
		return p.vendor(files, parseLock(old), wish.Overwrite)
	})
}

// resolutions are those under way, by workspace.
type resolutions struct {
	mu  sync.Mutex
	of  map[string]int
	all int
}

// enter bounds how many are under way at a time, and how many of one workspace: its servers may be slow.
func (r *resolutions) enter(workspace string) (leave func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all >= resolvingAtATime || r.of[workspace] >= resolvingEach {
		return nil, fault.New(fault.RateLimited, "other projects fetch packages now; try again in a moment")
	}
	if r.of == nil {
		r.of = map[string]int{}
	}
	r.all++
	r.of[workspace]++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all--
		if r.of[workspace]--; r.of[workspace] == 0 {
			delete(r.of, workspace)
		}
	}, nil
}

// wanted returns what the project wants, or is to want; then also the new content
// of its PackagesFile, in which everything else stays.
func (s *Projects) wanted(ctx context.Context, p *Project, deps *[]Dependency) (wanted []Dependency, listed []byte, err error) {
	content, err := s.optional(ctx, p, PackagesFile)
	if err != nil {
		return nil, nil, err
	}
	if deps == nil {
		if content == nil {
			return nil, nil, fault.Field("deps", "the project has no %s that says which packages it wants", PackagesFile)
		}
		wanted, err = ParseDependencies(content)
		return wanted, nil, err
	}
	if err := checkDependencies(*deps); err != nil {
		return nil, nil, err
	}
	all := map[string]json.RawMessage{}
	if content != nil && json.Unmarshal(content, &all) != nil {
		return nil, nil, fault.Field("deps", "%s cannot be read; mend it first", PackagesFile)
	}
	if all["deps"], err = json.Marshal(*deps); err != nil {
		return nil, nil, err
	}
	listed, err = written(all)
	return *deps, listed, err
}

// written is how the project's JSON files are laid out: a dependency in a line.
func written(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return brokenPair.ReplaceAll(out.Bytes(), []byte("[$1, $2]")), err
}

// brokenPair is a list of two strings in three lines.
var brokenPair = regexp.MustCompile(`\[\n\s+("(?:[^"\\]|\\.)*"),\n\s+("(?:[^"\\]|\\.)*")\n\s+\]`)

// vendored returns the files of packages by their paths, and the lock's content.
func vendored(wanted []Dependency, packages []Package) (map[string][]byte, []byte, error) {
	contents, owner := map[string][]byte{}, map[string]string{}
	lock := Lock{Format: lockFormat, Deps: append([]Dependency{}, wanted...), Packages: []LockedPackage{}}
	for _, p := range packages {
		locked := LockedPackage{Name: p.Name, Version: p.Version, Source: p.Source, Files: []LockedFile{}}
		if p.Says != "" {
			locked.Version = p.Says
		}
		for _, f := range p.Files {
			if other, taken := contents[f.Path]; taken {
				if !bytes.Equal(other, f.Content) {
					return nil, nil, fault.Field("deps", "%s and %s both bring %s, and not the same", owner[f.Path], p.Name, f.Path)
				}
				continue
			}
			contents[f.Path], owner[f.Path] = f.Content, p.Name
			locked.Files = append(locked.Files, LockedFile{Path: f.Path, Size: len(f.Content), SHA256: Digest(f.Content), Source: f.Source})
		}
		lock.Packages = append(lock.Packages, locked)
	}
	text, err := written(lock)
	return contents, text, err
}

// vendor replaces what the old lock says was fetched by these files. What
// somebody changed is replaced with overwrite only, and never taken away.
func (p *Project) vendor(fetched Files, old Lock, overwrite bool) error {
	var lost []string
	for _, f := range fetched {
		now, exists := p.Files.Find(f.Path)
		before, known := old.find(f.Path)
		ours := f.Path == LockFile || f.Path == PackagesFile || known && before.SHA256 == now.SHA256
		if exists && now.SHA256 != f.SHA256 && !ours {
			lost = append(lost, f.Path)
		}
	}
	if len(lost) > 0 && !overwrite {
		slices.Sort(lost)
		return &fault.Error{Code: fault.Conflict, Field: "overwrite", Message: "what was written there by hand would be lost: " + enumerate(lost)}
	}
	next := *p
	for _, locked := range old.Packages {
		for _, f := range locked.Files {
			if f.State(next.Files) == AsFetched {
				next.Files = next.Files.without(f.Path)
			}
		}
	}
	for _, f := range fetched {
		if err := next.Put(f, nil); err != nil {
			return err
		}
	}
	*p = next
	return nil
}

// enumerate names the first few of many.
func enumerate(names []string) string {
	const few = 4
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}
