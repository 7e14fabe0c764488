package deviceproto_test

import (
	"fmt"
	"testing"

	"github.com/flota/flota/pkg/deviceproto"
)

// In blocks of 4096 bytes. The tests of services/compiler/micropython compare with LittleFS itself.
func TestFootprint(t *testing.T) {
	file := func(path string, size int64) deviceproto.Part { return deviceproto.Part{Path: path, Size: size} }
	var many []deviceproto.Part
	for i := range 100 {
		many = append(many, file(fmt.Sprintf("%04d", i), 1)) // 29 bytes of the folder each
	}
	for name, c := range map[string]struct {
		files []deviceproto.Part
		want  int64
	}{
		"nothing":               {nil, 4},
		"a small file":          {[]deviceproto.Part{file("a", 512)}, 4},
		"a byte more":           {[]deviceproto.Part{file("a", 513)}, 5},
		"one block":             {[]deviceproto.Part{file("a", 4096)}, 5},
		"two":                   {[]deviceproto.Part{file("a", 4097)}, 6},
		"two less a pointer":    {[]deviceproto.Part{file("a", 8188)}, 6},
		"two blocks' worth":     {[]deviceproto.Part{file("a", 8189)}, 7},
		"folders, each once":    {[]deviceproto.Part{file("a/b/c", 1000), file("a/b/d", 1000), file("a/e", 1000)}, 3*4 + 3},
		"more names than fit":   {many, 4 + 2*2},
		"with the index itself": {[]deviceproto.Part{file(".index", 3000), file("main.py", 20)}, 5},
	} {
		if got := deviceproto.Footprint(c.files); got != c.want*4096 {
			t.Errorf("%s: %d bytes, %g blocks, not %d", name, got, float64(got)/4096, c.want)
		}
	}
}
