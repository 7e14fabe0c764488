package editor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// LogChunk is some lines of a build's log, as one message brought them.
type LogChunk struct {
	Sequence uint64    `json:"seq"` // in the stream
	At       int64     `json:"at"`  // unix milliseconds
	Lines    []LogLine `json:"lines"`
}

// LogLine is one line; Source is farm, stdout or stderr.
type LogLine struct {
	Source string `json:"source"`
	Text   string `json:"text"`
}

// LogStream is where running builds' lines are.
type LogStream interface {
	// Read gives f the chunks of an attempt that are there now, in order, until f
	// returns an error, which it returns.
	Read(ctx context.Context, build string, attempt int, f func(LogChunk) error) error
}

// maxLog bounds a stored log, in bytes of text.
const maxLog = 4 << 20

// Lines returns what a build has said so far: all of it, where the build is over.
func (s *Builds) Lines(ctx context.Context, b *Build) ([]LogChunk, error) {
	if b.Log == "" {
		return s.streamed(ctx, b)
	}
	data, err := s.Logs.Get(ctx, b.Log)
	if err != nil {
		return nil, err
	}
	var chunks []LogChunk
	if err := json.Unmarshal(data, &chunks); err != nil {
		return nil, fmt.Errorf("log of %s: %w", b.ID, err)
	}
	return chunks, nil
}

var errLogFull = errors.New("editor: the log is longer than what is kept")

func (s *Builds) streamed(ctx context.Context, b *Build) ([]LogChunk, error) {
	chunks := []LogChunk{}
	if b.Attempt == 0 {
		return chunks, nil
	}
	size := 0
	err := s.LogStream.Read(ctx, b.ID, b.Attempt, func(c LogChunk) error {
		for _, line := range c.Lines {
			size += len(line.Text) + 1
		}
		if size > maxLog {
			c.Lines = []LogLine{{Source: "farm", Text: fmt.Sprintf("The log is longer than %d MiB; the rest was left out.", maxLog>>20)}}
			chunks = append(chunks, c)
			return errLogFull
		}
		chunks = append(chunks, c)
		return nil
	})
	if errors.Is(err, errLogFull) {
		err = nil
	}
	return chunks, err
}

// archive stores a finished build's log, for the stream forgets.
func (s *Builds) archive(ctx context.Context, b *Build) (*Build, error) {
	chunks, err := s.streamed(ctx, b)
	if err != nil {
		return b, err
	}
	data, err := json.Marshal(chunks)
	if err != nil {
		return b, err
	}
	sha, err := s.Logs.Put(ctx, data)
	if err != nil {
		return b, err
	}
	return s.Store.ChangeBuild(ctx, b.ID, func(b *Build) error {
		if !b.LogDue {
			return ErrUnchanged
		}
		b.Log, b.LogDue = sha, false
		return nil
	})
}

const (
	archiveEvery = 3 * time.Second
	archiveBatch = 50
	// A worker that is told to stop may still have something to say.
	lastWords = 2 * time.Second
)

// Archive stores the logs of builds that end, until ctx ends; failed is told
// of errors, after which it goes on.
func (s *Builds) Archive(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(archiveEvery)
	defer tick.Stop()
	for {
		due, err := s.Store.LogDue(ctx, archiveBatch)
		for _, b := range due {
			if b.State == Cancelled && s.Now().Sub(b.Ended) < lastWords {
				continue
			}
			_, one := s.archive(ctx, b)
			err = errors.Join(err, ignoreGone(one))
		}
		if err != nil && ctx.Err() == nil {
			failed(fault.Wrap(err, fault.Unavailable, "logs are not stored yet"))
		}
		select {
		case <-ctx.Done():
			return
		case <-s.logs:
		case <-tick.C:
		}
	}
}
