package authd_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/flow"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/auth"
	"github.com/flota/flota/services/auth/store"
)

func hash(key string) string {
	k := deviceproto.KeyHash(key)
	return string(k[:])
}

// heard collects what the fleet is told, as "enrolled bot_001" and the like.
func (in *installation) heard() func() []string {
	var mu sync.Mutex
	var all []string
	note := func(text string) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, text)
		return nil
	}
	conn := in.nats.Connect(flow.Fleet)
	ctx, stop := context.WithCancel(context.Background())
	var handling sync.WaitGroup
	handling.Go(func() {
		bus.Handle(ctx, conn, flow.TakeEnrolled, bus.NewSlots(1), func(_ context.Context, m bus.Message[*authv1.DeviceEnrolled]) error {
			return note("enrolled " + m.Body.GetProductId())
		})
	})
	handling.Go(func() {
		bus.Handle(ctx, conn, flow.TakeRevoked, bus.NewSlots(1), func(_ context.Context, m bus.Message[*authv1.DeviceRevoked]) error {
			return note(fmt.Sprintf("revoked deleted=%v", m.Body.GetDeleted()))
		})
	})
	in.t.Cleanup(func() { stop(); handling.Wait() })
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// The life of a device's key: made, rotated, revoked, made again, deleted; each
// step is answered after the artifact service could have seen it.
func TestKeyLife(t *testing.T) {
	in := install(t).start()
	heard := in.heard()
	ada, founded := in.setUp()
	bot := ada.register("bot_001")[0]
	device := "/products/" + bot.Product.Device
	shown := in.shown()[bot.Product.Device]
	if shown.GetWorkspace() != founded.Me.Workspace || shown.GetProductId() != "bot_001" || shown.GetDevice() != bot.Product.Device ||
		shown.GetKeyId() != deviceproto.KeyID(deviceproto.KeyHash(bot.Key)) {
		t.Errorf("shown %v", shown)
	}
	if in.keyOf(bot.Product.Device) != hash(bot.Key) {
		t.Error("another key is shown")
	}
	var rotated struct{ Key string }
	ada.must(201, "POST", device+"/key", nil, &rotated)
	if rotated.Key == bot.Key || in.keyOf(bot.Product.Device) != hash(rotated.Key) {
		t.Error("the rotated key is not shown")
	}
	ada.must(204, "DELETE", device+"/key", nil, nil)
	if in.keyOf(bot.Product.Device) != "" {
		t.Error("the revoked key is shown")
	}
	var p product
	if ada.must(200, "GET", device, nil, &p); p.HasKey {
		t.Error("a revoked key counts as one")
	}
	ada.must(201, "POST", device+"/key", nil, &rotated)
	if in.keyOf(bot.Product.Device) != hash(rotated.Key) {
		t.Error("the new key is not shown")
	}
	ada.must(204, "DELETE", device, nil, nil)
	if in.keyOf(bot.Product.Device) != "" {
		t.Error("the deleted device is shown")
	}
	ada.must(404, "GET", device, nil, nil)
	ada.register("bot_001") // the name is free

	want := []string{"enrolled bot_001", "enrolled bot_001", "enrolled bot_001", "enrolled bot_001", "revoked deleted=false", "revoked deleted=true"}
	eventually(t, "the fleet hears of it all", func() bool {
		got := heard()
		slices.Sort(got)
		return slices.Equal(got, want)
	})
	in.noSecretsIn(bot.Key, rotated.Key, bot.Password)
}

