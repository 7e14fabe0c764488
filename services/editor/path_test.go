package editor

import (
	"strings"
	"testing"

	"github.com/flota/flota/pkg/fault"
)

func TestCheckPath(t *testing.T) {
	deep := strings.Repeat("d/", maxDepth-1)
	for _, test := range []struct {
		kind    Kind
		path    string
		allowed bool
	}{
		{Arduino, "blink.ino", true},
		{Arduino, "Blink_2.ino", true},
		{Arduino, "_private.h", true},
		{Arduino, "src/a+b-c.cpp", true},
		{Arduino, "asm.S", true},
		{Arduino, "README.md", true},
		{Arduino, "page.html", true},
		{Arduino, "data/config.csv", true},
		{Arduino, "data/any.thing", true},
		{Arduino, "partitions.csv", true},
		{MicroPython, "main.py", true},
		{MicroPython, "lib/driver/spi.py", true},
		{MicroPython, "table.csv", true},
		{Arduino, deep + "a.h", true},
		{Arduino, strings.Repeat("n", maxPart-2) + ".h", true},
		{Arduino, strings.Repeat(strings.Repeat("n", 48)+"/", 4) + "aa.h", true}, // 200 characters

		{Arduino, "", false},
		{Arduino, "/blink.ino", false},
		{Arduino, "../blink.ino", false},
		{Arduino, "a/../b.h", false},
		{Arduino, "./a.h", false},
		{Arduino, "a//b.h", false},
		{Arduino, "a/", false},
		{Arduino, "a/.", false},
		{Arduino, ".hidden.h", false},
		{Arduino, "-o.cpp", false},
		{Arduino, "+x.h", false},
		{Arduino, " a.h", false},
		{Arduino, "a b.h", false},
		{Arduino, "a./b.h", false},
		{Arduino, `a\b.h`, false},
		{Arduino, "a\x00.h", false},
		{Arduino, "a\n.h", false},
		{Arduino, "ä.h", false},
		{Arduino, "a$(id).h", false},
		{Arduino, "@file.h", false},
		{Arduino, "C:x.h", false},
		{Arduino, "noextension", false},
		{Arduino, "lib.a", false},
		{Arduino, "main.py", false},
		{Arduino, "other.csv", false},
		{Arduino, "sub/partitions.csv", false},
		{Arduino, "data", false},
		{Arduino, deep + "x/a.h", false},
		{Arduino, strings.Repeat("n", maxPart-1) + ".h", false},
		{Arduino, strings.Repeat(strings.Repeat("n", 48)+"/", 4) + "aaa.h", false}, // 201
		{MicroPython, "blink.ino", false},
		{MicroPython, "partitions.csv", true},
		{MicroPython, "firmware.mpy", false},

		{Arduino, "sketch.yaml", false},
		{Arduino, "SKETCH.YML", false},
		{Arduino, "build_opt.h", false},
		{Arduino, "src/Build_Opt.h", false},
		{Arduino, "data/build_opt.h", false},
		{Arduino, "file_opts", false},
		{Arduino, "platform.local.txt", false},
		{Arduino, "any.LOCAL.txt", false},
		{Arduino, "platform.txt", false},
		{Arduino, "boards.txt", false},
		{Arduino, "programmers.txt", false},
		{Arduino, "sketch.ino.globals.h", false},
		{Arduino, "Sketch.ino.cpp", false},
		{Arduino, "compile_commands.json", false},
		{MicroPython, "manifest.json", false},
		{MicroPython, "lib/manifest.json", true},
		{MicroPython, "flota_agent.py", false},
		{MicroPython, strings.Repeat(strings.Repeat("n", 41)+"/", 3) + "n.py", false}, // 130
		{MicroPython, "Flota_agent/__init__.py", false},
		{MicroPython, "lib/flota_thing.py", true},
		{MicroPython, "my_flota_thing.py", true},
	} {
		err := CheckPath(test.kind, test.path)
		if test.allowed {
			if err != nil {
				t.Errorf("%s %q: %v", test.kind, test.path, err)
			}
			continue
		}
		if f := fault.As(err); f == nil || f.Code != fault.Invalid || f.Field != "path" || !strings.Contains(f.Message, " ") {
			t.Errorf("%s %q: got %v, want an Invalid fault with a sentence and the field", test.kind, test.path, err)
		}
	}
}
