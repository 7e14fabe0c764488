package solotest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	editorapi "github.com/flota/flota/services/editor/httpapi"
)

// Event is one of the event stream.
type Event struct {
	ID   string
	Name string // build, device, log, reset; "" for the first, which only has an ID
	Data json.RawMessage
}

// Events calls f for every event behind a position ("" for now on), with the log
// of a build where one is named, until ctx ends, the stream does, or f returns an
// error, which is returned.
func (c *Client) Events(ctx context.Context, build, after string, f func(Event) error) error {
	query := url.Values{}
	if build != "" {
		query.Set("build", build)
	}
	if after != "" {
		query.Set("after", after)
	}
	return c.listen(ctx, query, f)
}

// BoardEvents is Events from now on, with the serial port of a virtual board.
func (c *Client) BoardEvents(ctx context.Context, board string, f func(Event) error) error {
	return c.listen(ctx, url.Values{"board": {board}}, f)
}

func (c *Client) listen(ctx context.Context, query url.Values, f func(Event) error) error {
	answer, err := c.send(ctx, http.MethodGet, editorPrefix+"/events?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	scanner := bufio.NewScanner(answer.Body)
	scanner.Buffer(nil, 4<<20)
	var e Event
	for scanner.Scan() {
		field, value, _ := strings.Cut(scanner.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			e.ID = value
		case "event":
			e.Name = value
		case "data":
			e.Data = json.RawMessage(value)
		case "":
			if scanner.Text() != "" || e.ID == "" {
				continue // a comment
			}
			if err := f(e); err != nil {
				return err
			}
			e = Event{}
		}
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	return errStreamEnded
}

var (
	errStreamEnded = errors.New("the event stream ended")
	errEnough      = errors.New("enough")
)

// WaitBuild watches a build until it has ended, over restarts of the server.
func (c *Client) WaitBuild(ctx context.Context, id string) (b editorapi.Build, err error) {
	for {
		err = c.watchBuild(ctx, id, &b)
		if err == nil {
			return b, nil
		}
		if _, refused := errors.AsType[*Problem](err); refused && ctx.Err() == nil {
			if p, _ := errors.AsType[*Problem](err); p.Status < 500 {
				return b, err
			}
		}
		select {
		case <-ctx.Done():
			return b, fmt.Errorf("build %s is still %s (attempt %d): %w", id, b.State, b.Attempt, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Client) watchBuild(ctx context.Context, id string, b *editorapi.Build) error {
	look := func() (err error) {
		if *b, err = c.GetBuild(ctx, id); err == nil && Final(*b) {
			return errEnough
		}
		return err
	}
	err := c.Events(ctx, "", "", func(e Event) error {
		switch e.Name {
		case "": // what happened before the stream began is in the build
			return look()
		case "build":
			var change editorapi.BuildEvent
			if err := json.Unmarshal(e.Data, &change); err != nil || change.Build != id {
				return err
			}
			return look()
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// FollowLog returns the lines of a build as they come, until it has ended.
func (c *Client) FollowLog(ctx context.Context, build string, line func(attempt int, l editorapi.LogLine)) error {
	err := c.Events(ctx, build, "", func(e Event) error {
		switch e.Name {
		case "log":
			var chunk editorapi.LogEvent
			if err := json.Unmarshal(e.Data, &chunk); err != nil {
				return err
			}
			for _, l := range chunk.Lines {
				line(chunk.Attempt, l)
			}
		case "build":
			var change editorapi.BuildEvent
			if err := json.Unmarshal(e.Data, &change); err != nil {
				return err
			}
			if change.Build == build && Final(editorapi.Build{State: editorapi.BuildState(change.State)}) {
				return errEnough
			}
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}
