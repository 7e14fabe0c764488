package intake

import (
	"archive/tar"
	"errors"
	"io"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
)

// unreadable tells an archive that is wrong from one that did not arrive whole.
func unreadable(err error) error {
	if errors.Is(err, tar.ErrHeader) {
		return fault.Wrap(err, fault.Invalid, "the source archive cannot be read")
	}
	return fault.Wrap(err, fault.Unavailable, "the source archive did not arrive whole")
}

// FromTar reads a source archive. Anything in it but plain files and folders is
// a fault (links, devices), and so is what exceeds the limits of a tree: nothing
// beyond them is held in memory. An archive that is cut off is fault.Unavailable.
func FromTar(r io.Reader) ([]compiler.File, error) {
	var files []compiler.File
	total := int64(0)
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, unreadable(err)
		}
		switch header.Typeflag {
		case tar.TypeDir, tar.TypeXGlobalHeader:
			continue
		case tar.TypeReg:
		default:
			return nil, fault.Field(header.Name, "only plain files are built, no links and no devices")
		}
		if total += header.Size; header.Size > MaxFile || total > MaxTree {
			return nil, tooLarge(header.Name, "a file may have %d bytes, a project %d", MaxFile, MaxTree)
		}
		if len(files) == MaxFiles {
			return nil, tooLarge("files", "at most %d files are built", MaxFiles)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return nil, unreadable(err)
		}
		files = append(files, compiler.File{Path: header.Name, Data: data})
	}
}

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
