package docstore

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Index declares an index of a collection. Fields are bson names, with dots for
// nested structs; each must be a string, an integer, a bool or a time.Time that is
// always present (no pointer, no omitempty). Put the fields that are compared by
// equality first and the one to sort by last.
type Index struct {
	Name   string
	Fields []string
	Unique bool
}

// DB is what an adapter gives. It is safe for concurrent use.
type DB interface {
	// Open makes the collection and its indexes where they are missing.
	Open(ctx context.Context, schema Schema) (Store, error)
	// Ping tells whether the database answers.
	Ping(ctx context.Context) error
	// Close lets running calls end, then frees everything.
	Close() error
}

// Schema describes a collection to an adapter.
type Schema struct {
	Name    string
	Indexes []Index
	Fields  []Field
}

// Field is an indexed field. A document without it, written before the field was
// declared, is found as if it had the zero value.
type Field struct {
	Name string
	Zero any // "", int64(0), false or time.Time{}
}

// Store is one collection inside an adapter. It knows documents as BSON and is safe
// for concurrent use.
type Store interface {
	// Get returns fault.NotFound when there is no such document.
	Get(ctx context.Context, id string) (bson.Raw, error)
	// Insert adds documents in order and stops at the first that fails, with
	// *Duplicate when its ID or a unique index is taken.
	Insert(ctx context.Context, docs []Document) error
	// Replace swaps the document if its revision is still rev. It returns ErrStale
	// when it is not, or when the document is gone, and *Duplicate.
	Replace(ctx context.Context, doc Document, rev int64) error
	// Delete removes the document if its revision is rev, or any for 0. It returns
	// fault.NotFound, ErrStale, or ErrPending when its outbox is not empty.
	Delete(ctx context.Context, id string, rev int64) error
	// Find returns the documents of a selection in order.
	Find(ctx context.Context, s Selection) ([]bson.Raw, error)
	// Count returns how many documents meet all conditions.
	Count(ctx context.Context, where []Cond) (int64, error)
	// Pending returns the IDs of documents with a non-empty outbox in order, from
	// the first ID greater than after.
	Pending(ctx context.Context, after string, limit int) ([]string, error)
}

// Document is a document on its way into an adapter.
type Document struct {
	ID      string
	Rev     int64
	Pending bool // its outbox is not empty
	Raw     bson.Raw
}

// Selection is a checked Query: fields are declared, values are of the types that
// Field.Zero has. The order is by Sort, then by ID, both up or both down.
type Selection struct {
	Where []Cond
	Sort  string // "_id" or a declared field
	Desc  bool
	Limit int
	After *Position // nil starts at the beginning
}

// Position is a place in the order of a selection, just after a document.
type Position struct {
	Value any // of the field sorted by
	ID    string
}

// What an adapter reports besides faults.
var (
	ErrStale   = errors.New("docstore: the revision is not current")
	ErrPending = errors.New("docstore: the outbox is not empty")
)

// Duplicate reports a taken ID (Index is empty) or a taken value of a unique index,
// "?" where the server does not say which.
type Duplicate struct{ Index string }

func (d *Duplicate) Error() string {
	if d.Index == "" {
		return "docstore: duplicate ID"
	}
	return "docstore: duplicate in unique index " + d.Index
}
