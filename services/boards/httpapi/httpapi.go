// Package httpapi is the API of virtual boards for people and programs:
// openapi.yaml, by hand only what the generated server leaves open.
package httpapi

import (
	"context"
	"strings"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/services/boards"
)

// API answers the requests of openapi.yaml.
type API struct{ Boards *boards.Boards }

var _ StrictServerInterface = API{}

// board returns the board if the caller has the role, or is the product that it was
// given to. A product does not learn of others.
func (a API) board(ctx context.Context, id string, role identity.Role) (*boards.Board, identity.Principal, error) {
	who, err := identity.From(ctx)
	if err != nil {
		return nil, who, err
	}
	if who.Role != identity.Product {
		if _, err := identity.Require(ctx, role); err != nil {
			return nil, who, err
		}
	}
	b, err := a.Boards.Store.Board(ctx, who.Workspace, id)
	if err == nil && who.Role == identity.Product && !who.Owns(b.Device) {
		err = fault.New(fault.NotFound, "there is no board %s", id)
	}
	return b, who, err
}

// ListBoards implements StrictServerInterface.
func (a API) ListBoards(ctx context.Context, _ ListBoardsRequestObject) (ListBoardsResponseObject, error) {
	who, err := identity.From(ctx)
	if err == nil && who.Role != identity.Product {
		_, err = identity.Require(ctx, identity.Viewer)
	}
	if err != nil {
		return nil, err
	}
	list, err := a.Boards.Store.Boards(ctx, who.Workspace)
	if err != nil {
		return nil, err
	}
	out := ListBoards200JSONResponse{Boards: []Board{}, Limit: a.Boards.Quota.Workspace}
	for _, o := range a.Boards.Hardware.Offers() {
		out.Offers = append(out.Offers, Offer{Fqbn: o.FQBN, Name: o.Name, Kind: BoardKind(boards.KindOf(o.FQBN))})
	}
	for _, b := range list {
		if who.Role != identity.Product || who.Owns(b.Device) {
			out.Boards = append(out.Boards, a.show(b))
		}
	}
	return out, nil
}

