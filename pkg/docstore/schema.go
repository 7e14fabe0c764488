package docstore

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,40}$`)
	timeType    = reflect.TypeFor[time.Time]()
)

// schemaOf checks a declaration against the entity: its names, that every indexed
// field exists, and that it is of a type which both adapters order alike.
func schemaOf(entity reflect.Type, name string, indexes []Index) (Schema, error) {
	if !namePattern.MatchString(name) {
		return Schema{}, fmt.Errorf("docstore: collection name %q must match %s", name, namePattern)
	}
	if entity.Kind() != reflect.Struct {
		return Schema{}, fmt.Errorf("docstore: %s is not a struct", entity)
	}
	if _, err := zeroOf(entity, "_id"); err != nil {
		return Schema{}, fmt.Errorf("docstore: %s must embed Meta with the tag `bson:\",inline\"`", entity)
	}
	schema := Schema{Name: name, Indexes: indexes}
	var seen []string
	for _, index := range indexes {
		if !namePattern.MatchString(index.Name) || slices.Contains(seen, index.Name) || len(index.Fields) == 0 {
			return Schema{}, fmt.Errorf("docstore: %s: index %q needs fields and a name of its own that matches %s", name, index.Name, namePattern)
		}
		seen = append(seen, index.Name)
		for _, field := range index.Fields {
			if field == "_id" || slices.ContainsFunc(schema.Fields, func(f Field) bool { return f.Name == field }) {
				continue
			}
			zero, err := zeroOf(entity, field)
			if err != nil {
				return Schema{}, fmt.Errorf("docstore: %s: index %q: %w", name, index.Name, err)
			}
			schema.Fields = append(schema.Fields, Field{Name: field, Zero: zero})
		}
	}
	return schema, nil
}

// zeroOf finds a field by its bson path and returns the zero of its stored type.
func zeroOf(t reflect.Type, path string) (any, error) {
	name, rest, nested := strings.Cut(path, ".")
	for i := range t.NumField() {
		field := t.Field(i)
		tag, options, _ := strings.Cut(field.Tag.Get("bson"), ",")
		opts := strings.Split(options, ",")
		if slices.Contains(opts, "inline") && field.Type.Kind() == reflect.Struct {
			if zero, err := zeroOf(field.Type, path); err == nil {
				return zero, nil
			}
			continue
		}
		if tag == "" {
			tag = strings.ToLower(field.Name)
		}
		if tag != name || !field.IsExported() {
			continue
		}
		if slices.Contains(opts, "omitempty") {
			return nil, fmt.Errorf("field %q is indexed and must not be omitempty", path)
		}
		if nested {
			if field.Type.Kind() != reflect.Struct || field.Type == timeType {
				return nil, fmt.Errorf("field %q: %s is no struct", path, field.Type)
			}
			return zeroOf(field.Type, rest)
		}
		return storedZero(field.Type, path)
	}
	return nil, fmt.Errorf("%s has no field %q", t, path)
}

func storedZero(t reflect.Type, path string) (any, error) {
	switch {
	case t == timeType:
		return time.Time{}, nil
	case t.Kind() == reflect.String:
		return "", nil
	case t.Kind() == reflect.Bool:
		return false, nil
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return int64(0), nil
	}
	return nil, fmt.Errorf("field %q: a %s cannot be indexed", path, t)
}

// stored converts a value given by a caller to the stored type of a field.
func stored(zero, value any) (any, bool) {
	v := reflect.ValueOf(value)
	switch zero.(type) {
	case string:
		if v.Kind() == reflect.String {
			return v.String(), true
		}
	case bool:
		if v.Kind() == reflect.Bool {
			return v.Bool(), true
		}
	case int64:
		if v.CanInt() {
			return v.Int(), true
		}
		if v.CanUint() && v.Uint() <= 1<<63-1 {
			return int64(v.Uint()), true
		}
	case time.Time:
		if t, ok := value.(time.Time); ok {
			return time.UnixMilli(t.UnixMilli()).UTC(), true
		}
	}
	return nil, false
}

// Value returns an indexed field of a document as string, int64, bool or time.Time,
// and the field's zero where the document lacks it.
func (f Field) Value(doc bson.Raw) any {
	v, err := doc.LookupErr(strings.Split(f.Name, ".")...)
	if err != nil {
		return f.Zero
	}
	switch v.Type {
	case bson.TypeString:
		return v.StringValue()
	case bson.TypeBoolean:
		return v.Boolean()
	case bson.TypeInt32:
		return int64(v.Int32())
	case bson.TypeInt64:
		return v.Int64()
	case bson.TypeDateTime:
		return v.Time().UTC()
	default:
		return f.Zero
	}
}
