// Package storage opens the database that a process was told to use.
package storage

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/flota/flota/pkg/config"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/mongo"
	"github.com/flota/flota/pkg/docstore/sqlite"
)

// Documents says where a service keeps its documents.
type Documents struct {
	Store config.Secret `env:"STORE" desc:"mongodb://user:password@host/database, or sqlite:/path/to/file.db"`
}

// Open opens the database. The error names no password.
func (d Documents) Open(ctx context.Context) (docstore.DB, error) {
	store := d.Store.Reveal()
	if path, ok := strings.CutPrefix(store, "sqlite:"); ok && path != "" {
		return sqlite.Open(ctx, path)
	}
	if strings.HasPrefix(store, "mongodb://") || strings.HasPrefix(store, "mongodb+srv://") {
		u, err := url.Parse(store)
		if err != nil {
			return nil, errors.New("FLOTA_STORE is not a MongoDB address")
		}
		database := strings.Trim(u.Path, "/")
		if database == "" {
			return nil, errors.New("FLOTA_STORE names no database: mongodb://host/database")
		}
		return mongo.Open(ctx, store, database)
	}
	return nil, errors.New("FLOTA_STORE must be mongodb://… or sqlite:/path")
}
