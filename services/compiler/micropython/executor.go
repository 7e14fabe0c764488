// Package micropython checks MicroPython projects with MicroPython's own
// compiler, in the sandbox, and makes bundles of them.
package micropython

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
	"github.com/flota/flota/services/compiler/toolchain"
)

//go:embed check.py
var check []byte

const recipe = `tar -xf - || exit 121
exec /toolchain/micropython/micropython -X heapsize=64M check.py <names
`

// PlatformID is the platform of every board here.
const PlatformID = "micropython:py"

// Config is what an Executor needs to know.
type Config struct {
	Toolchain toolchain.Root
	// Work is a folder for the outputs of results, "" for the system's own.
	Work string
	// Limits of each job; DefaultLimits where they are zero.
	Limits sandbox.Limits
}

// DefaultLimits are ample for a check of the largest project.
func DefaultLimits() sandbox.Limits {
	return sandbox.Limits{
		Wall: time.Minute, CPU: 10 * time.Second, Memory: 256 << 20, Processes: 16,
		FileSize: 16 << 20, Disk: 64 << 20, Output: 1 << 20,
	}
}

// Executor checks projects and bundles them; it is safe for concurrent use.
type Executor struct {
	cfg       Config
	box       *sandbox.Sandbox
	platforms []compiler.Platform
}

// New reads which boards the toolchain offers.
func New(cfg Config, box *sandbox.Sandbox) (*Executor, error) {
	boards, err := readBoards(filepath.Join(cfg.Toolchain.Dir, "micropython/boards.txt"))
	if err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.Or(DefaultLimits())
	return &Executor{cfg: cfg, box: box, platforms: []compiler.Platform{{
		ID: PlatformID, Version: cfg.Toolchain.MicroPython, Name: "MicroPython", Toolchain: cfg.Toolchain.With(string(check)), Boards: boards,
	}}}, nil
}

// readBoards reads lines of "<board> <name>".
func readBoards(file string) ([]compiler.Board, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the MicroPython boards: %w", err)
	}
	var boards []compiler.Board
	for line := range strings.Lines(string(text)) {
		id, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && !strings.HasPrefix(id, "#") {
			boards = append(boards, compiler.Board{FQBN: PlatformID + ":" + id, Name: strings.TrimSpace(name), Kind: compiler.MicroPython})
		}
	}
	return boards, nil
}

// Platforms implements compiler.Executor.
func (e *Executor) Platforms(context.Context) ([]compiler.Platform, error) { return e.platforms, nil }

// Execute implements compiler.Executor.
func (e *Executor) Execute(ctx context.Context, job compiler.Job, log compiler.Log) (*compiler.Result, error) {
	files, main, err := intake.MicroPython(job.Files, job.Main)
	if err != nil {
		return nil, err
	}
	board, fqbn, err := compiler.Resolve(e.platforms, job.FQBN)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	limits := job.Limits.Or(e.cfg.Limits)
	log.Phase(compiler.Compile)
	log.Line(compiler.Farm, fmt.Sprintf("Checking %d files for %s (%s)", len(files), board.Name, fqbn))
	said, exit, err := e.check(ctx, files, limits)
	if err != nil {
		return nil, err
	}
	result := &compiler.Result{Toolchain: e.platforms[0].Toolchain, Diagnostics: said.diagnostics}
	defer func() { result.Times = []compiler.PhaseTime{{Phase: compiler.Compile, Took: time.Since(start)}} }()
	for _, d := range said.diagnostics {
		log.Line(compiler.Stderr, fmt.Sprintf("%s:%d: %s: %s", d.File, d.Line, d.Severity, d.Message))
	}
	switch {
	case exit.Exceeded != "":
		result.Outcome = compiler.Exceeded
		result.Message = fmt.Sprintf("The check needed more than its limit (%s) and was stopped.", exit.Exceeded)
	case said.failed() != "":
		result.Outcome, result.Message = compiler.Failed, said.failed()
	case !said.done && (exit.Status == 126 || exit.Status == 127 || exit.Status == 121):
		return nil, fmt.Errorf("MicroPython did not run (status %d): %s", exit.Status, exit.Stderr)
	case !said.done:
		result.Outcome, result.Message = compiler.Failed, fmt.Sprintf("MicroPython's compiler broke down over these files (status %d).", exit.Status)
	default:
		if err := e.bundle(result, files, main); err != nil {
			return nil, err
		}
		result.Outcome = compiler.Succeeded
		log.Line(compiler.Farm, fmt.Sprintf("Bundle: %d files, %d bytes.", len(files), result.Outputs[0].Size))
		return result, nil
	}
	log.Line(compiler.Farm, result.Message)
	return result, nil
}

// verdict is what check.py said.
type verdict struct {
	diagnostics []compiler.Diagnostic
	done        bool
}

// failed returns the first error as a sentence, "" if there is none.
func (v verdict) failed() string {
	for _, d := range v.diagnostics {
		if d.Severity == compiler.Error {
			return fmt.Sprintf("%s:%d: %s", d.File, d.Line, d.Message)
		}
	}
	return ""
}

func (e *Executor) check(ctx context.Context, files []compiler.File, limits sandbox.Limits) (v verdict, exit sandbox.Exit, err error) {
	var names strings.Builder
	in := []compiler.File{{Path: "check.py", Data: check}, {Path: "names"}}
	for _, f := range files {
		if path.Ext(f.Path) == ".py" {
			names.WriteString(f.Path + "\n")
			in = append(in, compiler.File{Path: "source/" + f.Path, Data: f.Data})
		}
	}
	in[1].Data = []byte(names.String())
	exit, err = e.box.Run(ctx, sandbox.Task{
		Script: recipe,
		Input:  func(w io.Writer) error { return intake.WriteTar(w, in) },
		Output: v.read,
		Limits: limits,
	})
	return v, exit, err
}

// unchecked are refusals that are right for the interpreter on this machine and
// wrong for a board: inline assembler of another processor.
const unchecked = "invalid micropython decorator"

func (v *verdict) read(r io.Reader) error {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var said struct {
			File    string
			Line    int
			Message string
			Done    bool
		}
		if err := json.Unmarshal(lines.Bytes(), &said); err != nil {
			return fmt.Errorf("MicroPython said %.100q: %w", lines.Text(), err)
		}
		switch {
		case said.Done:
			v.done = true
		case strings.Contains(said.Message, unchecked):
			v.diagnostics = append(v.diagnostics, compiler.Diagnostic{
				File: said.File, Line: said.Line, Severity: compiler.Warning,
				Message: "from here on this file is not checked: only the board knows its assembler",
			})
		default:
			v.diagnostics = append(v.diagnostics, compiler.Diagnostic{File: said.File, Line: said.Line, Severity: compiler.Error, Message: said.Message})
		}
	}
	return nil
}
