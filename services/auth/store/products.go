package store

import (
	"context"
	"strconv"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/flow"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	"github.com/flota/flota/services/auth"
)

// AddProducts implements auth.ProductStore.
func (s *Store) AddProducts(ctx context.Context, list []auth.Product) error {
	docs := make([]*record[auth.Product], len(list))
	for i, product := range list {
		docs[i] = &record[auth.Product]{Meta: docstore.Meta{ID: product.ID}, Value: product}
	}
	return s.products.InsertMany(ctx, docs)
}

// Product implements auth.ProductStore.
func (s *Store) Product(ctx context.Context, device string) (auth.Product, error) {
	return get(ctx, s.products, device)
}

// ProductByProductID implements auth.ProductStore.
func (s *Store) ProductByProductID(ctx context.Context, workspace, productID string) (auth.Product, error) {
	return one(ctx, s.products, docstore.Eq("workspace", workspace), docstore.Eq("product_id", productID))
}

// TakenProductIDs implements auth.ProductStore.
func (s *Store) TakenProductIDs(ctx context.Context, workspace string, ids []string) ([]string, error) {
	products, err := find(ctx, s.products, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", workspace), docstore.In("product_id", ids...)}, Limit: docstore.MaxLimit,
	})
	var taken []string
	for _, product := range products {
		taken = append(taken, product.ProductID)
	}
	return taken, err
}

// ListProducts implements auth.ProductStore.
func (s *Store) ListProducts(ctx context.Context, workspace, after string, limit int) ([]auth.Product, string, error) {
	page, err := s.products.Find(ctx, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("workspace", workspace), docstore.Eq("state", auth.ProductActive)},
		Sort:  "product_id", After: after, Limit: limit,
	})
	return values(page.Items), page.Next, err
}

// EachProduct implements auth.ProductStore.
func (s *Store) EachProduct(ctx context.Context, f func(auth.Product) error) error {
	active := docstore.Query{Where: []docstore.Cond{docstore.Eq("state", auth.ProductActive)}, Limit: docstore.MaxLimit}
	for doc, err := range s.products.All(ctx, active) {
		if err != nil {
			return err
		}
		if err := f(doc.Value); err != nil {
			return err
		}
	}
	return nil
}

// UnsettledProducts implements auth.ProductStore.
func (s *Store) UnsettledProducts(ctx context.Context) ([]auth.Product, error) {
	return find(ctx, s.products, docstore.Query{
		Where: []docstore.Cond{docstore.Eq("unsettled", true)}, Sort: "created", Limit: docstore.MaxLimit,
	})
}

// CountDrafts implements auth.ProductStore.
func (s *Store) CountDrafts(ctx context.Context, last string) (int64, error) {
	return s.products.Count(ctx, docstore.Eq("last", last), docstore.Eq("state", auth.ProductDraft))
}

// ChangeProduct implements auth.ProductStore.
func (s *Store) ChangeProduct(ctx context.Context, device string, change func(*auth.Product) (auth.News, error)) (auth.Product, error) {
	doc, err := s.products.Update(ctx, device, func(doc *record[auth.Product]) error {
		news, err := change(&doc.Value)
		if err == nil {
			post(doc, news)
		}
		return err
	})
	return value(doc, err)
}

// DeleteProduct implements auth.ProductStore.
func (s *Store) DeleteProduct(ctx context.Context, device string) error {
	return remove(ctx, s.products, device)
}

// post puts the news into the document's outbox. A message's ID is the change's:
// there is one for each revision.
func post(doc *record[auth.Product], news auth.News) {
	p, now := doc.Value, time.Now().UnixMilli()
	id := p.ID + "." + strconv.FormatInt(doc.Rev+1, 10)
	switch news {
	case auth.NoNews:
	case auth.Enrolled:
		bus.Post(&doc.Meta, flow.DeviceEnrolled, &authv1.DeviceEnrolled{
			Device: p.ID, Workspace: p.Workspace, ProductId: p.ProductID, Name: p.Name, AtMs: now,
		}, id, p.ID)
	case auth.Revoked, auth.Deleted:
		bus.Post(&doc.Meta, flow.DeviceRevoked, &authv1.DeviceRevoked{
			Device: p.ID, Workspace: p.Workspace, Deleted: news == auth.Deleted, AtMs: now,
		}, id, p.ID)
	}
}