func TestRegister(t *testing.T) {
	in := install(t).start()
	ada, _ := in.setUp()
	ada.register("bot_001")
	for field, list := range map[string][]object{
		"products.1.product_id": {{"product_id": "a"}, {"product_id": "a b"}},
		"products.0.product_id": {{"product_id": "bot_001"}, {"product_id": "b"}},
		"products.2.product_id": {{"product_id": "a"}, {"product_id": "b"}, {"product_id": "a"}},
		"products.1.password":   {{"product_id": "a"}, {"product_id": "b", "password": "123"}},
		"products":              {},
	} {
		a := ada.do("POST", "/products", object{"products": list})
		if _, got := a.problem(); a.StatusCode < 400 || a.StatusCode >= 500 || got != field {
			t.Errorf("%s: %s %s", field, a.Status, a.body)
		}
	}
	many := make([]object, 1000)
	for i := range many {
		many[i] = object{"product_id": fmt.Sprintf("lot_%04d", i)}
	}
	var answer struct{ Products []made }
	begin := time.Now()
	ada.must(201, "POST", "/products", object{"products": many}, &answer)
	if took := time.Since(begin); took > 45*time.Second {
		t.Errorf("1000 products took %s", took)
	}
	if len(answer.Products) != 1000 || len(in.shown()) != 1001 || in.keyOf(answer.Products[999].Product.Device) != hash(answer.Products[999].Key) {
		t.Errorf("%d made, %d shown", len(answer.Products), len(in.shown()))
	}
	var ids []string
	for after := ""; ; {
		var page struct {
			Products []product
			Next     string
		}
		ada.must(200, "GET", "/products?limit=300&after="+after, nil, &page)
		for _, p := range page.Products {
			ids = append(ids, p.ProductID)
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(ids) != 1001 || !slices.IsSorted(ids) {
		t.Errorf("%d are listed", len(ids))
	}
}

// dying is a process that ends between the document and the bucket.
type dying struct{}

var errDied = errors.New("the process died")

func (dying) Put(context.Context, auth.DeviceKey) error              { return errDied }
func (dying) Remove(context.Context, string) error                   { return errDied }
func (dying) All(context.Context) (map[string]auth.DeviceKey, error) { return nil, errDied }

// What a process stored before it died reaches the bucket, and the fleet, from
// the next one.
func TestCrashBetweenDocumentAndBucket(t *testing.T) {
	in := install(t).start()
	heard := in.heard()
	ada, founded := in.setUp()
	made := ada.register("rotated", "revoked", "deleted")
	in.stop()

	rotated := in.dieWith(func(p *auth.Products) string {
		ctx, workspace := t.Context(), founded.Me.Workspace
		key, err := p.RotateKey(ctx, workspace, made[0].Product.Device)
		err = errors.Join(err, p.RevokeKey(ctx, workspace, made[1].Product.Device), p.Delete(ctx, workspace, made[2].Product.Device))
		if _, created := p.Create(ctx, workspace, []auth.NewProduct{{ProductID: "created"}}); created != nil || err != nil {
			t.Fatal(created, err)
		}
		return key
	})
	if in.keyOf(made[0].Product.Device) != hash(made[0].Key) || len(in.shown()) != 3 {
		t.Fatal("the dying process wrote the bucket")
	}
	in.start()
	eventually(t, "the bucket is right", func() bool {
		return in.keyOf(made[0].Product.Device) == hash(rotated) && in.keyOf(made[1].Product.Device) == "" &&
			in.keyOf(made[2].Product.Device) == "" && len(in.shown()) == 2
	})
	eventually(t, "the fleet hears of it all", func() bool {
		got := heard()
		return slices.Contains(got, "enrolled created") && slices.Contains(got, "revoked deleted=true") && slices.Contains(got, "revoked deleted=false")
	})
}

// dieWith does something with the products of a process whose bus is gone.
func (in *installation) dieWith(do func(*auth.Products) string) string {
	in.t.Helper()
	db, err := sqlite.Open(in.t.Context(), in.file)
	if err != nil {
		in.t.Fatal(err)
	}
	defer db.Close()
	documents, err := store.Open(in.t.Context(), db, docstore.NewRelay(func(context.Context, docstore.Message) error { return errDied }, zap.NewNop()))
	if err != nil {
		in.t.Fatal(err)
	}
	master, err := secret.Parse(serviceKey)
	if err != nil {
		in.t.Fatal(err)
	}
	box, err := secret.NewBox(master.Derive("box"))
	if err != nil {
		in.t.Fatal(err)
	}
	return do(&auth.Products{Store: documents, Keys: dying{}, Hasher: auth.NewHasher(), Box: box, Clock: time.Now, Log: zap.NewNop()})
}

// While the bus is down, what is answered holds, and reaches the artifact
// service soon after it is back.
func TestBusIsDown(t *testing.T) {
	in := install(t).start()
	ada, _ := in.setUp()
	bot := ada.register("bot_001", "bot_002")
	in.nats.Stop()
	var rotated struct{ Key string }
	ada.must(201, "POST", "/products/"+bot[0].Product.Device+"/key", nil, &rotated)
	ada.must(204, "DELETE", "/products/"+bot[1].Product.Device+"/key", nil, nil)
	later := ada.register("bot_003")[0]
	in.nats.Start()
	begin := time.Now()
	eventually(t, "the bucket is right", func() bool {
		return in.keyOf(bot[0].Product.Device) == hash(rotated.Key) && in.keyOf(bot[1].Product.Device) == "" && in.keyOf(later.Product.Device) == hash(later.Key)
	})
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

// At start the bucket becomes what the products say, whatever was in it.
func TestRebuildAtStart(t *testing.T) {
	in := install(t).start()
	ada, _ := in.setUp()
	made := ada.register("bot_001", "bot_002", "bot_003")
	in.stop()

	conn := in.nats.Connect(flow.Auth)
	ctx := t.Context()
	foreign := in.shown()[made[1].Product.Device]
	for _, err := range []error{
		bus.Remove(ctx, conn, flow.DeviceKeys, made[0].Product.Device),
		bus.Put(ctx, conn, flow.DeviceKeys, made[1].Product.Device, &authv1.DeviceKey{Device: made[1].Product.Device, KeyId: "of another", SealedKeyHash: []byte("nonsense")}),
		bus.Put(ctx, conn, flow.DeviceKeys, "stranger", foreign),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	in.start()
	right := func() bool {
		shown := in.shown()
		if len(shown) != 3 || shown["stranger"] != nil {
			return false
		}
		for _, m := range made {
			if shown[m.Product.Device].GetProductId() != m.Product.ProductID || in.keyOf(m.Product.Device) != hash(m.Key) {
				return false
			}
		}
		return true
	}
	eventually(t, "the bucket is right", right)

	in.stop()
	in.nats.Stop()
	in.nats.Wipe()
	in.nats.Start()
	in.nats.Ensure()
	in.start()
	eventually(t, "the bucket is right again, from nothing", right)
}
