package auth_test

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/flota/flota/pkg/docstore"
	"github.com/flota/flota/pkg/docstore/sqlite"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/auth"
	"github.com/flota/flota/services/auth/store"
)

// world is the domain on a real SQLite store, with a clock that stands still
// until it is told, and without a bus.
type world struct {
	mu   sync.Mutex
	time time.Time

	db       docstore.DB
	store    *store.Store
	news     *news
	keys     *shownKeys
	setup    *auth.Setup
	sessions *auth.Sessions
	members  *auth.Members
	tokens   *auth.Tokens
	products *auth.Products
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "auth.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{time: time.Now(), db: db, news: &news{}, keys: &shownKeys{shown: map[string]auth.DeviceKey{}}}
	relay := docstore.NewRelay(w.news.publish, zaptest.NewLogger(t))
	if w.store, err = store.Open(t.Context(), db, relay); err != nil {
		t.Fatal(err)
	}
	var relaying sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	relaying.Go(func() { relay.Run(ctx) })
	t.Cleanup(func() { stop(); relaying.Wait() })

	hasher, guard := auth.NewHasher(), auth.NewGuard(w.now)
	w.members = &auth.Members{Store: w.store, Hasher: hasher, Clock: w.now}
	w.setup = &auth.Setup{Store: w.store, Members: w.members, Guard: guard}
	w.sessions = &auth.Sessions{
		Store: w.store, Directory: w.store, Products: w.store, Tokens: w.store, Hasher: hasher, Guard: guard,
		Signer: plainSigner{}, Key: make([]byte, 32), Clock: w.now,
	}
	w.tokens = &auth.Tokens{Store: w.store, Directory: w.store, Signer: plainSigner{}, Clock: w.now}
	w.products = &auth.Products{Store: w.store, Keys: w.keys, Hasher: hasher, Box: newBox(t), Clock: w.now, Log: zaptest.NewLogger(t)}
	return w
}

func newBox(t *testing.T) *secret.Box {
	t.Helper()
	box, err := secret.NewBox(make([]byte, secret.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

// founded sets the installation up: ada owns the workspace robots.
func (w *world) founded(t *testing.T) auth.Grant {
	t.Helper()
	token, err := w.setup.Open(t.Context(), "")
	if err != nil || token == "" {
		t.Fatal(token, err)
	}
	if _, err := w.setup.Found(t.Context(), token, "ada", "ada's password", "Robots", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	grant, err := w.sessions.Login(t.Context(), "Ada", "ada's password", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

func callerOf(g auth.Grant) auth.Caller {
	return auth.Caller{User: g.Me.ID, Workspace: g.Me.Workspace.ID, Role: g.Me.Role}
}

// plainSigner makes tokens that a test can read.
type plainSigner struct{}

func (plainSigner) Sign(p identity.Principal) (string, error) {
	return string(p.Kind) + " " + p.Name + " " + p.Workspace + " " + string(p.Role), nil
}

// news is the bus as far as it is told of products.
type news struct {
	mu   sync.Mutex
	sent []docstore.Message
	down bool
}

func (n *news) publish(_ context.Context, m docstore.Message) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down {
		return errors.New("the bus is down")
	}
	n.sent = append(n.sent, m)
	return nil
}

func (n *news) subjects() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, m := range n.sent {
		all = append(all, m.Subject)
	}
	return all
}

// shownKeys is the read model; a test can break it.
type shownKeys struct {
	mu    sync.Mutex
	shown map[string]auth.DeviceKey
	down  bool
	// before is called, unlocked, before each Put.
	before func(auth.DeviceKey)
}

var errDown = errors.New("the bucket is down")

func (k *shownKeys) Put(_ context.Context, key auth.DeviceKey) error {
	if k.before != nil {
		k.before(key)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return errDown
	}
	k.shown[key.Device] = key
	return nil
}

func (k *shownKeys) Remove(_ context.Context, device string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return errDown
	}
	delete(k.shown, device)
	return nil
}

func (k *shownKeys) All(context.Context) (map[string]auth.DeviceKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return nil, errDown
	}
	return maps.Clone(k.shown), nil
}

func (k *shownKeys) setDown(down bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = down
}

// devices returns the devices that are shown with this product ID.
func (k *shownKeys) key(device string) (auth.DeviceKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.shown[device]
	return key, ok
}

func (k *shownKeys) productIDs() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var ids []string
	for _, key := range k.shown {
		ids = append(ids, key.ProductID)
	}
	slices.Sort(ids)
	return ids
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}
