package auth

import (
	"context"
	"crypto/rand"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/flota/flota/pkg/fault"
)

var (
	// strong is for passwords that people choose: OWASP's setting for small
	// servers, 19 MiB and about 20 ms.
	strong = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	// light is for passwords that madePassword makes. Slow hashing makes up for
	// passwords that can be guessed; 80 random bits cannot be, at any speed,
	// and a list of 1000 labels is made within one request.
	light = &argon2id.Params{Memory: 64, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
)

// decoy is a strong hash of nothing that anybody knows: it is compared with
// where there is no other, so that an unknown login takes as long.
const decoy = "$argon2id$v=19$m=19456,t=2,p=1$Zmxvd2Vyc2luYnJlZXplcw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// maxWaiting bounds who waits for a hash; beyond, logins are refused at once.
const maxWaiting = 128

// Hasher makes and checks argon2id hashes, a few at a time: each takes 19 MiB,
// and a flood of logins must not exhaust the memory.
type Hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
}

// NewHasher returns a hasher that runs at most one hash per core, and at most 4.
func NewHasher() *Hasher {
	return &Hasher{slots: make(chan struct{}, min(runtime.NumCPU(), 4))}
}

// Size returns how many hashes run at the same time.
func (h *Hasher) Size() int { return cap(h.slots) }

// Hash returns the hash of a chosen password. Errors: RateLimited, or the context's.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	return argon2id.CreateHash(password, strong)
}

// Match reports whether the password is the one that was hashed. An empty hash
// stands for somebody unknown and matches nothing. Whatever the hash is, it
// takes the time of one strong hash. Errors: RateLimited, or the context's.
func (h *Hasher) Match(ctx context.Context, password, hash string) (bool, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	if hash == "" {
		_, err := argon2id.ComparePasswordAndHash(password, decoy)
		return false, err
	}
	ok, params, err := argon2id.CheckHash(password, hash)
	if err == nil && params.Memory < strong.Memory {
		_, err = argon2id.ComparePasswordAndHash(password, decoy)
	}
	return ok, err
}

func (h *Hasher) enter(ctx context.Context) (leave func(), err error) {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > maxWaiting {
		return nil, wait(time.Second, "too many logins at this moment; try again")
	}
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, busy(ctx)
	}
	if ctx.Err() != nil { // both were ready
		<-h.slots
		return nil, busy(ctx)
	}
	return func() { <-h.slots }, nil
}

func busy(ctx context.Context) error {
	return fault.Wrap(ctx.Err(), fault.Unavailable, "the server is busy with logins; try again")
}

// hashMade returns the hash of a password that madePassword made.
func hashMade(password string) (string, error) { return argon2id.CreateHash(password, light) }

// madePassword returns 80 random bits as 16 characters in groups of four, to be
// read from a label and typed: Crockford's 32 characters, without i, l, o and u.
func madePassword() string {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	var b [16]byte
	rand.Read(b[:])
	text := make([]byte, 0, 19)
	for i, v := range b {
		if i > 0 && i%4 == 0 {
			text = append(text, '-')
		}
		text = append(text, alphabet[v%32])
	}
	return string(text)
}
