package editor

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/flota/flota/pkg/docstore"
)

// recipeVersion changes when the same inputs should give other bytes for
// reasons that the toolchain's digest does not show.
const recipeVersion = "3"

// CachedResult says which build of a workspace has the result of some inputs.
type CachedResult struct {
	docstore.Meta `bson:",inline"`

	Workspace string    `bson:"workspace"`
	Build     string    `bson:"build"`
	Made      time.Time `bson:"made"`
}

// resultKey is the ID of the cached result of a build's inputs: everything
// that decides what bytes come out. Verbose builds have another log, and
// unmanaged ones no agent.
func (b *Build) resultKey(toolchain string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s\x00%s\x00%t\x00%t", recipeVersion, b.Tree, b.Main, b.FQBN, toolchain, b.Verbose, b.Unmanaged)
	return b.Workspace + "." + hex.EncodeToString(h.Sum(nil))
}
