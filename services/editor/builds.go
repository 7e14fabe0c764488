package editor

import (
	"context"
	"time"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// BuildStore keeps builds and knows which of them have the result of what. A
// change that shows, every dispatch and every fence is told on the bus after it
// is stored.
// It is safe for concurrent use.
type BuildStore interface {
	InsertBuild(ctx context.Context, b *Build) error
	// Build returns NotFound where there is none, in any workspace.
	Build(ctx context.Context, id string) (*Build, error)
	// Builds lists a project's, the newest first, and where the next page begins.
	Builds(ctx context.Context, workspace, project string, page Page) ([]*Build, string, error)
	// ChangeBuild applies a change by compare-and-set; it may call it again.
	ChangeBuild(ctx context.Context, id string, change func(*Build) error) (*Build, error)
	// InState lists builds in a state, the oldest first, at most limit.
	InState(ctx context.Context, state State, limit int) ([]*Build, error)
	// CountInState counts a workspace's builds in a state.
	CountInState(ctx context.Context, workspace string, state State) (int, error)
	// LogDue lists builds whose log is still to be stored.
	LogDue(ctx context.Context, limit int) ([]*Build, error)

	// KnownResult returns NotFound where the key is not known.
	KnownResult(ctx context.Context, key string) (*CachedResult, error)
	SetKnownResult(ctx context.Context, r *CachedResult) error
	ForgetResult(ctx context.Context, key string) error

	// Purge removes the builds and revisions of deleted projects that have no
	// active build, then the projects, a bounded number in a call.
	Purge(ctx context.Context) error
	// DeletedActive lists active builds of deleted projects.
	DeletedActive(ctx context.Context) ([]*Build, error)
}

// Artifacts is what is asked of the artifact service.
type Artifacts interface {
	// Upload returns the URL below which an attempt stores its outputs.
	Upload(ctx context.Context, workspace, build string, attempt int, deadline time.Time) (string, error)
	// Download returns a link to an output: NotFound where the workspace has no
	// such blob.
	Download(ctx context.Context, workspace string, o Output, valid time.Duration) (url string, expires time.Time, err error)
}

// Jobs is the queue that workers pull from. Publishing happens with the build's
// document; this takes back what nobody has claimed yet.
type Jobs interface {
	Withdraw(ctx context.Context, platform, build string) error
}

// Sources makes links to a build's source, for its worker.
type Sources interface {
	URL(build string, attempt int, until time.Time) string
}

// Limits of builds in time and number.
type Limits struct {
	// Attempt is how long one attempt may take, by kind of project.
	Attempt map[Kind]time.Duration
	// Grace is how long after its deadline a build is ended: what was said in
	// time may still be on its way.
	Grace time.Duration
	// NoOffer is how long a build stays queued while nobody offers its board.
	NoOffer time.Duration
	// Unclaimed is how long a job may lie beside free slots before it is
	// published again.
	Unclaimed time.Duration
	// Retry is the pause after the farm's first trouble with a build; it doubles.
	Retry time.Duration
	// Queue is how many builds of a workspace may be queued.
	Queue int
}

// Builds is everything that happens to builds. Make it with NewBuilds.
type Builds struct {
	BuildParts

	begun time.Time
	due   chan struct{} // wakes the scheduler
	logs  chan struct{} // wakes the archivist
}

// BuildParts is what Builds works with.
type BuildParts struct {
	Projects  *Projects
	Store     BuildStore
	Farm      *Farm
	Artifacts Artifacts
	Jobs      Jobs
	Sources   Sources
	LogStream LogStream
	Logs      Contents // stored logs
	Limits    Limits
	Now       func() time.Time
}

// NewBuilds puts the parts together.
func NewBuilds(parts BuildParts) *Builds {
	return &Builds{BuildParts: parts, begun: parts.Now(), due: make(chan struct{}, 1), logs: make(chan struct{}, 1)}
}

// wake makes a loop turn now; one turn serves all who wake it meanwhile.
func wake(loop chan struct{}) {
	select {
	case loop <- struct{}{}:
	default:
	}
}

// Reschedule makes the scheduler look now: the farm has changed.
func (s *Builds) Reschedule() { wake(s.due) }

// NewBuild describes a build to make.
type NewBuild struct {
	FQBN     string // "" is the project's
	Revision int    // 0 is the working files
	Verbose  bool
	Fresh    bool // even where the result is known
	Author   string
}

// Create makes a build, or returns one that is finished already where the
// workspace knows the result. Errors: Precondition or Invalid of field "fqbn",
// Precondition without a main file, RateLimited with too many in the queue.
func (s *Builds) Create(ctx context.Context, p *Project, wish NewBuild) (*Build, error) {
	if wish.FQBN == "" {
		wish.FQBN = p.FQBN
	}
	if wish.FQBN == "" {
		return nil, &fault.Error{Code: fault.Precondition, Field: "fqbn", Message: "choose a board first"}
	}
	target, err := s.Farm.Resolve(wish.FQBN)
	if err != nil {
		return nil, err
	}
	if target.Kind != p.Kind {
		return nil, fault.Field("fqbn", "this board is for projects of kind %s, and this one is of kind %s", target.Kind, p.Kind)
	}
	r, err := s.revision(ctx, p, wish)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	b := &Build{
		Meta: docstore.Meta{ID: NewID()}, Workspace: p.Workspace, Project: p.ID, Device: p.Device,
		Revision: r.Number, Tree: r.Tree, Main: r.Main, Kind: p.Kind, FQBN: target.FQBN, Toolchain: target.Toolchain,
		Author: wish.Author, Verbose: wish.Verbose, Unmanaged: p.Unmanaged, State: Queued, Created: now,
	}
	if !wish.Fresh {
		if known := s.known(ctx, b); known != nil {
			b.State, b.Cached, b.Started, b.Ended = Succeeded, true, now, now
			b.Result, b.Log = known.Result, known.Log
			return b, s.Store.InsertBuild(ctx, b)
		}
	}
	queued, err := s.Store.CountInState(ctx, p.Workspace, Queued)
	if err != nil {
		return nil, err
	}
	if queued >= s.Limits.Queue {
		return nil, fault.New(fault.RateLimited, "%d builds of this workspace are waiting already; cancel some or wait", queued)
	}
	// Usually a slot is free: then the job goes out with the document.
	if picked, err := s.plan(ctx, b); err != nil {
		return nil, err
	} else if target, ok := picked[b.ID]; ok {
		b.dispatch(target.Platform, target.Toolchain, now)
	}
	return b, s.Store.InsertBuild(ctx, b)
}

// revision is the one to build: kept now, or one of before.
func (s *Builds) revision(ctx context.Context, p *Project, wish NewBuild) (*Revision, error) {
	main := p.Main
	if wish.Revision == 0 {
		if err := CheckMain(p.Kind, main); err != nil {
			return nil, err
		}
		return s.Projects.Keep(ctx, p, wish.Author, "")
	}
	r, err := s.Projects.Store.Revision(ctx, p.Workspace, p.ID, wish.Revision)
	if fault.Is(err, fault.NotFound) {
		return nil, &fault.Error{Code: fault.NotFound, Field: "revision", Message: "the project has no such revision"}
	}
	if err != nil {
		return nil, err
	}
	return r, CheckMain(p.Kind, r.Main)
}

// Cancel ends a build that is not over. Its worker is told to stop, and what
// it still says is not heard.
func (s *Builds) Cancel(ctx context.Context, id, by string) (*Build, error) {
	message := "Cancelled."
	if by != "" {
		message = "Cancelled by " + by + "."
	}
	return s.stop(ctx, id, Cancelled, message, func(b *Build) bool { return true })
}

// stop ends an active build for which still holds, fences its attempt and takes
// back its job.
func (s *Builds) stop(ctx context.Context, id string, state State, message string, still func(*Build) bool) (*Build, error) {
	stopped := false
	b, err := s.Store.ChangeBuild(ctx, id, func(b *Build) error {
		stopped = !b.State.Final() && still(b)
		if !stopped {
			return ErrUnchanged
		}
		b.stop(state, s.Now(), message)
		return nil
	})
	if err != nil || !stopped {
		return b, err
	}
	wake(s.due)
	wake(s.logs)
	if b.Dispatch > 0 {
		_ = s.Jobs.Withdraw(ctx, b.Platform, b.ID) // who claims it all the same is refused
	}
	return b, nil
}

// Get returns a build of the workspace, or NotFound.
func (s *Builds) Get(ctx context.Context, workspace, id string) (*Build, error) {
	b, err := s.Store.Build(ctx, id)
	if err == nil && b.Workspace != workspace {
		err = fault.New(fault.NotFound, "there is no such build")
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}
