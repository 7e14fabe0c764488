package link

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// Epoch is how long one signing key is used. A key is accepted for one more
// epoch, so a link lives for at most this long.
const Epoch = 30 * 24 * time.Hour

// Ring signs and verifies with keys that rotate by time: each epoch's key is
// derived from the service key and the epoch's number, so that instances which
// share the service key need not talk to each other. It is safe for
// concurrent use.
type Ring struct {
	service []byte
	now     func() time.Time
	window  atomic.Pointer[window]
}

// window is the keys in use: those of the previous, the current and the next
// epoch (of an instance whose clock is ahead).
type window struct {
	first uint16
	keys  [3]*key
}

// NewRing returns a ring on a service key. Now is usually time.Now.
func NewRing(serviceKey []byte, now func() time.Time) *Ring {
	return &Ring{service: append([]byte(nil), serviceKey...), now: now}
}

// Sign returns the link's token. An expiry more than Epoch ahead is cut to
// that, and without one the link has expired already. A subject longer than MaxSubject is a mistake in the program and
// panics.
func (r *Ring) Sign(l Link) string {
	if len(l.Subject) > MaxSubject {
		panic(fmt.Sprintf("link: a subject of %d bytes", len(l.Subject)))
	}
	now := r.now()
	if latest := now.Add(Epoch); l.Expires.After(latest) {
		l.Expires = latest
	}
	audience := hashAudience(l.Audience)

	raw := make([]byte, 0, maxToken)
	raw = append(raw, byte(l.Kind))
	raw = binary.BigEndian.AppendUint16(raw, epochOf(now))
	raw = binary.BigEndian.AppendUint32(raw, uint32(max(0, l.Expires.Unix())))
	raw = append(raw, audience[:]...)
	raw = append(raw, l.Subject...)
	mac := r.key(epochOf(now), now).mac(raw)
	return encoding.EncodeToString(append(raw, mac[:]...))
}

// Verify returns what the token says. It returns a Forbidden fault for a token
// that was not signed by this ring or is of another kind, and an Expired fault
// for one whose time is over. Where the caller is known, CheckAudience too.
func (r *Ring) Verify(text string, kind Kind) (Link, error) {
	var t token
	if !t.decode(text) {
		return Link{}, errForeign
	}
	now := r.now()
	want := r.key(t.epoch(), now).mac(t.signed())
	if !hmac.Equal(want[:], t.mac()) {
		return Link{}, errForeign
	}
	l := t.link()
	if l.Kind != kind {
		return Link{}, errKind
	}
	if !now.Before(l.Expires) || t.epoch()+1 < epochOf(now) {
		return Link{}, errExpired
	}
	return l, nil
}

var (
	errForeign = fault.New(fault.Forbidden, "this link is not one of ours, or it was changed on the way")
	errKind    = fault.New(fault.Forbidden, "this link is for something else")
	errExpired = fault.New(fault.Expired, "this link has expired; ask for a fresh one")
)

func epochOf(t time.Time) uint16 { return uint16(t.Unix() / int64(Epoch/time.Second)) }

// key returns an epoch's key. Keys outside the window are derived each time:
// an old link is told from a forged one, but nobody can fill a cache.
func (r *Ring) key(epoch uint16, now time.Time) *key {
	first := epochOf(now) - 1
	w := r.window.Load()
	if w == nil || w.first != first {
		w = &window{first: first}
		for i := range w.keys {
			w.keys[i] = newKey(r.service, first+uint16(i))
		}
		r.window.Store(w)
	}
	if i := epoch - first; int(i) < len(w.keys) {
		return w.keys[i]
	}
	return newKey(r.service, epoch)
}

// key computes MACs with one epoch's key; the hash states are reused.
type key struct{ states sync.Pool }

func newKey(service []byte, epoch uint16) *key {
	derived, err := hkdf.Key(sha256.New, service, nil, fmt.Sprintf("flota/link/%d", epoch), sha256.Size)
	if err != nil {
		panic(err) // only for a length beyond 255 hashes
	}
	return &key{sync.Pool{New: func() any { return hmac.New(sha256.New, derived) }}}
}

func (k *key) mac(message []byte) [macSize]byte {
	state := k.states.Get().(hash.Hash)
	defer k.states.Put(state)
	state.Reset()
	state.Write(message)
	var sum [sha256.Size]byte
	return [macSize]byte(state.Sum(sum[:0]))
}
