// Package boards keeps virtual boards for those without hardware: each is a board
// like any other to the rest of the product, made of a folder and a process. It
// holds what a board is, who may have how many, and what can be done to one.
package boards

import (
	"context"
	"strings"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/docstore"
)

// Board is a virtual board. How it is right now stands apart (State).
type Board struct {
	docstore.Meta `bson:",inline"`
	Workspace     string `bson:"workspace"`
	Name          string `bson:"name"` // one of a kind in its workspace
	FQBN          string `bson:"fqbn"`
	// Device is the device that it was provisioned as last; empty before.
	Device    string    `bson:"device"`
	ProductID string    `bson:"product_id"`
	MAC       string    `bson:"mac"`
	On        bool      `bson:"on"` // it has power, and gets it again when the service starts
	Created   time.Time `bson:"created"`
	// Starts counts them since the board was made; this, why and which slot the last
	// one was, is stored a little later than it happens.
	Starts int    `bson:"starts"`
	Reset  string `bson:"reset"`
	Slot   string `bson:"slot"`
}

// State is a board at one moment.
type State struct {
	Phase  Phase
	Starts int    // since the board was made
	Reset  string // why the last start
	Slot   string
	Pins   []Pin // that its sketch has set, by number
}

// Phase is what a board does.
type Phase string

// The phases.
const (
	Off      Phase = "off"
	Running  Phase = "running"
	Sleeping Phase = "sleeping"
	Waiting  Phase = "waiting" // no image that starts
)

// Pin is a pin as the sketch set it.
type Pin struct {
	Number int
	Mode   string
	Value  int
}

// Press is what is done to an input: a level, and after so long 1 again where
// Release is more than 0.
type Press struct {
	Pin     int
	Value   int
	Release time.Duration
}

// Power is what is done to a board's power.
type Power string

// What can be done to it.
const (
	PowerOn    Power = "on"
	PowerOff   Power = "off"
	PowerReset Power = "reset" // the EN button
	PowerCut   Power = "cut"   // in the middle of whatever it does, and back
)

// MaxImage is the size of an ESP32's slot, in bytes; MaxRelease of all files of a Pico's
// release: more is never free.
const (
	MaxImage   = 0x140000
	MaxRelease = 848 << 10
)

// Kind is what a board is, to those who operate it.
type Kind string

// The kinds.
const (
	ESP32 Kind = "esp32"
	Pico  Kind = "pico" // runs MicroPython: its serial port is a REPL
)

// KindOf is the kind of the boards of an FQBN.
func KindOf(fqbn string) Kind {
	if strings.HasPrefix(fqbn, "micropython:") {
		return Pico
	}
	return ESP32
}

// Offer is a board that can be made.
type Offer struct {
	FQBN string
	Name string // for people
}

// Hardware makes boards and gives a hand on them. IDs are made by us.
type Hardware interface {
	// Offers are the boards that can be made, the usual one first; at least one.
	Offers() []Offer
	// Make makes a board with its first flash on it; one that is there already stays
	// as it is. It returns its MAC.
	Make(ctx context.Context, id, fqbn string) (mac string, err error)
	// Open takes a board in hand, without power. Serial gets what it writes, which
	// must not block; changed is called after its state did, and must return at once.
	Open(ctx context.Context, id, fqbn string, serial func([]byte), changed func()) (Machine, error)
	// Remove removes a board that nobody has in hand, with everything on it.
	Remove(id string) error
	// Keep removes every board that is not named.
	Keep(ids []string) error
}

// Machine is a board in hand. Close it.
type Machine interface {
	// State has the starts since Open.
	State() State
	Power(ctx context.Context, p Power) error
	// SetPin returns Invalid of field "pin" where there is no such.
	SetPin(ctx context.Context, pin, value int) error
	// Write sends to its serial port. What is sent to one that does not run is lost.
	// Error: Unavailable where it does not read until ctx ends.
	Write(ctx context.Context, data []byte) error
	// Flash writes firmware to the first slot and has it started; with erase everything
	// else is as it was on the first day. What does not start, or does not fit, changes
	// nothing: Precondition of field "build".
	Flash(ctx context.Context, f Firmware, erase bool) error
	// Provision gives it what a device needs, over its serial port.
	Provision(ctx context.Context, p deviceproto.Provision) error
	Close() error
}

// Journal is the last that a board wrote on its serial port, kept over restarts.
type Journal interface {
	// Append returns the offset of data: how much was written before.
	Append(data []byte) (offset int64, err error)
	// Last returns the last 64 KiB and their offset.
	Last() (offset int64, data []byte)
	Close() error
}

// Builds tells what came out of a build, and gives it. Errors: NotFound for no such
// build in the workspace, Unavailable.
type Builds interface {
	Build(ctx context.Context, workspace, build string) (Build, error)
	// Fetch fetches an output and checks its digest and size.
	Fetch(ctx context.Context, workspace string, o Output) ([]byte, error)
}

// Build is what boards want to know of one.
type Build struct {
	FQBN      string
	Succeeded bool
	// ProductDevice is the device whose own project was built, or empty.
	ProductDevice string
	// App is what a slot of an ESP32 takes, Index names what is in one of a Pico; nil
	// where there is none.
	App, Index *Output
}

// Firmware is what is written to a board; the zero value is its first flash.
type Firmware struct {
	App   []byte // an ESP32's image
	Files []File // of a Pico's release, with its index as the file .index
}

// File is one on a board.
type File struct {
	Path string // within the slot
	Data []byte
}

// Output is a file that came out of a build.
type Output struct {
	Name   string
	Size   int64
	SHA256 string
}

// Audience is who looks at boards now.
type Audience interface {
	// Serial tells what a board wrote, at most MaxChunk bytes.
	Serial(ctx context.Context, b *Board, offset int64, data []byte) error
	// Changed tells how a board is now; exists is false when it is gone.
	Changed(ctx context.Context, b *Board, s State, exists bool) error
}

// MaxChunk is how many bytes of a serial port are told at once.
const MaxChunk = 8 << 10

// Store keeps boards. Somebody else's board is NotFound.
type Store interface {
	Board(ctx context.Context, workspace, id string) (*Board, error)
	// Boards lists a workspace's, by name.
	Boards(ctx context.Context, workspace string) ([]*Board, error)
	// All lists every workspace's.
	All(ctx context.Context) ([]*Board, error)
	// Count counts a workspace's and all.
	Count(ctx context.Context, workspace string) (own, all int, err error)
	// Add returns Conflict of field "name" where the workspace has one of that name.
	Add(ctx context.Context, b *Board) error
	// Change changes a board by compare-and-set; it may call change again.
	Change(ctx context.Context, id string, change func(*Board) error) (*Board, error)
	// Remove of a missing one is no error.
	Remove(ctx context.Context, id string) error
}
