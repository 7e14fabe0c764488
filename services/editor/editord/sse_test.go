package editord_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/services/editor/httpapi"
)

// sse is one event as a browser gets it.
type sse struct{ id, name, data string }

// listener reads an event stream, event by event.
type listener struct {
	t      *testing.T
	cancel context.CancelFunc
	events chan sse
	status int
	header http.Header
}

// listen opens /events?query as somebody; after is its Last-Event-ID.
func (k *kit) listen(who, query, after string) *listener {
	k.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	k.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url+httpapi.Base+"/events"+query, nil)
	must(k.t, err)
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+who)
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	answer, err := http.DefaultClient.Do(r)
	must(k.t, err)
	l := &listener{k.t, cancel, make(chan sse, 10000), answer.StatusCode, answer.Header}
	go func() {
		defer close(l.events)
		defer answer.Body.Close()
		lines := bufio.NewScanner(answer.Body)
		lines.Buffer(nil, 1<<20)
		var e sse
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if e != (sse{}) {
					l.events <- e
				}
				e = sse{}
			}
		}
	}()
	return l
}

// next is the next event, whatever it is.
func (l *listener) next() (sse, bool) {
	l.t.Helper()
	select {
	case e, open := <-l.events:
		return e, open
	case <-time.After(soon):
		l.t.Fatal("no event")
		return sse{}, false
	}
}

// until reads until f says that it has enough, and returns what was read.
func (l *listener) until(f func(sse) bool) (all []sse) {
	l.t.Helper()
	for {
		e, open := l.next()
		if !open {
			l.t.Fatalf("the stream ended after %d events", len(all))
		}
		all = append(all, e)
		if f(e) {
			return all
		}
	}
}

// ended waits for the stream's end.
func (l *listener) ended() {
	l.t.Helper()
	for {
		if _, open := l.next(); !open {
			return
		}
	}
}

func decode[T any](t *testing.T, e sse) (v T) {
	t.Helper()
	must(t, json.Unmarshal([]byte(e.data), &v))
	return v
}

// state says whether an event is that of a build in this state.
func state(t *testing.T, build, want string) func(sse) bool {
	return func(e sse) bool {
		if e.name != "build" {
			return false
		}
		b := decode[httpapi.BuildEvent](t, e)
		return b.Build == build && b.State == want
	}
}
