// Package mip fetches MicroPython packages as MicroPython's own installer does
// (https://docs.micropython.org/en/latest/reference/packages.html): by name from
// an index, or by an address, with what they depend on. It fetches sources, in
// the index's format "py"; nothing of a package is run.
package mip

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/editor"
)

// Limits of what one fetching may bring.
const (
	maxPackages    = 64
	maxFiles       = 128
	maxBytes       = 4 << 20 // of all files together
	maxDepth       = 8       // packages that need each other in a row
	maxDescription = 256 << 10
)

// folder is where packages go in a project.
const folder = "lib/"

// Source fetches from the index at an address, and from wherever packages lie.
type Source struct {
	Index string // as https://micropython.org/pi/v2, without a slash at the end
	// Client reaches what a project's authors may name, and nothing else: one of
	// pkg/outbound, whose answers are at most editor.MaxFileSize long.
	Client *http.Client
}

var _ editor.PackageSource = (*Source)(nil)

// description is what a package says of itself: package.json.
type description struct {
	Version string              `json:"version"`
	Hashes  [][2]string         `json:"hashes"` // path, first digits of the SHA-256
	URLs    [][2]string         `json:"urls"`   // path, address
	Deps    []editor.Dependency `json:"deps"`
}

// step is a package to be looked at, and the packages that led to it.
type step struct {
	editor.Dependency
	chain []string
}

// Fetch implements editor.PackageSource. What the project wants itself decides
// about versions; packages come in the order in which they were found.
func (s *Source) Fetch(ctx context.Context, wanted []editor.Dependency, tell func(editor.FetchProgress)) ([]editor.Package, error) {
	w := walk{source: s, tell: tell, chosen: map[string]choice{}}
	var steps []step
	for _, d := range wanted {
		steps = append(steps, step{Dependency: d})
	}
	for ; len(steps) > 0; steps = steps[1:] {
		more, err := w.visit(ctx, steps[0])
		if err != nil {
			return nil, w.explain(ctx, steps[0].Name, err)
		}
		steps = append(steps, more...)
	}
	return w.packages, nil
}

// walk is one fetching.
type walk struct {
	source   *Source
	tell     func(editor.FetchProgress)
	at       editor.FetchProgress
	chosen   map[string]choice // by name
	packages []editor.Package
}

// choice is the version of a package that was chosen, and whether the project
// itself chose it: its wishes are looked at first.
type choice struct {
	version string
	own     bool
}

// visit fetches a package, unless that was done, and returns what it needs.
func (w *walk) visit(ctx context.Context, s step) ([]step, error) {
	name := strings.TrimSuffix(strings.TrimSuffix(s.Name, "/package.json"), "/")
	if slices.Contains(s.chain, name) {
		return nil, refuse("%s needs itself: %s", name, strings.Join(append(s.chain, name), " → "))
	}
	if len(s.chain) >= maxDepth {
		return nil, tooLarge("%s is more than %d packages away from what the project wants", name, maxDepth)
	}
	if chosen, ok := w.chosen[name]; ok {
		if chosen.version != s.Version && s.Version != editor.Latest && !chosen.own {
			return nil, refuse("%s is wanted as %s and as %s; name one of them in package.json", name, chosen.version, s.Version)
		}
		return nil, nil
	}
	if len(w.packages) >= maxPackages {
		return nil, tooLarge("the project would need more than %d packages", maxPackages)
	}
	w.chosen[name] = choice{version: s.Version, own: len(s.chain) == 0}
	w.say("%s (%s)", s.Name, s.Version)

	p := editor.Package{Dependency: s.Dependency}
	var deps []editor.Dependency
	var err error
	if isFile(s.Name) {
		err = w.single(ctx, &p)
	} else {
		deps, err = w.described(ctx, &p)
	}
	if err != nil {
		return nil, err
	}
	w.packages = append(w.packages, p)
	w.at.Packages++
	more := make([]step, len(deps))
	for i, d := range deps {
		more[i] = step{Dependency: d, chain: append(slices.Clone(s.chain), name)}
	}
	return more, nil
}

// single fetches a package that is one file.
func (w *walk) single(ctx context.Context, p *editor.Package) error {
	address, err := w.source.resolve(p.Name, p.Version)
	if err != nil {
		return err
	}
	p.Source = address
	return w.add(ctx, p, p.Name[strings.LastIndexByte(p.Name, '/')+1:], address, "")
}

