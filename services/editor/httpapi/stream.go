package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/editor"
)

// Streams is what the event stream is made of. The methods that take f call it
// for every message behind a sequence number and for those to come, in order,
// until ctx ends or f returns an error.
type Streams interface {
	// BuildSpan and DeviceSpan return the first and the last sequence number kept.
	BuildSpan(ctx context.Context) (first, last uint64, err error)
	DeviceSpan(ctx context.Context) (first, last uint64, err error)
	Builds(ctx context.Context, workspace string, after uint64, f func(uint64, editor.BuildChange) error) error
	Devices(ctx context.Context, workspace string, after uint64, f func(uint64, editor.DeviceChange) error) error
	// BoardSpan returns the last sequence numbers of Boards and Serial; 0 where
	// there are no virtual boards.
	BoardSpan(ctx context.Context) (boards, serial uint64)
	Boards(ctx context.Context, workspace string, after uint64, f func(uint64, editor.BoardChange) error) error
	Serial(ctx context.Context, workspace, board string, after uint64, f func(uint64, editor.BoardSerial) error) error
	Log(ctx context.Context, build string, after uint64, f func(attempt int, chunk editor.LogChunk) error) error
}

const (
	heartbeat = 15 * time.Second
	// A client that does not take what is written for this long is slow, and cut
	// off: it comes back and goes on where it was.
	slowClient = 30 * time.Second
	// How many events wait for a client. Beyond it the streams wait, which keep
	// their messages anyway.
	eventBuffer = 64
	// beforeExpiry is how long before its access token expires a stream ends, so
	// that the client refreshes in time.
	beforeExpiry = 5 * time.Second
)

// boardID is what an ID of a virtual board looks like: a word of a subject.
var boardID = regexp.MustCompile(`^[0-9a-z]{1,32}$`)

// event is one event on its way to a client.
type event struct {
	name string
	data any
	move func(*position) // to behind this event
}

// stream answers GET /events.
func (a *API) stream(c echo.Context) error {
	r := c.Request()
	who, err := anybody(r.Context())
	if err != nil {
		return err
	}
	leave, ok := a.watching.enter(who.Subject)
	if !ok {
		return fault.New(fault.RateLimited, "you have %d event streams open already; close one", maxWatching)
	}
	defer leave()
	var watched *editor.Build
	if id := c.QueryParam("build"); id != "" {
		if watched, _, err = a.build(r.Context(), id, identity.Viewer); err != nil {
			return err
		}
	}
	board := c.QueryParam("board")
	if board != "" && !boardID.MatchString(board) {
		return fault.New(fault.NotFound, "there is no such board")
	}
	after := r.Header.Get("Last-Event-ID")
	if after == "" {
		after = c.QueryParam("after")
	}
	at, reset, err := a.begin(r.Context(), after, watched, board)
	if err != nil {
		return err
	}

	life, cancel := context.WithDeadline(r.Context(), who.Expires.Add(-beforeExpiry))
	defer cancel()
	defer context.AfterFunc(a.Stopping, cancel)()

	out := make(chan event, eventBuffer)
	g, ctx := errgroup.WithContext(life)
	f := feed{api: a, who: who, out: out}
	g.Go(func() error { return f.builds(ctx, at.builds) })
	g.Go(func() error { return f.devices(ctx, at.devices) })
	g.Go(func() error { return f.boards(ctx, at.boards) })
	if watched != nil {
		g.Go(func() error { return f.log(ctx, watched, at.log) })
	}
	if board != "" {
		g.Go(func() error { return f.serial(ctx, board, at.serial) })
	}
	g.Go(func() error { return write(ctx, c.Response(), at, reset, out) })
	if err := g.Wait(); life.Err() == nil {
		a.Log.Info("event stream cut off", zap.Error(err))
	}
	return nil // the answer has begun: there is nobody to tell
}

// begin finds where to go on, and whether the client has missed something.
func (a *API) begin(ctx context.Context, after string, watched *editor.Build, board string) (at position, reset bool, err error) {
	firstBuild, lastBuild, err := a.Streams.BuildSpan(ctx)
	if err != nil {
		return at, false, err
	}
	// Before the fleet service has ever run there is no such stream: it begins at 0.
	firstDevice, lastDevice, err := a.Streams.DeviceSpan(ctx)
	if err != nil && !fault.Is(err, fault.Unavailable) {
		return at, false, err
	}
	at = position{builds: lastBuild, devices: lastDevice, board: board}
	at.boards, at.serial = a.Streams.BoardSpan(ctx)
	if watched != nil {
		at.build = watched.ID
	}
	if after == "" {
		return at, false, nil
	}
	old, ok := parsePosition(after)
	if !ok || missed(old.builds, firstBuild, lastBuild) || missed(old.devices, firstDevice, lastDevice) {
		return at, true, nil
	}
	// Of boards nothing is missed: what a board is and last wrote is read from its
	// service, and the offsets of what it writes show a gap.
	at.builds, at.devices, at.boards = old.builds, old.devices, old.boards
	if old.build == at.build {
		at.log = old.log
	}
	if old.board == at.board {
		at.serial = old.serial
	}
	return at, false, nil
}

// missed reports whether something between a position and the first message
// kept is gone, or the whole stream is another one.
func missed(at, first, last uint64) bool { return at+1 < first || at > last }

