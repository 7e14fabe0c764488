// Package sqlite is the docstore adapter for SQLite: one file, the default where no
// MongoDB is configured. A document is the BSON that MongoDB would hold, in a BLOB,
// beside columns for its ID, revision and indexed fields.
//
// All writes go through one connection and are committed in groups; reads have
// connections of their own, and wait for nobody (WAL). A write is answered after it
// is on the disk (synchronous=FULL).
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // SQLite in Go: no C compiler, one static binary

	"github.com/flota/flota/pkg/docstore"
)

const (
	readers = 4
	// cacheSize is small, in KiB for each connection: the system caches the file
	// anyway, and five databases in one process have 25 connections.
	cacheSize = "cache_size(-256)"
)

// DB is a database file.
type DB struct {
	write  *sql.DB
	read   *sql.DB
	writer *writer
}

var _ docstore.DB = (*DB)(nil)

// Open opens the database file at path, making it, readable by its owner only, where
// it is missing. One process at a time should use it.
func Open(ctx context.Context, path string) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) // SQLite would leave it to the umask
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	db := &DB{}
	if db.write, err = open(path, 1); err != nil {
		return nil, err
	}
	if db.read, err = open(path, readers, "query_only(1)"); err != nil {
		return nil, errors.Join(err, db.write.Close())
	}
	if db.writer, err = newWriter(ctx, db.write); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: open %s: %w", path, err), db.read.Close(), db.write.Close())
	}
	return db, nil
}

func open(path string, connections int, pragmas ...string) (*sql.DB, error) {
	address := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_pragma": append([]string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", cacheSize}, pragmas...),
	}.Encode()}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Open implements docstore.DB.
func (db *DB) Open(ctx context.Context, schema docstore.Schema) (docstore.Store, error) {
	c := &collection{db: db, schema: schema, table: quote(schema.Name)}
	if err := db.writer.do(ctx, c.migrate); err != nil {
		return nil, err
	}
	return c, c.prepare(ctx)
}

// Ping implements docstore.DB.
func (db *DB) Ping(ctx context.Context) error { return db.read.PingContext(ctx) }

// Close implements docstore.DB.
func (db *DB) Close() error {
	return errors.Join(db.writer.close(), db.read.Close(), db.write.Close())
}
