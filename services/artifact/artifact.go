// Package artifact answers: which bytes may this caller have? It holds the rules
// of stored outputs, of signed links to them, and of what devices are told.
// Adapters are in the subpackages.
package artifact

import (
	"context"
	"io"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

// Limits of what is stored, in bytes and in number.
const (
	MaxOutput         = 64 << 20
	MaxAttempt        = 256 << 20                      // all outputs of one attempt
	MaxAttemptOutputs = deviceproto.MaxIndexLines + 64 // the files of an index, and what a build has besides
)

// Output is what a build's attempt stored for a workspace.
type Output struct {
	Workspace string
	SHA256    string
	Facts     Facts
	Build     string
	Attempt   uint32
	Stored    time.Time
}

// Catalog knows which blobs belong to which workspace.
type Catalog interface {
	// Add records an output; where the workspace has the blob already it changes
	// nothing.
	Add(ctx context.Context, o Output) error
	// Get returns the output, or fault.NotFound.
	Get(ctx context.Context, workspace, sha256 string) (Output, error)
	// Facts returns what is known of a blob, whoever stored it, or fault.NotFound.
	Facts(ctx context.Context, sha256 string) (Facts, error)
	// OfAttempt returns how many outputs an attempt has recorded, and their bytes.
	OfAttempt(ctx context.Context, build string, attempt uint32) (outputs int, bytes int64, err error)
}

// Blobs keeps the bytes by their SHA-256, in lower-case hex. It is implemented by blob.Store.
type Blobs interface {
	// Put stores size bytes of r; it returns fault.Invalid where they are not what was announced.
	Put(ctx context.Context, r io.Reader, size int64, sha256 string) (digest string, err error)
	// Get opens length bytes from offset on, -1 for all that follow; size is that of the whole blob.
	// It returns fault.NotFound.
	Get(ctx context.Context, sha256 string, offset, length int64) (body io.ReadCloser, size int64, err error)
}
