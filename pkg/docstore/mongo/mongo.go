// Package mongo is the docstore adapter for MongoDB, with majority write concern and
// the journal: a write is answered when it survives the loss of a node.
package mongo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/flota/flota/pkg/docstore"
)

const (
	selectTimeout = 5 * time.Second  // to find a server
	closeTimeout  = 5 * time.Second  // for running calls to end
	callTimeout   = 30 * time.Second // for a call whose context has no deadline
)

// DB is a database of a MongoDB server or replica set.
type DB struct {
	client   *mongo.Client
	database *mongo.Database
}

var _ docstore.DB = (*DB)(nil)

// Open connects to uri (mongodb://…, with its options) and checks that the server
// answers. The database is made with its first collection.
func Open(ctx context.Context, uri, database string) (*DB, error) {
	journal := true
	client, err := mongo.Connect(options.Client().
		SetServerSelectionTimeout(selectTimeout).
		SetTimeout(callTimeout).
		ApplyURI(uri).
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal}))
	if err != nil {
		return nil, fmt.Errorf("mongo: %w", err)
	}
	db := &DB{client, client.Database(database)}
	if err := db.Ping(ctx); err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// Open implements docstore.DB.
func (db *DB) Open(ctx context.Context, schema docstore.Schema) (docstore.Store, error) {
	c := &collection{db.database.Collection(schema.Name), schema}
	for _, field := range schema.Fields {
		// A document without the field was written before the field was declared.
		if _, err := c.docs.UpdateMany(ctx,
			bson.D{{Key: field.Name, Value: bson.D{{Key: "$exists", Value: false}}}},
			bson.D{{Key: "$set", Value: bson.D{{Key: field.Name, Value: field.Zero}}}}); err != nil {
			return nil, unavailable(err)
		}
	}
	for _, model := range indexModels(schema) {
		if err := c.index(ctx, model); err != nil {
			return nil, unavailable(err)
		}
	}
	return c, nil
}

// indexModels returns the declared indexes and the one that finds full outboxes.
func indexModels(schema docstore.Schema) []mongo.IndexModel {
	models := []mongo.IndexModel{{
		Keys:    bson.D{{Key: outboxID, Value: 1}},
		Options: options.Index().SetName("outbox"),
	}}
	for _, index := range schema.Indexes {
		keys := bson.D{}
		for _, field := range index.Fields {
			keys = append(keys, bson.E{Key: field, Value: 1})
		}
		if !index.Unique && !slices.Contains(index.Fields, "_id") {
			keys = append(keys, bson.E{Key: "_id", Value: 1}) // ties are ordered by ID
		}
		models = append(models, mongo.IndexModel{
			Keys: keys, Options: options.Index().SetName(index.Name).SetUnique(index.Unique),
		})
	}
	return models
}

// Codes of a server that has an index of this name with another definition.
const (
	indexOptionsConflict  = 85
	indexKeySpecsConflict = 86
)

// index makes an index, and makes it anew where its definition has changed.
func (c *collection) index(ctx context.Context, model mongo.IndexModel) error {
	_, err := c.docs.Indexes().CreateOne(ctx, model)
	if !hasCode(err, indexOptionsConflict) && !hasCode(err, indexKeySpecsConflict) {
		return err
	}
	var set options.IndexOptions
	for _, apply := range model.Options.List() {
		if err := apply(&set); err != nil {
			return err
		}
	}
	if err := c.docs.Indexes().DropOne(ctx, *set.Name); err != nil {
		return err
	}
	_, err = c.docs.Indexes().CreateOne(ctx, model)
	return err
}

// Ping implements docstore.DB.
func (db *DB) Ping(ctx context.Context) error { return unavailable(db.client.Ping(ctx, nil)) }

// Close implements docstore.DB.
func (db *DB) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return db.client.Disconnect(ctx)
}
