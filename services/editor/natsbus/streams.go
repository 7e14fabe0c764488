package natsbus

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	boardsv1 "github.com/flota/flota/pkg/pb/flota/boards/v1"
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

// BoardSpan returns the last sequence numbers of what Boards and Serial give: 0
// where the boards service, which is optional, has never run.
func (s Streams) BoardSpan(ctx context.Context) (boards, serial uint64) {
	_, boards, _ = bus.Span(ctx, s.Conn, flow.BoardChanges)
	_, serial, _ = bus.Span(ctx, s.Conn, flow.Serial)
	return boards, serial
}

// Boards gives what changes on a workspace's virtual boards.
func (s Streams) Boards(ctx context.Context, workspace string, after uint64, f func(uint64, editor.BoardChange) error) error {
	if err := s.made(ctx, flow.BoardChanges); err != nil {
		return err
	}
	return bus.Tail(ctx, s.Conn, flow.BoardChanged, flow.BoardChanged.Filter(workspace), after,
		func(e bus.Event[*boardsv1.BoardChanged]) error {
			change := editor.BoardChange{
				Board: e.Body.GetBoard(), Device: e.Body.GetDevice(), Exists: e.Body.GetExists(), State: e.Body.GetState(),
				Starts: int(e.Body.GetStarts()), Reset: e.Body.GetReset_(), Slot: e.Body.GetSlot(),
			}
			for _, p := range e.Body.GetPins() {
				change.Pins = append(change.Pins, editor.BoardPin{Number: int(p.GetNumber()), Mode: p.GetMode(), Value: int(p.GetValue())})
			}
			return f(e.Sequence, change)
		})
}

// Serial gives what a virtual board writes on its serial port.
func (s Streams) Serial(ctx context.Context, workspace, board string, after uint64, f func(uint64, editor.BoardSerial) error) error {
	if err := s.made(ctx, flow.Serial); err != nil {
		return err
	}
	return bus.Tail(ctx, s.Conn, flow.BoardSerial, flow.BoardSerial.Filter(workspace, board), after,
		func(e bus.Event[*boardsv1.SerialChunk]) error {
			return f(e.Sequence, editor.BoardSerial{
				Board: e.Body.GetBoard(), Device: e.Body.GetDevice(), Offset: int64(e.Body.GetOffset()), Data: e.Body.GetData(),
			})
		})
}

// made waits until a stream exists whose owner is optional.
func (s Streams) made(ctx context.Context, stream *flow.Stream) error {
	for {
		if _, _, err := bus.Span(ctx, s.Conn, stream); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(boardsPoll):
		}
	}
}

// boardsPoll is how often it is asked whether the boards service has come.
const boardsPoll = 5 * time.Second

// Log gives the lines of a build's attempts.
func (s Streams) Log(ctx context.Context, build string, after uint64, f func(attempt int, chunk editor.LogChunk) error) error {
	return bus.Tail(ctx, s.Conn, flow.BuildLog, flow.BuildLog.Filter(build), after,
		func(e bus.Event[*compilerv1.LogChunk]) error {
			attempt, _ := strconv.Atoi(e.Subject[strings.LastIndexByte(e.Subject, '.')+1:]) // 0 is nobody's
			return f(attempt, chunkIn(e))
		})
}
