// Package natsbus is the boards service on the bus: builds are asked for there, and
// whoever looks at boards is told.
package natsbus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	"github.com/flota/flota/services/boards"
)

// Builds implements boards.Builds by asking the editor, and the artifact service.
type Builds struct {
	Conn *bus.Conn
	// Artifact is where the artifact service is.
	Artifact url.URL
	Client   *http.Client
}

const (
	linkValid    = time.Minute
	fetchPatient = 30 * time.Second
)

// Build implements boards.Builds.
func (b Builds) Build(ctx context.Context, workspace, build string) (boards.Build, error) {
	answer, err := bus.Do(ctx, b.Conn, flow.BuildResult, &editorv1.BuildRequest{Workspace: workspace, Build: build})
	if err != nil {
		return boards.Build{}, err
	}
	out := boards.Build{
		FQBN: answer.GetFqbn(), ProductDevice: answer.GetProductDevice(),
		Succeeded: answer.GetOutcome() == compilerv1.Outcome_OUTCOME_SUCCEEDED,
	}
	for _, o := range answer.GetOutputs() {
		one := &boards.Output{Name: o.GetName(), Size: int64(o.GetSize()), SHA256: o.GetSha256()}
		switch o.GetRole() {
		case compilerv1.Role_ROLE_APP:
			out.App = one
		case compilerv1.Role_ROLE_INDEX:
			out.Index = one
		default:
		}
	}
	return out, nil
}

// Fetch implements boards.Builds.
func (b Builds) Fetch(ctx context.Context, workspace string, o boards.Output) ([]byte, error) {
	link, err := bus.Do(ctx, b.Conn, flow.Links, &artifactv1.LinksRequest{
		Workspace: workspace,
		Want: &artifactv1.LinksRequest_Download{Download: &artifactv1.Download{
			Sha256: o.SHA256, Name: o.Name, ValidS: uint32(linkValid / time.Second),
		}},
	})
	if err != nil {
		return nil, err
	}
	path, err := url.Parse(link.GetUrl())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchPatient)
	defer cancel()
	data, err := b.fetch(ctx, b.Artifact.ResolveReference(&url.URL{Path: path.Path, RawPath: path.RawPath, RawQuery: path.RawQuery}), o.Size)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "what was built cannot be fetched")
	}
	if sum := sha256.Sum256(data); int64(len(data)) != o.Size || hex.EncodeToString(sum[:]) != o.SHA256 {
		return nil, fault.New(fault.Unavailable, "what was built came with other bytes than it was built with")
	}
	return data, nil
}

// fetch gets at most one byte more than size.
func (b Builds) fetch(ctx context.Context, from *url.URL, size int64) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from.String(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := b.Client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the artifact service answers %s", answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, size+1))
}
