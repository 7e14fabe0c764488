package docstoretest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
)

// parallelIncrements: 1,000 at once, through two collections as two processes would
// have them, and none is lost.
func parallelIncrements(t *testing.T, db docstore.DB) {
	name, ctx := newName("counters"), t.Context()
	var processes []*docstore.Collection[project]
	for range 2 {
		projects, err := docstore.Open[project](ctx, db, name, projectIndexes...)
		require.NoError(t, err)
		processes = append(processes, projects)
	}
	p := newProject("w", "counter")
	require.NoError(t, processes[0].Insert(ctx, p))

	const increments = 1000
	var wg sync.WaitGroup
	for i := range increments {
		wg.Go(func() {
			_, err := processes[i%2].Update(ctx, p.ID, func(p *project) error { p.Size++; return nil })
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	got, err := processes[0].Get(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, increments, got.Size)
	require.EqualValues(t, 1+increments, got.Rev)
}

func boundedUpdate(t *testing.T, db docstore.DB) {
	projects, ctx := openProjects(t, db), t.Context()
	p := newProject("w", "contended")
	require.NoError(t, projects.Insert(ctx, p))
	overtake := func(mine *project) error { // somebody else is always faster
		theirs := newCopy(mine, mine.Name)
		theirs.Size++
		return projects.Replace(context.WithoutCancel(ctx), theirs)
	}
	_, err := projects.Update(ctx, p.ID, overtake)
	requireCode(t, err, fault.Conflict)

	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err = projects.Update(short, p.ID, overtake)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(started), time.Second)

	got, err := projects.Get(ctx, p.ID)
	require.NoError(t, err)
	require.Equal(t, "contended", got.Name)
	require.EqualValues(t, got.Rev-1, got.Size, "each change that was stored is the other's")
}
