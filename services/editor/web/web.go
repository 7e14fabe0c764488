// Package web holds the built web editor: what `npm run build` leaves in dist,
// or a page that says so where it has not been built.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist placeholder
var files embed.FS

// Dist returns the built files, index.html among them.
func Dist() fs.FS {
	folder := "dist"
	if _, err := fs.Stat(files, folder+"/index.html"); err != nil {
		folder = "placeholder"
	}
	dist, err := fs.Sub(files, folder)
	if err != nil {
		panic(err) // only for a path that is not valid
	}
	return dist
}
