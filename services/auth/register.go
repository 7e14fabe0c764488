package auth

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

const (
	maxList = 1000 // products made at once
	// hashingTime bounds the hashing of a list's chosen passwords, so that the
	// request is answered in time on a slow machine, too.
	hashingTime = 30 * time.Second
)

// NewProduct asks for a product; an empty password asks for one to be made.
type NewProduct struct{ ProductID, Password, Name string }

// Made is a product with the secrets that are shown this once.
type Made struct {
	Product       Product
	Password, Key string
}

// Create registers a list of products, all or none. Errors: Invalid with the
// field ("products.3.product_id"), Conflict, TooLarge.
func (p *Products) Create(ctx context.Context, workspace string, list []NewProduct) ([]Made, error) {
	if err := p.check(ctx, workspace, list); err != nil {
		return nil, err
	}
	made, err := p.make(ctx, workspace, list)
	if err != nil {
		return nil, err
	}
	drafts := make([]Product, len(made))
	for i := range made {
		drafts[i] = made[i].Product
	}
	if err := p.Store.AddProducts(ctx, drafts); err != nil {
		return nil, errors.Join(err, p.discard(ctx, drafts))
	}
	// From here on the list exists, whatever happens.
	p.settleAll(ctx, drafts)
	for i := range made {
		made[i].Product.State = ProductActive
	}
	return made, nil
}

var productIDPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func (p *Products) check(ctx context.Context, workspace string, list []NewProduct) error {
	if len(list) == 0 || len(list) > maxList {
		return fault.Field("products", "a list has 1 to %d products", maxList)
	}
	ids := make([]string, len(list))
	first := map[string]int{}
	for i, wanted := range list {
		if err := wanted.check(fmt.Sprintf("products.%d.", i)); err != nil {
			return err
		}
		if before, ok := first[wanted.ProductID]; ok {
			return fault.Field(fmt.Sprintf("products.%d.product_id", i), "%s stands at %d, too", wanted.ProductID, before)
		}
		first[wanted.ProductID], ids[i] = i, wanted.ProductID
	}
	taken, err := p.Store.TakenProductIDs(ctx, workspace, ids)
	if err != nil || len(taken) == 0 {
		return err
	}
	i := slices.IndexFunc(ids, func(id string) bool { return slices.Contains(taken, id) })
	return &fault.Error{
		Code: fault.Conflict, Field: fmt.Sprintf("products.%d.product_id", i), Message: fmt.Sprintf("%s is registered already", ids[i]),
	}
}

func (n NewProduct) check(field string) error {
	if !productIDPattern.MatchString(n.ProductID) {
		return fault.Field(field+"product_id", "a product ID has 1 to 64 of A-Z, a-z, 0-9, _ and -, and begins with a letter or digit")
	}
	if utf8.RuneCountInString(n.Name) > 100 || !utf8.ValidString(n.Name) || strings.ContainsFunc(n.Name, unicode.IsControl) {
		return fault.Field(field+"name", "a name has at most 100 printable characters")
	}
	if n.Password == "" {
		return nil
	}
	return checkPassword(field+"password", n.Password, shortestProductPassword)
}

// make hashes the passwords and makes the keys, and stores nothing.
func (p *Products) make(ctx context.Context, workspace string, list []NewProduct) ([]Made, error) {
	ctx, cancel := context.WithTimeout(ctx, hashingTime)
	defer cancel()
	now, made := p.Clock.now(), make([]Made, len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.Hasher.Size())
	for i, wanted := range list {
		product := Product{
			ID: newID(), Workspace: workspace, ProductID: wanted.ProductID, Name: strings.TrimSpace(wanted.Name),
			State: ProductDraft, Unsettled: true, Created: now,
		}
		made[i] = Made{Product: product, Password: wanted.Password, Key: deviceproto.NewKey()}
		p.setKey(&made[i].Product, made[i].Key)
		group.Go(func() (err error) {
			m := &made[i]
			if m.Password == "" {
				m.Password = madePassword()
				m.Product.Password, err = hashMade(m.Password)
			} else {
				m.Product.Password, err = p.Hasher.Hash(ctx, m.Password)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fault.Wrap(err, fault.TooLarge, "this server needs too long to hash so many chosen passwords; register fewer at a time, or leave the passwords out")
		}
		return nil, err
	}
	for i := range made {
		made[i].Product.Last = made[len(made)-1].Product.ID
	}
	return made, nil
}
