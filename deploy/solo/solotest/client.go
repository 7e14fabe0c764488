package solotest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/flota/flota/pkg/httpserve/problem"
	authapi "github.com/flota/flota/services/auth/httpapi"
)

// requestTime limits each request, but not a download or an event stream.
const requestTime = 30 * time.Second

// Client is one browser or program that uses the product. It is safe for
// concurrent use once somebody is logged in.
type Client struct {
	// Origin is the one of people, DeviceOrigin that of devices.
	Origin, DeviceOrigin string
	HTTP                 *http.Client

	mu      sync.Mutex
	session authapi.Session
}

// NewClient returns a client that nobody is logged in with. The transport is
// for names and certificates; nil is the default one.
func NewClient(origin, devices string, transport http.RoundTripper) *Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // only with options
	}
	return &Client{
		Origin: strings.TrimSuffix(origin, "/"), DeviceOrigin: strings.TrimSuffix(devices, "/"),
		HTTP: &http.Client{Jar: jar, Transport: transport},
	}
}

// Problem is an answer that is an error.
type Problem struct {
	problem.Problem
	Header http.Header
}

// Error implements error.
func (p *Problem) Error() string {
	return fmt.Sprintf("%d %s: %s (field %q)", p.Status, p.Code, p.Detail, p.Field)
}

// Session is who is logged in.
func (c *Client) Session() authapi.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Do sends a request with JSON and decodes the answer into out, unless it is nil.
// An answer that is an error is returned as *Problem.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	answer, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		return err
	}
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// send returns an answer that is no error; the caller closes its body.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.at(path), body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if access := c.Session().AccessToken; access != "" {
		r.Header.Set("Authorization", "Bearer "+access)
	}
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode < 400 {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, problemOf(answer)
}

func problemOf(answer *http.Response) error {
	p := &Problem{Header: answer.Header}
	data, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &p.Problem); err != nil {
		p.Status, p.Detail = answer.StatusCode, string(data)
	}
	return p
}

// at makes a URL of a path, or leaves one as it is.
func (c *Client) at(path string) string {
	if strings.HasPrefix(path, "/") {
		return c.Origin + path
	}
	return path
}

// Download gets what a signed link names.
func (c *Client) Download(ctx context.Context, link string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.at(link), nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, problemOf(answer)
	}
	return io.ReadAll(answer.Body)
}

func word(s string) string { return url.PathEscape(s) }

func randomWord() string { return strings.ToLower(rand.Text()[:12]) }
