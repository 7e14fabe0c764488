package outbound

import (
	"net/netip"
	"slices"
)

// internet is the whole of unicast IPv6 that is in use; everything outside it
// is loopback, link-local, private, multicast or unassigned.
var internet = netip.MustParsePrefix("2000::/3")

// nat64 is the prefix under which an IPv6-only network reaches IPv4.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// special are the networks of the IANA special-purpose registries that are
// not the public Internet, of both families.
var special = parsePrefixes(
	"0.0.0.0/8",       // this host, this network
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // carrier-grade NAT
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, and the clouds' metadata
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, and broadcast
	"2001::/23",       // protocol assignments: Teredo carries an IPv4 address
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4 carries an IPv4 address
	"3fff::/20",       // documentation
)

// public reports whether an address belongs to the public Internet. An IPv4
// address inside an IPv6 one (mapped, NAT64) is judged as itself.
func public(addr netip.Addr) bool {
	addr = embedded(addr)
	if addr.Zone() != "" || addr.Is6() && !internet.Contains(addr) {
		return false
	}
	return !within(special, addr)
}

func embedded(addr netip.Addr) netip.Addr {
	if nat64.Contains(addr) {
		raw := addr.As16()
		return netip.AddrFrom4([4]byte(raw[12:]))
	}
	return addr.Unmap()
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

func parsePrefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}
