package arduino

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
	"github.com/flota/flota/services/compiler/toolchain"
)

//go:embed recipe.sh
var recipe string

// Config is what an Executor needs to know.
type Config struct {
	Toolchain toolchain.Root
	// Work is a folder for the outputs of results, "" for the system's own.
	Work string
	// Limits of each job; DefaultLimits where they are zero.
	Limits sandbox.Limits
}

// DefaultLimits leave room for a core that is compiled for the first time.
func DefaultLimits() sandbox.Limits {
	cpus := runtime.NumCPU()
	return sandbox.Limits{
		Wall: 5 * time.Minute, CPU: time.Minute,
		Memory:    1<<30 + int64(cpus)<<28, // a compiler on every CPU
		Processes: 64 + 8*cpus,
		FileSize:  64 << 20, Disk: 512 << 20, Output: 256 << 20,
	}
}

// Executor compiles sketches; it is safe for concurrent use.
type Executor struct {
	cfg       Config
	box       *sandbox.Sandbox
	platforms []compiler.Platform
	agents    map[string]string // platform → version of FlotaOTA
	radioless map[string]bool   // FQBNs of boards on which it cannot run
	// members are, by platform with FlotaOTA, what every program has in it.
	members map[string]map[string]bool
	digest  string   // of all that decides what bytes come out
	files   *os.Root // the toolchain
}

// New reads which boards the toolchain has.
func New(cfg Config, box *sandbox.Sandbox) (*Executor, error) {
	digest := cfg.Toolchain.With(recipe + managedSource)
	platforms, agents, radioless, err := readPlatforms(cfg.Toolchain.Dir, digest)
	if err != nil {
		return nil, err
	}
	members := map[string]map[string]bool{}
	for platform, version := range agents {
		if version == "" {
			continue
		}
		if members[platform], err = readMembers(cfg.Toolchain.Dir, platform); err != nil {
			return nil, err
		}
	}
	files, err := os.OpenRoot(cfg.Toolchain.Dir)
	if err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.Or(DefaultLimits())
	return &Executor{cfg: cfg, box: box, platforms: platforms, agents: agents, radioless: radioless, members: members, digest: digest, files: files}, nil
}

// Platforms implements compiler.Executor.
func (e *Executor) Platforms(context.Context) ([]compiler.Platform, error) { return e.platforms, nil }

// Execute implements compiler.Executor.
func (e *Executor) Execute(ctx context.Context, job compiler.Job, log compiler.Log) (*compiler.Result, error) {
	sketch, err := intake.Arduino(job.Files, job.Main)
	if err != nil {
		return nil, err
	}
	board, fqbn, err := compiler.Resolve(e.platforms, job.FQBN)
	if err != nil {
		return nil, err
	}
	log.Phase(compiler.Compile)
	log.Line(compiler.Farm, fmt.Sprintf("Compiling %s for %s (%s)", sketch.Main, board.Name, fqbn))
	fqbn, managed := e.manage(&sketch, board, fqbn, job.Unmanaged, log)
	return e.compile(ctx, sketch, task{fqbn, managed, job.Verbose, e.cfg.Limits}, log)
}

// task is how to compile a sketch.
type task struct {
	fqbn             string
	managed, verbose bool
	limits           sandbox.Limits
}

