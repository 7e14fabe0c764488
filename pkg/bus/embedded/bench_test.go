package embedded

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	artifactv1 "github.com/flota/flota/pkg/pb/flota/artifact/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
)

// run starts a server that syncs always, or with NATS' default of two minutes,
// and has all streams.
func run(b *testing.B, always bool) *Server {
	b.Helper()
	passwords := map[flow.Service]string{}
	for _, s := range flow.Services {
		passwords[s] = "benchmark"
	}
	options, err := serverOptions(Options{StoreDir: b.TempDir()}, passwords)
	if err != nil {
		b.Fatal(err)
	}
	options.SyncAlways = always
	ns, err := start(b.Context(), options, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	s := &Server{ns, passwords}
	b.Cleanup(s.Stop)
	for _, service := range flow.Services {
		if err := connect(b, s, service).Ensure(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func connect(b *testing.B, s *Server, service flow.Service) *bus.Conn {
	b.Helper()
	c, err := bus.Connect(b.Context(), s.Bus(service, zap.NewNop()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

// BenchmarkPublish measures confirmed publishes of a device's report, from one
// publisher and from sixteen. Always ÷ default of one run is the figure
// durability.publish.vs_default.
func BenchmarkPublish(b *testing.B) {
	report := &artifactv1.DeviceReported{Device: "d1", Workspace: "w1", State: "downloading", Percent: 50, Running: "0123456789abcdef"}
	for _, sync := range []struct {
		name   string
		always bool
	}{{"sync=always", true}, {"sync=default", false}} {
		for _, publishers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/publishers=%d", sync.name, publishers), func(b *testing.B) {
				c := connect(b, run(b, sync.always), flow.Artifact)
				var n atomic.Int64
				b.SetParallelism(max(1, publishers/runtime.GOMAXPROCS(0)))
				if publishers == 1 {
					for b.Loop() {
						publish(b, c, report, n.Add(1))
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							publish(b, c, report, n.Add(1))
						}
					})
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			})
		}
	}
}

func publish(b *testing.B, c *bus.Conn, report *artifactv1.DeviceReported, n int64) {
	if err := bus.Publish(b.Context(), c, flow.DeviceReported, report, fmt.Sprint(n), "d1"); err != nil {
		b.Error(err)
	}
}

// BenchmarkHandle measures how fast waiting messages are handled: pulled,
// decoded, given to a handler that does nothing, acknowledged.
func BenchmarkHandle(b *testing.B) {
	for _, slots := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("slots=%d", slots), func(b *testing.B) {
			s := run(b, false)
			editor, compiler := connect(b, s, flow.Editor), connect(b, s, flow.Compiler)
			for i := range b.N {
				if err := bus.Publish(b.Context(), compiler, flow.BuildPhase, &compilerv1.BuildPhase{Build: "b1"}, "", fmt.Sprint("b", i), "1"); err != nil {
					b.Fatal(err)
				}
			}
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			var n atomic.Int64
			b.ResetTimer()
			_ = bus.Handle(ctx, editor, flow.TakePhase, bus.NewSlots(slots), func(context.Context, bus.Message[*compilerv1.BuildPhase]) error {
				if n.Add(1) == int64(b.N) {
					stop()
				}
				return nil
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkStart measures a start on a folder that has all streams, until it
// takes connections, and what the server then occupies.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		s, err := Start(b.Context(), Options{StoreDir: dir, Log: zap.NewNop()})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		for _, service := range flow.Services {
			c, err := bus.Connect(b.Context(), s.Bus(service, zap.NewNop()))
			if err == nil {
				err = c.Ensure(b.Context())
			}
			if err != nil {
				b.Fatal(err)
			}
			c.Close()
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapInuse+m.StackInuse)/(1<<20), "MiB")
		s.Stop()
		b.StartTimer()
	}
}
