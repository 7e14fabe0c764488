package auth

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/flota/flota/pkg/fault"
)

// Wait is the cause of a RateLimited fault: how long to wait.
type Wait struct{ After time.Duration }

func (w *Wait) Error() string { return fmt.Sprintf("wait %s", w.After) }

func wait(after time.Duration, format string, args ...any) error {
	return fault.Wrap(&Wait{after}, fault.RateLimited, format, args...)
}

// maxThrottled is how many names, or addresses, a throttle remembers.
const maxThrottled = 16384

// Guard stands before every check of a password. It counts tries by the name
// that is tried and by the address that tries, and locks either for longer and
// longer. It cannot be told from its answers whether a name exists.
type Guard struct{ names, addresses *throttle }

// NewGuard returns a guard with its limits: a name has 10 tries and one more
// each minute, then is locked for 5 s, doubled up to 15 minutes; an address
// (of IPv6, its /64) has 50 and one more every 6 s, then up to 5 minutes.
func NewGuard(clock Clock) *Guard {
	return &Guard{
		names:     newThrottle(clock, 10, time.Minute, 5*time.Second, 15*time.Minute),
		addresses: newThrottle(clock, 50, 6*time.Second, 5*time.Second, 5*time.Minute),
	}
}

// Try counts a try before it is made, so that many at once count, too. It
// returns what to call when the try succeeded, or RateLimited with a Wait.
func (g *Guard) Try(name, address string) (succeeded func(), err error) {
	address = network(address)
	if err := g.addresses.take(address); err != nil {
		return nil, err
	}
	if err := g.names.take(name); err != nil {
		g.addresses.giveBack(address) // nothing was learnt by this try
		return nil, err
	}
	return func() {
		g.names.forget(name)
		g.addresses.giveBack(address)
	}, nil
}

// network is the address, or the /64 of which somebody with IPv6 usually has all.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap(); a.Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// throttle holds a token bucket for each key. Who empties it is locked out;
// after that there is one try at a time, and the lock doubles with each, until
// the bucket had the time to fill up.
type throttle struct {
	clock          Clock
	burst          float64
	refill         time.Duration // for one token
	first, longest time.Duration // of locks

	mu      sync.Mutex
	buckets *simplelru.LRU[string, *bucket]
}

type bucket struct {
	tokens float64
	at     time.Time // when tokens were counted; lies ahead while locked
	locks  int       // in a row
}

func newThrottle(clock Clock, burst int, refill, first, longest time.Duration) *throttle {
	buckets, err := simplelru.NewLRU[string, *bucket](maxThrottled, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &throttle{clock: clock, burst: float64(burst), refill: refill, first: first, longest: longest, buckets: buckets}
}

func (t *throttle) take(key string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock()
	b, ok := t.buckets.Get(key)
	if !ok {
		b = &bucket{tokens: t.burst, at: now}
		t.buckets.Add(key, b)
	}
	if left := b.at.Sub(now); left > 0 {
		return wait(left, "too many tries; wait %s", left.Round(time.Second)+time.Second)
	}
	b.tokens = min(t.burst, b.tokens+float64(now.Sub(b.at))/float64(t.refill))
	if b.tokens == t.burst {
		b.locks = 0
	}
	b.at = now
	b.tokens = max(b.tokens-1, 0)
	if b.tokens < 1 {
		b.at = now.Add(min(t.first<<min(b.locks, 16), t.longest))
		b.locks++
	}
	return nil
}

// giveBack undoes a take.
func (t *throttle) giveBack(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, ok := t.buckets.Get(key)
	if !ok {
		return
	}
	b.tokens = min(t.burst, b.tokens+1)
	if now := t.clock(); b.at.After(now) {
		b.at = now
		b.locks = max(b.locks-1, 0) // 0 where only the clock went back
	}
}

func (t *throttle) forget(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buckets.Remove(key)
}
