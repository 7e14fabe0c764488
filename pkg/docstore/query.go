package docstore

import (
	"context"
	"encoding/base64"
	"fmt"
	"iter"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/flota/flota/pkg/fault"
)

// How many documents one Find returns: by default, and at most.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// MaxIn is the most values that In may compare with.
const MaxIn = 1000

// Query selects documents. Where and Sort may name only "_id" and fields of
// declared indexes; the conditions must all hold.
type Query struct {
	Where []Cond
	Sort  string // "" sorts by ID; ties are always broken by ID
	Desc  bool
	Limit int    // 0 is DefaultLimit; more than MaxLimit is MaxLimit
	After string // Page.Next of the page before, with the same Where, Sort and Desc
}

// Page is a part of the result of a Query.
type Page[T any] struct {
	Items []*T
	Next  string // "" at the end
}

// Op is how a condition compares.
type Op string

// The comparisons.
const (
	OpEq      Op = "="
	OpLt      Op = "<"
	OpLte     Op = "<="
	OpGt      Op = ">"
	OpGte     Op = ">="
	OpBetween Op = "between" // two values, both included
	OpIn      Op = "in"      // any of the values; none for no value
)

// Cond is a condition on one field. Build it with Eq, Lt, Lte, Gt, Gte, Between or In.
type Cond struct {
	Field  string
	Op     Op
	Values []any
}

// Eq holds where the field equals v.
func Eq(field string, v any) Cond { return Cond{field, OpEq, []any{v}} }

// Lt holds where the field is less than v.
func Lt(field string, v any) Cond { return Cond{field, OpLt, []any{v}} }

// Lte holds where the field is v or less.
func Lte(field string, v any) Cond { return Cond{field, OpLte, []any{v}} }

// Gt holds where the field is greater than v.
func Gt(field string, v any) Cond { return Cond{field, OpGt, []any{v}} }

// Gte holds where the field is v or greater.
func Gte(field string, v any) Cond { return Cond{field, OpGte, []any{v}} }

// Between holds where the field is at least low and at most high.
func Between(field string, low, high any) Cond { return Cond{field, OpBetween, []any{low, high}} }

// In holds where the field equals one of the values, at most MaxIn.
func In[V any](field string, values ...V) Cond {
	c := Cond{Field: field, Op: OpIn, Values: make([]any, len(values))}
	for i, v := range values {
		c.Values[i] = v
	}
	return c
}

// Find returns one page of the documents that the query selects. It returns
// fault.Invalid for a field that is not declared, a value of the wrong type, or a
// cursor that does not belong to the query.
func (c *Collection[T]) Find(ctx context.Context, q Query) (Page[T], error) {
	selection, err := c.selection(q)
	if err != nil {
		return Page[T]{}, err
	}
	limit := selection.Limit
	selection.Limit++ // one more tells whether there is a next page
	docs, err := c.store.Find(ctx, selection)
	if err != nil {
		return Page[T]{}, err
	}
	var page Page[T]
	if len(docs) > limit {
		docs = docs[:limit]
		page.Next = c.cursor(selection, docs[limit-1])
	}
	page.Items = make([]*T, len(docs))
	for i, raw := range docs {
		if page.Items[i], err = c.decode(raw); err != nil {
			return Page[T]{}, err
		}
	}
	return page, nil
}

// All runs through every document that the query selects, page after page. It ends
// after the first error.
func (c *Collection[T]) All(ctx context.Context, q Query) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for {
			page, err := c.Find(ctx, q)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			q.After = page.Next
		}
	}
}

// Count returns how many documents meet all conditions. Errors are those of Find.
func (c *Collection[T]) Count(ctx context.Context, where ...Cond) (int64, error) {
	where, err := c.conditions(where)
	if err != nil {
		return 0, err
	}
	return c.store.Count(ctx, where)
}

func (c *Collection[T]) selection(q Query) (Selection, error) {
	where, err := c.conditions(q.Where)
	if err != nil {
		return Selection{}, err
	}
	s := Selection{Where: where, Sort: q.Sort, Desc: q.Desc, Limit: min(q.Limit, MaxLimit)}
	if s.Limit <= 0 {
		s.Limit = DefaultLimit
	}
	if s.Sort == "" {
		s.Sort = "_id"
	}
	field, err := c.field(s.Sort)
	if err != nil {
		return Selection{}, err
	}
	if q.After != "" {
		s.After, err = position(q.After, s, field)
	}
	return s, err
}

func (c *Collection[T]) conditions(where []Cond) ([]Cond, error) {
	checked := make([]Cond, len(where))
	for i, cond := range where {
		field, err := c.field(cond.Field)
		if err != nil {
			return nil, err
		}
		if len(cond.Values) > MaxIn {
			return nil, fault.Field(cond.Field, "more than %d values", MaxIn)
		}
		values := make([]any, len(cond.Values))
		for j, v := range cond.Values {
			var ok bool
			if values[j], ok = stored(field.Zero, v); !ok {
				return nil, fault.Field(cond.Field, "%s: a %T cannot be compared with this field", c.schema.Name, v)
			}
		}
		checked[i] = Cond{cond.Field, cond.Op, values}
	}
	return checked, nil
}

func (c *Collection[T]) field(name string) (Field, error) {
	if name == "_id" {
		return Field{Name: "_id", Zero: ""}, nil
	}
	if i := slices.IndexFunc(c.schema.Fields, func(f Field) bool { return f.Name == name }); i >= 0 {
		return c.schema.Fields[i], nil
	}
	return Field{}, fault.Field(name, "%s has no index over this field", c.schema.Name)
}

// mark is the content of a cursor: the order that it belongs to, and a position.
type mark struct {
	Order string `bson:"o"`
	Value any    `bson:"v"`
	ID    string `bson:"i"`
}

func order(s Selection) string {
	if s.Desc {
		return "-" + s.Sort
	}
	return s.Sort
}

func (c *Collection[T]) cursor(s Selection, last bson.Raw) string {
	field, _ := c.field(s.Sort) // checked by selection
	id, _ := last.Lookup("_id").StringValueOK()
	text, err := bson.Marshal(mark{order(s), field.Value(last), id})
	if err != nil {
		panic(fmt.Sprintf("docstore: cursor: %v", err)) // a string, an integer, a bool or a time
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func position(cursor string, s Selection, field Field) (*Position, error) {
	var m mark
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = bson.Unmarshal(text, &m)
	}
	if at, ok := m.Value.(bson.DateTime); ok {
		m.Value = at.Time()
	}
	value, ok := stored(field.Zero, m.Value)
	if err != nil || !ok || m.Order != order(s) {
		return nil, fault.Field("after", "the cursor does not belong to this query")
	}
	return &Position{Value: value, ID: m.ID}, nil
}
