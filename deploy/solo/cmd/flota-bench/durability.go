package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// durability compares publishing with sync_interval: always, as the product
// runs, with the server's default of syncing every two minutes.
func durability(ctx context.Context, b *bench) error {
	const rounds, publishers, each = 5, 16, 250
	var always, lazy []float64
	for range rounds {
		for _, side := range []struct {
			sync bool
			to   *[]float64
		}{{true, &always}, {false, &lazy}} {
			rate, err := publishRate(ctx, side.sync, publishers, each)
			if err != nil {
				return err
			}
			*side.to = append(*side.to, rate)
		}
	}
	b.results.set("durability.publish.vs_default", median(ratios(always, lazy)), "ratio", rounds,
		fmt.Sprintf("%d publishers × %d messages of 256 bytes, acknowledged; %.0f/s against %.0f/s", publishers, each, median(always), median(lazy)))
	return nil
}

func publishRate(ctx context.Context, always bool, publishers, each int) (float64, error) {
	dir, err := os.MkdirTemp("", "flota-bench-nats-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ns, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: always, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return 0, err
	}
	ns.Start()
	defer func() { ns.Shutdown(); ns.WaitForShutdown() }()
	if !ns.ReadyForConnections(10 * time.Second) {
		return 0, fmt.Errorf("the NATS server does not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(ns))
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return 0, err
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "BENCH", Subjects: []string{"bench.>"}}); err != nil {
		return 0, err
	}
	payload := make([]byte, 256)
	errs := make(chan error, publishers)
	start := time.Now()
	for range publishers {
		go func() {
			for range each {
				if _, err := js.Publish(ctx, "bench.x", payload); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range publishers {
		if err := <-errs; err != nil {
			return 0, err
		}
	}
	return float64(publishers*each) / time.Since(start).Seconds(), nil
}
