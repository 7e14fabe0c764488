package compiler_test

import (
	"testing"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
)

func TestResolve(t *testing.T) {
	option := func(id string, values ...string) compiler.Option {
		o := compiler.Option{ID: id}
		for _, v := range values {
			o.Values = append(o.Values, compiler.Value{ID: v})
		}
		return o
	}
	platforms := []compiler.Platform{
		{Boards: []compiler.Board{{FQBN: "a:b:plain", Name: "Plain"}}},
		{Boards: []compiler.Board{{FQBN: "a:c:rich", Name: "Rich", Options: []compiler.Option{option("cpu", "fast", "slow"), option("size", "big", "small")}}}},
	}
	for _, c := range []struct{ fqbn, want string }{
		{"a:b:plain", "a:b:plain"},
		{"a:c:rich", "a:c:rich"},
		{"a:c:rich:cpu=fast", "a:c:rich"}, // the default
		{"a:c:rich:cpu=slow", "a:c:rich:cpu=slow"},
		{"a:c:rich:size=small,cpu=slow", "a:c:rich:cpu=slow,size=small"}, // the board's order
		{"a:c:rich:size=big,cpu=slow", "a:c:rich:cpu=slow"},
		{"", ""},
		{"a:b", ""},
		{"a:b:none", ""},
		{"a:b:plain:", ""},
		{"a:b:plain:cpu=fast", ""},
		{"a:c:rich:cpu", ""},
		{"a:c:rich:cpu=", ""},
		{"a:c:rich:cpu=other", ""},
		{"a:c:rich:none=fast", ""},
		{"a:c:rich:cpu=slow,cpu=fast", ""},
		{"a:c:rich:cpu=slow:x=y", ""},
		{"a:b:plain --verbose", ""},
	} {
		_, got, err := compiler.Resolve(platforms, c.fqbn)
		if got != c.want || (c.want == "") != (err != nil) {
			t.Errorf("%q: %q %v, want %q", c.fqbn, got, err, c.want)
		}
		if f := fault.As(err); err != nil && (f == nil || f.Field != "fqbn" || f.Code != fault.Invalid) {
			t.Errorf("%q: %v", c.fqbn, err)
		}
	}
}
