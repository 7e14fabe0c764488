package auth

import (
	"context"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/flota/flota/pkg/fault"
)

func TestDecoyIsStrong(t *testing.T) {
	params, _, _, err := argon2id.DecodeHash(decoy)
	if err != nil || *params != *strong {
		t.Errorf("%+v, %v", params, err)
	}
}

func TestMatch(t *testing.T) {
	h := NewHasher()
	chosen, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	password := madePassword()
	made, err := hashMade(password)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		password, hash string
		want           bool
	}{
		"chosen":        {"correct horse", chosen, true},
		"chosen, wrong": {"correct horsf", chosen, false},
		"made":          {password, made, true},
		"made, wrong":   {"1234", made, false},
		"nobody":        {"", "", false},
	} {
		if got, err := h.Match(t.Context(), test.password, test.hash); err != nil || got != test.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// From the time that a refusal takes nobody learns whether the name exists, or
// how its password came about.
func TestRefusalsTakeAsLong(t *testing.T) {
	h := NewHasher()
	chosen, _ := h.Hash(t.Context(), "correct horse")
	made, _ := hashMade(madePassword())
	fastest := func(hash string) time.Duration {
		least := time.Hour
		for range 7 {
			begin := time.Now()
			if ok, err := h.Match(t.Context(), "wrong", hash); ok || err != nil {
				t.Fatal(ok, err)
			}
			least = min(least, time.Since(begin))
		}
		return least
	}
	wrong := fastest(chosen)
	for name, hash := range map[string]string{"nobody": "", "made": made} {
		if took := fastest(hash); took < wrong/3 || took > 3*wrong {
			t.Errorf("%s takes %s, a wrong password %s", name, took, wrong)
		}
	}
}

func TestMadePasswords(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		p := madePassword()
		if len(p) != 19 || seen[p] || checkPassword("", p, shortestProductPassword) != nil {
			t.Fatalf("%q", p)
		}
		seen[p] = true
	}
}

// A flood waits in a bounded queue, and beyond it is refused at once.
func TestHasherIsBounded(t *testing.T) {
	h := NewHasher()
	for range h.Size() {
		leave, err := h.enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
	}
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	for range maxWaiting + 10 {
		go func() {
			_, err := h.Hash(ctx, "password")
			errs <- err
		}()
	}
	for range 10 {
		if err := <-errs; !fault.Is(err, fault.RateLimited) {
			t.Errorf("beyond the queue: %v", err)
		}
	}
	cancel()
	for range maxWaiting {
		if err := <-errs; !fault.Is(err, fault.Unavailable) {
			t.Errorf("who stops waiting: %v", err)
		}
	}
	if n := h.waiting.Load(); n != 0 {
		t.Errorf("%d still wait", n)
	}
}