// feed turns what happens into events for one client.
type feed struct {
	api *API
	who identity.Principal
	out chan<- event
}

func (f feed) send(ctx context.Context, e event) error {
	select {
	case f.out <- e:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f feed) builds(ctx context.Context, after uint64) error {
	return f.api.Streams.Builds(ctx, f.who.Workspace, after, func(seq uint64, b editor.BuildChange) error {
		if !f.mayRead(ctx, b.Project) {
			return nil
		}
		return f.send(ctx, event{
			name: "build", move: func(p *position) { p.builds = seq },
			data: BuildEvent{Build: b.Build, Project: b.Project, State: string(b.State), Phase: optional(string(b.Phase)), Attempt: b.Attempt},
		})
	})
}

// mayRead asks anew each time: a product's own project may come and go.
func (f feed) mayRead(ctx context.Context, project string) bool {
	if f.who.Role != identity.Product {
		return true
	}
	p, err := f.api.Projects.Store.Project(ctx, f.who.Workspace, project)
	return err == nil && f.who.Owns(p.Device)
}

func (f feed) devices(ctx context.Context, after uint64) error {
	return f.api.Streams.Devices(ctx, f.who.Workspace, after, func(seq uint64, d editor.DeviceChange) error {
		if f.who.Role == identity.Product && !f.who.Owns(d.Device) {
			return nil
		}
		return f.send(ctx, event{
			name: "device", move: func(p *position) { p.devices = seq },
			data: DeviceEvent{
				Device: d.Device, State: d.State, Percent: optional(d.Percent), RunningVersion: optional(d.RunningVersion),
				WantedVersion: optional(d.WantedVersion), SeenAt: optionalTime(d.Seen),
			},
		})
	})
}

func (f feed) boards(ctx context.Context, after uint64) error {
	return f.api.Streams.Boards(ctx, f.who.Workspace, after, func(seq uint64, b editor.BoardChange) error {
		if f.who.Role == identity.Product && !f.who.Owns(b.Device) {
			return nil
		}
		e := BoardEvent{
			Board: b.Board, Exists: b.Exists, State: b.State, Starts: b.Starts, Reset: optional(b.Reset), Slot: optional(b.Slot), Pins: []BoardPin{},
		}
		for _, p := range b.Pins {
			e.Pins = append(e.Pins, BoardPin{Number: p.Number, Mode: p.Mode, Value: p.Value})
		}
		return f.send(ctx, event{name: "board", move: func(p *position) { p.boards = seq }, data: e})
	})
}

func (f feed) serial(ctx context.Context, board string, after uint64) error {
	return f.api.Streams.Serial(ctx, f.who.Workspace, board, after, func(seq uint64, c editor.BoardSerial) error {
		if f.who.Role == identity.Product && !f.who.Owns(c.Device) {
			return nil
		}
		return f.send(ctx, event{
			name: "serial", move: func(p *position) { p.serial = seq },
			data: SerialEvent{
				Board: c.Board, Offset: c.Offset, End: c.Offset + int64(len(c.Data)), Text: strings.ToValidUTF8(string(c.Data), "\uFFFD"),
			},
		})
	})
}

// log gives a build's lines: from where they are stored, if they are, else
// from the stream, until the client has had enough. A later attempt begins anew.
func (f feed) log(ctx context.Context, b *editor.Build, after uint64) error {
	if b.Log != "" {
		chunks, err := f.api.Builds.Lines(ctx, b)
		for _, c := range chunks {
			if c.Sequence > after && err == nil {
				err = f.chunk(ctx, b.ID, b.Attempt, c)
			}
		}
		return err
	}
	current := b.Attempt
	return f.api.Streams.Log(ctx, b.ID, after, func(attempt int, c editor.LogChunk) error {
		if attempt < max(current, 1) {
			return nil
		}
		current = attempt
		return f.chunk(ctx, b.ID, attempt, c)
	})
}

func (f feed) chunk(ctx context.Context, build string, attempt int, c editor.LogChunk) error {
	return f.send(ctx, event{
		name: "log", move: func(p *position) { p.log = c.Sequence },
		data: LogEvent{Build: build, Attempt: attempt, Lines: linesOut(c)},
	})
}

// write writes events until ctx ends or the client is gone.
func write(ctx context.Context, w *echo.Response, at position, reset bool, events <-chan event) error {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w.Writer)
	out := func(format string, args ...any) error {
		if err := control.SetWriteDeadline(time.Now().Add(slowClient)); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, format, args...)
		return err
	}
	w.WriteHeader(http.StatusOK)
	// Even before the first event a client knows where it is.
	first := fmt.Sprintf("id: %s\n\n", at)
	if reset {
		first = fmt.Sprintf("event: reset\ndata: {}\nid: %s\n\n", at)
	}
	if err := out("%s", first); err != nil {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		if len(events) == 0 {
			if err := control.Flush(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			if err := out(":\n\n"); err != nil {
				return err
			}
		case e := <-events:
			e.move(&at)
			data, err := json.Marshal(e.data)
			if err != nil {
				return err
			}
			if err := out("event: %s\nid: %s\ndata: %s\n\n", e.name, at, data); err != nil {
				return err
			}
		}
	}
}
