package natsbus

import (
	"context"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	"github.com/flota/flota/services/fleet"
)

// Builds implements fleet.Builds by asking the editor.
type Builds struct{ Conn *bus.Conn }

// Build implements fleet.Builds.
func (b Builds) Build(ctx context.Context, workspace, build string) (fleet.Build, error) {
	answer, err := bus.Do(ctx, b.Conn, flow.BuildResult, &editorv1.BuildRequest{Workspace: workspace, Build: build})
	if err != nil {
		return fleet.Build{}, err
	}
	out := fleet.Build{
		ID: build, Project: answer.GetProject(), ProjectName: answer.GetProjectName(), ProductDevice: answer.GetProductDevice(),
		Revision: int(answer.GetRevision()), FQBN: answer.GetFqbn(),
		Succeeded:   answer.GetOutcome() == compilerv1.Outcome_OUTCOME_SUCCEEDED,
		MicroPython: answer.GetKind() == compilerv1.Kind_KIND_MICROPYTHON,
		Agent:       answer.GetAgent() != nil, Unmanaged: answer.GetUnmanaged(),
	}
	for _, o := range answer.GetOutputs() {
		if o.GetRole() == compilerv1.Role_ROLE_APP {
			out.App = &fleet.Part{Kind: "app", Size: int64(o.GetSize()), SHA256: o.GetSha256()}
		}
	}
	return out, nil
}
