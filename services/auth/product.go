package auth

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/secret"
)

// ProductState is where a product is between its first and its last write.
type ProductState string

// The states. Only active products are seen.
const (
	// ProductDraft was stored with others of a list of which the last may be missing.
	ProductDraft  ProductState = "draft"
	ProductActive ProductState = "active"
	// ProductGone has lost its name and its key, and waits until everybody knows.
	ProductGone ProductState = "gone"
)

// Product is a device and how it, and its people, prove who they are.
type Product struct {
	ID          string `bson:"id"` // the device's, in the world
	Workspace   string `bson:"workspace"`
	ProductID   string `bson:"product_id"` // its name in the workspace, unique there
	Name        string `bson:"name"`
	Password    string `bson:"password"` // argon2id
	PasswordRev int64  `bson:"password_rev"`
	// PasswordSet is when the password was changed last; zero for the first one.
	PasswordSet time.Time `bson:"password_set"`
	// KeyID and Key (SHA-256 of the device key, sealed) are empty without a key.
	KeyID  string       `bson:"key_id"`
	Key    []byte       `bson:"key"`
	KeyRev int64        `bson:"key_rev"`
	WiFi   []byte       `bson:"wifi"` // its own networks, sealed; empty where the workspace's count
	State  ProductState `bson:"state"`
	// Last is the last product of the list that this one was made with. Lists are
	// stored in order: when the last is there, all of them are.
	Last string `bson:"last"`
	// Unsettled says that the read model may not show this product as it is.
	Unsettled bool      `bson:"unsettled"`
	Created   time.Time `bson:"created"`
}

// News is what the fleet must hear about a change.
type News int

// What can be news.
const (
	NoNews News = iota
	Enrolled
	Revoked
	Deleted
)

// ProductStore keeps products.
type ProductStore interface {
	// AddProducts stores a list in order. It stops at the first that fails, with
	// fault.Conflict when its product ID is taken, and keeps those before.
	AddProducts(ctx context.Context, list []Product) error
	// Product and ProductByProductID return products in any state, or fault.NotFound.
	Product(ctx context.Context, device string) (Product, error)
	ProductByProductID(ctx context.Context, workspace, productID string) (Product, error)
	// TakenProductIDs returns which of at most 1000 product IDs are taken.
	TakenProductIDs(ctx context.Context, workspace string, ids []string) ([]string, error)
	// ListProducts returns a page of the active products, by product ID, and
	// where to go on, "" at the end.
	ListProducts(ctx context.Context, workspace, after string, limit int) (list []Product, next string, err error)
	// EachProduct calls f for every active product of the installation.
	EachProduct(ctx context.Context, f func(Product) error) error
	// UnsettledProducts returns at most 1000, the oldest first.
	UnsettledProducts(ctx context.Context) ([]Product, error)
	// CountDrafts returns how many drafts a list still has.
	CountDrafts(ctx context.Context, last string) (int64, error)
	// ChangeProduct is a compare-and-set that tells its news for certain, once
	// the change is stored; change may run more than once. Errors: NotFound,
	// change's own.
	ChangeProduct(ctx context.Context, device string, change func(*Product) (News, error)) (Product, error)
	// DeleteProduct removes the document. A missing one is no error; Conflict while
	// its news is not yet told.
	DeleteProduct(ctx context.Context, device string) error
}

// DeviceKey is what the artifact service must know to recognise a device.
type DeviceKey struct {
	Device, Workspace, ProductID, KeyID string
	Hash                                [32]byte
}

// DeviceKeys is the read model of device keys.
type DeviceKeys interface {
	Put(ctx context.Context, k DeviceKey) error
	// Remove of a missing one is no error.
	Remove(ctx context.Context, device string) error
	// All returns what is there. What cannot be read is returned as a key of that
	// device with nothing else.
	All(ctx context.Context) (map[string]DeviceKey, error)
}

// Products registers devices and rules their credentials.
type Products struct {
	Store  ProductStore
	Keys   DeviceKeys
	Hasher *Hasher
	Box    *secret.Box
	Clock  Clock
	Log    *zap.Logger

	locks locks
}

// Get returns a product of the workspace. Errors: NotFound.
func (p *Products) Get(ctx context.Context, workspace, device string) (Product, error) {
	product, err := optional(p.Store.Product(ctx, device))
	if err != nil {
		return Product{}, err
	}
	return product, product.seenBy(workspace)
}

func (p *Product) seenBy(workspace string) error {
	if p.Workspace != workspace || p.State != ProductActive {
		return fault.New(fault.NotFound, "no such product")
	}
	return nil
}

// List returns a page of the workspace's products, by product ID. Errors: Invalid.
func (p *Products) List(ctx context.Context, workspace, after string, limit int) (list []Product, next string, err error) {
	return p.Store.ListProducts(ctx, workspace, after, limit)
}

func (p *Products) setKey(product *Product, key string) {
	hash := deviceproto.KeyHash(key)
	product.KeyID = deviceproto.KeyID(hash)
	product.Key = p.Box.Seal(hash[:], keyPlace(product.ID))
	product.KeyRev++
}

func keyPlace(device string) []byte { return []byte("device-key/" + device) }

// RotateKey gives the device a new key, which is returned and not kept; the old
// one is void. Errors: NotFound.
func (p *Products) RotateKey(ctx context.Context, workspace, device string) (key string, err error) {
	key = deviceproto.NewKey()
	return key, p.change(ctx, workspace, device, func(product *Product) News {
		p.setKey(product, key)
		return Enrolled
	})
}

// RevokeKey makes the device's key void. Errors: NotFound.
func (p *Products) RevokeKey(ctx context.Context, workspace, device string) error {
	return p.change(ctx, workspace, device, func(product *Product) News {
		product.KeyID, product.Key = "", nil
		product.KeyRev++
		return Revoked
	})
}

// Delete removes a product, and frees its product ID at once. Errors: NotFound.
func (p *Products) Delete(ctx context.Context, workspace, device string) error {
	return p.change(ctx, workspace, device, func(product *Product) News {
		product.State = ProductGone
		product.ProductID = "-" + product.ID // nobody can ask for such a one
		product.KeyID, product.Key, product.Password, product.WiFi = "", nil, "", nil
		product.KeyRev++
		return Deleted
	})
}

// SetPassword changes the product's password; its sessions end. Errors: NotFound, Invalid.
func (p *Products) SetPassword(ctx context.Context, workspace, device, password string) error {
	if err := checkPassword("password", password, shortestProductPassword); err != nil {
		return err
	}
	if _, err := p.Get(ctx, workspace, device); err != nil {
		return err
	}
	hash, err := p.Hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	_, err = p.Store.ChangeProduct(ctx, device, func(product *Product) (News, error) {
		product.Password = hash
		product.PasswordRev++
		product.PasswordSet = p.Clock.now()
		return NoNews, product.seenBy(workspace)
	})
	return err
}

// change stores what concerns the read model, too, and settles it.
func (p *Products) change(ctx context.Context, workspace, device string, change func(*Product) News) error {
	_, err := p.Store.ChangeProduct(ctx, device, func(product *Product) (News, error) {
		if err := product.seenBy(workspace); err != nil {
			return NoNews, err
		}
		product.Unsettled = true
		return change(product), nil
	})
	if err != nil {
		return err
	}
	// It is stored, and will hold: what fails from here on the sweep makes good.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlingTime)
	defer cancel()
	if err := p.settle(ctx, ctx, device); err != nil {
		p.Log.Warn("a device key is not yet published", zap.String("device", device), zap.Error(err))
	}
	return nil
}
