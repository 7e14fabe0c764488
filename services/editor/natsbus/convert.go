package natsbus

import (
	"github.com/flota/flota/pkg/bus"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/editor"
)

// What travels on the bus, in the editor's words and back. What is not in a
// table has the zero value.
var (
	kinds = map[editor.Kind]compilerv1.Kind{
		editor.Arduino: compilerv1.Kind_KIND_ARDUINO, editor.MicroPython: compilerv1.Kind_KIND_MICROPYTHON,
	}
	outcomes = map[editor.State]compilerv1.Outcome{
		editor.Succeeded: compilerv1.Outcome_OUTCOME_SUCCEEDED, editor.Failed: compilerv1.Outcome_OUTCOME_FAILED,
		editor.Cancelled: compilerv1.Outcome_OUTCOME_CANCELLED, editor.Errored: compilerv1.Outcome_OUTCOME_ERROR,
	}
	outcomesIn = map[compilerv1.Outcome]editor.Outcome{
		compilerv1.Outcome_OUTCOME_SUCCEEDED: editor.OutcomeSucceeded,
		compilerv1.Outcome_OUTCOME_FAILED:    editor.OutcomeFailed,
		compilerv1.Outcome_OUTCOME_LIMIT:     editor.OutcomeFailed,
	}
	phases = map[compilerv1.Phase]editor.Phase{
		compilerv1.Phase_PHASE_FETCH: editor.Fetch, compilerv1.Phase_PHASE_COMPILE: editor.Compile, compilerv1.Phase_PHASE_UPLOAD: editor.Upload,
	}
	severitiesIn = map[compilerv1.Severity]editor.Severity{
		compilerv1.Severity_SEVERITY_UNSPECIFIED: editor.Note, compilerv1.Severity_SEVERITY_NOTE: editor.Note,
		compilerv1.Severity_SEVERITY_WARNING: editor.Warning, compilerv1.Severity_SEVERITY_ERROR: editor.Error,
	}
	roles = map[editor.Role]compilerv1.Role{
		editor.App: compilerv1.Role_ROLE_APP, editor.ELF: compilerv1.Role_ROLE_ELF, editor.Map: compilerv1.Role_ROLE_MAP,
		editor.Bootloader: compilerv1.Role_ROLE_BOOTLOADER, editor.Partitions: compilerv1.Role_ROLE_PARTITIONS,
		editor.OTAData: compilerv1.Role_ROLE_OTADATA, editor.Hex: compilerv1.Role_ROLE_HEX, editor.Bundle: compilerv1.Role_ROLE_BUNDLE, editor.Other: compilerv1.Role_ROLE_OTHER,
		editor.Index: compilerv1.Role_ROLE_INDEX, editor.BoardFile: compilerv1.Role_ROLE_FILE,
	}
	sources = map[compilerv1.LogSource]string{
		compilerv1.LogSource_LOG_SOURCE_UNSPECIFIED: "farm", compilerv1.LogSource_LOG_SOURCE_FARM: "farm",
		compilerv1.LogSource_LOG_SOURCE_STDOUT: "stdout", compilerv1.LogSource_LOG_SOURCE_STDERR: "stderr",
	}
)

// catalogueIn leaves out options that are not there.
func catalogueIn(p *compilerv1.PlatformOffer) editor.Catalogue {
	options := make([]*editor.Option, len(p.GetOptions()))
	for i, o := range p.GetOptions() {
		options[i] = &editor.Option{ID: o.GetId(), Label: o.GetLabel(), Values: make([]editor.OptionValue, len(o.GetValues()))}
		for j, v := range o.GetValues() {
			options[i].Values[j] = editor.OptionValue{ID: v.GetId(), Label: v.GetLabel(), Default: v.GetSelected()}
		}
	}
	c := editor.Catalogue{Name: p.GetName(), Boards: make([]editor.Board, len(p.GetBoards()))}
	for i, b := range p.GetBoards() {
		board := editor.Board{FQBN: b.GetFqbn(), Name: b.GetName(), Kind: kindIn(b.GetKind())}
		for _, place := range b.GetOptions() {
			if int64(place) < int64(len(options)) {
				board.Options = append(board.Options, options[place])
			}
		}
		c.Boards[i] = board
	}
	return c
}

func kindIn(k compilerv1.Kind) editor.Kind {
	if k == compilerv1.Kind_KIND_MICROPYTHON {
		return editor.MicroPython
	}
	return editor.Arduino
}

func roleIn(r compilerv1.Role) editor.Role {
	for role, other := range roles {
		if other == r {
			return role
		}
	}
	return editor.Other
}

func finishIn(m bus.Message[*compilerv1.BuildFinished]) editor.Finish {
	body := m.Body
	f := editor.Finish{
		Build: body.GetBuild(), Attempt: int(body.GetAttempt()), Said: m.Published,
		Outcome: outcomesIn[body.GetOutcome()], Message: body.GetMessage(), Toolchain: body.GetToolchain(),
	}
	for _, d := range body.GetDiagnostics() {
		f.Result.Diagnostics = append(f.Result.Diagnostics, editor.Diagnostic{
			File: d.GetFile(), Line: int(d.GetLine()), Column: int(d.GetColumn()), Severity: severitiesIn[d.GetSeverity()], Message: d.GetMessage(),
		})
	}
	for _, o := range body.GetOutputs() {
		f.Result.Outputs = append(f.Result.Outputs, editor.Output{
			Role: roleIn(o.GetRole()), Name: o.GetName(), Size: int64(o.GetSize()), SHA256: o.GetSha256(), Offset: int64(o.GetOffset()),
		})
	}
	if used := body.GetMemory(); used != nil {
		f.Result.Memory = &editor.Memory{
			FlashUsed: int64(used.GetFlashUsed()), FlashMax: int64(used.GetFlashMax()), RAMUsed: int64(used.GetRamUsed()), RAMMax: int64(used.GetRamMax()),
		}
	}
	if a := body.GetAgent(); a != nil {
		f.Result.Agent = &editor.Agent{Version: a.GetVersion(), Flash: int64(a.GetFlash()), RAM: int64(a.GetRam())}
	}
	if by := body.GetFlash(); by != nil {
		f.Result.Flash = &editor.FlashBy{
			Chip: by.GetChip(), Baud: int(by.GetBaud()), Mode: by.GetMode(), Frequency: by.GetFrequency(), Size: by.GetSize(),
		}
	}
	for _, l := range body.GetLibraries() {
		f.Result.Libraries = append(f.Result.Libraries, editor.Library{Name: l.GetName(), Version: l.GetVersion()})
	}
	return f
}

func outputsOut(outputs []editor.Output) []*compilerv1.Output {
	var out []*compilerv1.Output
	for _, o := range outputs {
		out = append(out, &compilerv1.Output{Role: roles[o.Role], Name: o.Name, Size: uint64(o.Size), Sha256: o.SHA256, Offset: uint64(o.Offset)})
	}
	return out
}

func agentOut(a *editor.Agent) *compilerv1.Agent {
	if a == nil {
		return nil
	}
	return &compilerv1.Agent{Version: a.Version, Flash: uint64(a.Flash), Ram: uint64(a.RAM)}
}

func memoryOut(m *editor.Memory) *compilerv1.Memory {
	if m == nil {
		return nil
	}
	return &compilerv1.Memory{FlashUsed: uint64(m.FlashUsed), FlashMax: uint64(m.FlashMax), RamUsed: uint64(m.RAMUsed), RamMax: uint64(m.RAMMax)}
}
