package solotest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	boardsapi "github.com/flota/flota/services/boards/httpapi"
)

const boardsPrefix = "/api/boards/v1/boards"

// CreateBoard makes a virtual board, switched on.
func (c *Client) CreateBoard(ctx context.Context, name string) (b boardsapi.Board, err error) {
	return b, c.Do(ctx, http.MethodPost, boardsPrefix, boardsapi.CreateBoardJSONBody{Name: name}, &b)
}

// VirtualBoards lists them.
func (c *Client) VirtualBoards(ctx context.Context) ([]boardsapi.Board, error) {
	var answer struct{ Boards []boardsapi.Board }
	err := c.Do(ctx, http.MethodGet, boardsPrefix, nil, &answer)
	return answer.Boards, err
}

// Board returns one.
func (c *Client) Board(ctx context.Context, id string) (b boardsapi.Board, err error) {
	return b, c.Do(ctx, http.MethodGet, boardsPrefix+"/"+word(id), nil, &b)
}

// ProvisionBoard gives a board what a device needs.
func (c *Client) ProvisionBoard(ctx context.Context, id string, p deviceproto.Provision) (b boardsapi.Board, err error) {
	return b, c.Do(ctx, http.MethodPost, boardsPrefix+"/"+word(id)+"/provision", p, &b)
}

// FlashBoard writes a build to a board, "" for the base sketch.
func (c *Client) FlashBoard(ctx context.Context, id, build string, erase bool) (b boardsapi.Board, err error) {
	in := boardsapi.FlashBoardJSONBody{Erase: &erase}
	if build != "" {
		in.Build = &build
	}
	return b, c.Do(ctx, http.MethodPost, boardsPrefix+"/"+word(id)+"/flash", in, &b)
}

// Power switches a board: on, off, reset, cut.
func (c *Client) Power(ctx context.Context, id, action string) (b boardsapi.Board, err error) {
	in := boardsapi.PowerBoardJSONBody{Action: boardsapi.PowerBoardJSONBodyAction(action)}
	return b, c.Do(ctx, http.MethodPost, boardsPrefix+"/"+word(id)+"/power", in, &b)
}

// Press sets an input, and releases it after so long where that is not 0.
func (c *Client) Press(ctx context.Context, id string, pin, value int, release time.Duration) error {
	in := boardsapi.SetPinJSONBody{Value: value}
	if release > 0 {
		ms := int(release.Milliseconds())
		in.ReleaseMs = &ms
	}
	return c.Do(ctx, http.MethodPut, fmt.Sprintf("%s/%s/pins/%d", boardsPrefix, word(id), pin), in, nil)
}

// Serial is the last that a board wrote.
func (c *Client) Serial(ctx context.Context, id string) (text string, end int64, err error) {
	var answer struct {
		Text string
		End  int64
	}
	err = c.Do(ctx, http.MethodGet, boardsPrefix+"/"+word(id)+"/serial", nil, &answer)
	return answer.Text, answer.End, err
}

// WriteSerial sends text to a board.
func (c *Client) WriteSerial(ctx context.Context, id, text string) error {
	return c.Do(ctx, http.MethodPost, boardsPrefix+"/"+word(id)+"/serial", boardsapi.WriteSerialJSONBody{Text: text}, nil)
}

// DeleteBoard removes a board.
func (c *Client) DeleteBoard(ctx context.Context, id string) error {
	return c.Do(ctx, http.MethodDelete, boardsPrefix+"/"+word(id), nil, nil)
}

// WaitBoard looks at a board until it is as wanted.
func (c *Client) WaitBoard(ctx context.Context, id string, wanted func(boardsapi.Board) bool) (b boardsapi.Board, err error) {
	var last error
	err = poll(ctx, 50*time.Millisecond, func() (bool, error) {
		b, last = c.Board(ctx, id)
		return last == nil && wanted(b), nil
	})
	if err != nil {
		return b, fmt.Errorf("board %s is %s, reset %s: %w", id, b.State, value(b.Reset), errOr(last, err))
	}
	return b, nil
}
