package boards

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/xid"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

// Quota is how many boards there may be.
type Quota struct {
	Workspace, All int
}

// Parts are what Boards works with.
type Parts struct {
	Store    Store
	Hardware Hardware
	// Journals opens a board's journal; Forget removes it.
	Journals interface {
		Open(id string) (Journal, error)
		Forget(id string) error
	}
	Builds   Builds
	Audience Audience
	Quota    Quota
	Log      *zap.Logger
	Now      func() time.Time
}

// Boards is everything that happens to boards. One process has them in hand.
type Boards struct {
	Parts

	making sync.Mutex // one board at a time is made or removed

	mu   sync.RWMutex
	open map[string]*hand
}

// New takes every board in hand that the store knows, and gives power to those that
// had it.
func New(ctx context.Context, parts Parts) (*Boards, error) {
	s := &Boards{Parts: parts, open: map[string]*hand{}}
	all, err := s.Store.All(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(all))
	for i, b := range all {
		ids[i] = b.ID
	}
	if err := s.Hardware.Keep(ids); err != nil {
		return nil, err
	}
	for _, b := range all {
		if !s.offers(b.FQBN) {
			s.Log.Warn("there are no such boards here any more: it stays as it is", zap.String("board", b.ID), zap.String("fqbn", b.FQBN))
			continue
		}
		if err := s.take(ctx, b); err != nil {
			return nil, errors.Join(fmt.Errorf("board %s: %w", b.ID, err), s.Close())
		}
	}
	return s, nil
}

// take takes a board in hand, made anew where it is missing.
func (s *Boards) take(ctx context.Context, b *Board) error {
	mac, err := s.Hardware.Make(ctx, b.ID, b.FQBN)
	if err != nil {
		return err
	}
	if b.MAC != mac {
		if b, err = s.Store.Change(ctx, b.ID, func(b *Board) error { b.MAC = mac; return nil }); err != nil {
			return err
		}
	}
	h, err := s.grasp(ctx, b)
	if err != nil {
		return err
	}
	if b.On {
		if err := h.machine.Power(ctx, PowerOn); err != nil {
			return errors.Join(err, h.close())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[b.ID] = h
	return nil
}

// Close lets go of every board: what runs ends, and will run again.
func (s *Boards) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all errgroup.Group
	for _, h := range s.open {
		all.Go(h.close)
	}
	s.open = map[string]*hand{}
	return all.Wait()
}

// hand is the board's.
func (s *Boards) hand(id string) (*hand, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if h := s.open[id]; h != nil {
		return h, nil
	}
	return nil, fault.New(fault.NotFound, "there is no board %s", id)
}

// State is how a board is now.
func (s *Boards) State(b *Board) State {
	h, err := s.hand(b.ID)
	if err != nil { // it has just gone, or is of a kind that is not here any more
		return State{Phase: Off, Starts: b.Starts, Reset: b.Reset, Slot: b.Slot}
	}
	return h.state()
}

// Create makes a board and switches it on. Errors: Invalid of field "name" or
// "fqbn", Conflict of field "name", Precondition where there are as many as there
// may be.
func (s *Boards) Create(ctx context.Context, workspace, name, fqbn string) (*Board, error) {
	name = strings.TrimSpace(name)
	if n := len([]rune(name)); n < 1 || n > 64 || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, fault.Field("name", "must have 1 to 64 characters")
	}
	if fqbn == "" {
		fqbn = s.Hardware.Offers()[0].FQBN
	}
	if !s.offers(fqbn) {
		return nil, fault.Field("fqbn", "is none of the boards that can be made here")
	}
	s.making.Lock()
	defer s.making.Unlock()
	own, all, err := s.Store.Count(ctx, workspace)
	switch {
	case err != nil:
		return nil, err
	case own >= s.Quota.Workspace:
		return nil, fault.New(fault.Precondition, "the limit is %d for the virtual boards of a workspace: remove one first", s.Quota.Workspace)
	case all >= s.Quota.All:
		return nil, fault.New(fault.Precondition, "the limit is %d for the virtual boards of this installation", s.Quota.All)
	}
	b := &Board{Workspace: workspace, Name: name, FQBN: fqbn, On: true, Created: s.Now()}
	b.ID = xid.New().String()
	// Stored first: a board of which nobody knows would be removed, one that is not
	// made yet is made at the next start.
	if err := s.Store.Add(ctx, b); err != nil {
		return nil, err
	}
	if err := s.take(ctx, b); err != nil {
		return nil, errors.Join(err, s.forget(context.WithoutCancel(ctx), b.ID))
	}
	return s.Store.Board(ctx, workspace, b.ID)
}

