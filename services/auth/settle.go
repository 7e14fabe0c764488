package auth

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/fault"
)

const (
	// settlingTime bounds how long a request waits for the read model; what is
	// not settled by then the sweep settles.
	settlingTime = 10 * time.Second
	settlers     = 32 // at the same time
	// draftLife is how old a draft is when whoever made it has surely ended.
	draftLife = 2 * time.Minute
)

// How the read model of device keys follows the products, and loses nothing: a
// product is stored with the mark Unsettled, then the read model is written,
// then the mark is removed. Whatever a crash or an outage leaves marked, Sweep
// finishes; Rebuild compares all of both.

// settle brings the read model in step with one product, and finishes what is
// begun: a draft becomes active, a product that is gone is removed. It is
// idempotent. An error leaves the product marked. The time for the bus may be
// shorter than ctx: a draft becomes active even when the bus is down, for its
// list exists.
func (p *Products) settle(ctx, bus context.Context, device string) error {
	defer p.lock(device)()
	for {
		product, err := optional(p.Store.Product(ctx, device))
		if err != nil {
			return err
		}
		published := p.publish(bus, product, device)
		if product.State == ProductGone && published == nil {
			return p.Store.DeleteProduct(ctx, device)
		}
		if published != nil && product.State != ProductDraft || product.ID == "" {
			return published
		}
		_, err = p.Store.ChangeProduct(ctx, device, func(now *Product) (News, error) {
			if now.KeyRev != product.KeyRev || now.State != product.State {
				return NoNews, errOvertaken
			}
			if now.State == ProductActive && !now.Unsettled {
				return NoNews, Unchanged
			}
			now.Unsettled = published != nil
			if now.State == ProductActive {
				return NoNews, nil
			}
			now.State = ProductActive
			return Enrolled, nil
		})
		switch {
		case errors.Is(err, errOvertaken): // by another process, whose write ours may have replaced
			continue
		case err == nil, errors.Is(err, Unchanged):
			return published
		}
		return err
	}
}

var errOvertaken = errors.New("the product has changed meanwhile")

func (p *Products) publish(ctx context.Context, product Product, device string) error {
	if product.KeyID == "" {
		return p.Keys.Remove(ctx, device)
	}
	key, err := p.deviceKey(product)
	if err != nil {
		return err
	}
	return p.Keys.Put(ctx, key)
}

func (p *Products) deviceKey(product Product) (DeviceKey, error) {
	hash, err := p.Box.Open(product.Key, keyPlace(product.ID))
	if err == nil && len(hash) != 32 {
		err = errors.New("not a hash")
	}
	if err != nil {
		return DeviceKey{}, fault.Wrap(err, fault.Internal, "the key of device %s cannot be opened", product.ID)
	}
	return DeviceKey{
		Device: product.ID, Workspace: product.Workspace, ProductID: product.ProductID, KeyID: product.KeyID, Hash: [32]byte(hash),
	}, nil
}

// settleAll settles a list that is stored as a whole: its last one last, so that
// the list is known for whole as long as one of it is a draft.
func (p *Products) settleAll(ctx context.Context, list []Product) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*settlingTime)
	defer cancel()
	bus, cancel := context.WithTimeout(ctx, settlingTime)
	defer cancel()
	last := list[len(list)-1].ID
	var group errgroup.Group
	group.SetLimit(settlers)
	for _, product := range list[:len(list)-1] {
		group.Go(func() error { return p.settle(ctx, bus, product.ID) })
	}
	err := errors.Join(group.Wait(), p.settleLast(ctx, bus, last))
	if err != nil {
		p.Log.Warn("new device keys are not yet published", zap.Int("devices", len(list)), zap.Error(err))
	}
}

// settleLast settles the last of a list when all others are.
func (p *Products) settleLast(ctx, bus context.Context, last string) error {
	drafts, err := p.Store.CountDrafts(ctx, last)
	if err != nil || drafts > 1 {
		return err
	}
	return p.settle(ctx, bus, last)
}

// discard removes the drafts of a list that could not be stored: the last one,
// if it is there, first, for it would vouch for the others.
func (p *Products) discard(ctx context.Context, drafts []Product) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlingTime)
	defer cancel()
	for i := len(drafts) - 1; i >= 0; i-- {
		if err := p.Store.DeleteProduct(ctx, drafts[i].ID); err != nil {
			return err // the sweep removes the others
		}
	}
	return nil
}

// Sweep finishes what a crash or an outage left unsettled. Several may run.
func (p *Products) Sweep(ctx context.Context) error {
	unsettled, err := p.Store.UnsettledProducts(ctx)
	if err != nil {
		return err
	}
	var failed []error
	for _, product := range unsettled {
		if product.State == ProductDraft {
			err = p.sweepDraft(ctx, product)
		} else {
			err = p.settle(ctx, ctx, product.ID)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (p *Products) sweepDraft(ctx context.Context, draft Product) error {
	if p.Clock.now().Sub(draft.Created) < draftLife {
		return nil // somebody is about to settle or discard it
	}
	last, err := optional(p.Store.Product(ctx, draft.Last))
	switch {
	case err != nil:
		return err
	case last.ID == "":
		return p.Store.DeleteProduct(ctx, draft.ID)
	case draft.ID == draft.Last:
		return p.settleLast(ctx, ctx, draft.ID)
	}
	return p.settle(ctx, ctx, draft.ID)
}

// Rebuild makes the read model what the products say: it puts what is missing
// or different, and removes what should not be. It is idempotent, and may run
// while products change.
func (p *Products) Rebuild(ctx context.Context) error {
	published, err := p.Keys.All(ctx)
	if err != nil {
		return err
	}
	var wrong []string
	err = p.Store.EachProduct(ctx, func(product Product) error {
		shown, ok := published[product.ID]
		delete(published, product.ID)
		if product.KeyID == "" {
			if ok {
				wrong = append(wrong, product.ID)
			}
			return nil
		}
		wanted, err := p.deviceKey(product)
		if err != nil {
			p.Log.Error("a device stays unknown", zap.Error(err))
		} else if shown != wanted {
			wrong = append(wrong, product.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for device := range published {
		wrong = append(wrong, device)
	}
	if len(wrong) > 0 {
		p.Log.Info("device keys are published again", zap.Int("devices", len(wrong)))
	}
	var group errgroup.Group
	group.SetLimit(settlers)
	for _, device := range wrong {
		group.Go(func() error { return p.settleStored(ctx, device) })
	}
	return group.Wait()
}

// settleStored settles a product that is no draft: whether a draft will ever be
// one, the sweep decides.
func (p *Products) settleStored(ctx context.Context, device string) error {
	product, err := optional(p.Store.Product(ctx, device))
	if err != nil || product.State == ProductDraft {
		return err
	}
	return p.settle(ctx, ctx, device)
}

// locks keep two goroutines of this process from settling one product at the
// same time; between processes errOvertaken does.
type locks [64]sync.Mutex

var lockSeed = maphash.MakeSeed()

func (p *Products) lock(device string) (unlock func()) {
	m := &p.locks[maphash.String(lockSeed, device)%uint64(len(p.locks))]
	m.Lock()
	return m.Unlock
}
