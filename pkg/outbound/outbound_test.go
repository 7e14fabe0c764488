package outbound

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/flota/flota/pkg/fault"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

func TestPublic(t *testing.T) {
	for addr, want := range map[string]bool{
		"1.1.1.1":                true,
		"100.63.255.255":         true,
		"100.128.0.1":            true,
		"172.15.0.1":             true,
		"172.32.0.1":             true,
		"223.255.255.255":        true,
		"2606:4700::1111":        true,
		"2a00:1450:4001:81b::1":  true,
		"::ffff:1.1.1.1":         true,
		"64:ff9b::1.1.1.1":       true,
		"0.0.0.0":                false,
		"0.1.2.3":                false,
		"10.0.0.1":               false,
		"100.64.0.1":             false,
		"100.127.255.255":        false,
		"127.0.0.1":              false,
		"127.255.255.255":        false,
		"169.254.169.254":        false,
		"172.16.0.1":             false,
		"172.31.255.255":         false,
		"192.0.0.8":              false,
		"192.0.2.1":              false,
		"192.168.1.1":            false,
		"198.18.0.1":             false,
		"198.51.100.1":           false,
		"203.0.113.1":            false,
		"224.0.0.1":              false,
		"240.0.0.1":              false,
		"255.255.255.255":        false,
		"::":                     false,
		"::1":                    false,
		"::127.0.0.1":            false, // IPv4-compatible
		"::ffff:127.0.0.1":       false, // IPv4-mapped
		"::ffff:169.254.169.254": false,
		"::ffff:0:127.0.0.1":     false, // IPv4-translated
		"64:ff9b::127.0.0.1":     false, // NAT64
		"64:ff9b::10.0.0.1":      false,
		"64:ff9b:1::1.1.1.1":     false, // a network's own NAT64
		"100::1":                 false, // discard
		"2001::1":                false, // Teredo
		"2001:db8::1":            false,
		"2002:7f00:1::":          false, // 6to4 of 127.0.0.1
		"3fff::1":                false,
		"fc00::1":                false,
		"fd12:3456::1":           false,
		"fe80::1":                false,
		"fe80::1%eth0":           false,
		"fec0::1":                false,
		"ff02::1":                false,
	} {
		if got := public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: public is %v", addr, got)
		}
	}
}

// names is a DNS server that answers from a table.
type names map[string][]string

func (n names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go n.serve(server)
		return client, nil
	}}
}

// serve speaks DNS as over TCP: net.Pipe is no packet connection.
func (n names) serve(conn net.Conn) {
	defer conn.Close()
	length := make([]byte, 2)
	if _, err := io.ReadFull(conn, length); err != nil {
		return
	}
	query := make([]byte, int(length[0])<<8|int(length[1]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return
	}
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
		return
	}
	q := m.Questions[0]
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET}
	for _, text := range n[strings.TrimSuffix(q.Name.String(), ".")] {
		addr := netip.MustParseAddr(text)
		if addr.Is4() && q.Type == dnsmessage.TypeA {
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}})
		}
		if addr.Is6() && q.Type == dnsmessage.TypeAAAA {
			answer.Answers = append(answer.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
		}
	}
	packed, err := answer.Pack()
	if err != nil {
		return
	}
	conn.Write(append([]byte{byte(len(packed) >> 8), byte(len(packed))}, packed...))
}

func code(err error) fault.Code {
	if f := fault.As(err); f != nil {
		return f.Code
	}
	return ""
}

func get(t *testing.T, client *http.Client, address string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return string(text), err
}

func port(t *testing.T, server *httptest.Server) string {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return ":" + u.Port()
}

