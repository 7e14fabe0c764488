package httpserve_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/flota/flota/pkg/httpserve"
)

// server is one Serve on a port of its own.
type server struct {
	url  string
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, h http.Handler, o httpserve.Options) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &server{url: "http://" + ln.Addr().String(), stop: stop, done: make(chan error, 1)}
	go func() { s.done <- httpserve.Serve(ctx, ln, h, o) }()
	t.Cleanup(stop)
	return s
}

func (s *server) wait(t *testing.T, limit time.Duration) {
	t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(limit):
		t.Fatal("Serve does not end")
	}
}

func get(t *testing.T, address string, headers ...string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return http.DefaultClient.Do(r)
}

// A drain lets a request end, tells event streams at once, and refuses new ones.
func TestDrain(t *testing.T) {
	working, release := make(chan struct{}), make(chan struct{})
	streamEnded := make(chan struct{})
	e, _ := newEcho(httpserve.EchoOptions{})
	e.GET("/work", func(c echo.Context) error {
		close(working)
		<-release
		if err := c.Request().Context().Err(); err != nil {
			return err
		}
		return c.String(200, "done")
	})
	e.GET("/events", func(c echo.Context) error {
		defer close(streamEnded)
		c.Response().Flush()
		<-c.Request().Context().Done()
		return nil
	})
	s := start(t, e, httpserve.Options{Drain: 10 * time.Second})

	events, err := get(t, s.url+"/events", "Accept", "text/event-stream")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	answer := make(chan string, 1)
	go func() {
		resp, err := http.Get(s.url + "/work")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		answer <- string(text)
	}()
	<-working
	s.stop()
	select {
	case <-streamEnded:
	case <-time.After(5 * time.Second):
		t.Fatal("the event stream was not told")
	}
	if _, err := io.ReadAll(events.Body); err != nil {
		t.Errorf("the event stream ended badly: %v", err)
	}
	if resp, err := get(t, s.url+"/healthz"); err == nil {
		resp.Body.Close()
		t.Error("a new request was taken")
	}
	close(release)
	if got := <-answer; got != "done" {
		t.Errorf("the request in flight: %s", got)
	}
	s.wait(t, 5*time.Second)
}

// A request that does not end is told by its context, then cut; Serve ends.
func TestDrainIsBounded(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	told, working := make(chan struct{}), make(chan struct{})
	s := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(working)
		<-r.Context().Done()
		close(told)
	}), httpserve.Options{Drain: 50 * time.Millisecond, Log: zap.New(core)})
	go http.Get(s.url)
	<-working
	s.stop()
	s.wait(t, 5*time.Second)
	<-told
	if logs.FilterMessage("requests were cut off").Len() != 1 {
		t.Errorf("log: %v", logs.All())
	}
}

func TestStreamsOutliveTheDeadlines(t *testing.T) {
	const timeout = 100 * time.Millisecond
	s := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := http.NewResponseController(w)
		if r.URL.Path == "/stream" {
			if err := out.SetWriteDeadline(time.Time{}); err != nil {
				t.Error(err)
			}
		}
		fmt.Fprintln(w, "begin")
		out.Flush()
		select {
		case <-time.After(3 * timeout):
		case <-r.Context().Done():
			t.Error("the stream was ended early")
		}
		fmt.Fprintln(w, "end")
	}), httpserve.Options{WriteTimeout: timeout, ReadTimeout: timeout})

	resp, err := get(t, s.url+"/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || string(text) != "begin\nend\n" {
		t.Errorf("the stream: %q, %v", text, err)
	}
	resp, err = get(t, s.url+"/slow")
	if err == nil {
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("an answer beyond the deadline: %q", text)
		}
	}
}

func TestSlowBodiesAreEnded(t *testing.T) {
	failed := make(chan error, 1)
	s := start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		failed <- err
	}), httpserve.Options{ReadTimeout: 50 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nslow")
	var timeout net.Error
	if err := <-failed; !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v", err)
	}
}

func TestHugeHeadersAreRefused(t *testing.T) {
	s := start(t, http.NotFoundHandler(), httpserve.Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Big: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "431") {
		t.Errorf("%q, %v", line, err)
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := httpserve.Serve(t.Context(), ln, http.NotFoundHandler(), httpserve.Options{}); err == nil {
		t.Error("no error")
	}
}
