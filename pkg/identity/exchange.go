package identity

import (
	"context"
	"crypto/sha256"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/flota/flota/pkg/fault"
)

const (
	apiTokenPrefix  = "flota_"
	maxAPIToken     = 256
	exchangeTimeout = 5 * time.Second
	exchangeCache   = 4096
	renewBefore     = 30 * time.Second // a cached access token is replaced this long before it expires
)

// exchanger swaps API tokens for access tokens and remembers those, bounded,
// until shortly before they expire. It keeps no API token, only its hash.
type exchanger struct {
	verifier *Verifier
	exchange func(ctx context.Context, apiToken string) (access string, err error)
	cache    *lru.Cache[[sha256.Size]byte, string]
}

func newExchanger(v *Verifier, exchange func(context.Context, string) (string, error)) *exchanger {
	cache, err := lru.New[[sha256.Size]byte, string](exchangeCache)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &exchanger{v, exchange, cache}
}

// principal verifies the access token each time, so that a removed key works
// at once for cached tokens, too.
func (e *exchanger) principal(ctx context.Context, apiToken string) (Principal, error) {
	if e.exchange == nil || len(apiToken) > maxAPIToken {
		return Principal{}, fault.New(fault.Unauthenticated, "this API token is not known here")
	}
	key := sha256.Sum256([]byte(apiToken))
	if access, ok := e.cache.Get(key); ok {
		if p, err := e.verifier.Verify(access); err == nil && time.Until(p.Expires) > renewBefore {
			return p, nil
		}
		e.cache.Remove(key)
	}
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	access, err := e.exchange(ctx, apiToken)
	if err != nil && fault.As(err) == nil {
		err = fault.Wrap(err, fault.Unavailable, "the API token cannot be checked now; try again")
	}
	if err != nil {
		return Principal{}, err
	}
	p, err := e.verifier.Verify(access)
	if err != nil {
		return Principal{}, err
	}
	e.cache.Add(key, access)
	return p, nil
}
