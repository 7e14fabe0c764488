package mongo

import (
	"context"
	"errors"
	"regexp"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// outboxID is a string exactly in documents with a non-empty outbox.
const outboxID = "outbox.id"

type collection struct {
	docs   *mongo.Collection
	schema docstore.Schema
}

func (c *collection) Get(ctx context.Context, id string) (bson.Raw, error) {
	raw, err := c.docs.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, fault.Wrap(err, fault.NotFound, "no such document")
	}
	return raw, unavailable(err)
}

func (c *collection) Insert(ctx context.Context, docs []docstore.Document) error {
	raws := make([]bson.Raw, len(docs))
	for i, doc := range docs {
		raws[i] = doc.Raw
	}
	_, err := c.docs.InsertMany(ctx, raws)
	return judge(err)
}

func (c *collection) Replace(ctx context.Context, doc docstore.Document, rev int64) error {
	done, err := c.docs.ReplaceOne(ctx, bson.D{{Key: "_id", Value: doc.ID}, {Key: "rev", Value: rev}}, doc.Raw)
	if err != nil {
		return judge(err)
	}
	if done.MatchedCount == 0 {
		return docstore.ErrStale
	}
	return nil
}

func (c *collection) Delete(ctx context.Context, id string, rev int64) error {
	filter := bson.D{{Key: "_id", Value: id}, {Key: outboxID, Value: bson.D{{Key: "$exists", Value: false}}}}
	if rev != 0 {
		filter = append(filter, bson.E{Key: "rev", Value: rev})
	}
	done, err := c.docs.DeleteOne(ctx, filter)
	if err != nil {
		return unavailable(err)
	}
	if done.DeletedCount == 1 {
		return nil
	}
	raw, err := c.Get(ctx, id) // why not?
	if err != nil {
		return err
	}
	if current, _ := raw.Lookup("rev").AsInt64OK(); rev != 0 && rev != current {
		return docstore.ErrStale
	}
	return docstore.ErrPending
}

func (c *collection) Find(ctx context.Context, s docstore.Selection) ([]bson.Raw, error) {
	where, direction, beyond := conditions(s.Where), 1, "$gt"
	if s.Desc {
		direction, beyond = -1, "$lt"
	}
	sort := bson.D{{Key: s.Sort, Value: direction}}
	if s.Sort != "_id" {
		sort = append(sort, bson.E{Key: "_id", Value: direction})
	}
	if s.After != nil {
		where = append(where, after(s, beyond))
	}
	cursor, err := c.docs.Find(ctx, all(where), options.Find().SetSort(sort).SetLimit(int64(s.Limit)))
	if err != nil {
		return nil, unavailable(err)
	}
	docs := []bson.Raw{}
	return docs, unavailable(cursor.All(ctx, &docs))
}

// after selects what comes behind a position in the order by field, then ID.
func after(s docstore.Selection, beyond string) bson.D {
	compare := func(field, op string, v any) bson.D {
		return bson.D{{Key: field, Value: bson.D{{Key: op, Value: v}}}}
	}
	byID := compare("_id", beyond, s.After.ID)
	if s.Sort == "_id" {
		return byID
	}
	return bson.D{{Key: "$or", Value: bson.A{
		compare(s.Sort, beyond, s.After.Value),
		bson.D{{Key: "$and", Value: bson.A{compare(s.Sort, "$eq", s.After.Value), byID}}},
	}}}
}

func (c *collection) Count(ctx context.Context, where []docstore.Cond) (int64, error) {
	n, err := c.docs.CountDocuments(ctx, all(conditions(where)))
	return n, unavailable(err)
}

func (c *collection) Pending(ctx context.Context, after string, limit int) ([]string, error) {
	cursor, err := c.docs.Find(ctx,
		bson.D{{Key: outboxID, Value: bson.D{{Key: "$gt", Value: ""}}}, {Key: "_id", Value: bson.D{{Key: "$gt", Value: after}}}},
		options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(int64(limit)).SetProjection(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		return nil, unavailable(err)
	}
	var docs []docstore.Meta
	if err := cursor.All(ctx, &docs); err != nil {
		return nil, unavailable(err)
	}
	ids := make([]string, len(docs))
	for i, doc := range docs {
		ids[i] = doc.ID
	}
	return ids, nil
}

var operators = map[docstore.Op]string{
	docstore.OpEq: "$eq", docstore.OpLt: "$lt", docstore.OpLte: "$lte", docstore.OpGt: "$gt", docstore.OpGte: "$gte",
}

func conditions(conds []docstore.Cond) bson.A {
	parts := bson.A{}
	for _, cond := range conds {
		var compare bson.D
		switch cond.Op {
		case docstore.OpIn:
			compare = bson.D{{Key: "$in", Value: bson.A(cond.Values)}}
		case docstore.OpBetween:
			compare = bson.D{{Key: "$gte", Value: cond.Values[0]}, {Key: "$lte", Value: cond.Values[1]}}
		default:
			compare = bson.D{{Key: operators[cond.Op], Value: cond.Values[0]}}
		}
		parts = append(parts, bson.D{{Key: cond.Field, Value: compare}})
	}
	return parts
}

func all(parts bson.A) bson.D {
	if len(parts) == 0 {
		return bson.D{}
	}
	return bson.D{{Key: "$and", Value: parts}}
}

// "E11000 duplicate key error collection: flota.projects index: name dup key: …"
var indexInMessage = regexp.MustCompile(`index: (\S+)`)

// judge finds out what a refused write collided with.
func judge(err error) error {
	if err == nil || !mongo.IsDuplicateKeyError(err) {
		return unavailable(err)
	}
	found := indexInMessage.FindStringSubmatch(err.Error())
	switch {
	case found == nil:
		return &docstore.Duplicate{Index: "?"}
	case found[1] == "_id_":
		return &docstore.Duplicate{}
	}
	return &docstore.Duplicate{Index: found[1]}
}

func hasCode(err error, code int) bool {
	server, ok := errors.AsType[mongo.ServerError](err)
	return ok && server.HasErrorCode(code)
}

// unavailable marks the errors of a server that cannot be reached.
func unavailable(err error) error {
	if mongo.IsNetworkError(err) || mongo.IsTimeout(err) {
		return fault.Wrap(err, fault.Unavailable, "the database does not answer")
	}
	return err
}
