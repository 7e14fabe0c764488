package natsbus

import (
	"context"
	"path"
	"strconv"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/editor"
)

// Artifacts asks the artifact service.
type Artifacts struct{ Conn *bus.Conn }

var _ editor.Artifacts = Artifacts{}

// Upload implements editor.Artifacts.
func (a Artifacts) Upload(ctx context.Context, workspace, build string, attempt int, deadline time.Time) (string, error) {
	answer, err := bus.Do(ctx, a.Conn, flow.Links, &artifactv1.LinksRequest{
		Workspace: workspace,
		Want:      &artifactv1.LinksRequest_Upload{Upload: &artifactv1.Upload{Build: build, Attempt: uint32(attempt), DeadlineMs: deadline.UnixMilli()}},
	})
	return answer.GetUrl(), err
}

// Download implements editor.Artifacts.
func (a Artifacts) Download(ctx context.Context, workspace string, o editor.Output, valid time.Duration) (string, time.Time, error) {
	answer, err := bus.Do(ctx, a.Conn, flow.Links, &artifactv1.LinksRequest{
		Workspace: workspace,
		Want: &artifactv1.LinksRequest_Download{Download: &artifactv1.Download{
			Sha256: o.SHA256, Name: path.Base(o.Name), ValidS: uint32(valid.Seconds()), // a file on a board is named by its path
		}},
	})
	return answer.GetUrl(), time.UnixMilli(answer.GetExpiresMs()).UTC(), err
}

// Jobs is the queue of jobs.
type Jobs struct{ Conn *bus.Conn }

var _ editor.Jobs = Jobs{}

// Withdraw implements editor.Jobs.
func (j Jobs) Withdraw(ctx context.Context, platform, build string) error {
	return bus.Purge(ctx, j.Conn, flow.BuildJob, platform, build)
}

// Logs is the stream of log lines.
type Logs struct{ Conn *bus.Conn }

var _ editor.LogStream = Logs{}

const replayTimeout = 30 * time.Second

// Read implements editor.LogStream.
func (l Logs) Read(ctx context.Context, build string, attempt int, f func(editor.LogChunk) error) error {
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	return bus.Replay(ctx, l.Conn, flow.BuildLog, func(e bus.Event[*compilerv1.LogChunk]) error { return f(chunkIn(e)) },
		build, strconv.Itoa(attempt))
}

func chunkIn(e bus.Event[*compilerv1.LogChunk]) editor.LogChunk {
	c := editor.LogChunk{Sequence: e.Sequence, At: e.Body.GetAtMs(), Lines: make([]editor.LogLine, len(e.Body.GetLines()))}
	for i, line := range e.Body.GetLines() {
		c.Lines[i] = editor.LogLine{Source: sources[line.GetSource()], Text: line.GetText()}
	}
	return c
}
