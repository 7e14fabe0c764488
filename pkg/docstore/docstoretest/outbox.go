package docstoretest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zaptest"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// bus keeps what a relay publishes and drops what it has seen, as JetStream does.
type bus struct {
	mu       sync.Mutex
	messages []docstore.Message
	repeated int
	changed  chan struct{}
}

func newBus() *bus { return &bus{changed: make(chan struct{}, 1)} }

func (b *bus) publish(_ context.Context, m docstore.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if slices.ContainsFunc(b.messages, func(seen docstore.Message) bool { return seen.ID == m.ID }) {
		b.repeated++
		return nil
	}
	b.messages = append(b.messages, m)
	select {
	case b.changed <- struct{}{}:
	default:
	}
	return nil
}

// ids returns the IDs received so far, of messages whose subject has the prefix.
func (b *bus) ids(prefix string) (ids []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if strings.HasPrefix(m.Subject, prefix) {
			ids = append(ids, m.ID)
		}
	}
	return ids
}

func (b *bus) await(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		if len(b.ids("")) >= n {
			return
		}
		select {
		case <-b.changed:
		case <-timeout:
			t.Fatalf("waited for %d messages, got %v", n, b.ids(""))
		}
	}
}

// relay runs a relay until stop is called or the test ends.
func relay(t *testing.T, publish func(context.Context, docstore.Message) error, sources ...docstore.Source) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r := docstore.NewRelay(publish, zaptest.NewLogger(t))
	r.Watch(sources...)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	t.Cleanup(stop)
	return stop
}

func awaitEmpty(t *testing.T, projects *docstore.Collection[project], id string) *project {
	t.Helper()
	var got *project
	require.Eventually(t, func() bool {
		var err error
		got, err = projects.Get(t.Context(), id)
		return err == nil && len(got.Outbox) == 0
	}, 10*time.Second, 5*time.Millisecond)
	return got
}

func outbox(t *testing.T, db docstore.DB) {
	projects, builds, ctx, sink := openProjects(t, db), openProjects(t, db), t.Context(), newBus()
	relay(t, sink.publish, projects, builds)

	const documents, changes = 5, 8
	var wg sync.WaitGroup
	for d := range documents {
		wg.Go(func() {
			p := newProject("w", fmt.Sprint(d))
			p.ID = fmt.Sprint(d)
			p.Post("p."+p.ID, p.ID+".0", []byte("made"))
			if err := projects.Insert(ctx, p); err != nil {
				t.Error(err)
			}
			for i := range changes {
				if _, err := projects.Update(ctx, p.ID, func(p *project) error {
					p.Size++
					p.Post("p."+p.ID, fmt.Sprintf("%s.%d", p.ID, i+1), nil)
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sink.await(t, documents*(changes+1))
	for d := range documents {
		var want []string
		for i := range changes + 1 {
			want = append(want, fmt.Sprintf("%d.%d", d, i))
		}
		require.Equal(t, want, sink.ids(fmt.Sprintf("p.%d", d)), "the order of a document is kept")
		require.Equal(t, changes, awaitEmpty(t, projects, fmt.Sprint(d)).Size)
	}

	b := newProject("w", "build")
	b.Post("b", "b.0", []byte{1, 2})
	b.Post("b", "b.1", nil)
	require.NoError(t, builds.InsertMany(ctx, []*project{b}))
	sink.await(t, documents*(changes+1)+2)
	require.Equal(t, []string{"b.0", "b.1"}, sink.ids("b"))
	awaitEmpty(t, builds, b.ID)

	bad := newProject("w", "bad")
	bad.Post("subject", "", nil)
	requireCode(t, builds.Insert(ctx, bad), fault.Invalid)
}

// crashBeforeSending: the process ends between the commit and the first publish.
func crashBeforeSending(t *testing.T, db docstore.DB) {
	projects, ctx, sink := openProjects(t, db), t.Context(), newBus()
	const documents = 250 // more than a page of the sweep
	var many []*project
	for i := range documents {
		p := newProject("w", fmt.Sprint(i))
		p.Post("s", fmt.Sprint(i), nil)
		many = append(many, p)
	}
	require.NoError(t, projects.InsertMany(ctx, many))
	relay(t, sink.publish, projects)
	sink.await(t, documents)
}

// crashBeforeClearing: the process ends after a publish and before the outbox is
// cleared. The message comes again, under the same ID.
func crashBeforeClearing(t *testing.T, db docstore.DB) {
	projects, ctx, sink := openProjects(t, db), t.Context(), newBus()
	crash := make(chan struct{})
	stop := relay(t, func(ctx context.Context, m docstore.Message) error {
		_ = sink.publish(ctx, m)
		close(crash)
		<-ctx.Done()
		return nil // the bus has it, the relay no longer lives to note it
	}, projects)
	p := newProject("w", "p")
	p.Post("s", "first", nil)
	require.NoError(t, projects.Insert(ctx, p))
	<-crash
	stop()
	got, err := projects.Get(ctx, p.ID)
	require.NoError(t, err)
	require.Len(t, got.Outbox, 1)

	relay(t, sink.publish, projects)
	_, err = projects.Update(ctx, p.ID, func(p *project) error { p.Post("s", "second", nil); return nil })
	require.NoError(t, err)
	sink.await(t, 2)
	awaitEmpty(t, projects, p.ID)
	require.Equal(t, []string{"first", "second"}, sink.ids(""))
	require.Positive(t, sink.repeated)
}

// failingPublisher: the bus is away, then back. Nothing is lost, and what was sent
// before it went away is not sent again.
func failingPublisher(t *testing.T, db docstore.DB) {
	projects, ctx, sink := openProjects(t, db), t.Context(), newBus()
	failures := 2
	relay(t, func(ctx context.Context, m docstore.Message) error {
		if m.ID == "second" && failures > 0 {
			failures--
			return errors.New("no responders")
		}
		return sink.publish(ctx, m)
	}, projects)
	p := newProject("w", "p")
	for _, id := range []string{"first", "second", "third"} {
		p.Post("s", id, nil)
	}
	require.NoError(t, projects.Insert(ctx, p))
	sink.await(t, 3)
	require.Equal(t, []string{"first", "second", "third"}, sink.ids(""))
	require.Zero(t, sink.repeated)
	awaitEmpty(t, projects, p.ID)
}

func deleteKeepsMessages(t *testing.T, db docstore.DB) {
	projects, ctx, sink := openProjects(t, db), t.Context(), newBus()
	p := newProject("w", "p")
	p.Post("s", "made", nil)
	require.NoError(t, projects.Insert(ctx, p))
	requireCode(t, projects.Delete(ctx, p.ID, 1), fault.Conflict)
	requireCode(t, projects.Delete(ctx, p.ID, 2), fault.Conflict)

	relay(t, sink.publish, projects)
	require.NoError(t, projects.Delete(ctx, p.ID, 0), "it waits for the relay")
	require.Equal(t, []string{"made"}, sink.ids(""))
	_, err := projects.Get(ctx, p.ID)
	requireCode(t, err, fault.NotFound)
}
