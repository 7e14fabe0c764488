// Package store keeps virtual boards with pkg/docstore.
package store

import (
	"context"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/boards"
)

// Store implements boards.Store on any docstore.
type Store struct {
	boards *docstore.Collection[boards.Board]
}

// Open opens the collection.
func Open(ctx context.Context, db docstore.DB) (*Store, error) {
	all, err := docstore.Open[boards.Board](ctx, db, "boards",
		docstore.Index{Name: "name", Fields: []string{"workspace", "name"}, Unique: true})
	return &Store{all}, err
}

// Board implements boards.Store.
func (s *Store) Board(ctx context.Context, workspace, id string) (*boards.Board, error) {
	b, err := s.boards.Get(ctx, id)
	if err == nil && b.Workspace != workspace || fault.Is(err, fault.NotFound) {
		return nil, fault.New(fault.NotFound, "there is no board %s", id)
	}
	return b, err
}

// Boards implements boards.Store.
func (s *Store) Boards(ctx context.Context, workspace string) ([]*boards.Board, error) {
	return s.list(ctx, docstore.Query{Where: []docstore.Cond{docstore.Eq("workspace", workspace)}, Sort: "name", Limit: docstore.MaxLimit})
}

// All implements boards.Store.
func (s *Store) All(ctx context.Context) ([]*boards.Board, error) {
	return s.list(ctx, docstore.Query{Limit: docstore.MaxLimit})
}

func (s *Store) list(ctx context.Context, q docstore.Query) ([]*boards.Board, error) {
	var list []*boards.Board
	for b, err := range s.boards.All(ctx, q) {
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// Count implements boards.Store.
func (s *Store) Count(ctx context.Context, workspace string) (own, all int, err error) {
	mine, err := s.boards.Count(ctx, docstore.Eq("workspace", workspace))
	if err != nil {
		return 0, 0, err
	}
	everybodys, err := s.boards.Count(ctx)
	return int(mine), int(everybodys), err
}

// Add implements boards.Store.
func (s *Store) Add(ctx context.Context, b *boards.Board) error {
	err := s.boards.Insert(ctx, b)
	if fault.Is(err, fault.Conflict) {
		return &fault.Error{Code: fault.Conflict, Field: "name", Message: "there is a board of this name already", Err: err}
	}
	return err
}

// Change implements boards.Store.
func (s *Store) Change(ctx context.Context, id string, change func(*boards.Board) error) (*boards.Board, error) {
	return s.boards.Update(ctx, id, change)
}

// Remove implements boards.Store.
func (s *Store) Remove(ctx context.Context, id string) error {
	if err := s.boards.Delete(ctx, id, 0); !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}