// compile runs the recipe over a sketch that passed the intake.
func (e *Executor) compile(ctx context.Context, sketch intake.Sketch, t task, log compiler.Log) (_ *compiler.Result, err error) {
	start := time.Now()
	dir, err := os.MkdirTemp(e.cfg.Work, "build-")
	if err != nil {
		return nil, err
	}
	result := &compiler.Result{Dir: dir, Toolchain: e.digest}
	defer func() {
		if err != nil {
			_ = result.Discard()
		}
	}()
	outputs, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = outputs.Close() }()

	flags := "-q"
	if t.verbose {
		flags = "-v"
	}
	names := names{sketch}
	shown, room := map[string]bool{}, maxCompiled
	var got collected
	exit, err := e.box.Run(ctx, sandbox.Task{
		Script: recipe,
		Input: func(w io.Writer) error {
			return intake.WriteTar(w, append([]compiler.File{
				{Path: "fqbn", Data: []byte(t.fqbn + "\n")},
				{Path: "flags", Data: []byte(flags + "\n")},
			}, under("sketch/", sketch.Files)...))
		},
		Output: func(r io.Reader) (err error) {
			got, err = collect(r, outputs, sketch.Main)
			return err
		},
		Note: func(object string) {
			if name := names.object(object); !shown[name] && room > 0 {
				shown[name] = true
				room -= compiler.LogCost("compiled " + name)
				log.Line(compiler.Farm, "compiled "+name)
			}
		},
		Limits: t.limits,
	})
	if err != nil {
		return nil, err
	}
	text := transcript{log: log, names: names}
	text.write(compiler.Stdout, got.result.CompilerOut, maxStdout)
	text.write(compiler.Stderr, got.result.CompilerErr, maxStderr)
	result.Diagnostics = parseDiagnostics(got.result.CompilerErr, names.place)
	result.Memory = got.result.Build.memory()
	result.Libraries = got.result.Build.libraries()
	result.Times = []compiler.PhaseTime{{Phase: compiler.Compile, Took: time.Since(start)}}

	if limit := exceeded(exit, got); limit != "" {
		result.Outcome = compiler.Exceeded
		result.Message = limitSentence(limit, t.limits)
		log.Line(compiler.Farm, result.Message)
		return result, nil
	}
	if got.result.Success {
		command := got.result.Build.uploadCommand()
		if err := got.place(command, e.files); err != nil {
			return nil, err
		}
		result.Outcome, result.Outputs, result.Flash = compiler.Succeeded, got.files, flashBy(command)
		log.Line(compiler.Farm, summary(result.Memory))
		if result.Agent, err = e.agentIn(&got, t); err != nil {
			return nil, err
		}
		if a := result.Agent; a != nil {
			log.Line(compiler.Farm, fmt.Sprintf("Of that %s %s: %d bytes of the program, %d of the variables.", agentLibrary, a.Version, a.Flash, a.RAM))
		}
		return result, nil
	}
	if err := trouble(exit, got); err != nil {
		return nil, err
	}
	result.Outcome = compiler.Failed
	result.Diagnostics, result.Message = explain(result.Diagnostics, cut(strings.TrimPrefix(got.result.Error, "Error during build: ")))
	log.Line(compiler.Farm, result.Message)
	return result, nil
}

// agentIn tells what the agent is and costs in what came out.
func (e *Executor) agentIn(got *collected, t task) (*compiler.Agent, error) {
	uses := slices.ContainsFunc(got.result.Build.libraries(), func(l compiler.Library) bool { return l.Name == agentLibrary })
	for _, o := range got.files {
		if !uses || o.Role != compiler.Map {
			continue
		}
		file, err := os.Open(o.Path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return got.agentCost(e.agents[platformOf(t.fqbn)], t.managed, e.members[platformOf(t.fqbn)], file)
	}
	if !t.managed {
		return nil, nil
	}
	return &compiler.Agent{Version: e.agents[platformOf(t.fqbn)]}, nil // without a map nobody can tell
}

// trouble tells whether a build that gave nothing failed for the farm's own
// reasons rather than the source's.
func trouble(exit sandbox.Exit, got collected) error {
	said := got.result.Error
	if said != "" && !strings.Contains(said, "platform not installed") {
		return nil
	}
	return fmt.Errorf("arduino-cli did not run (status %d, %d): %s", exit.Status, got.status, cut(strings.TrimSpace(said+" "+got.stderr+" "+exit.Stderr)))
}

// explain makes sure that a failed build names at least one error, and sums it up.
func explain(diagnostics []compiler.Diagnostic, reason string) ([]compiler.Diagnostic, string) {
	for _, d := range diagnostics {
		if d.Severity != compiler.Error {
			continue
		}
		if d.File == "" {
			return diagnostics, d.Message
		}
		return diagnostics, fmt.Sprintf("%s:%d: %s", d.File, d.Line, d.Message)
	}
	return append(diagnostics, compiler.Diagnostic{Severity: compiler.Error, Message: reason}), reason
}

func summary(m compiler.Memory) string {
	part := func(used, max int64) string {
		if max <= 0 {
			return fmt.Sprintf("%d bytes", used)
		}
		return fmt.Sprintf("%d bytes (%d %%) of %d", used, 100*used/max, max)
	}
	return fmt.Sprintf("Program: %s. Variables: %s.", part(m.FlashUsed, m.FlashMax), part(m.RAMUsed, m.RAMMax))
}

func under(dir string, files []compiler.File) []compiler.File {
	var moved []compiler.File
	for _, f := range files {
		moved = append(moved, compiler.File{Path: dir + f.Path, Data: f.Data})
	}
	return moved
}
