package httpapi

import (
	"time"

	"github.com/flota/flota/pkg/fault"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/editor"
)

// all converts a list; it is never null in JSON.
func all[T, R any](things []T, out func(T) R) []R {
	list := make([]R, len(things))
	for i, thing := range things {
		list[i] = out(thing)
	}
	return list
}

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
		Files: all(p.Files, fileOut), CreatedAt: p.Created, ChangedAt: p.Changed,
	}
}

func revisionOut(r *editor.Revision) Revision {
	files := all(r.Files, fileOut)
	return Revision{Number: r.Number, Author: r.Author, Message: optional(r.Message), Files: files, CreatedAt: r.Created}
}

func buildOut(b *editor.Build) Build {
	out := Build{
		Id: b.ID, Project: b.Project, Revision: b.Revision, Fqbn: b.FQBN, Kind: Kind(b.Kind),
		State: BuildState(b.State), Phase: optional(BuildPhase(b.Phase)), Attempt: b.Attempt,
		Author: optional(b.Author), Message: optional(b.Message), Cached: optional(b.Cached),
		CreatedAt: b.Created, StartedAt: optionalTime(b.Started), FinishedAt: optionalTime(b.Ended),
		Diagnostics: all(b.Diagnostics, func(d editor.Diagnostic) Diagnostic {
			return Diagnostic{File: d.File, Line: d.Line, Column: d.Column, Severity: DiagnosticSeverity(d.Severity), Message: d.Message}
		}),
		Outputs: all(b.Outputs, func(o editor.Output) Output {
			return Output{Role: OutputRole(o.Role), Name: o.Name, Size: int(o.Size), Sha256: o.SHA256, Offset: optional(int(o.Offset))}
		}),
	}
	if m := b.Memory; m != nil {
		out.Memory = &Memory{FlashUsed: int(m.FlashUsed), FlashMax: int(m.FlashMax), RamUsed: int(m.RAMUsed), RamMax: int(m.RAMMax)}
	}
	if len(b.Libraries) > 0 {
		libraries := all(b.Libraries, func(l editor.Library) (out struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		}) {
			out.Name, out.Version = l.Name, l.Version
			return out
		})
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
	capacity := f.Capacity()
	out := Farm{Workers: capacity.Workers, Slots: capacity.Slots, Free: capacity.Free}
	out.Platforms = all(f.Offers(), func(o editor.Offer) (p struct {
		Boards  []Board `json:"boards"`
		Id      string  `json:"id"`
		Name    string  `json:"name"`
		Version string  `json:"version"`
	}) {
		p.Id, p.Version, p.Name, p.Boards = o.GetId(), o.GetVersion(), o.GetName(), all(o.GetBoards(), boardOut)
		return p
	})
	return out
}

func boardOut(b *compilerv1.Board) Board {
	out := Board{Fqbn: b.GetFqbn(), Name: b.GetName(), Kind: Kind(editor.Arduino)}
	if b.GetKind() == compilerv1.Kind_KIND_MICROPYTHON {
		out.Kind = Kind(editor.MicroPython)
	}
	type valueType = struct {
		Id       string `json:"id"`
		Label    string `json:"label"`
		Selected bool   `json:"selected"`
	}
	out.Options = all(b.GetOptions(), func(o *compilerv1.BoardOption) (option struct {
		Id     string      `json:"id"`
		Label  string      `json:"label"`
		Values []valueType `json:"values"`
	}) {
		option.Id, option.Label = o.GetId(), o.GetLabel()
		option.Values = all(o.GetValues(), func(v *compilerv1.BoardOptionValue) valueType {
			return valueType{v.GetId(), v.GetLabel(), v.GetSelected()}
		})
		return option
	})
	return out
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
