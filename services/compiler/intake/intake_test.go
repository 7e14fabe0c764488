package intake_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

func tree(names ...string) []compiler.File {
	var files []compiler.File
	for _, n := range names {
		files = append(files, compiler.File{Path: n, Data: []byte("// " + n)})
	}
	return files
}

func names(files []compiler.File) string {
	var all []string
	for _, f := range files {
		all = append(all, f.Path)
	}
	return strings.Join(all, " ")
}

func TestArduinoNames(t *testing.T) {
	for _, c := range []struct {
		files, main string
		want        string // what arduino-cli gets
		original    string // the user's name of sketch.ino
	}{
		{"blink.ino", "", "sketch.ino", "blink.ino"},
		{"blink.ino", "blink.ino", "sketch.ino", "blink.ino"},
		{"sketch.ino tab.ino", "", "sketch.ino tab.ino", "sketch.ino"},
		{"a.ino b.ino util.cpp util.h", "b.ino", "a.ino sketch.ino util.cpp util.h", "b.ino"},
		{"x.ino src/deep/y.cpp partitions.csv", "", "partitions.csv src/deep/y.cpp sketch.ino", "x.ino"},
		{"x.ino sketch.yaml LICENSE data/index.htm.gz", "", "sketch.ino", "x.ino"},
		{"x.ino y.S page.html", "", "page.html sketch.ino y.S", "x.ino"},
	} {
		sketch, err := intake.Arduino(tree(strings.Fields(c.files)...), c.main)
		if err != nil {
			t.Errorf("%s: %v", c.files, err)
			continue
		}
		got := map[string]bool{}
		for _, f := range sketch.Files {
			got[f.Path] = true
		}
		for w := range strings.FieldsSeq(c.want) {
			if !got[w] {
				t.Errorf("%s: got %q, want %q", c.files, names(sketch.Files), c.want)
			}
		}
		if len(got) != len(strings.Fields(c.want)) || sketch.Main != c.original || sketch.Original(intake.MainFile) != c.original {
			t.Errorf("%s: got %q with main %q", c.files, names(sketch.Files), sketch.Main)
		}
	}
}

// Nothing that a core or arduino-cli would read as an instruction gets through,
// and the fault names the file.
func TestArduinoRefuses(t *testing.T) {
	for _, c := range []struct{ file, field string }{
		{"../up.h", "../up.h"},
		{"/etc/passwd.h", "/etc/passwd.h"},
		{"a/../../b.h", "a/../../b.h"},
		{"a//b.h", "a//b.h"},
		{"./a.h", "./a.h"},
		{`a\b.h`, `a\b.h`},
		{".hidden.h", ".hidden.h"},
		{".git/config.h", ".git/config.h"},
		{"-wrapper.h", "-wrapper.h"},
		{"a b.h", "a b.h"},
		{"a\n.h", "a\n.h"},
		{"build_opt.h", "build_opt.h"},
		{"src/BUILD_OPT.h", "src/BUILD_OPT.h"},
		{"file_opts", "file_opts"},
		{"sketch.ino.globals.h", "sketch.ino.globals.h"},
		{"sketch.ino.cpp", "sketch.ino.cpp"},
		{"sketch.ino.flota.cpp", "sketch.ino.flota.cpp"},
		{"platform.txt", "platform.txt"},
		{"boards.txt", "boards.txt"},
		{"platform.local.txt", "platform.local.txt"},
		{"src/x.local.txt", "src/x.local.txt"},
		{"hook.sh", "hook.sh"},
		{"evil.so", "evil.so"},
		{"Makefile", "Makefile"},
		{"sub/partitions.csv", "sub/partitions.csv"},
		{"sketch.ino", "sketch.ino"},
		{"main.ino", "main.ino"}, // twice
		{"main.ino/x.h", "main.ino"},
		{strings.Repeat("a/", 150) + "x.h", strings.Repeat("a/", 100) + "…"},
	} {
		_, err := intake.Arduino(tree("main.ino", c.file), "main.ino")
		f := fault.As(err)
		if f == nil || f.Code != fault.Invalid || f.Field != c.field || f.Message == "" {
			t.Errorf("%q: %v", c.file, err)
		}
	}
}

