package docstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/flota/flota/pkg/fault"
)

// MaxSize is the largest document, encoded, in bytes: MongoDB's limit.
const MaxSize = 16 << 20

// Collection holds the documents of one type. It is safe for concurrent use.
type Collection[T any] struct {
	schema Schema
	store  Store
	meta   func(*T) *Meta
	turns  *turnstile
	wake   func(id string) // set by Relay.Watch
}

// Open opens a collection, making it and its indexes where they are missing; it
// fails if the entity does not fit the declaration. Callers write
// docstore.Open[Project](ctx, db, "projects", …).
func Open[T any, PT interface {
	*T
	entity
}](ctx context.Context, db DB, name string, indexes ...Index) (*Collection[T], error) {
	schema, err := schemaOf(reflect.TypeFor[T](), name, indexes)
	if err != nil {
		return nil, err
	}
	store, err := db.Open(ctx, schema)
	if err != nil {
		return nil, fmt.Errorf("docstore: open %s: %w", name, err)
	}
	return &Collection[T]{
		schema: schema,
		store:  store,
		meta:   func(doc *T) *Meta { return PT(doc).meta() },
		turns:  newTurnstile(),
		wake:   func(string) {},
	}, nil
}

// Get returns the document with this ID, or fault.NotFound.
func (c *Collection[T]) Get(ctx context.Context, id string) (*T, error) {
	raw, err := c.store.Get(ctx, id)
	if err != nil {
		return nil, c.explain(err, id)
	}
	return c.decode(raw)
}

// Insert adds a document and sets its Rev to 1. It returns fault.Conflict, with the
// field, when the ID or a unique index is taken.
func (c *Collection[T]) Insert(ctx context.Context, doc *T) error {
	return c.InsertMany(ctx, []*T{doc})
}

// InsertMany adds documents in order. It is not atomic: it stops at the first that
// fails, with the errors of Insert, and keeps those before it.
func (c *Collection[T]) InsertMany(ctx context.Context, docs []*T) error {
	if len(docs) == 0 {
		return nil
	}
	encoded := make([]Document, len(docs))
	for i, doc := range docs {
		var err error
		if encoded[i], err = c.encode(doc, 1); err != nil {
			return err
		}
	}
	if err := c.store.Insert(ctx, encoded); err != nil {
		return c.explain(err, encoded[0].ID)
	}
	for i, doc := range docs {
		c.meta(doc).Rev = 1
		c.follow(encoded[i])
	}
	return nil
}

// Replace stores the document if it has not changed since it was read, and
// increments its Rev. It returns fault.Conflict when somebody else changed or
// deleted it first, or when a unique index is taken (then with the field).
func (c *Collection[T]) Replace(ctx context.Context, doc *T) error {
	m := c.meta(doc)
	encoded, err := c.encode(doc, m.Rev+1)
	if err != nil {
		return err
	}
	if err := c.store.Replace(ctx, encoded, m.Rev); err != nil {
		return c.explain(err, m.ID)
	}
	m.Rev++
	c.follow(encoded)
	return nil
}

// Delete removes a document of this revision, or of any for 0. It returns
// fault.NotFound, and fault.Conflict when the revision is another. A document whose
// messages are not yet sent is kept, so that none is lost: Delete then waits a
// little for the Relay when rev is 0, and otherwise returns fault.Conflict.
func (c *Collection[T]) Delete(ctx context.Context, id string, rev int64) error {
	for try := range maxTries {
		err := c.store.Delete(ctx, id, rev)
		if err == nil || rev != 0 || !errors.Is(err, ErrPending) {
			return c.explain(err, id)
		}
		c.wake(id)
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return c.explain(ErrPending, id)
}

func (c *Collection[T]) follow(doc Document) {
	if doc.Pending {
		c.wake(doc.ID)
	}
}

// encode leaves the document itself unchanged, so that a failed write does too.
func (c *Collection[T]) encode(doc *T, rev int64) (Document, error) {
	m := c.meta(doc)
	if m.ID == "" {
		return Document{}, fault.Field("_id", "%s: a document needs an ID", c.schema.Name)
	}
	for _, message := range m.Outbox {
		if message.ID == "" || message.Subject == "" {
			return Document{}, fault.Field("outbox", "%s %s: a message needs an ID and a subject", c.schema.Name, m.ID)
		}
	}
	before := m.Rev
	m.Rev = rev
	raw, err := bson.Marshal(doc)
	m.Rev = before
	if err != nil {
		return Document{}, fmt.Errorf("docstore: encode %s %s: %w", c.schema.Name, m.ID, err)
	}
	if len(raw) > MaxSize {
		return Document{}, fault.New(fault.TooLarge, "%s %s has %d bytes, more than %d", c.schema.Name, m.ID, len(raw), MaxSize)
	}
	return Document{ID: m.ID, Rev: rev, Pending: len(m.Outbox) > 0, Raw: raw}, nil
}

func (c *Collection[T]) decode(raw bson.Raw) (*T, error) {
	doc := new(T)
	if err := bson.Unmarshal(raw, doc); err != nil {
		return nil, fmt.Errorf("docstore: decode %s: %w", c.schema.Name, err)
	}
	return doc, nil
}

// explain turns what adapters report into faults.
func (c *Collection[T]) explain(err error, id string) error {
	if duplicate, ok := errors.AsType[*Duplicate](err); ok {
		field := ""
		if duplicate.Index == "" {
			field = "_id"
		}
		for _, index := range c.schema.Indexes {
			if index.Name == duplicate.Index {
				field = index.Fields[len(index.Fields)-1]
			}
		}
		return &fault.Error{Code: fault.Conflict, Field: field, Message: "this value is taken already", Err: err}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrStale):
		return fault.Wrap(err, fault.Conflict, "%s %s was changed by somebody else", c.schema.Name, id)
	case errors.Is(err, ErrPending):
		return fault.Wrap(err, fault.Conflict, "%s %s still has messages to send", c.schema.Name, id)
	case fault.Is(err, fault.NotFound):
		return fault.New(fault.NotFound, "%s has no %s", c.schema.Name, id)
	}
	return err
}
