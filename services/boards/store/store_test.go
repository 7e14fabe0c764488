package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/docstoretest"
	"github.com/flota/flota/pkg/docstore/mongo"
	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/boards"
	"github.com/flota/flota/services/boards/store"
)

func TestSQLite(t *testing.T) {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "boards.db"))
	if err != nil {
		t.Fatal(err)
	}
	suite(t, db)
}

func TestMongo(t *testing.T) {
	uri, _ := docstoretest.Mongo(t)
	db, err := mongo.Open(t.Context(), uri, "boards-"+filepath.Base(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	suite(t, db)
}

// suite is what boards.Store promises, on any database.
func suite(t *testing.T, db docstore.DB) {
	t.Cleanup(func() { _ = db.Close() })
	ctx := context.WithoutCancel(t.Context())
	s, err := store.Open(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	add := func(id, workspace, name string) error {
		b := &boards.Board{Workspace: workspace, Name: name, FQBN: "flota:virtual:esp32", On: true, Created: time.UnixMilli(1_800_000_000_000).UTC()}
		b.ID = id
		return s.Add(ctx, b)
	}
	for _, b := range [][3]string{{"b1", "w1", "zeta"}, {"b2", "w1", "alpha"}, {"b3", "w2", "alpha"}} {
		if err := add(b[0], b[1], b[2]); err != nil {
			t.Fatal(err)
		}
	}
	if f := fault.As(add("b4", "w1", "zeta")); f == nil || f.Code != fault.Conflict || f.Field != "name" {
		t.Errorf("a name twice: %v", f)
	}
	list, err := s.Boards(ctx, "w1")
	if err != nil || len(list) != 2 || list[0].Name != "alpha" || list[1].ID != "b1" || !list[1].On {
		t.Errorf("%+v %v", list, err)
	}
	if all, err := s.All(ctx); err != nil || len(all) != 3 {
		t.Errorf("%d %v", len(all), err)
	}
	if own, all, err := s.Count(ctx, "w1"); own != 2 || all != 3 || err != nil {
		t.Errorf("%d %d %v", own, all, err)
	}
	for _, c := range []struct{ workspace, id string }{{"w2", "b1"}, {"w1", "none"}} {
		if _, err := s.Board(ctx, c.workspace, c.id); !fault.Is(err, fault.NotFound) {
			t.Errorf("%v: %v", c, err)
		}
	}
	changed, err := s.Change(ctx, "b1", func(b *boards.Board) error { b.Device, b.Starts = "d1", 7; return nil })
	if err != nil || changed.Rev != 2 {
		t.Errorf("%+v %v", changed, err)
	}
	if b, err := s.Board(ctx, "w1", "b1"); err != nil || b.Device != "d1" || b.Starts != 7 || b.Name != "zeta" || b.Created.Unix() != 1_800_000_000 {
		t.Errorf("%+v %v", b, err)
	}
	if _, err := s.Change(ctx, "none", func(*boards.Board) error { return nil }); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
	for range 2 {
		if err := s.Remove(ctx, "b1"); err != nil {
			t.Error(err)
		}
	}
	if own, all, err := s.Count(ctx, "w1"); own != 1 || all != 2 || err != nil {
		t.Errorf("%d %d %v", own, all, err)
	}
	if err := add("b5", "w1", "zeta"); err != nil {
		t.Errorf("the name is free again: %v", err)
	}
}