func TestArduinoMain(t *testing.T) {
	for _, c := range []struct{ files, main string }{
		{"a.h", ""},
		{"a.ino b.ino", ""},
		{"a.ino", "b.ino"},
		{"a.ino a.h", "a.h"},
		{"src/a.ino", "src/a.ino"},
	} {
		_, err := intake.Arduino(tree(strings.Fields(c.files)...), c.main)
		if f := fault.As(err); f == nil || f.Field != "main" {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestLimits(t *testing.T) {
	many := tree("main.ino")
	for i := range intake.MaxFiles {
		many = append(many, compiler.File{Path: fmt.Sprintf("f%d.h", i)})
	}
	big := append(tree("main.ino"), compiler.File{Path: "big.h", Data: make([]byte, intake.MaxFile+1)})
	heavy := tree("main.ino")
	for i := range 9 {
		heavy = append(heavy, compiler.File{Path: fmt.Sprintf("f%d.h", i), Data: make([]byte, intake.MaxFile)})
	}
	for _, c := range []struct {
		field string
		files []compiler.File
	}{{"files", many}, {"big.h", big}, {"files", heavy}} {
		_, err := intake.Arduino(c.files, "")
		if f := fault.As(err); f == nil || f.Code != fault.TooLarge || f.Field != c.field {
			t.Errorf("%s: %v", c.field, err)
		}
	}
	if _, err := intake.Arduino(nil, ""); fault.CodeOf(err) != fault.Invalid {
		t.Error("an empty project:", err)
	}
}

func TestMicroPython(t *testing.T) {
	files, err := intake.MicroPython(tree("main.py", "package.json", "package.lock.json", "lib/a.py", "lib/package.json", "www/index.html", "boot.py", "cert.der"), "")
	if err != nil || names(files) != "boot.py cert.der lib/a.py lib/package.json main.py www/index.html" {
		t.Error(names(files), err)
	}
	for _, c := range []struct{ files, main, field string }{
		{"app.py", "", "main"},
		{"main.py", "other.py", "main"},
		{"main.py notes.txt", "notes.txt", "main"},
		{"lib/main.py", "", "main"},
		{"app.py main.py", "app.py", "main"},
		{"main.py manifest.json", "", "manifest.json"},
		{"main.py index", "", "index"},
		{"main.py flota_agent.py", "", "flota_agent.py"},
		{"main.py Flota_x/a.txt", "", "Flota_x/a.txt"},
		{"main.py " + strings.Repeat("d23456789/", 13) + "a.py", "", strings.Repeat("d23456789/", 13) + "a.py"},
		{"main.py ../x.py", "", "../x.py"},
	} {
		_, err := intake.MicroPython(tree(strings.Fields(c.files)...), c.main)
		if f := fault.As(err); f == nil || f.Field != c.field {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestFromTar(t *testing.T) {
	archive := func(headers ...tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if h.Typeflag == tar.TypeReg {
				_, _ = w.Write(make([]byte, h.Size))
			}
		}
		_ = w.Close()
		return b.Bytes()
	}
	good := archive(tar.Header{Name: "src", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "src/a.h", Typeflag: tar.TypeReg, Size: 3})
	if files, err := intake.FromTar(bytes.NewReader(good)); err != nil || names(files) != "src/a.h" || len(files[0].Data) != 3 {
		t.Error(names(files), err)
	}
	for name, h := range map[string]tar.Header{
		"symlink":  {Name: "x.h", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"hardlink": {Name: "x.h", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
		"device":   {Name: "x.h", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5},
		"fifo":     {Name: "x.h", Typeflag: tar.TypeFifo},
	} {
		if _, err := intake.FromTar(bytes.NewReader(archive(h))); fault.As(err) == nil || fault.As(err).Field != "x.h" {
			t.Errorf("%s: %v", name, err)
		}
	}
	bomb := archive(tar.Header{Name: "x.h", Typeflag: tar.TypeReg, Size: intake.MaxFile + 1})
	if _, err := intake.FromTar(bytes.NewReader(bomb)); !fault.Is(err, fault.TooLarge) {
		t.Error(err)
	}
	for _, length := range []int{100, 513, 514, 700} {
		if _, err := intake.FromTar(bytes.NewReader(good[:length])); !fault.Is(err, fault.Unavailable) {
			t.Errorf("an archive cut after %d bytes: %v", length, err)
		}
	}
	if _, err := intake.FromTar(strings.NewReader(strings.Repeat("no tar ", 200))); !fault.Is(err, fault.Invalid) {
		t.Error("no archive:", err)
	}
}
