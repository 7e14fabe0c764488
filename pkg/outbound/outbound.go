// Package outbound gives the HTTP client for requests made on a user's behalf:
// webhooks, package indexes, OIDC. It reaches the public Internet and nothing
// of the network that it runs in.
package outbound

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/flota/flota/pkg/fault"
)

// Options limit the requests; a zero value takes the default.
type Options struct {
	Allow        []netip.Prefix // networks reached although they are not public, by the operator's word
	Timeout      time.Duration  // for a whole request with its redirects and body; 30 s
	MaxBytes     int64          // of a response's body, decompressed; 10 MiB
	MaxRedirects int            // 5
	Resolver     *net.Resolver  // the system's
}

const (
	defaultTimeout      = 30 * time.Second
	defaultMaxBytes     = 10 << 20
	defaultMaxRedirects = 5
	maxHeaderBytes      = 64 << 10
)

// New returns a client whose requests, redirects included, end in a fault
// inside the *url.Error: Forbidden for an address that is not public or a
// scheme other than http and https, TooLarge for a body beyond the limit (also
// while it is read).
//
// Addresses are checked when the connection is made, after the name has been
// resolved: a name that changes its address in between gains nothing. Proxies
// named in the environment are not used.
func New(opts Options) *http.Client {
	opts.Timeout = cmp.Or(opts.Timeout, defaultTimeout)
	opts.MaxBytes = cmp.Or(opts.MaxBytes, defaultMaxBytes)
	opts.MaxRedirects = cmp.Or(opts.MaxRedirects, defaultMaxRedirects)

	return &http.Client{
		Timeout: opts.Timeout,
		Transport: &limited{
			maxBytes: opts.MaxBytes,
			next: &http.Transport{
				DialContext:            Dial(opts),
				ForceAttemptHTTP2:      true,
				MaxIdleConnsPerHost:    2,
				IdleConnTimeout:        opts.Timeout,
				MaxResponseHeaderBytes: maxHeaderBytes,
			},
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > opts.MaxRedirects {
				return fault.New(fault.Forbidden, "more than %d redirects", opts.MaxRedirects)
			}
			if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
				return fault.New(fault.Forbidden, "a redirect from https to %s", r.URL.Scheme)
			}
			return nil
		},
	}
}

// Dial returns what connects with the same rule: a fault of code Forbidden for an
// address that is not public. Of the options it takes Allow, Timeout and Resolver.
func Dial(opts Options) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{
		Timeout:  cmp.Or(opts.Timeout, defaultTimeout),
		Resolver: opts.Resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			return checkAddress(address, opts.Allow)
		},
	}
	return dialer.DialContext
}

// checkAddress sees the very address that is about to be connected to.
func checkAddress(address string, allow []netip.Prefix) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	addr := target.Addr()
	if public(addr) || within(allow, embedded(addr)) {
		return nil
	}
	return fault.New(fault.Forbidden, "the address %s is not on the public Internet", addr)
}

// limited refuses other schemes and bounds the bodies of responses.
type limited struct {
	next     http.RoundTripper
	maxBytes int64
}

func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := checkURL(r.URL); err != nil {
		return nil, err
	}
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.ContentLength > l.maxBytes && r.Method != http.MethodHead {
		resp.Body.Close()
		return nil, tooLarge(l.maxBytes)
	}
	resp.Body = &body{ReadCloser: resp.Body, max: l.maxBytes, left: l.maxBytes}
	return resp, nil
}

func checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return fault.New(fault.Forbidden, "the scheme %q is neither http nor https", u.Scheme)
	}
	return nil
}

// body fails once more than max bytes have been read.
type body struct {
	io.ReadCloser
	max, left int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, tooLarge(b.max)
	}
	if int64(len(p)) > b.left+1 { // one more, to tell the limit from beyond it
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, tooLarge(b.max)
	}
	return n, err
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "the answer is larger than %s", size(limit))
}

func size(bytes int64) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}
