// Package store keeps what auth owns in pkg/docstore: it implements the store
// interfaces of the domain, each method written once for every database.
package store

import (
	"context"
	"errors"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/auth"
)

// record is a document that holds a domain value beside its ID, revision and outbox.
type record[T any] struct {
	docstore.Meta `bson:",inline"`
	Value         T `bson:",inline"`
}

// Store is all of auth's collections. It is safe for concurrent use.
type Store struct {
	users       *docstore.Collection[record[auth.User]]
	workspaces  *docstore.Collection[record[auth.Workspace]]
	memberships *docstore.Collection[record[membership]]
	sessions    *docstore.Collection[record[auth.Session]]
	tokens      *docstore.Collection[record[auth.Token]]
	products    *docstore.Collection[record[auth.Product]]
	signingKeys *docstore.Collection[record[auth.SigningKey]]
	setup       *docstore.Collection[record[setup]]
}

var (
	_ auth.PeopleStore     = (*Store)(nil)
	_ auth.SetupStore      = (*Store)(nil)
	_ auth.SessionStore    = (*Store)(nil)
	_ auth.TokenStore      = (*Store)(nil)
	_ auth.ProductStore    = (*Store)(nil)
	_ auth.SigningKeyStore = (*Store)(nil)
)

// Open opens the collections. What products tell goes out through the relay,
// which is to be run afterwards.
func Open(ctx context.Context, db docstore.DB, relay *docstore.Relay) (*Store, error) {
	unique := func(name string, fields ...string) docstore.Index {
		return docstore.Index{Name: name, Fields: fields, Unique: true}
	}
	index := func(name string, fields ...string) docstore.Index {
		return docstore.Index{Name: name, Fields: fields}
	}
	s := &Store{}
	err := errors.Join(
		open(ctx, db, &s.users, "users", unique("key", "key")),
		open(ctx, db, &s.workspaces, "workspaces", unique("slug", "slug")),
		open(ctx, db, &s.memberships, "memberships", index("user", "user")),
		open(ctx, db, &s.sessions, "sessions", unique("secret", "secret"), index("former", "former"),
			index("subject", "subject", "created"), index("expires", "expires")),
		open(ctx, db, &s.tokens, "tokens", unique("digest", "digest"), index("user", "workspace", "user", "created")),
		open(ctx, db, &s.products, "products", unique("product-id", "workspace", "product_id"),
			index("list", "workspace", "state", "product_id"), index("state", "state"),
			index("unsettled", "unsettled", "created"), index("last", "last", "state")),
		open(ctx, db, &s.signingKeys, "signing-keys"),
		open(ctx, db, &s.setup, "setup"),
	)
	if err != nil {
		return nil, err
	}
	relay.Watch(s.products)
	return s, nil
}

func open[T any](ctx context.Context, db docstore.DB, c **docstore.Collection[record[T]], name string, indexes ...docstore.Index) (err error) {
	*c, err = docstore.Open[record[T]](ctx, db, name, indexes...)
	return err
}

func insert[T any](ctx context.Context, c *docstore.Collection[record[T]], id string, value T) error {
	return c.Insert(ctx, &record[T]{Meta: docstore.Meta{ID: id}, Value: value})
}

func get[T any](ctx context.Context, c *docstore.Collection[record[T]], id string) (T, error) {
	doc, err := c.Get(ctx, id)
	return value(doc, err)
}

// one returns the only document that meets the conditions, or fault.NotFound.
func one[T any](ctx context.Context, c *docstore.Collection[record[T]], where ...docstore.Cond) (T, error) {
	page, err := c.Find(ctx, docstore.Query{Where: where, Limit: 1})
	if err == nil && len(page.Items) == 0 {
		err = fault.New(fault.NotFound, "no such document")
	}
	if err != nil {
		var none T
		return none, err
	}
	return page.Items[0].Value, nil
}

func find[T any](ctx context.Context, c *docstore.Collection[record[T]], q docstore.Query) ([]T, error) {
	page, err := c.Find(ctx, q)
	return values(page.Items), err
}

func update[T any](ctx context.Context, c *docstore.Collection[record[T]], id string, change func(*T) error) (T, error) {
	doc, err := c.Update(ctx, id, func(doc *record[T]) error { return change(&doc.Value) })
	return value(doc, err)
}

// remove deletes a document; a missing one is no error.
func remove[T any](ctx context.Context, c *docstore.Collection[record[T]], id string) error {
	if err := c.Delete(ctx, id, 0); !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}

func value[T any](doc *record[T], err error) (T, error) {
	if err != nil {
		var none T
		return none, err
	}
	return doc.Value, nil
}

func values[T any](docs []*record[T]) []T {
	list := make([]T, len(docs))
	for i, doc := range docs {
		list[i] = doc.Value
	}
	return list
}