// offers tells whether such a board can be made here.
func (s *Boards) offers(fqbn string) bool {
	return slices.ContainsFunc(s.Hardware.Offers(), func(o Offer) bool { return o.FQBN == fqbn })
}

// Delete removes a board with everything on it.
func (s *Boards) Delete(ctx context.Context, b *Board) error {
	s.making.Lock()
	defer s.making.Unlock()
	if err := s.Store.Remove(ctx, b.ID); err != nil {
		return err
	}
	s.mu.Lock()
	h := s.open[b.ID]
	delete(s.open, b.ID)
	s.mu.Unlock()
	// From here on it is gone, whoever asks and whatever fails.
	ctx = context.WithoutCancel(ctx)
	var err error
	if h != nil { // else it is of a kind that is not here any more
		err = h.close()
	}
	err = errors.Join(err, s.forget(ctx, b.ID))
	if told := s.Audience.Changed(ctx, b, State{Phase: Off}, false); told != nil {
		s.Log.Debug("nobody was told that a board is gone", zap.Error(told))
	}
	return err
}

func (s *Boards) forget(ctx context.Context, id string) error {
	return errors.Join(s.Store.Remove(ctx, id), s.Hardware.Remove(id), s.Journals.Forget(id))
}

// provisionPatience is how long the board may take for the whole dialogue.
const provisionPatience = 25 * time.Second

// Provision gives a board what a device needs; the server in it is replaced by the
// one that the board reaches. Only the board keeps it. Errors: Invalid of the field
// at fault, Precondition where the board is off or does not answer.
func (s *Boards) Provision(ctx context.Context, b *Board, p deviceproto.Provision) (*Board, error) {
	h, err := s.hand(b.ID)
	if err != nil {
		return nil, err
	}
	p.Server = Server
	switch err := p.Check(); {
	case err != nil:
		return nil, err
	case p.Workspace != b.Workspace:
		return nil, fault.Field("workspace", "is another workspace than this board's")
	case p.Board != b.FQBN:
		return nil, fault.Field("board", "is %s, and this one is %s", p.Board, b.FQBN)
	case !b.On:
		return nil, fault.New(fault.Precondition, "the board is off: switch it on first")
	}
	talk, cancel := context.WithTimeout(ctx, provisionPatience)
	defer cancel()
	if err := h.machine.Provision(talk, p); err != nil {
		return nil, err
	}
	return s.change(ctx, h, func(b *Board) { b.Device, b.ProductID = p.Device, p.ProductID })
}

// Server is where a board finds the installation.
const Server = "http://flota"

// Flash writes what a build made for a slot to a board, or without a build the first
// flash. Errors: those of Builds, Precondition, TooLarge or Invalid of field "build".
func (s *Boards) Flash(ctx context.Context, b *Board, build *Build, erase bool) (*Board, error) {
	h, err := s.hand(b.ID)
	if err != nil {
		return nil, err
	}
	var firmware Firmware
	if build != nil {
		if err := fits(b, build); err != nil {
			return nil, err
		}
		if firmware, err = s.fetch(ctx, b, build); err != nil {
			return nil, err
		}
	}
	if err := h.machine.Flash(ctx, firmware, erase); err != nil {
		return nil, err
	}
	return s.change(ctx, h, func(b *Board) {
		if erase {
			b.Device, b.ProductID = "", ""
		}
	})
}

// wrong is what is wrong with a build.
func wrong(code fault.Code, format string, args ...any) error {
	return &fault.Error{Code: code, Field: "build", Message: fmt.Sprintf(format, args...)}
}

