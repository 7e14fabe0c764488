package sandbox

import (
	"archive/tar"
	"io"

	"github.com/flota/flota/services/compiler"
)

// WriteTar writes files in their order as a tar for a task's input, with nothing
// in it that varies from one time to another.
func WriteTar(w io.Writer, files []compiler.File) error {
	archive := tar.NewWriter(w)
	for _, f := range files {
		err := archive.WriteHeader(&tar.Header{Name: f.Path, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(f.Data)), Format: tar.FormatPAX})
		if err == nil {
			_, err = archive.Write(f.Data)
		}
		if err != nil {
			return err
		}
	}
	return archive.Close()
}