func TestAddressesAreRefused(t *testing.T) {
	reached := false
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer server.Close()
	dns := names{
		"loopback.example": {"127.0.0.1"},
		"six.example":      {"::1"},
		"both.example":     {"127.0.0.1", "::1", "10.0.0.1"},
		"metadata.example": {"169.254.169.254"},
		"mapped.example":   {"::ffff:127.0.0.1"},
		"nat64.example":    {"64:ff9b::7f00:1"},
	}
	t.Setenv("HTTP_PROXY", server.URL) // must not be a way round
	client := New(Options{Resolver: dns.resolver(), Timeout: 5 * time.Second})
	hosts := []string{"127.0.0.1", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "localhost"}
	for name := range dns {
		hosts = append(hosts, name)
	}
	for _, host := range hosts {
		if _, err := get(t, client, "http://"+host+port(t, server)); code(err) != fault.Forbidden {
			t.Errorf("%s: %v", host, err)
		}
	}
	if reached {
		t.Error("the server was reached")
	}
}

func TestAllowedNetwork(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	defer server.Close()
	dns := names{"inside.example": {"127.0.0.1"}, "elsewhere.example": {"127.0.0.2"}}
	client := New(Options{Allow: loopback, Resolver: dns.resolver(), Timeout: 5 * time.Second})
	if got, err := get(t, client, "http://inside.example"+port(t, server)); err != nil || !strings.HasPrefix(got, "inside.example") {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := get(t, client, "http://elsewhere.example"+port(t, server)); code(err) != fault.Forbidden {
		t.Errorf("beside the allowed network: %v", err)
	}
}

func TestRedirects(t *testing.T) {
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inner server was reached") }))
	defer inner.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	}))
	defer server.Close()
	dns := names{"ok.example": {"127.0.0.1"}, "evil.example": {"127.0.0.2"}}
	client := New(Options{Allow: loopback, Resolver: dns.resolver(), Timeout: 5 * time.Second})
	base := "http://ok.example" + port(t, server)
	for name, to := range map[string]string{
		"to a refused name":    "http://evil.example" + port(t, inner),
		"to a refused address": "http://[::ffff:10.0.0.1]/",
		"to a file":            "file:///etc/passwd",
		"to itself for ever":   base, // which redirects an absent "to" to itself
	} {
		if _, err := get(t, client, base+"/?to="+url.QueryEscape(to)); code(err) != fault.Forbidden {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDowngradeIsRefused(t *testing.T) {
	server := httptest.NewTLSServer(http.RedirectHandler("http://127.0.0.1/", http.StatusFound))
	defer server.Close()
	client := New(Options{Allow: loopback})
	client.Transport.(*limited).next.(*http.Transport).TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	if _, err := get(t, client, server.URL); code(err) != fault.Forbidden || !strings.Contains(err.Error(), "redirect") {
		t.Errorf("got %v", err)
	}
}

func TestSizeLimit(t *testing.T) {
	const limit = 1000
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	zip.Write(make([]byte, 100*limit))
	zip.Close()

	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    fault.Code
	}{
		"at the limit":       {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, limit)) }, ""},
		"one more, stated":   {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, limit+1)) }, fault.TooLarge},
		"one more, streamed": {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); w.Write(make([]byte, limit+1)) }, fault.TooLarge},
		"a bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed.Bytes())
		}, fault.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			text, err := get(t, New(Options{Allow: loopback, MaxBytes: limit}), server.URL)
			if code(err) != test.want || test.want == "" && err != nil {
				t.Errorf("got %v", err)
			}
			if len(text) > limit {
				t.Errorf("read %d bytes", len(text))
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush() // headers at once, then never a body
		<-r.Context().Done()
	}))
	defer server.Close()
	_, err := get(t, New(Options{Allow: loopback, Timeout: 50 * time.Millisecond}), server.URL)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v", err)
	}
}

func TestOtherSchemes(t *testing.T) {
	for _, address := range []string{"file:///etc/passwd", "ftp://1.1.1.1/", "gopher://1.1.1.1/", "unix:///run/x"} {
		if _, err := get(t, New(Options{}), address); code(err) != fault.Forbidden {
			t.Errorf("%s: %v", address, err)
		}
	}
}
