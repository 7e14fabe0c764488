package natsbus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/natsbus"
	"github.com/flota/flota/services/compiler/worker"
)

// work runs a worker's jobs until stop is called, or the test ends.
func work(t *testing.T, nats *bustest.NATS, name string, platforms ...compiler.Platform) (stop func()) {
	t.Helper()
	jobs := &natsbus.Jobs{Conn: nats.Connect(flow.Compiler), Name: name, Slots: bus.NewSlots(1), Log: zap.NewNop(), Platforms: platforms}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = jobs.Run(ctx, ctx, func(context.Context, worker.Delivery) error { return nil })
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// offered waits until a worker is announced, and returns what each of its
// platforms offers: it is there when the announcement is.
func offered(t *testing.T, editor *bus.Conn, name string) (*compilerv1.Worker, []*compilerv1.PlatformOffer) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		workers, err := bus.Snapshot(t.Context(), editor, flow.Workers)
		if w := workers[name]; w != nil {
			all, err := bus.Snapshot(t.Context(), editor, flow.Platforms)
			if err != nil {
				t.Fatal(err)
			}
			var offers []*compilerv1.PlatformOffer
			for _, p := range w.GetPlatforms() {
				offers = append(offers, all[flow.PlatformKey(p.GetId(), p.GetVersion(), p.GetToolchain())])
			}
			return w, offers
		}
		if time.Now().After(end) {
			t.Fatal("never announced:", err)
		}
	}
}

// core is one like those for ESP32 and RP2040, only larger: 500 boards with 20
// options each, most of which they share; each tenth has values of its own.
func core(toolchain string) compiler.Platform {
	p := compiler.Platform{ID: "big:core", Version: "3.3.0", Name: "Big core", Toolchain: toolchain}
	for b := range 500 {
		board := compiler.Board{FQBN: fmt.Sprintf("big:core:the_board_%d", b), Name: fmt.Sprintf("The Board Number %d", b), Kind: compiler.Arduino}
		for o := range 20 {
			option := compiler.Option{ID: fmt.Sprintf("Option%d", o), Label: fmt.Sprintf("The option %d", o)}
			for v := range 3 + o%12 {
				label := fmt.Sprintf("Default %dMB with spiffs (1.2MB APP/1.5MB SPIFFS)", v)
				if b%10 == 0 && o%10 == 0 {
					label += fmt.Sprintf(" of board %d", b)
				}
				option.Values = append(option.Values, compiler.Value{ID: fmt.Sprintf("value_%d", v), Label: label})
			}
			board.Options = append(board.Options, option)
		}
		p.Boards = append(p.Boards, board)
	}
	return p
}

// The largest cores are offered with every option of every board, and the
// announcement that is sent all the time stays small.
func TestABigCore(t *testing.T) {
	nats := bustest.Server(t)
	big := core("chain")
	work(t, nats, "w", big, compiler.Platform{ID: "small:core", Version: "1", Boards: []compiler.Board{{FQBN: "small:core:a"}}})
	w, offers := offered(t, nats.Connect(flow.Editor), "w")
	if size := proto.Size(w); len(offers) != 2 || size > 200 {
		t.Fatalf("%d platforms in %d bytes", len(offers), size)
	}
	if size := proto.Size(offers[0]); size > int(flow.Platforms.MaxValue)/4 {
		t.Errorf("%d bytes", size)
	}
	if len(offers[0].GetBoards()) != len(big.Boards) || offers[0].GetName() != big.Name {
		t.Fatalf("%d boards of %q", len(offers[0].GetBoards()), offers[0].GetName())
	}
	for i, b := range offers[0].GetBoards() {
		want := big.Boards[i]
		if b.GetFqbn() != want.FQBN || b.GetName() != want.Name || b.GetKind() != compilerv1.Kind_KIND_ARDUINO || len(b.GetOptions()) != len(want.Options) {
			t.Fatalf("%v, not %v", b, want)
		}
		for j, place := range b.GetOptions() {
			o := offers[0].GetOptions()[place]
			got := compiler.Option{ID: o.GetId(), Label: o.GetLabel()}
			for k, v := range o.GetValues() {
				got.Values = append(got.Values, compiler.Value{ID: v.GetId(), Label: v.GetLabel()})
				if v.GetSelected() != (k == 0) {
					t.Fatalf("%v", o)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want.Options[j]) {
				t.Fatalf("%v, not %v", got, want.Options[j])
			}
		}
	}
}

// What a platform offers is told for each toolchain, once for all workers that
// have it, and stays when a worker goes: another one comes.
func TestOffersAreShared(t *testing.T) {
	nats := bustest.Server(t)
	platform := func(toolchain, board string) compiler.Platform {
		return compiler.Platform{ID: "a:b", Version: "1", Toolchain: toolchain, Boards: []compiler.Board{{FQBN: "a:b:" + board}}}
	}
	editor := nats.Connect(flow.Editor)
	stop := work(t, nats, "w1", platform("one", "x"))
	work(t, nats, "w2", platform("one", "x"))
	work(t, nats, "w3", platform("two", "y"))
	for name, want := range map[string]string{"w1": "a:b:x", "w2": "a:b:x", "w3": "a:b:y"} {
		if _, offers := offered(t, editor, name); offers[0].GetBoards()[0].GetFqbn() != want {
			t.Errorf("%s offers %v", name, offers)
		}
	}
	stop()
	workers, err := bus.Snapshot(t.Context(), editor, flow.Workers)
	all, err2 := bus.Snapshot(t.Context(), editor, flow.Platforms)
	if err != nil || err2 != nil || workers["w1"] != nil || len(workers) != 2 || len(all) != 2 {
		t.Errorf("%v %v, %v %v", workers, err, all, err2)
	}
}

// A server that lost all its data is told everything again.
func TestOffersAfterALoss(t *testing.T) {
	nats := bustest.Server(t)
	editor := nats.Connect(flow.Editor)
	work(t, nats, "w", core("chain"))
	offered(t, editor, "w")
	nats.Stop()
	nats.Wipe()
	nats.Start()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		workers, _ := bus.Snapshot(t.Context(), editor, flow.Workers)
		all, _ := bus.Snapshot(t.Context(), editor, flow.Platforms)
		if len(workers) == 1 && len(all) == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d workers, %d platforms", len(workers), len(all))
		}
	}
}
