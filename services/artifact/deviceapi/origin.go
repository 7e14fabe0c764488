package deviceapi

import (
	"net/http"
	"net/netip"
	"strings"
)

// origin returns the client's address and whether it came by TLS. What a proxy says
// of both is believed of the trusted ones only.
func (a *API) origin(r *http.Request) (address string, secure bool) {
	address, secure = host(r.RemoteAddr), r.TLS != nil
	if len(a.TrustedProxies) == 0 || !a.trusts(address) {
		return address, secure
	}
	secure = strings.EqualFold(value(r.Header, "X-Forwarded-Proto"), "https")
	// The last address that no trusted proxy added itself.
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if hop == "" {
			break
		}
		address = hop
		if !a.trusts(hop) {
			break
		}
	}
	return address, secure
}

func (a *API) trusts(address string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	for _, p := range a.TrustedProxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// host cuts the port off an address and port.
func host(address string) string {
	i := strings.LastIndexByte(address, ':')
	if i < 0 {
		return address
	}
	return strings.TrimSuffix(strings.TrimPrefix(address[:i], "["), "]")
}
