package editor

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	sweepEvery = 3 * time.Second
	sweepBatch = 1000
)

// Sweeps ends what nobody else will end, until ctx ends; failed is told of
// errors, after which it goes on.
func (s *Builds) Sweeps(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

// Sweep does one round, a bounded number of builds each: running ones that are
// overdue, queued ones that nobody offers a board for, jobs that were lost, and
// what belongs to deleted projects.
func (s *Builds) Sweep(ctx context.Context) error {
	return errors.Join(s.sweepRunning(ctx), s.sweepQueued(ctx), s.sweepDeleted(ctx))
}

func (s *Builds) sweepRunning(ctx context.Context) error {
	now := s.Now()
	if now.Before(s.begun.Add(s.Limits.Grace)) {
		return nil // what was said while nobody listened has to be heard first
	}
	overdue := func(b *Build) bool { return b.State == Running && now.After(b.Deadline.Add(s.Limits.Grace)) }
	running, err := s.Store.InState(ctx, Running, sweepBatch)
	for _, b := range running {
		if overdue(b) {
			message := "The build did not finish within " + spell(s.Limits.Attempt[b.Kind]) + "."
			_, one := s.stop(ctx, b.ID, Errored, message, overdue)
			err = errors.Join(err, ignoreGone(one))
		}
	}
	return err
}

func (s *Builds) sweepQueued(ctx context.Context) error {
	now := s.Now()
	free, resolve := s.Farm.FreeSlots(nil), s.Farm.remembering()
	queued, err := s.Store.InState(ctx, Queued, maxBacklog)
	for _, b := range queued {
		_, nobody := resolve(b.FQBN)
		offered := s.Farm.LastOffered(b.FQBN)
		if offered.Before(b.Created) {
			offered = b.Created
		}
		stillOffered := func(platform string) bool { _, ok := free[platform]; return ok }
		switch {
		case nobody != nil && now.Sub(offered) > s.Limits.NoOffer:
			_, one := s.stop(ctx, b.ID, Errored, fmt.Sprintf("No worker has offered the board %s for %s.", b.FQBN, spell(s.Limits.NoOffer)),
				func(b *Build) bool { return b.State == Queued })
			err = errors.Join(err, ignoreGone(one))
		case nobody == nil && b.Waiting && !stillOffered(b.Platform),
			b.Waiting && free[b.Platform] > 0 && now.Sub(b.Dispatched) > s.Limits.Unclaimed:
			err = errors.Join(err, ignoreGone(s.recall(ctx, b)))
		}
	}
	return err
}

// recall takes a job back that nobody claims, so that it is published anew.
func (s *Builds) recall(ctx context.Context, lost *Build) error {
	if err := s.Jobs.Withdraw(ctx, lost.Platform, lost.ID); err != nil {
		return err
	}
	_, err := s.Store.ChangeBuild(ctx, lost.ID, func(b *Build) error {
		if b.State != Queued || b.Dispatch != lost.Dispatch {
			return ErrUnchanged
		}
		b.Waiting = false
		return nil
	})
	wake(s.due)
	return err
}

func (s *Builds) sweepDeleted(ctx context.Context) error {
	active, err := s.Store.DeletedActive(ctx)
	for _, b := range active {
		_, one := s.stop(ctx, b.ID, Cancelled, "The project was deleted.", func(*Build) bool { return true })
		err = errors.Join(err, ignoreGone(one))
	}
	if err != nil {
		return err
	}
	return s.Store.Purge(ctx)
}

// spell writes a duration for people.
func spell(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}} {
		if n := d / unit.size; n > 0 && d%unit.size == 0 {
			if n == 1 {
				return "one " + unit.name
			}
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return d.String()
}
