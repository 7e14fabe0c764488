package fleetd_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/identity"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
)

// A thousand devices are told of a release and report four times each; no
// deployment and no report is lost. The rates are printed.
func TestAThousandDevices(t *testing.T) {
	const devices = 1000
	in := install(t)
	in.start()
	ids := make([]string, devices)
	for i := range ids {
		ids[i] = fmt.Sprintf("d%04d", i)
	}
	in.enrol(ids...)
	ada := in.as(identity.Maintainer)
	inState := func(state string) (n int) {
		for path := "/devices?limit=500"; path != ""; {
			var page struct {
				Devices []shown
				Next    string
			}
			ada.must("GET", path, nil, &page)
			for _, d := range page.Devices {
				if d.State == state {
					n++
				}
			}
			path = ""
			if page.Next != "" {
				path = "/devices?limit=500&after=" + page.Next
			}
		}
		return n
	}
	in.eventually("all devices", func() bool { return inState("new") == devices })

	known := make(chan struct{})
	in.background(func(ctx context.Context) error {
		refs := map[string]bool{}
		return bus.Watch(ctx, in.artifact, flow.Refs, nil, func(c bus.Change[*fleetv1.DeviceRef]) {
			if refs[c.Key] = true; len(refs) == devices && c.Value.GetDeployment() > 0 {
				close(known)
			}
		})
	})
	began := time.Now()
	numbers := make([]int64, devices)
	parallel(16, devices, func(i int) {
		numbers[i] = ada.deploy(map[string]any{"device": ids[i], "build": "b-" + newBytes}).Number
	})
	deployed := time.Since(began)
	<-known
	handed := time.Since(began)
	if refs, statements := in.buckets(); len(refs) != devices || len(statements) != devices {
		t.Errorf("%d refs, %d statements", len(refs), len(statements))
	}

	// The fleet is away while they report, so that its own rate can be seen.
	in.stop()
	began = time.Now()
	parallel(64, devices, func(i int) {
		for _, state := range []string{"downloading", "verified", "applied", "confirmed"} {
			in.report(ids[i], numbers[i], state, func(r *artifactv1.DeviceReported) {
				r.Chip, r.Version, r.Agent = "simulated", "r3", "flota-simulator/1.0"
			})
		}
	})
	reported := time.Since(began)
	page := in.watch()
	in.start()
	began = time.Now()
	in.eventually("events about all", func() bool { return len(page.confirmed()) == devices })
	taken := time.Since(began)
	in.eventually("confirmation of all", func() bool { return inState("confirmed") == devices })
	for _, i := range []int{0, 1, 499, 999} {
		if h := ada.device(ids[i]).History; len(h) != 5 || h[0].State != "confirmed" || h[3].State != "downloading" {
			t.Errorf("%s: %+v", ids[i], h)
		}
	}
	t.Logf("%d devices: deployed in %v (%.0f/s), known to artifact after %v; 4 reports each published in %v (%.0f/s), taken in %v (%.0f/s)", devices,
		deployed.Round(time.Millisecond), devices/deployed.Seconds(), handed.Round(time.Millisecond),
		reported.Round(time.Millisecond), 4*devices/reported.Seconds(), taken.Round(time.Millisecond), 4*devices/taken.Seconds())
}

// confirmed are the devices of which the page heard that they are.
func (w *watcher) confirmed() map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := map[string]bool{}
	for _, e := range w.events {
		if e.GetState() == "confirmed" {
			ids[e.GetId()] = true
		}
	}
	return ids
}

// parallel calls f for 0 … n-1, at most so many at a time.
func parallel(atOnce, n int, f func(int)) {
	var group sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}
