package simulator

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

// noProgress is how long a request may stand still.
const noProgress = 30 * time.Second

// maxConns is how many connections all devices of a process share, and
// downloadsAtATime how many of them download: a device reports while it
// downloads, and must not wait for the connection that it holds.
const (
	maxConns         = 512
	downloadsAtATime = maxConns / 2
)

var downloading = make(chan struct{}, downloadsAtATime)

// clients are what devices use that are not given one, by the certificate that
// they pin: connections are kept and bounded for all of them together.
var clients sync.Map

// NewClient returns a client that follows no redirect and uses no proxy. It
// trusts the given certificates instead of the system's, unless nil.
func NewClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: roots},
			MaxConnsPerHost:     maxConns,
			MaxIdleConnsPerHost: maxConns,
			IdleConnTimeout:     90 * time.Second,
			DisableCompression:  true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func clientOf(p deviceproto.Provision) (*http.Client, error) {
	if client, ok := clients.Load(p.CA); ok {
		return client.(*http.Client), nil
	}
	var roots *x509.CertPool
	if p.CA != "" {
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM([]byte(p.CA)) {
			return nil, errors.New("ca holds no certificate")
		}
	}
	client, _ := clients.LoadOrStore(p.CA, NewClient(roots))
	return client.(*http.Client), nil
}

// answer is one that proves to be the server's own and fresh: a check-in.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// refusal is every other answer, and none at all (status 0).
type refusal struct {
	status int
	header http.Header
	link   bool // it was asked for an image
	err    error
}

func (r *refusal) Error() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("the server answers %d", r.status)
}

// ask sends a signed request, and repeats it once if only the clock was off. Its
// errors are refusals.
func (d *Device) ask(ctx context.Context, method, path, etag string, body []byte) (answer, error) {
	a, err := d.askOnce(ctx, method, path, etag, body)
	r, refused := errors.AsType[*refusal](err)
	if !refused || r.status != http.StatusUnauthorized {
		return a, err
	}
	clock, missing := strconv.ParseInt(r.header.Get(deviceproto.HeaderClock), 10, 64)
	if missing != nil {
		return a, err
	}
	d.clock = time.Until(time.Unix(clock, 0))
	return d.askOnce(ctx, method, path, etag, body)
}

func (d *Device) askOnce(ctx context.Context, method, path, etag string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, noProgress)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, d.p.Server+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	signed := deviceproto.Request{
		Method: method, Path: path, Nonce: d.nonce(),
		Time:    strconv.FormatInt(time.Now().Add(d.clock).Unix(), 10),
		Running: d.Running().SHA256, ETag: etag, Body: body,
	}
	set := func(name, value string) {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	set(deviceproto.HeaderNonce, signed.Nonce)
	set(deviceproto.HeaderTime, signed.Time)
	set(deviceproto.HeaderRunning, signed.Running)
	set("If-None-Match", etag)
	set("Authorization", deviceproto.Authorization(d.keyID, deviceproto.RequestMAC(d.k, signed)))
	if body != nil {
		set("Content-Type", "application/json")
	}
	res, err := d.http.Do(req)
	if err != nil {
		return answer{}, &refusal{err: err}
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusNotModified:
	default:
		return answer{}, &refusal{status: res.StatusCode, header: res.Header}
	}
	if res.ContentLength < 0 && res.StatusCode == http.StatusOK {
		return answer{}, &refusal{err: errors.New("the answer has no Content-Length")}
	}
	a := answer{status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, deviceproto.MaxAnswer+1)); err != nil {
		return answer{}, &refusal{err: err}
	}
	genuine := deviceproto.VerifyAnswer(d.k, deviceproto.Answer{
		Nonce: signed.Nonce, Status: a.status, Poll: a.header.Get(deviceproto.HeaderPoll), ETag: a.header.Get("ETag"), Body: a.body,
	}, a.header.Get(deviceproto.HeaderMAC))
	if !genuine {
		return answer{}, &refusal{err: errors.New("the answer has no right MAC")}
	}
	return a, nil
}

// image opens a link at an offset: 200, 206, or a refusal. The body ends by
// itself when nothing comes for a while.
func (d *Device) image(ctx context.Context, link string, offset int64) (*http.Response, error) {
	select {
	case downloading <- struct{}{}:
	case <-ctx.Done():
		return nil, &refusal{link: true, err: ctx.Err()}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	alive := time.AfterFunc(noProgress, func() { cancel(errors.New("no progress")) })
	stop := func() { alive.Stop(); cancel(nil); <-downloading }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.p.Server+link, nil)
	if err != nil {
		stop()
		return nil, &refusal{link: true, err: err}
	}
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	res, err := d.http.Do(req)
	if err != nil {
		stop()
		return nil, &refusal{link: true, err: err}
	}
	res.Body = &watched{res.Body, alive, sync.OnceFunc(stop)}
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusPartialContent {
		res.Body.Close()
		return nil, &refusal{link: true, status: res.StatusCode, header: res.Header}
	}
	return res, nil
}

// watched is a body whose request is ended when nothing comes any more.
type watched struct {
	io.ReadCloser
	alive *time.Timer
	stop  func()
}

func (w *watched) Read(p []byte) (n int, err error) {
	n, err = w.ReadCloser.Read(p)
	if n > 0 {
		w.alive.Reset(noProgress)
	}
	return n, err
}

func (w *watched) Close() error {
	w.stop()
	return w.ReadCloser.Close()
}

// retryAfter is how long a 429 or 503 asks to wait.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return deviceproto.DefaultWait
	}
	return min(time.Duration(seconds)*time.Second, deviceproto.MaxWait)
}
