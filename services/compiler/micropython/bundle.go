package micropython

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

// manifest is the first file of a bundle.
type manifest struct {
	Format int             `json:"format"` // 1
	Main   string          `json:"main"`
	Files  []manifestEntry `json:"files"` // by path
}

type manifestEntry struct {
	Path   string `json:"path"`
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"` // lower-case hex
}

// bundle writes the project as a tar of manifest.json and the files. The same
// files give the same bytes.
func (e *Executor) bundle(result *compiler.Result, files []compiler.File, main string) error {
	list := manifest{Format: 1, Main: main}
	for _, f := range files {
		list.Files = append(list.Files, manifestEntry{Path: f.Path, Size: len(f.Data), SHA256: digest(f.Data)})
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := intake.WriteTar(&archive, append([]compiler.File{{Path: intake.Manifest, Data: text}}, files...)); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(e.cfg.Work, "build-")
	if err != nil {
		return err
	}
	name := strings.TrimSuffix(path.Base(main), ".py") + ".bundle.tar"
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, archive.Bytes(), 0o644); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	result.Dir = dir
	result.Outputs = []compiler.Output{{
		Role: compiler.Bundle, Name: name, Path: file, Size: int64(archive.Len()), SHA256: digest(archive.Bytes()),
	}}
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
