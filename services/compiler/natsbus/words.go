package natsbus

import (
	"errors"
	"fmt"

	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/worker"
)

// The domain's words, as they travel.
var (
	kinds = map[compilerv1.Kind]compiler.Kind{
		compilerv1.Kind_KIND_ARDUINO: compiler.Arduino, compilerv1.Kind_KIND_MICROPYTHON: compiler.MicroPython,
	}
	kindsOut = map[compiler.Kind]compilerv1.Kind{
		compiler.Arduino: compilerv1.Kind_KIND_ARDUINO, compiler.MicroPython: compilerv1.Kind_KIND_MICROPYTHON,
	}
	sources = map[compiler.Source]compilerv1.LogSource{
		compiler.Farm: compilerv1.LogSource_LOG_SOURCE_FARM, compiler.Stdout: compilerv1.LogSource_LOG_SOURCE_STDOUT,
		compiler.Stderr: compilerv1.LogSource_LOG_SOURCE_STDERR,
	}
	phases = map[compiler.Phase]compilerv1.Phase{
		compiler.Fetch: compilerv1.Phase_PHASE_FETCH, compiler.Compile: compilerv1.Phase_PHASE_COMPILE, compiler.Upload: compilerv1.Phase_PHASE_UPLOAD,
	}
	outcomes = map[compiler.Outcome]compilerv1.Outcome{
		compiler.Succeeded: compilerv1.Outcome_OUTCOME_SUCCEEDED, compiler.Failed: compilerv1.Outcome_OUTCOME_FAILED,
		compiler.Exceeded: compilerv1.Outcome_OUTCOME_LIMIT,
	}
	severities = map[compiler.Severity]compilerv1.Severity{
		compiler.Note: compilerv1.Severity_SEVERITY_NOTE, compiler.Warning: compilerv1.Severity_SEVERITY_WARNING,
		compiler.Error: compilerv1.Severity_SEVERITY_ERROR,
	}
	roles = map[compiler.Role]compilerv1.Role{
		compiler.App: compilerv1.Role_ROLE_APP, compiler.ELF: compilerv1.Role_ROLE_ELF, compiler.Map: compilerv1.Role_ROLE_MAP,
		compiler.Bootloader: compilerv1.Role_ROLE_BOOTLOADER, compiler.Partitions: compilerv1.Role_ROLE_PARTITIONS,
		compiler.OTAData: compilerv1.Role_ROLE_OTADATA, compiler.Hex: compilerv1.Role_ROLE_HEX, compiler.Bundle: compilerv1.Role_ROLE_BUNDLE,
		compiler.Index: compilerv1.Role_ROLE_INDEX, compiler.BoardFile: compilerv1.Role_ROLE_FILE, compiler.Other: compilerv1.Role_ROLE_OTHER,
	}
)

// maxDiagnostics keeps a result within a message.
const maxDiagnostics = 500

func finished(a *worker.Attempt, r worker.Report) *compilerv1.BuildFinished {
	out := &compilerv1.BuildFinished{Build: a.Build, Attempt: a.Number, AtMs: nowMs()}
	for _, t := range r.Times {
		out.Times = append(out.Times, &compilerv1.PhaseTime{Phase: phases[t.Phase], Ms: uint32(t.Took.Milliseconds())})
	}
	if r.Result == nil {
		out.Outcome, out.Message = compilerv1.Outcome_OUTCOME_ERROR, "the farm could not do this build"
		if errors.Is(r.Err, errVoid) {
			out.Outcome = compilerv1.Outcome_OUTCOME_CANCELLED
		}
		return out
	}
	result := r.Result
	out.Outcome, out.Message, out.Toolchain = outcomes[result.Outcome], result.Message, result.Toolchain
	for _, d := range result.Diagnostics[:min(len(result.Diagnostics), maxDiagnostics)] {
		out.Diagnostics = append(out.Diagnostics, &compilerv1.Diagnostic{
			File: d.File, Line: uint32(d.Line), Column: uint32(d.Column), Severity: severities[d.Severity], Message: d.Message,
		})
	}
	for _, o := range result.Outputs {
		out.Outputs = append(out.Outputs, &compilerv1.Output{
			Role: roles[o.Role], Name: o.Name, Size: uint64(o.Size), Sha256: o.SHA256, Offset: o.Offset,
		})
	}
	for _, l := range result.Libraries {
		out.Libraries = append(out.Libraries, &compilerv1.Library{Name: l.Name, Version: l.Version})
	}
	if a := result.Agent; a != nil {
		out.Agent = &compilerv1.Agent{Version: a.Version, Flash: uint64(a.Flash), Ram: uint64(a.RAM)}
	}
	if f := result.Flash; f != nil {
		out.Flash = &compilerv1.FlashBy{Chip: f.Chip, Baud: uint32(f.Baud), Mode: f.Mode, Frequency: f.Frequency, Size: f.Size}
	}
	m := result.Memory
	out.Memory = &compilerv1.Memory{
		FlashUsed: uint64(m.FlashUsed), FlashMax: uint64(m.FlashMax), RamUsed: uint64(m.RAMUsed), RamMax: uint64(m.RAMMax),
	}
	return out
}

func platforms(in []compiler.Platform) (out []*compilerv1.Platform) {
	for _, p := range in {
		out = append(out, &compilerv1.Platform{Id: p.ID, Version: p.Version, Toolchain: p.Toolchain})
	}
	return out
}

// offers are what the platforms offer, by their keys.
func offers(in []compiler.Platform) map[string]*compilerv1.PlatformOffer {
	out := map[string]*compilerv1.PlatformOffer{}
	for _, p := range in {
		out[flow.PlatformKey(p.ID, p.Version, p.Toolchain)] = offer(p)
	}
	return out
}

func offer(p compiler.Platform) *compilerv1.PlatformOffer {
	out := &compilerv1.PlatformOffer{Name: p.Name}
	places := map[string]uint32{}
	for _, b := range p.Boards {
		board := &compilerv1.Board{Fqbn: b.FQBN, Name: b.Name, Kind: kindsOut[b.Kind]}
		for _, o := range b.Options {
			said := fmt.Sprintf("%q", o)
			place, known := places[said]
			if !known {
				place = uint32(len(out.GetOptions()))
				places[said] = place
				out.Options = append(out.Options, option(o))
			}
			board.Options = append(board.Options, place)
		}
		out.Boards = append(out.Boards, board)
	}
	return out
}

func option(o compiler.Option) *compilerv1.BoardOption {
	out := &compilerv1.BoardOption{Id: o.ID, Label: o.Label}
	for i, v := range o.Values {
		out.Values = append(out.Values, &compilerv1.BoardOptionValue{Id: v.ID, Label: v.Label, Selected: i == 0})
	}
	return out
}
