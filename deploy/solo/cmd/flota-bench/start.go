package main

import (
	"context"
	"time"
)

// start measures how fast the product starts and what it takes when idle.
func start(ctx context.Context, b *bench) error {
	s, _, err := b.solo(ctx, true)
	if err != nil {
		return err
	}
	defer func() { stop(s) }()
	var ready []float64
	for range 7 {
		stop(s)
		begin := time.Now()
		if err := s.Start(ctx); err != nil {
			return err
		}
		ready = append(ready, time.Since(begin).Seconds())
	}
	b.results.set("solo.ready.s", median(ready), "s", len(ready), "flota-solo on a data folder that there is, with its compiler: process start to the line of JSON")

	idle, _, err := b.solo(ctx, false)
	if err != nil {
		return err
	}
	defer stop(idle)
	time.Sleep(15 * time.Second)
	resident, err := idle.Resident()
	if err != nil {
		return err
	}
	b.results.set("solo.idle.mb", float64(resident)/1e6, "MB", 1, "VmRSS 15 s after start, no compiler")
	return nil
}
