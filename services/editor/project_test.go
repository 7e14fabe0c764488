package editor

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/fault"
)

func sketch(t *testing.T, kind Kind, paths ...string) *Project {
	t.Helper()
	p := &Project{Name: "Blink", Kind: kind}
	for _, path := range paths {
		if err := p.Put(file(path, path), nil); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func file(path, content string) File {
	return File{Path: path, Size: len(content), SHA256: Digest([]byte(content))}
}

func wantFault(t *testing.T, what string, err error, code fault.Code, field string) {
	t.Helper()
	if f := fault.As(err); f == nil || f.Code != code || f.Field != field || f.Message == "" {
		t.Errorf("%s: got %v, want %s of field %q", what, err, code, field)
	}
}

func TestMainFile(t *testing.T) {
	for _, test := range []struct {
		kind Kind
		// paths are put in order.
		paths []string
		want  string
	}{
		{Arduino, []string{"z.ino", "a.ino"}, "z.ino"},        // it stays what it was
		{Arduino, []string{"a.h", "z.ino"}, "z.ino"},          //
		{Arduino, []string{"sub/a.ino", "a.h"}, ""},           // not in a folder
		{Arduino, []string{"a.cpp"}, ""},                      //
		{MicroPython, []string{"a.py", "main.py"}, "main.py"}, //
		{MicroPython, []string{"a.py", "lib/main.py"}, ""},    //
	} {
		if got := sketch(t, test.kind, test.paths...).Main; got != test.want {
			t.Errorf("%v: main %q, want %q", test.paths, got, test.want)
		}
	}

	p := sketch(t, Arduino, "a.ino", "blink.ino", "c.ino")
	if err := p.Rename("a.ino", "x.ino"); err != nil || p.Main != "x.ino" {
		t.Errorf("the main file was renamed: %q, %v", p.Main, err)
	}
	if err := p.Remove("x.ino"); err != nil || p.Main != "blink.ino" {
		t.Errorf("the main file was removed: %q, %v; want the one with the project's name", p.Main, err)
	}
	if err := p.Remove("blink.ino"); err != nil || p.Main != "c.ino" {
		t.Errorf("and again: %q, %v", p.Main, err)
	}
}

func TestOnlyTheMainFileIsCalledSketch(t *testing.T) {
	p := sketch(t, Arduino, "blink.ino")
	wantFault(t, "put", p.Put(file("Sketch.ino", ""), nil), fault.Invalid, "path")
	if len(p.Files) != 1 {
		t.Error("what was refused changed the project")
	}
	if err := p.Rename("blink.ino", "sketch.ino"); err != nil || p.Main != "sketch.ino" {
		t.Errorf("the main file: %v", err)
	}
}

func TestPutRules(t *testing.T) {
	old := Digest([]byte("src/a.h"))
	empty, other := "", Digest([]byte("other"))
	for name, test := range map[string]struct {
		file  File
		base  *string
		code  fault.Code
		field string
	}{
		"new":                      {file("b.h", "x"), nil, "", ""},
		"new, said to be new":      {file("b.h", "x"), &empty, "", ""},
		"new, based on something":  {file("b.h", "x"), &other, fault.Conflict, "base"},
		"replaced":                 {file("src/a.h", "x"), nil, "", ""},
		"replaced, base right":     {file("src/a.h", "x"), &old, "", ""},
		"replaced, base wrong":     {file("src/a.h", "x"), &other, fault.Conflict, "base"},
		"replaced, said to be new": {file("src/a.h", "x"), &empty, fault.Conflict, "base"},
		"same again, base wrong":   {file("src/a.h", "src/a.h"), &other, "", ""}, // a repeated save is no conflict
		"differs in case":          {file("SRC/A.h", "x"), nil, fault.Invalid, "path"},
		"folder is a file":         {file("src/a.h/b.h", "x"), nil, fault.Invalid, "path"},
		"bad name":                 {file("a b.h", "x"), nil, fault.Invalid, "path"},
		"project too large":        {File{Path: "b.h", Size: MaxProjectSize}, nil, fault.TooLarge, "content"},
	} {
		t.Run(name, func(t *testing.T) {
			p := sketch(t, Arduino, "blink.ino", "src/a.h")
			before := p.Files.Tree()
			err := p.Put(test.file, test.base)
			if test.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				if got, _ := p.Files.Find(test.file.Path); got != test.file {
					t.Errorf("got %+v", got)
				}
				return
			}
			wantFault(t, name, err, test.code, test.field)
			if p.Files.Tree() != before {
				t.Error("what was refused changed the project")
			}
		})
	}
}

func TestFileAsFolder(t *testing.T) {
	p := sketch(t, Arduino, "data/x")
	wantFault(t, "a file below a file", p.Put(file("data/x/y", ""), nil), fault.Invalid, "path")
	p = sketch(t, Arduino, "data/x/y")
	wantFault(t, "a folder's name", p.Put(file("data/X", ""), nil), fault.Invalid, "path")
}

func TestAtMost256Files(t *testing.T) {
	p := sketch(t, Arduino)
	for i := range MaxFiles {
		if err := p.Put(file(fmt.Sprintf("f%d.h", i), ""), nil); err != nil {
			t.Fatal(err)
		}
	}
	wantFault(t, "one more", p.Put(file("more.h", ""), nil), fault.TooLarge, "path")
	if err := p.Put(file("f7.h", "changed"), nil); err != nil {
		t.Errorf("replacing one: %v", err)
	}
}

func TestRename(t *testing.T) {
	for name, test := range map[string]struct {
		from, to string
		code     fault.Code
		field    string
	}{
		"moved":         {"a.h", "sub/a.h", "", ""},
		"case changed":  {"a.h", "A.h", "", ""},
		"itself":        {"a.h", "a.h", "", ""},
		"missing":       {"none.h", "x.h", fault.NotFound, "path"},
		"taken":         {"a.h", "b.h", fault.Conflict, "to"},
		"taken by case": {"a.h", "B.h", fault.Invalid, "to"},
		"bad name":      {"a.h", "build_opt.h", fault.Invalid, "to"},
	} {
		t.Run(name, func(t *testing.T) {
			p := sketch(t, Arduino, "blink.ino", "a.h", "b.h")
			err := p.Rename(test.from, test.to)
			if test.code != "" {
				wantFault(t, name, err, test.code, test.field)
				return
			}
			if _, ok := p.Files.Find(test.to); err != nil || !ok || len(p.Files) != 3 {
				t.Errorf("got %v, %v", p.Files, err)
			}
		})
	}
	wantFault(t, "removing a missing file", sketch(t, Arduino).Remove("a.h"), fault.NotFound, "path")
}

func TestCheckContent(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		code    fault.Code
	}{
		"text":        {"void setup() {} // ü", ""},
		"empty":       {"", ""},
		"largest":     {strings.Repeat("x", MaxFileSize), ""},
		"too large":   {strings.Repeat("x", MaxFileSize+1), fault.TooLarge},
		"not UTF-8":   {"\xff\xfe", fault.Invalid},
		"cut rune":    {"\xc3", fault.Invalid},
		"with a zero": {"a\x00b", fault.Invalid},
	} {
		err := CheckContent(test.content)
		if test.code == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if test.code != "" {
			wantFault(t, name, err, test.code, "content")
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, allowed := range map[string]bool{
		"Blink": true, "Lampe Küche 2": true, strings.Repeat("ü", maxName): true,
		"": false, "   ": false, "a\nb": false, strings.Repeat("x", maxName+1): false,
	} {
		if err := CheckName(name); allowed && err != nil {
			t.Errorf("%q: %v", name, err)
		} else if !allowed {
			wantFault(t, name, err, fault.Invalid, "name")
		}
	}
}

func TestTreeDigest(t *testing.T) {
	a := sketch(t, Arduino, "blink.ino", "a.h").Files
	b := sketch(t, Arduino, "a.h", "blink.ino").Files
	if a.Tree() != b.Tree() {
		t.Error("the order of saving matters")
	}
	seen := map[string]string{}
	for name, files := range map[string]Files{
		"none": nil, "two": a, "one": sketch(t, Arduino, "a.h").Files,
		"other content": {file("a.h", "x"), file("blink.ino", "blink.ino")},
		"swapped":       {file("a.h", "blink.ino"), file("blink.ino", "a.h")},
	} {
		if same, ok := seen[files.Tree()]; ok {
			t.Errorf("%s and %s have one digest", name, same)
		}
		seen[files.Tree()] = name
	}
}

func TestStarterIsAllowed(t *testing.T) {
	for _, kind := range []Kind{Arduino, MicroPython} {
		for _, name := range []string{"Blink", "Lampe Küche", "…", strings.Repeat("x", maxName), "sketch"} {
			path, content := starter(kind, name)
			p := &Project{Name: name, Kind: kind}
			if err := p.Put(file(path, content), nil); err != nil || p.Main != path {
				t.Errorf("%s %q: %q %v", kind, name, path, err)
			}
		}
	}
}
