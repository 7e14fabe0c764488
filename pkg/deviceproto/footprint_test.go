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
		many = append(many, file(fmt.Sprintf("%04d", i), 1)) // 28 bytes of names each
	}
	for name, c := range map[string]struct {
		files []deviceproto.Part
		want  int64
	}{
		"nothing":               {nil, 2},
		"an empty file":         {[]deviceproto.Part{file("a", 0)}, 2},
		"a byte":                {[]deviceproto.Part{file("a", 1)}, 3},
		"one block":             {[]deviceproto.Part{file("a", 4096)}, 3},
		"a byte more":           {[]deviceproto.Part{file("a", 4097)}, 4},
		"two less a pointer":    {[]deviceproto.Part{file("a", 8188)}, 4},
		"two blocks' worth":     {[]deviceproto.Part{file("a", 8189)}, 5},
		"folders, each once":    {[]deviceproto.Part{file("a/b/c", 1), file("a/b/d", 1), file("a/e", 1)}, 3*2 + 3},
		"more names than fit":   {many, 2*(1+2) + 100},
		"with the index itself": {[]deviceproto.Part{file(".index", 300), file("main.py", 20)}, 4},
	} {
		if got := deviceproto.Footprint(c.files); got != c.want*4096 {
			t.Errorf("%s: %d bytes, %g blocks, not %d", name, got, float64(got)/4096, c.want)
		}
	}
}
