// Package transfer moves sources and outputs over HTTP, by the links that an
// attempt was given: a worker has no other credential.
package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/compiler"
	"github.com/flota/flota/services/compiler/intake"
)

const (
	tries     = 4
	firstWait = 100 * time.Millisecond
	oneTry    = time.Minute
)

// HTTP implements worker.Transfer. What may pass by itself is tried again.
type HTTP struct{ client http.Client }

// New returns a transfer with connections of its own.
func New() *HTTP {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.MaxIdleConnsPerHost = 8
	transport.DisableCompression = true
	return &HTTP{http.Client{
		Transport: transport, Timeout: oneTry,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Source implements worker.Transfer.
func (t *HTTP) Source(ctx context.Context, link string) (files []compiler.File, err error) {
	err = t.retry(ctx, func() (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	}, func(r *http.Response) error {
		files, err = intake.FromTar(r.Body)
		return err
	})
	return files, err
}

// Upload implements worker.Transfer. It is idempotent: the digest names the file.
func (t *HTTP) Upload(ctx context.Context, link string, o compiler.Output) error {
	return t.retry(ctx, func() (*http.Request, error) {
		f, err := os.Open(o.Path)
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPut, link+"/"+o.SHA256, f) // the client closes f
		if err != nil {
			return nil, err
		}
		r.ContentLength = o.Size
		if o.Size == 0 {
			r.Body = http.NoBody
		}
		r.Header.Set("Content-Type", "application/octet-stream")
		return r, nil
	}, func(*http.Response) error { return nil })
}

// retry does a request, again after trouble that passes: no answer, 429 and 5xx.
func (t *HTTP) retry(ctx context.Context, request func() (*http.Request, error), take func(*http.Response) error) error {
	for try, wait := 1, firstWait; ; try, wait = try+1, 4*wait {
		passes, err := t.once(request, take)
		if err == nil || !passes || try == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

func (t *HTTP) once(request func() (*http.Request, error), take func(*http.Response) error) (passes bool, err error) {
	r, err := request()
	if err != nil {
		return false, err
	}
	answer, err := t.client.Do(r)
	if err != nil {
		// The link itself is a secret: the client's error would put it into the log.
		var withLink *url.Error
		if errors.As(err, &withLink) {
			err = withLink.Err
		}
		return true, fault.Wrap(err, fault.Unavailable, "no answer from %s", r.URL.Host)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 == 2 {
		err := take(answer)
		// What the source is to blame for does not pass; a cut connection does.
		return err != nil && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge), err
	}
	var problem struct {
		Code   fault.Code
		Detail string
	}
	_ = json.NewDecoder(io.LimitReader(answer.Body, 4096)).Decode(&problem)
	passes = answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500
	return passes, fmt.Errorf("%s answers %d %s: %s", r.URL.Host, answer.StatusCode, problem.Code, problem.Detail)
}
