package editor

import (
	"cmp"
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// Grant is what a worker gets with an attempt.
type Grant struct {
	Attempt   int
	Deadline  time.Time
	Kind      Kind
	FQBN      string
	Main      string
	Verbose   bool
	Unmanaged bool
	SourceURL string
	UploadURL string
}

var errOvertaken = errors.New("editor: another claim was faster")

const claimTries = 5

// Claim grants a build's next attempt to a worker, or returns nil where there
// is nothing to do any more. An error means: try again.
func (s *Builds) Claim(ctx context.Context, id, worker string, delivery Delivery) (*Grant, error) {
	for range claimTries {
		grant, err := s.claimOnce(ctx, id, worker, delivery)
		if !errors.Is(err, errOvertaken) {
			return grant, err
		}
	}
	return nil, fault.New(fault.Conflict, "too many claims of this build; try again")
}

func (s *Builds) claimOnce(ctx context.Context, id, worker string, delivery Delivery) (*Grant, error) {
	b, err := s.Store.Build(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case b.State.Final():
		return nil, nil
	}
	// The link comes first, so that an outage of the artifact service costs no attempt.
	attempt, limit := b.Attempt+1, s.Limits.Attempt[b.Kind]
	now := s.Now()
	upload, err := s.Artifacts.Upload(ctx, b.Workspace, b.ID, attempt, now.Add(limit))
	if err != nil {
		return nil, err
	}
	granted := false
	b, err = s.Store.ChangeBuild(ctx, id, func(b *Build) error {
		if b.Attempt+1 != attempt {
			return errOvertaken
		}
		if granted = b.claim(worker, delivery, now, limit); granted || b.State.Final() {
			return nil
		}
		return ErrUnchanged
	})
	if err != nil {
		return nil, err
	}
	defer wake(s.due)
	if !granted {
		wake(s.logs)
		return nil, nil
	}
	return &Grant{
		Attempt: attempt, Deadline: b.Deadline, Kind: b.Kind, FQBN: b.FQBN, Main: b.Main, Verbose: b.Verbose, Unmanaged: b.Unmanaged,
		SourceURL: s.Sources.URL(id, attempt, b.Deadline), UploadURL: upload,
	}, nil
}

var phaseOrder = map[Phase]int{"": 0, Fetch: 1, Compile: 2, Upload: 3}

// Enter notes how far an attempt is. What an attempt says that is not current,
// or says late, counts nothing.
func (s *Builds) Enter(ctx context.Context, id string, attempt int, phase Phase) error {
	_, err := s.Store.ChangeBuild(ctx, id, func(b *Build) error {
		if !b.Current(attempt) || phaseOrder[phase] <= phaseOrder[b.Phase] {
			return ErrUnchanged
		}
		b.Phase = phase
		return nil
	})
	return ignoreGone(err)
}

// Outcome is how an attempt ended, as its worker says.
type Outcome int

// The outcomes.
const (
	OutcomeTrouble   Outcome = iota // the farm's own trouble: the build is tried again
	OutcomeSucceeded                // every output is uploaded
	OutcomeFailed                   // the compiler refused the source, or a limit ended it
)

// Finish is what a worker says at the end of an attempt.
type Finish struct {
	Build     string
	Attempt   int
	Said      time.Time // when the bus took it
	Outcome   Outcome
	Message   string
	Toolchain string
	Result    Result
}

// Finish ends the attempt, if it is the current one and spoke in time, after
// checking that its outputs are where they should be. An error means: try again.
func (s *Builds) Finish(ctx context.Context, f Finish) error {
	b, err := s.Store.Build(ctx, f.Build)
	if err != nil {
		return ignoreGone(err)
	}
	if !b.Current(f.Attempt) || f.Said.After(b.Deadline) {
		return nil
	}
	if err := f.Result.check(); err != nil {
		f.Outcome, f.Message = OutcomeTrouble, "the worker's answer is not valid: "+err.Error()
	}
	if f.Outcome == OutcomeSucceeded {
		switch err := s.present(ctx, b.Workspace, f.Result.Outputs); {
		case fault.Is(err, fault.NotFound):
			f.Outcome, f.Message = OutcomeTrouble, "an output was not uploaded"
		case fault.Is(err, fault.Invalid), fault.Is(err, fault.TooLarge):
			f.Outcome, f.Message = OutcomeTrouble, "an output was refused: "+fault.As(err).Message
		case err != nil:
			return err
		}
	}
	if f.Outcome == OutcomeSucceeded {
		// Before the build says so: whoever sees that may ask for the same again. It
		// counts once the build has succeeded; losing it costs one compilation.
		_ = s.Store.SetKnownResult(ctx, &CachedResult{
			Meta: docstore.Meta{ID: b.resultKey(cmp.Or(f.Toolchain, b.Toolchain))}, Workspace: b.Workspace, Build: b.ID, Made: s.Now(),
		})
	}
	ended := false
	_, err = s.Store.ChangeBuild(ctx, f.Build, func(b *Build) error {
		if ended = b.Current(f.Attempt); !ended {
			return ErrUnchanged
		}
		now := s.Now()
		switch f.Outcome {
		case OutcomeSucceeded:
			b.end(Succeeded, now, "")
			b.Result = f.Result
			if f.Toolchain != "" {
				b.Toolchain = f.Toolchain
			}
		case OutcomeFailed:
			b.end(Failed, now, f.Message)
			b.Result = f.Result
			b.Outputs = nil
		default:
			b.trouble(f.Message, now, s.Limits.Retry)
		}
		return nil
	})
	if err != nil {
		return ignoreGone(err)
	}
	if ended {
		wake(s.due)
		wake(s.logs)
	}
	return nil
}

// present returns NotFound where the artifact service lacks an output.
func (s *Builds) present(ctx context.Context, workspace string, outputs []Output) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, o := range outputs {
		g.Go(func() error {
			_, _, err := s.Artifacts.Download(ctx, workspace, o, time.Minute)
			return err
		})
	}
	return g.Wait()
}

// known returns the build that has the result already, or nil. Whatever stands
// in the way makes it a miss: then it is compiled.
func (s *Builds) known(ctx context.Context, b *Build) *Build {
	key := b.resultKey(b.Toolchain)
	entry, err := s.Store.KnownResult(ctx, key)
	if err != nil {
		return nil
	}
	first, err := s.Store.Build(ctx, entry.Build)
	if err == nil && (first.State != Succeeded || first.Workspace != b.Workspace) {
		return nil
	}
	if err == nil {
		err = s.present(ctx, first.Workspace, first.Outputs)
	}
	if err == nil && first.LogDue {
		first, err = s.archive(ctx, first)
	}
	if fault.Is(err, fault.NotFound) {
		_ = s.Store.ForgetResult(ctx, key)
	}
	if err != nil {
		return nil
	}
	return first
}

// ignoreGone: what is said of a build that is gone matters to nobody.
func ignoreGone(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
