package natsbus_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/natsbus"
	"github.com/flota/flota/services/compiler/worker"
)

// Cores with so many boards and options that they do not fit into one
// announcement are offered without the options, not kept back.
func TestTooManyBoards(t *testing.T) {
	nats := bustest.Server(t)
	huge := compiler.Platform{ID: "huge:core", Version: "1"}
	option := compiler.Option{ID: "o", Label: "Option"}
	for i := range 40 {
		option.Values = append(option.Values, compiler.Value{ID: fmt.Sprint(i), Label: strings.Repeat("x", 40)})
	}
	for i := range 600 {
		huge.Boards = append(huge.Boards, compiler.Board{FQBN: fmt.Sprintf("huge:core:%d", i), Kind: compiler.Arduino, Options: []compiler.Option{option}})
	}
	jobs := &natsbus.Jobs{
		Conn: nats.Connect(flow.Compiler), Name: "w", Slots: bus.NewSlots(1), Log: zap.NewNop(),
		Platforms: []compiler.Platform{huge, {ID: "small:core", Version: "1", Boards: []compiler.Board{{FQBN: "small:core:a"}}}},
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- jobs.Run(ctx, ctx, func(context.Context, worker.Delivery) error { return nil })
	}()
	defer func() { stop(); <-done }()
	editor := nats.Connect(flow.Editor)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		all, err := bus.Snapshot(t.Context(), editor, flow.Workers)
		if err != nil || time.Now().After(end) {
			t.Fatal("never announced:", err)
		}
		if w := all["w"]; w != nil {
			if p := w.GetPlatforms(); len(p) != 2 || len(p[0].GetBoards()) != 600 || len(p[0].GetBoards()[0].GetOptions()) != 0 {
				t.Errorf("%d platforms", len(p))
			}
			return
		}
	}
}
