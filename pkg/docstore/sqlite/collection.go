package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

type collection struct {
	db     *DB
	schema docstore.Schema
	table  string // quoted
	get    *sql.Stmt
	insert string
	update string
}

// prepare writes the statements that do not change.
func (c *collection) prepare(ctx context.Context) (err error) {
	names, marks, sets := "id, rev, pending, doc", "?, ?, ?, ?", "rev = ?, pending = ?, doc = ?"
	for _, field := range c.schema.Fields {
		names += ", " + column(field.Name)
		marks += ", ?"
		sets += ", " + column(field.Name) + " = ?"
	}
	c.insert = "INSERT INTO " + c.table + " (" + names + ") VALUES (" + marks + ")"
	c.update = "UPDATE " + c.table + " SET " + sets + " WHERE id = ? AND rev = ?"
	c.get, err = c.db.read.PrepareContext(ctx, "SELECT doc FROM "+c.table+" WHERE id = ?")
	return err
}

func (c *collection) Get(ctx context.Context, id string) (bson.Raw, error) {
	var raw bson.Raw
	err := c.get.QueryRowContext(ctx, id).Scan((*[]byte)(&raw))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.Wrap(err, fault.NotFound, "no such document")
	}
	return raw, err
}

func (c *collection) Insert(ctx context.Context, docs []docstore.Document) error {
	return c.db.writer.do(ctx, func(w *writer) (verdict, failure error) {
		for _, doc := range docs {
			if _, err := w.exec(c.insert, append([]any{doc.ID}, c.values(doc)...)...); err != nil {
				return c.judge(err)
			}
		}
		return nil, nil
	})
}

func (c *collection) Replace(ctx context.Context, doc docstore.Document, rev int64) error {
	return c.db.writer.do(ctx, func(w *writer) (verdict, failure error) {
		done, err := w.exec(c.update, append(c.values(doc), doc.ID, rev)...)
		if err != nil {
			return c.judge(err)
		}
		if n, err := done.RowsAffected(); n == 1 || err != nil {
			return nil, err
		}
		return docstore.ErrStale, nil
	})
}

func (c *collection) Delete(ctx context.Context, id string, rev int64) error {
	return c.db.writer.do(ctx, func(w *writer) (verdict, failure error) {
		done, err := w.exec("DELETE FROM "+c.table+" WHERE id = ? AND NOT pending AND (? = 0 OR rev = ?)", id, rev, rev)
		if err != nil {
			return nil, err
		}
		if n, err := done.RowsAffected(); n == 1 || err != nil {
			return nil, err
		}
		var current int64 // why not?
		err = w.conn.QueryRowContext(context.Background(), "SELECT rev FROM "+c.table+" WHERE id = ?", id).Scan(&current)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fault.New(fault.NotFound, "no such document"), nil
		case err != nil:
			return nil, err
		case rev != 0 && rev != current:
			return docstore.ErrStale, nil
		}
		return docstore.ErrPending, nil
	})
}

func (c *collection) Find(ctx context.Context, s docstore.Selection) ([]bson.Raw, error) {
	where, args := conditions(s.Where)
	sort, direction, beyond := column(s.Sort), "", " > "
	if s.Desc {
		direction, beyond = " DESC", " < "
	}
	order := sort + direction
	if s.Sort != "_id" {
		order += ", id" + direction
	}
	if s.After != nil {
		where += " AND (" + sort + ", id)" + beyond + "(?, ?)"
		args = append(args, sqlValue(s.After.Value), s.After.ID)
	}
	rows, err := c.db.read.QueryContext(ctx, "SELECT doc FROM "+c.table+" WHERE "+where+
		" ORDER BY "+order+" LIMIT ?", append(args, s.Limit)...)
	if err != nil {
		return nil, err
	}
	return scan[bson.Raw](rows)
}

func (c *collection) Count(ctx context.Context, conds []docstore.Cond) (n int64, err error) {
	where, args := conditions(conds)
	err = c.db.read.QueryRowContext(ctx, "SELECT count(*) FROM "+c.table+" WHERE "+where, args...).Scan(&n)
	return n, err
}

func (c *collection) Pending(ctx context.Context, after string, limit int) ([]string, error) {
	rows, err := c.db.read.QueryContext(ctx,
		"SELECT id FROM "+c.table+" WHERE pending AND id > ? ORDER BY id LIMIT ?", after, limit)
	if err != nil {
		return nil, err
	}
	return scan[string](rows)
}

// values are the columns of a document but its ID.
func (c *collection) values(doc docstore.Document) []any {
	values := []any{doc.Rev, doc.Pending, []byte(doc.Raw)}
	for _, field := range c.schema.Fields {
		values = append(values, sqlValue(field.Value(doc.Raw)))
	}
	return values
}

// judge tells a refused value, after which the transaction stands, from a failure.
func (c *collection) judge(err error) (verdict, failure error) {
	refused, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return nil, err
	}
	switch refused.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
		return &docstore.Duplicate{}, nil
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return &docstore.Duplicate{Index: c.uniqueIndex(err.Error())}, nil
	}
	return nil, err
}

// uniqueIndex finds the index that SQLite names only by its columns:
// "UNIQUE constraint failed: projects.f_workspace, projects.f_name (2067)".
func (c *collection) uniqueIndex(message string) string {
	for _, index := range c.schema.Indexes {
		columns := make([]string, len(index.Fields))
		for i, field := range index.Fields {
			columns[i] = c.schema.Name + "." + strings.Trim(column(field), `"`)
		}
		if index.Unique && strings.Contains(message, ": "+strings.Join(columns, ", ")+" (") {
			return index.Name
		}
	}
	return "?"
}

func conditions(conds []docstore.Cond) (where string, args []any) {
	parts := []string{"1"}
	for _, cond := range conds {
		switch cond.Op {
		case docstore.OpIn:
			marks := strings.TrimSuffix(strings.Repeat("?, ", len(cond.Values)), ", ")
			parts = append(parts, column(cond.Field)+" IN ("+marks+")")
		case docstore.OpBetween:
			parts = append(parts, column(cond.Field)+" BETWEEN ? AND ?")
		default:
			parts = append(parts, fmt.Sprintf("%s %s ?", column(cond.Field), cond.Op))
		}
		for _, v := range cond.Values {
			args = append(args, sqlValue(v))
		}
	}
	return strings.Join(parts, " AND "), args
}

// sqlValue keeps times as milliseconds: integers, in the order of time.
func sqlValue(v any) any {
	if t, ok := v.(time.Time); ok {
		return t.UnixMilli()
	}
	return v
}

func scan[V any](rows *sql.Rows) ([]V, error) {
	defer func() { _ = rows.Close() }()
	var values []V
	for rows.Next() {
		var v V
		var into any = &v
		if raw, ok := into.(*bson.Raw); ok {
			into = (*[]byte)(raw)
		}
		if err := rows.Scan(into); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, rows.Err()
}
