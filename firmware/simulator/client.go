package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

// answer is what came back, with its MAC checked where it must have one.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	checkin bool
}

// errOutage stands for no answer, or one that proves nothing.
var errOutage = errors.New("outage")

// ask sends a signed request and repeats it once if only the clock was off.
func (d *Device) ask(ctx context.Context, method, path, etag string, body []byte) (answer, error) {
	a, err := d.askOnce(ctx, method, path, etag, body)
	if err != nil || a.status != http.StatusUnauthorized {
		return a, err
	}
	clock, parseErr := strconv.ParseInt(a.header.Get(deviceproto.HeaderClock), 10, 64)
	if parseErr != nil {
		return a, nil
	}
	d.clock = time.Until(time.Unix(clock, 0))
	return d.askOnce(ctx, method, path, etag, body)
}

func (d *Device) askOnce(ctx context.Context, method, path, etag string, body []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, d.p.Server+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	signed := deviceproto.Request{
		Method: method, Path: path, Nonce: deviceproto.NewNonce(),
		Time:    strconv.FormatInt(time.Now().Add(d.clock).Unix(), 10),
		Running: d.state.Slots[d.state.Active].SHA256, ETag: etag, Body: body,
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
		return answer{}, fmt.Errorf("%w: %w", errOutage, err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, deviceproto.MaxAnswer+1)); err != nil {
		return answer{}, fmt.Errorf("%w: %w", errOutage, err)
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusNoContent, http.StatusNotModified:
		a.checkin = len(a.body) <= deviceproto.MaxAnswer && deviceproto.VerifyAnswer(d.k, deviceproto.Answer{
			Nonce: signed.Nonce, Status: res.StatusCode, Poll: res.Header.Get(deviceproto.HeaderPoll), ETag: res.Header.Get("ETag"), Body: a.body,
		}, res.Header.Get(deviceproto.HeaderMAC))
		if !a.checkin {
			return answer{}, fmt.Errorf("%w: the answer has no right MAC", errOutage)
		}
	}
	return a, nil
}

// image opens a link at an offset. The status is 200, 206, or an error's.
func (d *Device) image(ctx context.Context, link string, offset int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.p.Server+link, nil)
	if err != nil {
		return nil, err
	}
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	res, err := d.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errOutage, err)
	}
	return res, nil
}

// retryAfter is how long a 429 or 503 asks to wait.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return deviceproto.DefaultWait
	}
	return min(time.Duration(seconds)*time.Second, deviceproto.MaxWait)
}
