package micropython

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

//go:embed recipe.sh
var recipe string

// checked is what MicroPython's compiler says of a project.
type checked struct {
	diagnostics []compiler.Diagnostic // by file
	modules     map[string][]byte     // .mpy, by the path of the source
	exit        sandbox.Exit
}

// failed returns the first error as a sentence, "" if there is none.
func (c checked) failed() string {
	for _, d := range c.diagnostics {
		if d.Severity == compiler.Error {
			return fmt.Sprintf("%s:%d: %s", d.File, d.Line, d.Message)
		}
	}
	return ""
}

// check compiles every Python file for an architecture, in the sandbox.
func (e *Executor) check(ctx context.Context, files []compiler.File, architecture string, limits sandbox.Limits) (c checked, err error) {
	var sources []compiler.File
	var names strings.Builder
	for _, f := range files {
		if path.Ext(f.Path) != ".py" {
			continue
		}
		if line := notText(f.Data); line > 0 {
			c.diagnostics = append(c.diagnostics, compiler.Diagnostic{File: f.Path, Line: line, Severity: compiler.Error, Message: "this file is not UTF-8 text"})
			continue
		}
		sources = append(sources, f)
		names.WriteString(f.Path + "\n")
	}
	in := []compiler.File{{Path: "architecture", Data: []byte(architecture + "\n")}, {Path: "names", Data: []byte(names.String())}}
	for _, f := range sources {
		in = append(in, compiler.File{Path: "source/" + f.Path, Data: f.Data})
	}
	c.modules = map[string][]byte{}
	c.exit, err = e.box.Run(ctx, sandbox.Task{
		Script: recipe,
		Input:  func(w io.Writer) error { return intake.WriteTar(w, in) },
		Output: func(r io.Reader) error { return c.read(r, sources) },
		Limits: limits,
	})
	slices.SortStableFunc(c.diagnostics, func(a, b compiler.Diagnostic) int { return strings.Compare(a.File, b.File) })
	return c, err
}

// notText returns the first line that is not UTF-8, 0 where all are.
func notText(data []byte) int {
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if !utf8.Valid(text) {
			return line
		}
	}
	return 0
}

// outName is what the recipe calls what it made of a source.
var outName = regexp.MustCompile(`^\./([0-9]{1,3})\.(mpy|error)$`)

// read reads what the recipe answers; it trusts nothing in it.
func (c *checked) read(r io.Reader, sources []compiler.File) error {
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		m := outName.FindStringSubmatch(header.Name)
		if m == nil || header.Typeflag != tar.TypeReg {
			continue
		}
		number, _ := strconv.Atoi(m[1])
		if number < 1 || number > len(sources) {
			return fmt.Errorf("the recipe answers with %s, of %d sources", header.Name, len(sources))
		}
		source := sources[number-1].Path
		data, err := io.ReadAll(archive)
		switch {
		case err != nil:
			return err
		case m[2] == "mpy":
			c.modules[source] = data
		case len(data) > 0:
			c.diagnostics = append(c.diagnostics, diagnostic(source, strings.TrimSpace(string(data))))
		}
	}
}

// place is how a trace names a line of the file.
var place = regexp.MustCompile(`(?m)^  File ".*", line ([0-9]+)`)

// diagnostic reads what mpy-cross said of a file: a trace that ends in the error.
func diagnostic(file, text string) compiler.Diagnostic {
	d := compiler.Diagnostic{File: file, Severity: compiler.Error, Message: text[strings.LastIndexByte(text, '\n')+1:]}
	if places := place.FindAllStringSubmatch(text, -1); places != nil {
		d.Line, _ = strconv.Atoi(places[len(places)-1][1])
	}
	return d
}