// fits tells whether a build is for a board.
func fits(b *Board, build *Build) error {
	switch fqbn := boardOf(build.FQBN); {
	case !build.Succeeded:
		return wrong(fault.Precondition, "the build did not succeed")
	case fqbn != b.FQBN:
		return wrong(fault.Precondition, "the build is for %s, and this board is %s", fqbn, b.FQBN)
	case KindOf(fqbn) == Pico && build.Index == nil:
		return wrong(fault.Precondition, "the build has no release for a slot")
	case KindOf(fqbn) == Pico && build.Index.Size > deviceproto.MaxIndex:
		return wrong(fault.TooLarge, "the index has %d bytes, more than %d", build.Index.Size, deviceproto.MaxIndex)
	case KindOf(fqbn) == ESP32 && build.App == nil:
		return wrong(fault.Precondition, "the build has no image for a slot")
	case KindOf(fqbn) == ESP32 && build.App.Size > MaxImage:
		return wrong(fault.TooLarge, "the image has %d bytes, and a slot %d", build.App.Size, MaxImage)
	}
	return nil
}

// fetches is how many files of a release are fetched at the same time.
const fetches = 4

// fetch fetches what a slot takes of a build that fits.
func (s *Boards) fetch(ctx context.Context, b *Board, build *Build) (f Firmware, err error) {
	if KindOf(b.FQBN) == ESP32 {
		f.App, err = s.Builds.Fetch(ctx, b.Workspace, *build.App)
		return f, err
	}
	index, err := s.Builds.Fetch(ctx, b.Workspace, *build.Index)
	if err != nil {
		return f, err
	}
	parts, err := deviceproto.ParseIndex(index, nil)
	if err != nil {
		return f, &fault.Error{Code: fault.Precondition, Field: "build", Message: "the build's index is none", Err: err}
	}
	total := int64(0)
	for _, p := range parts {
		if total += p.Size; total > MaxRelease || p.Size > MaxRelease {
			return f, wrong(fault.TooLarge, "the files have more than %d bytes, and the board's flash has no room for that", MaxRelease)
		}
	}
	f.Files = make([]File, len(parts), len(parts)+1)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetches)
	for i, p := range parts {
		if f.Files[i].Path = p.Path; p.Size == 0 {
			continue
		}
		group.Go(func() error {
			data, err := s.Builds.Fetch(ctx, b.Workspace, Output{Name: path.Base(p.Path), Size: p.Size, SHA256: p.SHA256})
			f.Files[i].Data = data
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Firmware{}, err
	}
	f.Files = append(f.Files, File{".index", index})
	return f, nil
}

// boardOf returns the board of an FQBN, without options.
func boardOf(fqbn string) string {
	parts := strings.SplitN(fqbn, ":", 4)
	return strings.Join(parts[:min(3, len(parts))], ":")
}

// Power switches.
func (s *Boards) Power(ctx context.Context, b *Board, p Power) (*Board, error) {
	h, err := s.hand(b.ID)
	if err != nil {
		return nil, err
	}
	if !b.On && (p == PowerReset || p == PowerCut) {
		return nil, fault.New(fault.Precondition, "the board is off: switch it on first")
	}
	if err := h.machine.Power(ctx, p); err != nil {
		return nil, err
	}
	return s.change(ctx, h, func(b *Board) {
		switch p {
		case PowerOn:
			b.On = true
		case PowerOff:
			b.On = false
		default:
		}
	})
}

// Press sets an input.
func (s *Boards) Press(ctx context.Context, b *Board, p Press) error {
	h, err := s.hand(b.ID)
	if err != nil {
		return err
	}
	return h.press(ctx, p)
}

// writePatience is how long a board may leave its serial port unread.
const writePatience = 5 * time.Second

// Write sends text to a board's serial port. Errors: Precondition where it is off,
// Unavailable where it does not read.
func (s *Boards) Write(ctx context.Context, b *Board, text string) error {
	h, err := s.hand(b.ID)
	if err != nil {
		return err
	}
	if !b.On {
		return fault.New(fault.Precondition, "the board is off: switch it on first")
	}
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	return h.machine.Write(ctx, []byte(text))
}

// Serial is the last that a board wrote, as far as it was told: what is told next
// begins at its end.
func (s *Boards) Serial(b *Board) (offset int64, data []byte, err error) {
	h, err := s.hand(b.ID)
	if err != nil {
		return 0, nil, err
	}
	offset, data = h.journal.Last()
	return offset, data, nil
}

// change stores what an operation changed of a board.
func (s *Boards) change(ctx context.Context, h *hand, change func(*Board)) (*Board, error) {
	b, err := s.Store.Change(ctx, h.id, func(b *Board) error { change(b); return nil })
	if err != nil {
		return nil, err
	}
	h.now(b)
	return b, nil
}
