package natsbus

import (
	"context"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	boardsv1 "github.com/flota/flota/pkg/pb/flota/boards/v1"
	"github.com/flota/flota/services/boards"
)

// Audience implements boards.Audience.
type Audience struct{ Conn *bus.Conn }

// Serial implements boards.Audience.
func (a Audience) Serial(ctx context.Context, b *boards.Board, offset int64, data []byte) error {
	return bus.Publish(ctx, a.Conn, flow.BoardSerial, &boardsv1.SerialChunk{
		Board: b.ID, Device: b.Device, Offset: uint64(offset), Data: data, AtMs: time.Now().UnixMilli(),
	}, "", b.Workspace, b.ID)
}

// Changed implements boards.Audience.
func (a Audience) Changed(ctx context.Context, b *boards.Board, s boards.State, exists bool) error {
	m := &boardsv1.BoardChanged{
		Board: b.ID, Device: b.Device, Exists: exists, State: string(s.Phase), Starts: uint32(s.Starts), Reset_: s.Reset, Slot: s.Slot,
		AtMs: time.Now().UnixMilli(),
	}
	for _, p := range s.Pins {
		m.Pins = append(m.Pins, &boardsv1.Pin{Number: uint32(p.Number), Mode: p.Mode, Value: uint32(p.Value)})
	}
	return bus.Publish(ctx, a.Conn, flow.BoardChanged, m, "", b.Workspace, b.ID)
}
