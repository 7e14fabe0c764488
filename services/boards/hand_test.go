package boards

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
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
		f := fault.As(fits(board, &build))
		if c.code == "" && f == nil {
			continue
		}
		if f == nil || f.Code != c.code || f.Field != "build" {
			t.Errorf("%s: %v", name, f)
		}
	}
}

func TestFitsAPico(t *testing.T) {
	board := &Board{FQBN: "micropython:py:virtual_pico_w"}
	good := Build{FQBN: "micropython:py:virtual_pico_w:format=mpy", Succeeded: true, Index: &Output{Size: 65536}}
	if err := fits(board, &good); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		change func(*Build)
		code   fault.Code
	}{
		"an ESP32's":   {func(b *Build) { b.FQBN, b.App = "flota:virtual:esp32", &Output{Size: 1} }, fault.Precondition},
		"another Pico": {func(b *Build) { b.FQBN = "micropython:py:rpi_pico_w" }, fault.Precondition},
		"no index":     {func(b *Build) { b.App, b.Index = &Output{Size: 1}, nil }, fault.Precondition},
		"too large":    {func(b *Build) { b.Index = &Output{Size: 65537} }, fault.TooLarge},
	} {
		build := good
		c.change(&build)
		if f := fault.As(fits(board, &build)); f == nil || f.Code != c.code || f.Field != "build" {
			t.Errorf("%s: %v", name, f)
		}
	}
}

// stock is builds that are fetched from memory.
type stock map[string]string // by digest

func (s stock) Build(context.Context, string, string) (Build, error) { return Build{}, nil }

func (s stock) Fetch(_ context.Context, workspace string, o Output) ([]byte, error) {
	if text, ok := s[o.SHA256]; ok && workspace == "w1" && int64(len(text)) == o.Size {
		return []byte(text), nil
	}
	return nil, fault.New(fault.NotFound, "there is no %s", o.Name)
}

// A release is fetched whole, as its index says, or not at all.
func TestFetchARelease(t *testing.T) {
	sum := func(text string) string { s := sha256.Sum256([]byte(text)); return hex.EncodeToString(s[:]) }
	index := fmt.Sprintf("%s 0 empty.py\n%s 4 lib/a.py\n%s 5 main.py\n", sum(""), sum("aaaa"), sum("print"))
	b := &Board{Workspace: "w1", FQBN: "micropython:py:virtual_pico_w"}
	all := stock{sum(index): index, sum("aaaa"): "aaaa", sum("print"): "print"}
	fetch := func(index string) (Firmware, error) {
		all[sum(index)] = index
		return (&Boards{Parts: Parts{Builds: all}}).fetch(t.Context(), b, &Build{Index: &Output{Name: "index", Size: int64(len(index)), SHA256: sum(index)}})
	}
	f, err := fetch(index)
	want := []File{{"empty.py", nil}, {"lib/a.py", []byte("aaaa")}, {"main.py", []byte("print")}, {".index", []byte(index)}}
	if err != nil || !reflect.DeepEqual(f.Files, want) || f.App != nil {
		t.Errorf("%v, %v", f, err)
	}
	for name, c := range map[string]struct {
		index string
		code  fault.Code
	}{
		"a file that is gone": {fmt.Sprintf("%s 4 main.py\n", sum("gone")), fault.NotFound},
		"a path outside":      {fmt.Sprintf("%s 4 ../main.py\n", sum("aaaa")), fault.Precondition},
		"no index":            {"nonsense\n", fault.Precondition},
		"too much":            {fmt.Sprintf("%s 500000 a\n%s 500000 b\n", sum("a"), sum("b")), fault.TooLarge},
		"far too much":        {fmt.Sprintf("%s 9007199254740992 a\n%s 9007199254740992 b\n", sum("a"), sum("b")), fault.TooLarge},
	} {
		if f, err := fetch(c.index); !fault.Is(err, c.code) || f.Files != nil {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
}
