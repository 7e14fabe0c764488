package auth

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// waits returns how long a try has to wait, 0 where it is let through.
func waits(t *testing.T, err error) time.Duration {
	t.Helper()
	if err == nil {
		return 0
	}
	w, ok := errors.AsType[*Wait](err)
	if !fault.Is(err, fault.RateLimited) || !ok || w.After <= 0 {
		t.Fatalf("not a RateLimited fault with a Wait: %v", err)
	}
	return w.After
}

func TestLockGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := NewGuard(time.Now)
		try := func() time.Duration {
			_, err := guard.Try("ada", "192.0.2.1")
			return waits(t, err)
		}
		for i := range 10 {
			if w := try(); w != 0 {
				t.Fatalf("try %d waits %s", i, w)
			}
		}
		for _, lock := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 900, 900} {
			if w := try(); w != lock*time.Second {
				t.Fatalf("locked for %s, want %ds", w, lock)
			}
			time.Sleep(lock*time.Second - time.Nanosecond)
			if w := try(); w != time.Nanosecond {
				t.Fatalf("a try while locked changed the lock: %s", w)
			}
			time.Sleep(time.Nanosecond)
			if w := try(); w != 0 {
				t.Fatalf("after the lock: %s", w)
			}
		}
		time.Sleep(15*time.Minute + 10*time.Minute) // the lock, and time to fill up
		for i := range 10 {
			if w := try(); w != 0 {
				t.Fatalf("after a pause, try %d waits %s", i, w)
			}
		}
		if w := try(); w != 5*time.Second {
			t.Errorf("after a pause the first lock is %s", w)
		}
	})
}

func TestSuccessForgivesAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard := NewGuard(time.Now)
		for i := range 100 {
			succeeded, err := guard.Try("ada", "192.0.2.1")
			if err != nil {
				t.Fatalf("try %d: %v", i, err)
			}
			if i%10 == 9 { // the try that locks is the right one
				succeeded()
			}
			time.Sleep(10 * time.Second)
		}
	})
}

// Many tries at once are counted before any of them is known to be wrong.
func TestTriesAtOnce(t *testing.T) {
	guard, let := NewGuard(time.Now), 0
	for range 1000 {
		if _, err := guard.Try("ada", "192.0.2.1"); err == nil {
			let++
		}
	}
	if let != 10 {
		t.Errorf("%d tries were let through", let)
	}
}

func TestAddressIsLimitedOverNames(t *testing.T) {
	for name, addresses := range map[string][]string{
		"one address":    {"192.0.2.1"},
		"mapped to IPv6": {"192.0.2.1", "::ffff:192.0.2.1"},
		"one /64":        {"2001:db8::1", "2001:db8::2:3", "2001:db8:0:0:ffff::"},
	} {
		t.Run(name, func(t *testing.T) {
			guard, let := NewGuard(time.Now), 0
			for i := range 200 {
				if _, err := guard.Try(fmt.Sprint("name", i), addresses[i%len(addresses)]); err == nil {
					let++
				}
			}
			if let != 50 {
				t.Errorf("%d tries were let through", let)
			}
			if _, err := guard.Try("name", "2001:db8:0:1::1"); err != nil {
				t.Errorf("another network: %v", err)
			}
		})
	}
}

// Who hammers at a locked name learns nothing by it, and is not counted: others
// behind the same address still log in.
func TestLockedNameDoesNotLockItsAddress(t *testing.T) {
	guard := NewGuard(time.Now)
	for range 1000 {
		guard.Try("ada", "192.0.2.1")
	}
	if _, err := guard.Try("bob", "192.0.2.1"); err != nil {
		t.Error(err)
	}
}

func TestThrottleIsBounded(t *testing.T) {
	throttle := newThrottle(time.Now, 10, time.Minute, time.Second, time.Minute)
	for i := range 2 * maxThrottled {
		throttle.take(fmt.Sprint(i))
	}
	if n := throttle.buckets.Len(); n != maxThrottled {
		t.Errorf("remembers %d keys", n)
	}
}

// A clock that goes back looks like a lock; giving back must not count below none.
func TestThrottleWhenTheClockGoesBack(t *testing.T) {
	now := time.Unix(1e9, 0)
	throttle := newThrottle(func() time.Time { return now }, 4, time.Minute, time.Second, time.Minute)
	_, _ = throttle.take("a"), throttle.take("a")
	now = now.Add(-time.Minute)
	throttle.giveBack("a")
	for range 4 {
		_ = throttle.take("a")
	}
}