// described fetches a package with a description, and returns what it needs.
func (w *walk) described(ctx context.Context, p *editor.Package) ([]editor.Dependency, error) {
	base := "" // of relative addresses
	var err error
	if isAddress(p.Name) {
		file := p.Name
		if !strings.HasSuffix(file, ".json") {
			file = strings.TrimSuffix(file, "/") + "/package.json"
		}
		base = file[:strings.LastIndexByte(file, '/')]
		p.Source, err = w.source.resolve(file, p.Version)
	} else {
		p.Source, err = w.source.listed(p.Name, p.Version)
	}
	if err != nil {
		return nil, err
	}
	text, err := w.source.get(ctx, p.Source, maxDescription)
	if err != nil {
		return nil, err
	}
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, refuse("what %s says is no description of a package: %v", p.Source, err)
	}
	if len(d.Version) > 64 || len(d.Deps) > maxPackages {
		return nil, tooLarge("the description at %s is too long", p.Source)
	}
	p.Says = d.Version
	for _, f := range d.Hashes {
		path, hash := f[0], f[1]
		if !shortHash.MatchString(hash) {
			return nil, refuse("%.70q is no SHA-256 of %s", hash, path)
		}
		if err := w.add(ctx, p, path, fmt.Sprintf("%s/file/%s/%s", w.source.Index, hash[:2], hash), hash); err != nil {
			return nil, err
		}
	}
	for _, f := range d.URLs {
		path, address := f[0], f[1]
		if !isAddress(address) && base != "" {
			address = base + "/" + address
		}
		if address, err = w.source.resolve(address, p.Version); err != nil {
			return nil, err
		}
		if err := w.add(ctx, p, path, address, ""); err != nil {
			return nil, err
		}
	}
	return d.Deps, nil
}

// shortHash is how an index names its files: the first digits of their SHA-256.
var shortHash = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// add fetches a file of a package. Where a hash is given, the file's SHA-256 must
// begin with it.
func (w *walk) add(ctx context.Context, p *editor.Package, path, address, hash string) error {
	if strings.HasSuffix(path, ".mpy") {
		return refuse("%s is compiled already; only sources can be checked and built for each board", path)
	}
	path = folder + path
	if err := editor.CheckPath(editor.MicroPython, path); err != nil {
		return refuse("it has a file %.200q, which cannot be in a project: %s", path, fault.As(err).Message)
	}
	if w.at.Files >= maxFiles {
		return tooLarge("the packages have more than %d files", maxFiles)
	}
	w.say("%s of %s", strings.TrimPrefix(path, folder), p.Name)
	content, err := w.source.get(ctx, address, editor.MaxFileSize)
	if err != nil {
		return err
	}
	if w.at.Bytes += len(content); w.at.Bytes > maxBytes {
		return tooLarge("the packages have more than %d MiB together", maxBytes>>20)
	}
	if !strings.HasPrefix(editor.Digest(content), hash) {
		return refuse("%s is not what the index says it is: its SHA-256 does not begin with %s", path, hash)
	}
	if err := editor.CheckContent(string(content)); err != nil {
		return refuse("%s cannot be in a project: %s", path, fault.As(err).Message)
	}
	p.Files = append(p.Files, editor.PackageFile{Path: path, Source: address, Content: content})
	w.at.Files++
	return nil
}

func (w *walk) say(format string, args ...any) {
	w.at.Doing = fmt.Sprintf(format, args...)
	w.tell(w.at)
}

// explain says whose fault an error is.
func (w *walk) explain(ctx context.Context, name string, err error) error {
	switch ctx.Err() {
	case nil:
	case context.DeadlineExceeded:
		return fault.Wrap(ctx.Err(), fault.Unavailable, "fetching the packages took too long, at %s", name)
	default:
		return fault.Wrap(ctx.Err(), fault.Unavailable, "it was ended before all packages were there, at %s", name)
	}
	f := fault.As(err)
	if f == nil {
		return err
	}
	return &fault.Error{Code: f.Code, Field: "deps", Message: "the package " + name + ": " + f.Message, Err: err}
}

// get fetches what lies at an address, of at most limit bytes.
func (s *Source) get(ctx context.Context, address string, limit int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, refuse("%.200q is no address", address)
	}
	r.Header.Set("User-Agent", "flota")
	answer, err := s.Client.Do(r)
	if err != nil {
		return nil, unreached(address, err)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusGone:
		return nil, fault.New(fault.NotFound, "there is nothing at %s", address)
	case answer.StatusCode != http.StatusOK:
		return nil, fault.New(fault.Unavailable, "%s answers %d", address, answer.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(answer.Body, limit+1))
	if err != nil {
		return nil, unreached(address, err)
	}
	if int64(len(content)) > limit {
		return nil, tooLarge("what lies at %s is larger than %d KiB", address, limit>>10)
	}
	return content, nil
}

// unreached explains why a request failed; what was refused keeps its reason.
func unreached(address string, err error) error {
	if f := fault.As(err); f != nil {
		return &fault.Error{Code: f.Code, Message: fmt.Sprintf("%s cannot be fetched: %s", address, f.Message), Err: err}
	}
	return fault.Wrap(err, fault.Unavailable, "%s cannot be reached", address)
}

func refuse(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }

func tooLarge(format string, args ...any) error { return fault.New(fault.TooLarge, format, args...) }
