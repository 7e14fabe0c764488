package deviceapi

import (
	"net/netip"
	"sync"
	"time"
)

const (
	failureWindow = time.Minute
	maxFailures   = 30    // of one address in a window
	maxAddresses  = 10000 // that are counted in a window
)

// failures counts wrong credentials by address. It holds a bounded number of
// addresses; beyond that it counts afresh.
type failures struct {
	mu    sync.Mutex
	began time.Time
	count map[netip.Prefix]int
}

// allow counts one more failure and reports whether they are not too many.
func (f *failures) allow(now time.Time, address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	network := network(address)
	_, known := f.count[network]
	if now.Sub(f.began).Abs() >= failureWindow || !known && len(f.count) >= maxAddresses {
		f.began, f.count = now, map[netip.Prefix]int{}
	}
	f.count[network]++
	return f.count[network] <= maxFailures
}

// network is the address itself, or the /64 that one IPv6 client can move in.
func network(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap()
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}
