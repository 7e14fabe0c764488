// Command genvectors writes the protocol's vectors into a folder.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/flota/flota/pkg/deviceproto/vectors"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: genvectors <folder>")
		os.Exit(2)
	}
	for name, content := range vectors.Make() {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), content, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
