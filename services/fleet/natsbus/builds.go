package natsbus

import (
	"context"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/deviceproto"
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
		Succeeded: answer.GetOutcome() == compilerv1.Outcome_OUTCOME_SUCCEEDED,
		Agent:     answer.GetAgent() != nil, Unmanaged: answer.GetUnmanaged(),
	}
	out.Image, out.Size = image(answer.GetOutputs())
	return out, nil
}

// image finds what a device installs over the air, and how many bytes of a slot that takes.
func image(outputs []*compilerv1.Output) (image *fleet.Part, size int64) {
	var files []deviceproto.Part // in the slot, with the index
	for _, o := range outputs {
		role, size := o.GetRole(), int64(o.GetSize())
		if role == compilerv1.Role_ROLE_APP {
			return &fleet.Part{Kind: deviceproto.KindApp, Size: size, SHA256: o.GetSha256()}, size
		}
		if role == compilerv1.Role_ROLE_INDEX {
			image = &fleet.Part{Kind: deviceproto.KindIndex, Size: size, SHA256: o.GetSha256()}
			files = append(files, deviceproto.Part{Path: deviceproto.IndexFile, Size: size})
		}
		if role == compilerv1.Role_ROLE_FILE {
			files = append(files, deviceproto.Part{Path: o.GetName(), Size: size})
		}
	}
	if image == nil {
		return nil, 0
	}
	return image, deviceproto.Footprint(files)
}
