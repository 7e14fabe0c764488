package micropython

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

// release is what a build gives a board: the files of its slot, and their index.
type release struct {
	files []compiler.File // by path
	parts []deviceproto.Part
	index []byte
}

// maxFiles is how many files a release has at most.
const maxFiles = deviceproto.MaxIndexLines

// newRelease lists files, which it puts in order.
func newRelease(files []compiler.File) (*release, error) {
	if len(files) > maxFiles {
		err := fault.As(fault.New(fault.TooLarge, "the release has %d files, the update agent's among them; a board takes at most %d", len(files), maxFiles))
		err.Field = "files"
		return nil, err
	}
	slices.SortFunc(files, func(a, b compiler.File) int { return strings.Compare(a.Path, b.Path) })
	r := &release{files: files}
	for i, f := range files {
		if i > 0 && files[i-1].Path == f.Path {
			return nil, fault.Field(f.Path, "this name is taken by a module that is compiled: rename one of them")
		}
		r.parts = append(r.parts, deviceproto.Part{Path: f.Path, Size: int64(len(f.Data)), SHA256: digest(f.Data)})
	}
	// A module that is compiled may get the name of a folder.
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if _, taken := slices.BinarySearchFunc(files, dir, func(f compiler.File, dir string) int { return strings.Compare(f.Path, dir) }); taken {
				return nil, fault.Field(f.Path, "its folder has the name of a module that is compiled: rename one of them")
			}
		}
	}
	var err error
	r.index, err = deviceproto.Index(r.parts)
	return r, err
}

// compile replaces the modules of a project by what the compiler made of them. What
// is run as a file, not imported, stays as it is.
func compile(files []compiler.File, modules map[string][]byte) (compiled []compiler.File) {
	for _, f := range files {
		if module, ok := modules[f.Path]; ok && f.Path != intake.MicroPythonMain && f.Path != "boot.py" {
			f = compiler.File{Path: strings.TrimSuffix(f.Path, ".py") + ".mpy", Data: module}
		}
		compiled = append(compiled, f)
	}
	return compiled
}

// footprint is how many bytes of the board's flash the release takes at most.
func (r *release) footprint() int64 {
	return deviceproto.Footprint(append([]deviceproto.Part{{Path: deviceproto.IndexFile, Size: int64(len(r.index))}}, r.parts...))
}

// store writes the release's outputs below dir: the index, its files, the bundle.
func (r *release) store(dir string) ([]compiler.Output, error) {
	bundle, err := r.bundle()
	if err != nil {
		return nil, err
	}
	outputs := []compiler.Output{{Role: compiler.Index, Name: intake.Index}, {Role: compiler.Bundle, Name: "main.bundle.tar"}}
	contents := [][]byte{r.index, bundle}
	for _, f := range r.files {
		outputs = append(outputs, compiler.Output{Role: compiler.BoardFile, Name: f.Path})
		contents = append(contents, f.Data)
	}
	for i, data := range contents {
		o := &outputs[i]
		o.Size, o.SHA256 = int64(len(data)), digest(data)
		o.Path = filepath.Join(dir, o.SHA256) // the same bytes once
		if err := os.WriteFile(o.Path, data, 0o644); err != nil {
			return nil, err
		}
	}
	return outputs, nil
}

// manifest says what is in a bundle, for people and their tools.
type manifest struct {
	Format int             `json:"format"` // 1
	Main   string          `json:"main"`
	Files  []manifestEntry `json:"files"` // by path
}

type manifestEntry struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // lower-case hex
}

// mip is a bundle as `mpremote mip install package.json` writes it to a board, from where
// it is unpacked (docs.micropython.org/en/latest/reference/packages.html): paths on the
// board, and where their files are beside this one.
type mip struct {
	URLs    [][2]string `json:"urls"`
	Version string      `json:"version"` // the release's digest: that is its name
}

// bundle writes the release as a tar of manifest.json, package.json and the
// files. The same files give the same bytes.
func (r *release) bundle() ([]byte, error) {
	list := manifest{Format: 1, Main: intake.MicroPythonMain}
	install := mip{Version: digest(r.index)}
	for _, p := range r.parts {
		list.Files = append(list.Files, manifestEntry{p.Path, p.Size, p.SHA256})
		install.URLs = append(install.URLs, [2]string{p.Path, p.Path})
	}
	all := []compiler.File{{Path: intake.Manifest}, {Path: intake.Package}}
	for i, text := range []any{list, install} {
		data, err := json.Marshal(text)
		if err != nil {
			return nil, err
		}
		all[i].Data = data
	}
	var archive bytes.Buffer
	err := intake.WriteTar(&archive, append(all, r.files...))
	return archive.Bytes(), err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
