package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/flota/flota/pkg/docstore"
)

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// column returns the quoted column of a field. The prefix keeps fields apart from
// the columns that every table has.
func column(field string) string {
	if field == "_id" {
		return "id"
	}
	return quote("f_" + field)
}

// migrate makes the table, adds and fills columns for newly declared fields, and
// remakes indexes whose definition has changed.
func (c *collection) migrate(w *writer) (_, failure error) {
	ddl := func(query string, args ...any) error {
		_, err := w.conn.ExecContext(context.Background(), query, args...)
		return err
	}
	if err := ddl("CREATE TABLE IF NOT EXISTS " + c.table +
		" (id TEXT NOT NULL PRIMARY KEY, rev INTEGER NOT NULL, pending INTEGER NOT NULL, doc BLOB NOT NULL)"); err != nil {
		return nil, err
	}
	columns, err := texts(w, "SELECT name FROM pragma_table_info(?)", c.schema.Name)
	if err != nil {
		return nil, err
	}
	var added []docstore.Field
	for _, field := range c.schema.Fields {
		if slices.Contains(columns, "f_"+field.Name) {
			continue
		}
		added = append(added, field)
		if err := ddl("ALTER TABLE " + c.table + " ADD COLUMN " + column(field.Name)); err != nil {
			return nil, err
		}
	}
	if err := c.fill(w, added); err != nil {
		return nil, err
	}
	definitions := map[string]string{
		c.schema.Name + ".pending": " ON " + c.table + " (id) WHERE pending",
	}
	for _, index := range c.schema.Indexes {
		fields := make([]string, 0, len(index.Fields)+1)
		for _, field := range index.Fields {
			fields = append(fields, column(field))
		}
		if !index.Unique && !slices.Contains(fields, "id") {
			fields = append(fields, "id") // ties are ordered by ID
		}
		definitions[c.indexName(index)] = " ON " + c.table + " (" + strings.Join(fields, ", ") + ")"
	}
	for name, on := range definitions {
		create := "CREATE INDEX " + quote(name) + on
		if slices.ContainsFunc(c.schema.Indexes, func(i docstore.Index) bool { return i.Unique && c.indexName(i) == name }) {
			create = "CREATE UNIQUE INDEX " + quote(name) + on
		}
		existing, err := texts(w, "SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?", name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(existing, create) {
			continue
		}
		if err := ddl("DROP INDEX IF EXISTS " + quote(name)); err != nil {
			return nil, err
		}
		if err := ddl(create); err != nil {
			return nil, fmt.Errorf("index %s: %w", name, err)
		}
	}
	return nil, nil
}

func (c *collection) indexName(index docstore.Index) string { return c.schema.Name + "." + index.Name }

// fill sets the columns of newly declared fields from the documents.
func (c *collection) fill(w *writer, fields []docstore.Field) error {
	if len(fields) == 0 {
		return nil
	}
	set := make([]string, len(fields))
	for i, field := range fields {
		set[i] = column(field.Name) + " = ?"
	}
	update := "UPDATE " + c.table + " SET " + strings.Join(set, ", ") + " WHERE id = ?"
	ids, err := texts(w, "SELECT id FROM "+c.table)
	if err != nil {
		return err
	}
	for _, id := range ids {
		var raw bson.Raw
		row := w.conn.QueryRowContext(context.Background(), "SELECT doc FROM "+c.table+" WHERE id = ?", id)
		if err := row.Scan((*[]byte)(&raw)); err != nil {
			return err
		}
		args := make([]any, 0, len(fields)+1)
		for _, field := range fields {
			args = append(args, sqlValue(field.Value(raw)))
		}
		if _, err := w.exec(update, append(args, id)...); err != nil {
			return err
		}
	}
	return nil
}

func texts(w *writer, query string, args ...any) ([]string, error) {
	rows, err := w.conn.QueryContext(context.Background(), query, args...)
	if err != nil {
		return nil, err
	}
	return scan[string](rows)
}
