package boards

import (
	"strings"
	"testing"

	"github.com/flota/flota/pkg/fault"
)

// A character is told whole.
func TestWhole(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "aé": 3, "a\xc3": 1, "a€": 4, "a\xe2\x82": 1, "a\xe2": 1, "a\xf0\x9f\x98": 1, "a😀": 5,
		"\xc3": 0, "\xe2\x82": 0,
		"a\xff": 2, "a\x80\x80\x80\x80\x80": 6, "é\xc3": 2, // bytes that are no character
	} {
		if got := whole([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	// In pieces of any size nothing is cut, lost or changed.
	text := strings.Repeat("aé€😀", 50)
	for size := 4; size < 20; size++ {
		rest, got := []byte(text), ""
		for len(rest) > 0 {
			n := whole(rest[:min(len(rest), size)])
			piece := string(rest[:n])
			if strings.ToValidUTF8(piece, "") != piece {
				t.Fatalf("pieces of %d: %q", size, piece)
			}
			got, rest = got+piece, rest[n:]
		}
		if got != text {
			t.Errorf("pieces of %d: %q", size, got)
		}
	}
}

func TestFits(t *testing.T) {
	board := &Board{FQBN: "flota:virtual:esp32"}
	good := Build{FQBN: "flota:virtual:esp32:PartitionScheme=default", Succeeded: true, App: &Output{Size: MaxImage}}
	for name, c := range map[string]struct {
		change func(*Build)
		code   fault.Code
	}{
		"good":          {func(*Build) {}, ""},
		"failed":        {func(b *Build) { b.Succeeded = false }, fault.Precondition},
		"another board": {func(b *Build) { b.FQBN = "esp32:esp32:esp32" }, fault.Precondition},
		"a longer name": {func(b *Build) { b.FQBN = "flota:virtual:esp32s3" }, fault.Precondition},
		"no name":       {func(b *Build) { b.FQBN = "" }, fault.Precondition},
		"no app":        {func(b *Build) { b.App = nil }, fault.Precondition},
		"too large":     {func(b *Build) { b.App = &Output{Size: MaxImage + 1} }, fault.TooLarge},
	} {
		build := good
		c.change(&build)
		f := fault.As(fits(board, build))
		if c.code == "" && f == nil {
			continue
		}
		if f == nil || f.Code != c.code || f.Field != "build" {
			t.Errorf("%s: %v", name, f)
		}
	}
}
