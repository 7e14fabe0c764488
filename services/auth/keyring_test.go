package auth_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/identity"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/auth"
)

// board is where keys are published.
type board struct {
	keys []auth.PublicKey
	err  error
}

func (b *board) Publish(_ context.Context, keys []auth.PublicKey) error {
	if b.err == nil {
		b.keys = keys
	}
	return b.err
}

func (b *board) verifier() *identity.Verifier {
	v := identity.NewVerifier()
	for _, k := range b.keys {
		v.SetKey(k.ID, k.Public)
	}
	return v
}

const keyLife = 30 * 24 * time.Hour

// At any minute of a year of turning, what is signed can be verified with what
// has been published ten minutes before, or more, and still is as long as the
// token lives.
func TestKeysTurn(t *testing.T) {
	w, b := newWorld(t), &board{}
	begin := w.now()
	k := &auth.Keyring{Store: w.store, Publisher: b, Box: newBox(t), Life: keyLife, Clock: w.now}
	publishedAt, signedLast, signers := map[string]time.Time{}, map[string]time.Time{}, map[string]bool{}
	step := func() string {
		if err := k.Turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, key := range b.keys {
			if _, ok := publishedAt[key.ID]; !ok {
				publishedAt[key.ID] = w.now()
			}
		}
		// The tokens' own clock is the real one: what counts here is the key.
		access, err := k.Sign(identity.Principal{Subject: "ada", Expires: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.verifier().Verify(access); err != nil {
			t.Fatalf("after %s: %v", w.now().Sub(begin), err)
		}
		var kid string
		for _, key := range b.keys {
			v := identity.NewVerifier()
			v.SetKey(key.ID, key.Public)
			if _, err := v.Verify(access); err == nil {
				kid = key.ID
			}
		}
		return kid
	}
	first := step()
	for range 6 * 31 * 24 / 4 { // half a year, in steps of 4 hours and of minutes where a key is new
		w.pass(4 * time.Hour)
		kid := step()
		if known := len(publishedAt); len(b.keys) > 1 && !signers[b.keys[len(b.keys)-1].ID] {
			for range 15 {
				w.pass(time.Minute)
				kid = step()
				if kid != first && w.now().Sub(publishedAt[kid]) < 10*time.Minute && publishedAt[kid] != begin {
					t.Fatalf("a key signs %s after it was published", w.now().Sub(publishedAt[kid]))
				}
				signers[kid], signedLast[kid] = true, w.now()
			}
			if len(publishedAt) != known {
				t.Fatal("one turn made two keys")
			}
		}
		signers[kid], signedLast[kid] = true, w.now()
		for id, last := range signedLast {
			_, shown := find(b.keys, id)
			if !shown && w.now().Sub(last) < auth.AccessLife {
				t.Fatalf("a key went %s after its last signature", w.now().Sub(last))
			}
		}
		if len(b.keys) > 2 {
			t.Fatalf("%d keys are published", len(b.keys))
		}
	}
	if len(signers) != 7 {
		t.Errorf("%d keys signed in half a year", len(signers))
	}
	if stored, err := w.store.SigningKeys(t.Context()); err != nil || len(stored) > 2 {
		t.Errorf("%d keys are kept, %v", len(stored), err)
	}
}

func find(keys []auth.PublicKey, id string) (auth.PublicKey, bool) {
	for _, k := range keys {
		if k.ID == id {
			return k, true
		}
	}
	return auth.PublicKey{}, false
}

func TestNoKeySignsBeforeItIsPublished(t *testing.T) {
	w, b := newWorld(t), &board{err: errors.New("the bus is down")}
	k := &auth.Keyring{Store: w.store, Publisher: b, Box: newBox(t), Life: keyLife, Clock: w.now}
	if err := k.Turn(t.Context()); err == nil {
		t.Fatal("turned without the bus")
	}
	if _, err := k.Sign(identity.Principal{Expires: time.Now().Add(time.Minute)}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("signed: %v", err)
	}
	b.err = nil
	if err := k.Turn(t.Context()); err != nil || len(b.keys) != 1 {
		t.Errorf("%d keys, %v", len(b.keys), err)
	}
}

func TestKeysLieSealed(t *testing.T) {
	w, b := newWorld(t), &board{}
	k := &auth.Keyring{Store: w.store, Publisher: b, Box: newBox(t), Life: keyLife, Clock: w.now}
	if err := k.Turn(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored, err := w.store.SigningKeys(t.Context())
	if err != nil || len(stored) != 1 {
		t.Fatal(stored, err)
	}
	seed, err := newBox(t).Open(stored[0].Sealed, []byte("token-key/"+stored[0].ID))
	if err != nil || !ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey).Equal(b.keys[0].Public) {
		t.Errorf("not the private half: %v", err)
	}
	if strings.Contains(string(stored[0].Sealed), string(seed)) {
		t.Error("the private half can be read")
	}
	foreign, err := secret.NewBox([]byte("another key of 32 bytes, in ASCII"[:32]))
	if err != nil {
		t.Fatal(err)
	}
	k = &auth.Keyring{Store: w.store, Publisher: b, Box: foreign, Life: keyLife, Clock: w.now}
	if err := k.Turn(t.Context()); err == nil || !strings.Contains(err.Error(), "another service key") {
		t.Errorf("with another key: %v", err)
	}
}
