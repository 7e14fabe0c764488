package s3server

import (
	"context"
	"os"
	"path/filepath"

	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3response"
)

// durable makes uploads survive a power cut, which the backend alone does not: it
// leaves the file to the page cache. Content is synced before the object gets its
// name, so that a name never stands for less, and the name before the answer.
type durable struct {
	*posix.Posix
	root string
}

func (d *durable) PutObject(ctx context.Context, object s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	output, err := d.PutObjectWithPostFunc(ctx, object, (*os.File).Sync)
	if err != nil {
		return output, err
	}
	return output, d.syncFolders(filepath.Join(*object.Bucket, *object.Key))
}

// syncFolders syncs the folders of a new file up to the root: some may be new, too.
func (d *durable) syncFolders(name string) error {
	for folder := filepath.Dir(name); ; folder = filepath.Dir(folder) {
		file, err := os.Open(filepath.Join(d.root, folder))
		if os.IsNotExist(err) {
			return nil // the object has been deleted since
		}
		if err != nil {
			return err
		}
		err = file.Sync()
		_ = file.Close()
		if err != nil || folder == "." {
			return err
		}
	}
}