// CreateBoard implements StrictServerInterface.
func (a API) CreateBoard(ctx context.Context, r CreateBoardRequestObject) (CreateBoardResponseObject, error) {
	who, err := identity.Require(ctx, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	b, err := a.Boards.Create(ctx, who.Workspace, r.Body.Name, value(r.Body.Fqbn))
	if err != nil {
		return nil, err
	}
	return CreateBoard201JSONResponse(a.show(b)), nil
}

// GetBoard implements StrictServerInterface.
func (a API) GetBoard(ctx context.Context, r GetBoardRequestObject) (GetBoardResponseObject, error) {
	b, _, err := a.board(ctx, r.Board, identity.Viewer)
	if err != nil {
		return nil, err
	}
	return GetBoard200JSONResponse(a.show(b)), nil
}

// DeleteBoard implements StrictServerInterface. A board is the workspace's, not its product's.
func (a API) DeleteBoard(ctx context.Context, r DeleteBoardRequestObject) (DeleteBoardResponseObject, error) {
	b, _, err := a.board(ctx, r.Board, identity.Maintainer)
	if err == nil {
		_, err = identity.Require(ctx, identity.Maintainer)
	}
	if err == nil {
		err = a.Boards.Delete(ctx, b)
	}
	if err != nil {
		return nil, err
	}
	return DeleteBoard204Response{}, nil
}

// ProvisionBoard implements StrictServerInterface. A product may give its board its own identity only.
func (a API) ProvisionBoard(ctx context.Context, r ProvisionBoardRequestObject) (ProvisionBoardResponseObject, error) {
	b, who, err := a.board(ctx, r.Board, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	if who.Role == identity.Product && !who.Owns(r.Body.Device) {
		return nil, fault.New(fault.Forbidden, "a product may act only on its own device and project")
	}
	p := deviceproto.Provision{
		Workspace: r.Body.Workspace, Device: r.Body.Device, ProductID: r.Body.ProductId, Key: r.Body.Key, Keys: r.Body.Keys,
		Board: r.Body.Board, Groups: value(r.Body.Groups), CA: value(r.Body.Ca),
	}
	for _, w := range value(r.Body.Wifi) {
		p.WiFi = append(p.WiFi, deviceproto.Network{SSID: w.Ssid, Password: value(w.Password)})
	}
	if b, err = a.Boards.Provision(ctx, b, p); err != nil {
		return nil, err
	}
	return ProvisionBoard200JSONResponse(a.show(b)), nil
}

// FlashBoard implements StrictServerInterface. A product may write what was built from its own project.
func (a API) FlashBoard(ctx context.Context, r FlashBoardRequestObject) (FlashBoardResponseObject, error) {
	b, who, err := a.board(ctx, r.Board, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	var build *boards.Build
	if id := value(r.Body.Build); id != "" {
		found, err := a.Boards.Builds.Build(ctx, who.Workspace, id)
		if err != nil {
			return nil, err
		}
		build = &found
		if who.Role == identity.Product && !who.Owns(build.ProductDevice) {
			return nil, fault.New(fault.NotFound, "there is no build %s", id)
		}
	}
	if b, err = a.Boards.Flash(ctx, b, build, value(r.Body.Erase)); err != nil {
		return nil, err
	}
	return FlashBoard200JSONResponse(a.show(b)), nil
}

// PowerBoard implements StrictServerInterface.
func (a API) PowerBoard(ctx context.Context, r PowerBoardRequestObject) (PowerBoardResponseObject, error) {
	b, _, err := a.board(ctx, r.Board, identity.Maintainer)
	if err != nil {
		return nil, err
	}
	if b, err = a.Boards.Power(ctx, b, boards.Power(r.Body.Action)); err != nil {
		return nil, err
	}
	return PowerBoard200JSONResponse(a.show(b)), nil
}

// SetPin implements StrictServerInterface.
func (a API) SetPin(ctx context.Context, r SetPinRequestObject) (SetPinResponseObject, error) {
	b, _, err := a.board(ctx, r.Board, identity.Maintainer)
	if err == nil {
		err = a.Boards.Press(ctx, b, boards.Press{
			Pin: r.Pin, Value: r.Body.Value, Release: time.Duration(value(r.Body.ReleaseMs)) * time.Millisecond,
		})
	}
	if err != nil {
		return nil, err
	}
	return SetPin204Response{}, nil
}

// GetSerial implements StrictServerInterface.
func (a API) GetSerial(ctx context.Context, r GetSerialRequestObject) (GetSerialResponseObject, error) {
	b, _, err := a.board(ctx, r.Board, identity.Viewer)
	if err != nil {
		return nil, err
	}
	offset, data, err := a.Boards.Serial(b)
	if err != nil {
		return nil, err
	}
	end := offset + int64(len(data))
	return GetSerial200JSONResponse{Offset: offset, End: &end, Text: strings.ToValidUTF8(string(data), "\uFFFD")}, nil
}

// WriteSerial implements StrictServerInterface.
func (a API) WriteSerial(ctx context.Context, r WriteSerialRequestObject) (WriteSerialResponseObject, error) {
	b, _, err := a.board(ctx, r.Board, identity.Maintainer)
	if err == nil {
		err = a.Boards.Write(ctx, b, r.Body.Text)
	}
	if err != nil {
		return nil, err
	}
	return WriteSerial204Response{}, nil
}

func (a API) show(b *boards.Board) Board {
	s := a.Boards.State(b)
	out := Board{
		Id: b.ID, Name: b.Name, Fqbn: b.FQBN, Kind: BoardKind(boards.KindOf(b.FQBN)), Device: some(b.Device), ProductId: some(b.ProductID), Mac: some(b.MAC), CreatedAt: b.Created,
		State: BoardState(s.Phase), Starts: s.Starts, Reset: some(s.Reset), Slot: some(BoardSlot(s.Slot)), Pins: []Pin{},
	}
	for _, p := range s.Pins {
		out.Pins = append(out.Pins, Pin{Number: p.Number, Mode: PinMode(p.Mode), Value: p.Value})
	}
	return out
}

// value is what an optional field holds, or nothing.
func value[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// some is an optional field; left out where there is nothing in it.
func some[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}
