package natsbus

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
	"github.com/flota/flota/services/editor"
)

// Streams is what browsers are told from. Each method that takes f calls it for
// every message behind a sequence number and for those to come, in order, until
// ctx ends or f returns an error.
type Streams struct{ Conn *bus.Conn }

// BuildSpan returns the first and last sequence number of what Builds gives.
func (s Streams) BuildSpan(ctx context.Context) (first, last uint64, err error) {
	return bus.Span(ctx, s.Conn, flow.Projects)
}

// DeviceSpan returns the first and last sequence number of what Devices gives.
func (s Streams) DeviceSpan(ctx context.Context) (first, last uint64, err error) {
	return bus.Span(ctx, s.Conn, flow.FleetChanges)
}

// Builds gives what changes in a workspace's builds.
func (s Streams) Builds(ctx context.Context, workspace string, after uint64, f func(uint64, editor.BuildChange) error) error {
	return bus.Tail(ctx, s.Conn, flow.BuildChanged, flow.BuildChanged.Filter(workspace), after,
		func(e bus.Event[*editorv1.BuildChanged]) error {
			return f(e.Sequence, editor.BuildChange{
				Build: e.Body.GetBuild(), Project: e.Body.GetProject(), State: editor.State(e.Body.GetState()),
				Phase: phases[e.Body.GetPhase()], Attempt: int(e.Body.GetAttempt()),
			})
		})
}

// Devices gives what changes in a workspace's devices.
func (s Streams) Devices(ctx context.Context, workspace string, after uint64, f func(uint64, editor.DeviceChange) error) error {
	return bus.Tail(ctx, s.Conn, flow.DeviceChanged, flow.DeviceChanged.Filter(workspace), after,
		func(e bus.Event[*fleetv1.Changed]) error {
			change := editor.DeviceChange{
				Device: e.Body.GetId(), State: e.Body.GetState(), Percent: int(e.Body.GetPercent()),
				RunningVersion: e.Body.GetRunningVersion(), WantedVersion: e.Body.GetWantedVersion(),
			}
			if at := e.Body.GetSeenMs(); at > 0 {
				change.Seen = time.UnixMilli(at).UTC()
			}
			return f(e.Sequence, change)
		})
}

// Log gives the lines of a build's attempts.
func (s Streams) Log(ctx context.Context, build string, after uint64, f func(attempt int, chunk editor.LogChunk) error) error {
	return bus.Tail(ctx, s.Conn, flow.BuildLog, flow.BuildLog.Filter(build), after,
		func(e bus.Event[*compilerv1.LogChunk]) error {
			attempt, _ := strconv.Atoi(e.Subject[strings.LastIndexByte(e.Subject, '.')+1:]) // 0 is nobody's
			return f(attempt, chunkIn(e))
		})
}
