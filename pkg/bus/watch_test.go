package bus_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"google.golang.org/protobuf/proto"
)

// told is a change as one word: "+key=value", "-key", or "ready".
func told[T proto.Message](t *testing.T, c *bus.Conn, b flow.Bucket[T], value func(T) string) <-chan string {
	t.Helper()
	said := make(chan string, 99)
	background(t, func(ctx context.Context) {
		_ = bus.Watch(ctx, c, b, func() { said <- "ready" }, func(change bus.Change[T]) {
			if change.Gone {
				said <- "-" + change.Key
			} else {
				said <- "+" + change.Key + "=" + value(change.Value)
			}
		})
	})
	return said
}

func expect(t *testing.T, said <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := wait(t, said, w); got != w {
			t.Errorf("told %q, not %q", got, w)
		}
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	auth, artifact := server.Connect(flow.Auth), server.Connect(flow.Artifact)
	put := func(key, product string) {
		t.Helper()
		must(t, bus.Put(t.Context(), auth, flow.DeviceKeys, key, &authv1.DeviceKey{ProductId: product}))
	}
	put("d1", "bot_001")
	put("d2", "bot_002")
	put("d0", "gone")
	must(t, bus.Remove(t.Context(), auth, flow.DeviceKeys, "d0"))
	must(t, bus.Remove(t.Context(), auth, flow.DeviceKeys, "never-there"))

	said := told(t, artifact, flow.DeviceKeys, (*authv1.DeviceKey).GetProductId)
	expect(t, said, "+d1=bot_001", "+d2=bot_002", "ready")
	put("d1", "bot_one")
	put("d3", "bot_003")
	must(t, bus.Remove(t.Context(), auth, flow.DeviceKeys, "d2"))
	must(t, bus.Remove(t.Context(), auth, flow.DeviceKeys, "d2"))
	expect(t, said, "+d1=bot_one", "+d3=bot_003", "-d2")

	// The outage: everything again, in the order in which it was put, but ready only once.
	server.Restart()
	expect(t, said, "+d1=bot_one", "+d3=bot_003")
	eventually(t, "put works again", func() bool {
		return bus.Put(t.Context(), auth, flow.DeviceKeys, "d4", &authv1.DeviceKey{ProductId: "bot_004"}) == nil
	})
	expect(t, said, "+d4=bot_004")
	never(t, said, "told more")

	all, err := bus.Snapshot(t.Context(), auth, flow.DeviceKeys)
	must(t, err)
	if len(all) != 3 || all["d4"].GetProductId() != "bot_004" {
		t.Errorf("all: %v", all)
	}
}

func TestWatchOfAnEmptyBucket(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	expect(t, told(t, server.Connect(flow.Artifact), flow.DeviceKeys, (*authv1.DeviceKey).GetProductId), "ready")
}

// A value that is replaced while a snapshot is taken is in it all the same.
func TestSnapshotOfABusyBucket(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	auth, artifact := server.Connect(flow.Auth), server.Connect(flow.Artifact)
	const keys = 20
	put := func(ctx context.Context, i int) error {
		return bus.Put(ctx, auth, flow.DeviceKeys, fmt.Sprintf("d%d", i%keys), &authv1.DeviceKey{})
	}
	for i := range keys {
		must(t, put(t.Context(), i))
	}
	for range 50 {
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := range keys {
				if err := put(t.Context(), i); err != nil {
					t.Error(err)
				}
			}
		})
		all, err := bus.Snapshot(t.Context(), artifact, flow.DeviceKeys)
		must(t, err)
		if len(all) != keys {
			t.Errorf("%d of %d keys", len(all), keys)
		}
		writer.Wait()
	}
}

// A watch may start before its bucket is made.
func TestWatchBeforeItsBucket(t *testing.T) {
	t.Parallel()
	server := bustest.Empty(t)
	said := told(t, server.Connect(flow.Artifact), flow.DeviceKeys, (*authv1.DeviceKey).GetProductId)
	never(t, said, "told without a bucket")
	must(t, server.Connect(flow.Auth).Ensure(t.Context()))
	expect(t, said, "ready")
}

// A bucket in memory is lost with its server: what was there is told as gone.
func TestWatchOfALostBucket(t *testing.T) {
	t.Parallel()
	server, editor, compiler := editorAndCompiler(t)
	put := func(key string) error {
		return bus.Put(t.Context(), compiler, flow.Workers, key, &compilerv1.Worker{Worker: key})
	}
	must(t, put("w1"))
	must(t, put("w2"))
	said := told(t, editor, flow.Workers, (*compilerv1.Worker).GetWorker)
	expect(t, said, "+w1=w1", "+w2=w2", "ready")
	server.Restart()
	gone := map[string]bool{wait(t, said, "a change"): true, wait(t, said, "a change"): true}
	if !gone["-w1"] || !gone["-w2"] {
		t.Errorf("told %v", gone)
	}
	eventually(t, "put works again", func() bool { return put("w1") == nil })
	expect(t, said, "+w1=w1")
}

// A key that expires by its bucket's TTL is told as gone.
func TestWatchOfAnExpiringKey(t *testing.T) {
	t.Parallel()
	_, editor, compiler := editorAndCompiler(t)
	for _, b := range flow.Buckets {
		if b.Name == flow.Workers.Name {
			b.TTL = time.Second
			must(t, editor.EnsureBucket(t.Context(), b))
		}
	}
	must(t, bus.Put(t.Context(), compiler, flow.Workers, "w1", &compilerv1.Worker{Worker: "one"}))
	must(t, bus.Put(t.Context(), compiler, flow.Workers, "w2", &compilerv1.Worker{Worker: "two"}))
	said := told(t, editor, flow.Workers, (*compilerv1.Worker).GetWorker)
	expect(t, said, "+w1=one", "+w2=two", "ready")
	time.Sleep(600 * time.Millisecond)
	must(t, bus.Put(t.Context(), compiler, flow.Workers, "w2", &compilerv1.Worker{Worker: "renewed"}))
	expect(t, said, "+w2=renewed", "-w1", "-w2")
	never(t, said, "told more")
}

func TestPutTooLarge(t *testing.T) {
	t.Parallel()
	server := bustest.Server(t)
	value := &authv1.TokenKey{PublicKey: make([]byte, flow.TokenKeys.MaxValue)}
	if err := bus.Put(t.Context(), server.Connect(flow.Auth), flow.TokenKeys, "k", value); !fault.Is(err, fault.TooLarge) {
		t.Errorf("error %v", err)
	}
}
