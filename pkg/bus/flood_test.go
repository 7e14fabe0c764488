package bus_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

// Build logs and last-seen, published as fast as they can be and beyond what
// their streams hold, neither evict a device's report nor keep it waiting.
func TestFloodDisplacesNoReport(t *testing.T) {
	server := bustest.Server(t)
	artifact, fleet, editor := server.Connect(flow.Artifact), server.Connect(flow.Fleet), server.Connect(flow.Editor)
	logs := *flow.Logs
	logs.MaxBytes /= 8 // as full as ever, sooner
	must(t, editor.EnsureStream(t.Context(), &logs))
	report := func(device string) {
		t.Helper()
		started := time.Now()
		must(t, bus.Publish(t.Context(), artifact, flow.DeviceReported, &artifactv1.DeviceReported{Device: device}, device, device))
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("the report of %s took %v", device, took)
		}
	}
	report("before")

	flooding, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	var lines, batches atomic.Int64
	for i := range 4 {
		compiler := server.Connect(flow.Compiler)
		chunk := &compilerv1.LogChunk{Lines: []*compilerv1.LogLine{{Text: string(make([]byte, flow.Logs.MaxMessage-1024))}}}
		flood.Go(func() {
			for flooding.Err() == nil {
				if bus.Publish(flooding, compiler, flow.BuildLog, chunk, "", fmt.Sprint("b", i), "1") == nil {
					lines.Add(1)
				}
			}
		})
	}
	other := server.Connect(flow.Artifact)
	batch := &artifactv1.SeenBatch{Seen: []*artifactv1.Seen{{Device: string(make([]byte, flow.Seen.MaxMessage-1024))}}}
	flood.Go(func() {
		for flooding.Err() == nil {
			if bus.Publish(flooding, other, flow.DevicesSeen, batch, "", "a1") == nil {
				batches.Add(1)
			}
		}
	})

	during := 0
	full := func() bool {
		return state(t, editor, &logs).FirstSeq > 1 && state(t, fleet, flow.Seen).FirstSeq > 1
	}
	for end := time.Now().Add(time.Minute); !full() || during < 10; during++ {
		if time.Now().After(end) {
			t.Fatalf("not full after %d log chunks and %d batches", lines.Load(), batches.Load())
		}
		report(fmt.Sprint("during-", during))
		time.Sleep(50 * time.Millisecond)
	}
	stop()
	flood.Wait()
	for _, s := range []struct {
		owner  *bus.Conn
		stream *flow.Stream
	}{{editor, &logs}, {fleet, flow.Seen}} {
		if bytes := state(t, s.owner, s.stream).Bytes; bytes > uint64(s.stream.MaxBytes) {
			t.Errorf("%s holds %d bytes of %d", s.stream.Name, bytes, s.stream.MaxBytes)
		}
	}
	if n := stored(t, fleet, flow.Devices); n != uint64(1+during) {
		t.Errorf("%d of %d reports are there", n, 1+during)
	}
	t.Logf("%d log chunks, %d batches, %d reports", lines.Load(), batches.Load(), during)
}

// A stream whose messages must not be lost refuses more than it can hold, and
// keeps what it has.
func TestFullStreamRefuses(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	artifact, fleet := server.Connect(flow.Artifact), server.Connect(flow.Fleet)
	small := *flow.Devices
	small.MaxBytes = 20 * int64(small.MaxMessage)
	must(t, fleet.EnsureStream(t.Context(), &small))
	report := &artifactv1.DeviceReported{Log: string(make([]byte, small.MaxMessage-1024))}
	accepted := 0
	for bus.Publish(t.Context(), artifact, flow.DeviceReported, report, "", "d") == nil {
		if accepted++; accepted > 30 {
			t.Fatal("it never refuses")
		}
	}
	if n := stored(t, fleet, flow.Devices); n != uint64(accepted) || accepted == 0 {
		t.Errorf("%d accepted, %d kept", accepted, n)
	}
}
