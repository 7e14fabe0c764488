// Package micropython checks MicroPython projects with MicroPython's own
// compiler, in the sandbox, and makes releases of them: an index and the files
// that it names, with the update agent among them.
package micropython

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/flota/flota/pkg/sandbox"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
	"github.com/flota/flota/services/compiler/toolchain"
)

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

// DefaultLimits are ample for the largest project.
func DefaultLimits() sandbox.Limits {
	return sandbox.Limits{
		Wall: time.Minute, CPU: 10 * time.Second, Memory: 256 << 20, Processes: 16,
		FileSize: 16 << 20, Disk: 64 << 20, Output: 32 << 20,
	}
}

// Executor checks projects and makes releases of them; it is safe for concurrent use.
type Executor struct {
	cfg       Config
	box       *sandbox.Sandbox
	platforms []compiler.Platform
	boards    map[string]board // by FQBN
	agent     *agent           // nil where the toolchain has none
	reserved  int64            // bytes of a board's file system that no slot can have
}

// New reads which boards the toolchain offers.
func New(cfg Config, box *sandbox.Sandbox) (*Executor, error) {
	offered, boards, err := readBoards(cfg.Toolchain.Dir)
	if err != nil {
		return nil, err
	}
	agent, err := readAgent(cfg.Toolchain.Dir)
	if err != nil {
		return nil, fmt.Errorf("read the update agent for MicroPython: %w", err)
	}
	reserved, err := reserved(cfg.Toolchain.Dir)
	if err != nil {
		return nil, fmt.Errorf("read the first flash for MicroPython: %w", err)
	}
	cfg.Limits = cfg.Limits.Or(DefaultLimits())
	return &Executor{
		cfg: cfg, box: box, boards: boards, agent: agent, reserved: reserved,
		platforms: []compiler.Platform{{
			ID: PlatformID, Version: cfg.Toolchain.MicroPython, Name: "MicroPython", Toolchain: cfg.Toolchain.With(recipe), Boards: offered,
		}},
	}, nil
}

// Platforms implements compiler.Executor.
func (e *Executor) Platforms(context.Context) ([]compiler.Platform, error) { return e.platforms, nil }

// Execute implements compiler.Executor.
func (e *Executor) Execute(ctx context.Context, job compiler.Job, log compiler.Log) (*compiler.Result, error) {
	files, err := intake.MicroPython(job.Files, job.Main)
	if err != nil {
		return nil, err
	}
	offered, fqbn, err := compiler.Resolve(e.platforms, job.FQBN)
	if err != nil {
		return nil, err
	}
	board := e.boards[offered.FQBN]
	start := time.Now()
	log.Phase(compiler.Compile)
	log.Line(compiler.Farm, fmt.Sprintf("Checking %d files for %s (%s)", len(files), offered.Name, fqbn))
	got, err := e.check(ctx, files, board.architecture, e.cfg.Limits)
	if err != nil {
		return nil, err
	}
	result := &compiler.Result{Toolchain: e.platforms[0].Toolchain, Diagnostics: got.diagnostics}
	defer func() { result.Times = []compiler.PhaseTime{{Phase: compiler.Compile, Took: time.Since(start)}} }()
	for _, d := range got.diagnostics {
		log.Line(compiler.Stderr, fmt.Sprintf("%s:%d: %s: %s", d.File, d.Line, d.Severity, d.Message))
	}
	switch {
	case got.exit.Exceeded != "":
		result.Outcome = compiler.Exceeded
		result.Message = fmt.Sprintf("The check needed more than its limit (%s) and was stopped.", got.exit.Exceeded)
	case got.exit.Status == 121 || got.exit.Status == 126 || got.exit.Status == 127:
		return nil, fmt.Errorf("mpy-cross did not run (status %d): %s", got.exit.Status, got.exit.Stderr)
	case got.exit.Status != 0:
		result.Outcome, result.Message = compiler.Failed, fmt.Sprintf("MicroPython's compiler broke down over these files (status %d).", got.exit.Status)
	case got.failed() != "":
		result.Outcome, result.Message = compiler.Failed, got.failed()
	default:
		if fqbn != offered.FQBN { // the one option, the other value
			files = compile(files, got.modules)
		}
		if err := e.release(result, files, board, job.Unmanaged, log); err != nil {
			return nil, err
		}
	}
	if result.Message != "" {
		log.Line(compiler.Farm, result.Message)
	}
	return result, nil
}

// release makes the release, unless it does not fit the board: that is a result, too.
func (e *Executor) release(result *compiler.Result, files []compiler.File, board board, unmanaged bool, log compiler.Log) (err error) {
	room := board.fileSystem
	if managed := e.manage(result, board, unmanaged, log); managed {
		files = append(files, e.agent.files...)
		room = e.half(board)
	}
	r, err := newRelease(files)
	if err != nil {
		return err
	}
	result.Memory = compiler.Memory{FlashUsed: r.footprint(), FlashMax: room}
	log.Line(compiler.Farm, fmt.Sprintf("Release: %d files, which take at most %d of %d bytes.", len(r.files), result.Memory.FlashUsed, room))
	if result.Memory.FlashUsed > room {
		result.Outcome, result.Message = compiler.Failed, tooLarge(result, board)
		return nil
	}
	if result.Dir, err = os.MkdirTemp(e.cfg.Work, "build-"); err != nil {
		return err
	}
	if result.Outputs, err = r.store(result.Dir); err != nil {
		_ = result.Discard()
		return err
	}
	result.Outcome = compiler.Succeeded
	return nil
}

// half is what a release may take beside another one, in whole blocks.
func (e *Executor) half(board board) int64 {
	return max(0, (board.fileSystem-e.reserved)/2) / 4096 * 4096
}

// manage says whether the agent belongs into the release, and tells of it.
func (e *Executor) manage(result *compiler.Result, board board, unmanaged bool, log compiler.Log) bool {
	switch {
	case e.agent == nil || !board.agent:
		return false
	case unmanaged:
		log.Line(compiler.Farm, "Warning: this project does without the update agent. A board gets it by cable, and cannot be updated over the air.")
		return false
	}
	log.Line(compiler.Farm, fmt.Sprintf("%s is added: %d files, %d bytes", e.agent.version, len(e.agent.files), e.agent.size))
	result.Agent = &compiler.Agent{Version: e.agent.version, Flash: e.agent.size}
	return true
}

// tooLarge is the sentence for a release that a board has no room for.
func tooLarge(result *compiler.Result, board board) string {
	m := result.Memory
	if result.Agent == nil {
		return fmt.Sprintf("The release takes %d bytes of flash, each file in whole blocks of 4096, and the board's file system has %d.", m.FlashUsed, m.FlashMax)
	}
	return fmt.Sprintf("The release takes %d bytes of flash, each file in whole blocks of 4096, and the board has room for %d: "+
		"half of its %d, less what always stays there, since the next release is written beside the one that runs.", m.FlashUsed, m.FlashMax, board.fileSystem)
}
