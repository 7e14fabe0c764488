package auth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/auth"
)

func list(ids ...string) []auth.NewProduct {
	var wanted []auth.NewProduct
	for _, id := range ids {
		wanted = append(wanted, auth.NewProduct{ProductID: id})
	}
	return wanted
}

func create(t *testing.T, w *world, ids ...string) []auth.Made {
	t.Helper()
	made, err := w.products.Create(t.Context(), "w1", list(ids...))
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func ids(t *testing.T, w *world) []string {
	t.Helper()
	page, _, err := w.products.List(t.Context(), "w1", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range page {
		all = append(all, p.ProductID)
	}
	return all
}

func TestCreateShowsKeys(t *testing.T) {
	w := newWorld(t)
	made := create(t, w, "bot_001", "bot_002")
	for _, m := range made {
		k := deviceproto.KeyHash(m.Key)
		shown, ok := w.keys.key(m.Product.ID)
		want := auth.DeviceKey{Device: m.Product.ID, Workspace: "w1", ProductID: m.Product.ProductID, KeyID: deviceproto.KeyID(k), Hash: k}
		if !ok || shown != want || !deviceproto.ValidKey(m.Key) {
			t.Errorf("%+v, want %+v", shown, want)
		}
		stored, err := w.products.Get(t.Context(), "w1", m.Product.ID)
		if err != nil || stored.Unsettled || stored.State != auth.ProductActive {
			t.Errorf("%+v, %v", stored, err)
		}
		if _, err := w.products.Get(t.Context(), "w2", m.Product.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("another workspace sees it: %v", err)
		}
	}
	eventually(t, "the fleet hears of both", func() bool { return len(w.news.subjects()) == 2 })
	if got := ids(t, w); !slices.Equal(got, []string{"bot_001", "bot_002"}) {
		t.Errorf("listed %v", got)
	}
}

func TestCreateIsAllOrNothing(t *testing.T) {
	w := newWorld(t)
	create(t, w, "bot_001")
	many := make([]auth.NewProduct, 1001)
	for i := range many {
		many[i].ProductID = fmt.Sprintf("x%d", i)
	}
	for name, test := range map[string]struct {
		list  []auth.NewProduct
		want  fault.Code
		field string
	}{
		"none":             {nil, fault.Invalid, "products"},
		"too many":         {many, fault.Invalid, "products"},
		"bad ID":           {list("a", "b", "c c"), fault.Invalid, "products.2.product_id"},
		"twice":            {list("a", "b", "a"), fault.Invalid, "products.2.product_id"},
		"taken":            {list("a", "bot_001"), fault.Conflict, "products.1.product_id"},
		"short password":   {[]auth.NewProduct{{ProductID: "a"}, {ProductID: "b", Password: "123"}}, fault.Invalid, "products.1.password"},
		"name of two line": {[]auth.NewProduct{{ProductID: "a", Name: "x\ny"}}, fault.Invalid, "products.0.name"},
	} {
		_, err := w.products.Create(t.Context(), "w1", test.list)
		if f := fault.As(err); f == nil || f.Code != test.want || f.Field != test.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := ids(t, w); !slices.Equal(got, []string{"bot_001"}) {
		t.Errorf("left behind: %v", got)
	}
	if _, err := w.products.Create(t.Context(), "w2", list("bot_001")); err != nil {
		t.Errorf("the same ID in another workspace: %v", err)
	}
}

// raced lets another take a product ID between the check and the write.
type raced struct {
	auth.ProductStore
	race func()
}

func (r *raced) AddProducts(ctx context.Context, list []auth.Product) error {
	if race := r.race; race != nil {
		r.race = nil
		race()
	}
	return r.ProductStore.AddProducts(ctx, list)
}

func TestCreateLosesARace(t *testing.T) {
	w := newWorld(t)
	w.products.Store = &raced{w.store, func() { create(t, w, "bot_002") }}
	_, err := w.products.Create(t.Context(), "w1", list("bot_001", "bot_002", "bot_003"))
	if !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	if got := ids(t, w); !slices.Equal(got, []string{"bot_002"}) {
		t.Errorf("listed %v", got)
	}
	if got := w.keys.productIDs(); !slices.Equal(got, []string{"bot_002"}) {
		t.Errorf("shown %v", got)
	}
	create(t, w, "bot_001", "bot_003") // nothing is in the way
}

// cut stores only the first of a list, and then the process is gone.
type cut struct {
	auth.ProductStore
	keep int
}

func (c cut) AddProducts(ctx context.Context, list []auth.Product) error {
	if err := c.ProductStore.AddProducts(ctx, list[:c.keep]); err != nil {
		return err
	}
	return errCrash
}

func (c cut) DeleteProduct(context.Context, string) error { return errCrash }

func TestCrashWhileStoringAList(t *testing.T) {
	for keep, want := range map[int][]string{0: nil, 1: nil, 2: nil, 3: {"bot_001", "bot_002", "bot_003"}} {
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			w := newWorld(t)
			w.products.Store = cut{w.store, keep}
			if _, err := w.products.Create(t.Context(), "w1", list("bot_001", "bot_002", "bot_003")); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			w.products.Store = w.store
			if got := ids(t, w); got != nil {
				t.Errorf("before the sweep: %v", got)
			}
			if err := w.products.Sweep(t.Context()); err != nil || len(w.keys.productIDs()) != 0 {
				t.Errorf("the sweep takes what may still be on its way: %v", err)
			}
			w.pass(3 * time.Minute)
			for range 2 { // idempotent
				if err := w.products.Sweep(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if got := ids(t, w); !slices.Equal(got, want) {
				t.Errorf("listed %v, want %v", got, want)
			}
			if got := w.keys.productIDs(); !slices.Equal(got, want) {
				t.Errorf("shown %v, want %v", got, want)
			}
			eventually(t, "the fleet hears", func() bool { return len(w.news.subjects()) == len(want) })
			if want == nil {
				create(t, w, "bot_001", "bot_002", "bot_003")
			}
		})
	}
}

// stuck cannot change one product.
type stuck struct {
	auth.ProductStore
	productID string
}

func (s stuck) ChangeProduct(ctx context.Context, device string, change func(*auth.Product) (auth.News, error)) (auth.Product, error) {
	if p, err := s.Product(ctx, device); err != nil || p.ProductID == s.productID {
		return auth.Product{}, errors.Join(err, errCrash)
	}
	return s.ProductStore.ChangeProduct(ctx, device, change)
}

// As long as one of a list is a draft the last one is, too: deleting the last
// one, which vouches for the others, must not undo them.
func TestCrashWhileSettlingAList(t *testing.T) {
	w := newWorld(t)
	w.products.Store = stuck{w.store, "bot_001"}
	made := create(t, w, "bot_001", "bot_002", "bot_003")
	w.products.Store = w.store
	if got := ids(t, w); !slices.Equal(got, []string{"bot_002"}) {
		t.Errorf("after the crash: %v", got)
	}
	if err := w.products.Delete(t.Context(), "w1", made[2].Product.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("the last one: %v", err)
	}
	w.pass(3 * time.Minute)
	for range 2 {
		if err := w.products.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := ids(t, w); len(got) != 3 {
		t.Errorf("after the sweep: %v", got)
	}
}

// What is done while the read model cannot be written is answered, holds, and
// is shown as soon as it can be.
func TestReadModelIsDown(t *testing.T) {
	w := newWorld(t)
	before := create(t, w, "rotated", "revoked", "deleted", "kept")
	w.keys.setDown(true)
	create(t, w, "new_1", "new_2")
	if got := ids(t, w); len(got) != 6 {
		t.Errorf("listed %v", got)
	}
	key, err := w.products.RotateKey(t.Context(), "w1", before[0].Product.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.products.RevokeKey(t.Context(), "w1", before[1].Product.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.products.Delete(t.Context(), "w1", before[2].Product.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.products.Sweep(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("a sweep in vain: %v", err)
	}
	w.keys.setDown(false)
	create(t, w, "deleted") // its name is free already
	eventually(t, "all is settled", func() bool {
		w.products.Sweep(t.Context())
		left, err := w.store.UnsettledProducts(t.Context())
		return err == nil && len(left) == 0
	})
	if got, want := w.keys.productIDs(), []string{"deleted", "kept", "new_1", "new_2", "rotated"}; !slices.Equal(got, want) {
		t.Errorf("shown %v", got)
	}
	if shown, _ := w.keys.key(before[0].Product.ID); shown.Hash != deviceproto.KeyHash(key) {
		t.Error("the old key is shown")
	}
	if _, ok := w.keys.key(before[2].Product.ID); ok {
		t.Error("the deleted device is shown")
	}
	if p, err := w.products.Get(t.Context(), "w1", before[1].Product.ID); err != nil || p.KeyID != "" {
		t.Errorf("%+v, %v", p, err)
	}
}

// A put that is slower than a later change must not have the last word.
func TestSlowPut(t *testing.T) {
	w := newWorld(t)
	device := create(t, w, "bot_001")[0].Product.ID
	other := &auth.Products{Store: w.store, Keys: w.keys, Hasher: w.products.Hasher, Box: newBox(t), Clock: w.now, Log: w.products.Log} // another process
	var last string
	w.keys.before = func(auth.DeviceKey) {
		w.keys.before = nil
		var err error
		if last, err = other.RotateKey(t.Context(), "w1", device); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.products.RotateKey(t.Context(), "w1", device); err != nil {
		t.Fatal(err)
	}
	if shown, _ := w.keys.key(device); shown.Hash != deviceproto.KeyHash(last) {
		t.Error("an old key is shown")
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t)
	made := create(t, w, "bot_001")[0].Product
	if err := w.products.Delete(t.Context(), "w2", made.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("from another workspace: %v", err)
	}
	if err := w.products.Delete(t.Context(), "w1", made.ID); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"delete":   w.products.Delete(t.Context(), "w1", made.ID),
		"revoke":   w.products.RevokeKey(t.Context(), "w1", made.ID),
		"password": w.products.SetPassword(t.Context(), "w1", made.ID, "12345"),
	} {
		if !fault.Is(err, fault.NotFound) {
			t.Errorf("%s again: %v", name, err)
		}
	}
	eventually(t, "the document goes", func() bool {
		w.products.Sweep(t.Context())
		_, err := w.store.Product(t.Context(), made.ID)
		return fault.Is(err, fault.NotFound)
	})
	if got, want := w.news.subjects(), []string{"devices." + made.ID + ".enrolled", "devices." + made.ID + ".revoked"}; !slices.Equal(got, want) {
		t.Errorf("news %v", got)
	}
}

func TestRebuild(t *testing.T) {
	w := newWorld(t)
	made := create(t, w, "missing", "different", "revoked", "right")
	if err := w.products.RevokeKey(t.Context(), "w1", made[2].Product.ID); err != nil {
		t.Fatal(err)
	}
	right, _ := w.keys.key(made[3].Product.ID)
	w.keys.mu.Lock()
	w.keys.shown = map[string]auth.DeviceKey{
		made[1].Product.ID: {Device: made[1].Product.ID, KeyID: "of another key"},
		made[2].Product.ID: {Device: made[2].Product.ID},
		made[3].Product.ID: right,
		"nobody":           {Device: "nobody"},
	}
	w.keys.mu.Unlock()
	if err := w.products.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := w.keys.productIDs(), []string{"different", "missing", "right"}; !slices.Equal(got, want) {
		t.Errorf("shown %v", got)
	}
	for _, i := range []int{0, 1, 3} {
		if shown, _ := w.keys.key(made[i].Product.ID); shown.Hash != deviceproto.KeyHash(made[i].Key) {
			t.Errorf("%s has another key", made[i].Product.ProductID)
		}
	}
	puts := 0
	w.keys.before = func(auth.DeviceKey) { puts++ }
	if err := w.products.Rebuild(t.Context()); err != nil || puts != 0 {
		t.Errorf("a second time there were %d puts, %v", puts, err)
	}
}

func TestCreateThousand(t *testing.T) {
	w := newWorld(t)
	wanted := make([]auth.NewProduct, 1000)
	for i := range wanted {
		wanted[i].ProductID = fmt.Sprintf("bot_%04d", i)
	}
	begin := time.Now()
	made, err := w.products.Create(t.Context(), "w1", wanted)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %s", took)
	}
	if got := ids(t, w); len(got) != 1000 || len(made) != 1000 || made[7].Product.ProductID != "bot_0007" || len(w.keys.productIDs()) != 1000 {
		t.Errorf("%d listed, %d made", len(got), len(made))
	}
	if left, err := w.store.UnsettledProducts(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("%d are not settled, %v", len(left), err)
	}
}

// patient answers before the deadline, however slow the machine is.
type patient struct{ auth.ProductStore }

func (p patient) TakenProductIDs(ctx context.Context, workspace string, ids []string) ([]string, error) {
	return p.ProductStore.TakenProductIDs(context.WithoutCancel(ctx), workspace, ids)
}

// Chosen passwords that this machine cannot hash in time are refused, and
// nothing is stored.
func TestHashingTakesTooLong(t *testing.T) {
	w := newWorld(t)
	w.products.Store = patient{w.store}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	wanted := make([]auth.NewProduct, 1000)
	for i := range wanted {
		wanted[i] = auth.NewProduct{ProductID: fmt.Sprintf("bot_%04d", i), Password: "12345"}
	}
	if _, err := w.products.Create(ctx, "w1", wanted); !fault.Is(err, fault.TooLarge) {
		t.Errorf("got %v", err)
	}
	if got := ids(t, w); got != nil {
		t.Errorf("%d are stored", len(got))
	}
}
