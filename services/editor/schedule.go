package editor

import (
	"slices"
	"time"
)

// Candidate is a queued build, as the scheduler sees it.
type Candidate struct {
	Build     string
	Workspace string
	Platform  string // word; "" where nobody offers its board
	Waiting   bool   // a job is out already
	Since     time.Time
}

// Plan picks the builds to publish now, in order. For each platform version
// about twice its free slots may wait to be claimed, so that a worker always
// finds the next job; one may wait even where no slot is free. Between
// workspaces the one with the least running and waiting is first, then the
// build that waits longest. A job's place in the queue can't be changed any
// more, so the backlog stays here, where a newcomer can overtake it.
//
// Queue holds all queued builds; running counts builds by workspace; free
// counts free slots by platform word, of those on offer.
func Plan(queue []Candidate, running, free map[string]int) []string {
	load := map[string]int{}
	for workspace, n := range running {
		load[workspace] = n
	}
	room := map[string]int{}
	for platform, n := range free {
		room[platform] = max(2*n, 1)
	}
	waiting := map[string][]Candidate{} // by workspace
	for _, c := range queue {
		if c.Waiting {
			room[c.Platform]--
			load[c.Workspace]++
			continue
		}
		waiting[c.Workspace] = append(waiting[c.Workspace], c)
	}
	for _, line := range waiting {
		slices.SortStableFunc(line, func(a, b Candidate) int { return a.Since.Compare(b.Since) })
	}

	var picked []string
	for {
		var next Candidate
		at := -1
		for workspace, line := range waiting {
			i := slices.IndexFunc(line, func(c Candidate) bool { return room[c.Platform] > 0 })
			if i < 0 {
				delete(waiting, workspace) // room only shrinks
				continue
			}
			if at < 0 || before(line[i], next, load) {
				next, at = line[i], i
			}
		}
		if at < 0 {
			return picked
		}
		picked = append(picked, next.Build)
		room[next.Platform]--
		load[next.Workspace]++
		waiting[next.Workspace] = slices.Delete(waiting[next.Workspace], at, at+1)
	}
}

// before says whether a is to be published before b, of another workspace.
func before(a, b Candidate, load map[string]int) bool {
	if x, y := load[a.Workspace], load[b.Workspace]; x != y {
		return x < y
	}
	if !a.Since.Equal(b.Since) {
		return a.Since.Before(b.Since)
	}
	return a.Build < b.Build
}
