package httpapi

import (
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/editor"
)

// all converts a list; it is never null in JSON.
func all[T, R any](things []T, out func(T) R) []R {
	converted := make([]R, len(things))
	for i, thing := range things {
		converted[i] = out(thing)
	}
	return converted
}

// list makes n elements of the type that a list has, for types without a name.
func list[S ~[]E, E any](_ S, n int) S { return make(S, n) }

// optional is a pointer to v, nil for the zero value.
func optional[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// value is what p points to, or the zero value.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ignoreNotFound(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

func fileOut(f editor.File) File { return File{Path: f.Path, Size: f.Size, Sha256: f.SHA256} }

func projectOut(p *editor.Project) Project {
	return Project{
		Id: p.ID, Name: p.Name, Kind: Kind(p.Kind), Fqbn: optional(p.FQBN), Main: p.Main, Device: optional(p.Device),
		Unmanaged: p.Unmanaged,
		Files:     all(p.Files, fileOut), CreatedAt: p.Created, ChangedAt: p.Changed,
	}
}

func revisionOut(r *editor.Revision) Revision {
	files := all(r.Files, fileOut)
	return Revision{Number: r.Number, Author: r.Author, Message: optional(r.Message), Files: files, CreatedAt: r.Created}
}

func buildOut(b *editor.Build) Build {
	out := Build{
		Id: b.ID, Project: b.Project, Revision: b.Revision, Fqbn: b.FQBN, Kind: Kind(b.Kind), Unmanaged: b.Unmanaged,
		State: BuildState(b.State), Phase: optional(BuildPhase(b.Phase)), Attempt: b.Attempt,
		Author: optional(b.Author), Message: optional(b.Message), Cached: optional(b.Cached),
		CreatedAt: b.Created, StartedAt: optionalTime(b.Started), FinishedAt: optionalTime(b.Ended),
		Diagnostics: all(b.Diagnostics, func(d editor.Diagnostic) Diagnostic {
			return Diagnostic{File: d.File, Line: d.Line, Column: d.Column, Severity: DiagnosticSeverity(d.Severity), Message: d.Message}
		}),
		Outputs: all(b.Outputs, func(o editor.Output) Output {
			shown := Output{Role: OutputRole(o.Role), Name: o.Name, Size: int(o.Size), Sha256: o.SHA256}
			if offset, flashed := b.FlashedAt(o); flashed {
				at := int(offset)
				shown.Offset = &at
			}
			return shown
		}),
	}
	if m := b.Memory; m != nil {
		out.Memory = &Memory{FlashUsed: int(m.FlashUsed), FlashMax: int(m.FlashMax), RamUsed: int(m.RAMUsed), RamMax: int(m.RAMMax)}
	}
	if a := b.Agent; a != nil {
		out.Agent = &Agent{Version: a.Version, Flash: int(a.Flash), Ram: int(a.RAM)}
	}
	if f := b.Flash; f != nil {
		out.Flash = &FlashBy{Chip: f.Chip, Baud: f.Baud, Mode: f.Mode, Frequency: f.Frequency, Size: f.Size}
	}
	if n := len(b.Libraries); n > 0 {
		libraries := list(value(out.Libraries), n)
		for i, l := range b.Libraries {
			libraries[i].Name, libraries[i].Version = l.Name, l.Version
		}
		out.Libraries = &libraries
	}
	return out
}

func linesOut(c editor.LogChunk) []LogLine {
	return all(c.Lines, func(l editor.LogLine) LogLine {
		return LogLine{At: int(c.At), Source: LogLineSource(l.Source), Text: l.Text}
	})
}

func farmOut(f *editor.Farm) Farm {
	capacity, offers := f.Capacity(), f.Offers()
	out := Farm{Workers: capacity.Workers, Slots: capacity.Slots, Free: capacity.Free}
	out.Platforms = list(out.Platforms, len(offers))
	for i, o := range offers {
		p := &out.Platforms[i]
		p.Id, p.Version, p.Name, p.Boards = o.ID, o.Version, o.Name, all(o.Boards, boardOut)
	}
	return out
}

func boardOut(b editor.Board) Board {
	out := Board{Fqbn: b.FQBN, Name: b.Name, Kind: Kind(b.Kind)}
	out.Options = list(out.Options, len(b.Options))
	for i, o := range b.Options {
		option := &out.Options[i]
		option.Id, option.Label = o.ID, o.Label
		option.Values = list(option.Values, len(o.Values))
		for j, v := range o.Values {
			value := &option.Values[j]
			value.Id, value.Label, value.Selected = v.ID, v.Label, v.Default
		}
	}
	return out
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
