package solo

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/httpserve/problem"
)

// gateway is what Caddy is in Compose: it gives each request at the one origin
// to the service that answers it.
type gateway struct {
	mounted map[flow.Service]*atomic.Pointer[http.Handler]
	// boards is closed when it is known whether there are virtual boards.
	boards     chan struct{}
	knowBoards func()
	// all is closed when every service that speaks HTTP has mounted.
	all  chan struct{}
	left sync.WaitGroup
}

var onHTTP = []flow.Service{flow.Auth, flow.Editor, flow.Artifact, flow.Fleet}

func newGateway() *gateway {
	g := &gateway{mounted: map[flow.Service]*atomic.Pointer[http.Handler]{}, all: make(chan struct{}), boards: make(chan struct{})}
	g.knowBoards = sync.OnceFunc(func() { close(g.boards) })
	g.mounted[flow.Boards] = new(atomic.Pointer[http.Handler])
	for _, s := range onHTTP {
		g.mounted[s] = new(atomic.Pointer[http.Handler])
		g.left.Add(1)
	}
	go func() {
		g.left.Wait()
		close(g.all)
	}()
	return g
}

// serve returns a daemon's Serve: it mounts the handler until ctx ends.
func (g *gateway) serve(s flow.Service) func(context.Context, http.Handler) error {
	return func(ctx context.Context, h http.Handler) error {
		switch first := g.mounted[s].Swap(&h) == nil; {
		case s == flow.Boards:
			g.knowBoards()
		case first:
			g.left.Done()
		}
		<-ctx.Done()
		return nil
	}
}

// noBoards answers for the boards service where there is none.
func (g *gateway) noBoards() {
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := problem.OfStatus(http.StatusNotFound, "no_boards")
		p.Title, p.Detail = "No virtual boards", "This installation has no virtual boards."
		p.Write(w, r)
	})
	g.mounted[flow.Boards].Store(&h)
	g.knowBoards()
}

// public answers people and devices.
func (g *gateway) public() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := r.URL.Path; {
		case p == "/metrics", p == "/readyz", strings.HasPrefix(p, "/up/"), strings.HasPrefix(p, "/src/"):
			http.NotFound(w, r) // for inside only
		case forDevices(p), strings.HasPrefix(p, "/dl/"):
			g.give(flow.Artifact, w, r)
		case strings.HasPrefix(p, "/api/auth/"):
			g.give(flow.Auth, w, r)
		case strings.HasPrefix(p, "/api/fleet/"):
			g.give(flow.Fleet, w, r)
		case strings.HasPrefix(p, "/api/boards/"):
			g.give(flow.Boards, w, r)
		default:
			g.give(flow.Editor, w, r)
		}
	})
}

// devices answers devices only.
func (g *gateway) devices() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if forDevices(r.URL.Path) {
			g.give(flow.Artifact, w, r)
			return
		}
		http.NotFound(w, r)
	})
}

// inside answers the workers, virtual boards and whoever watches the process.
func (g *gateway) inside() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch {
		case strings.HasPrefix(r.URL.Path, "/src/"):
			g.give(flow.Editor, w, r)
		case strings.HasPrefix(r.URL.Path, "/up/"), strings.HasPrefix(r.URL.Path, "/dl/"), forDevices(r.URL.Path):
			g.give(flow.Artifact, w, r)
		case g.mounted[flow.Service(service)] != nil && (rest == "metrics" || rest == "readyz"):
			http.StripPrefix("/"+service, g.mountedHandler(flow.Service(service))).ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

func (g *gateway) mountedHandler(s flow.Service) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.give(s, w, r) })
}

func (g *gateway) give(s flow.Service, w http.ResponseWriter, r *http.Request) {
	h := g.mounted[s].Load()
	if h == nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return
	}
	(*h).ServeHTTP(w, r)
}

func forDevices(path string) bool {
	return strings.HasPrefix(path, "/d/v1/") || strings.HasPrefix(path, "/firmware/") ||
		strings.HasSuffix(path, ".ino.bin") && strings.Count(path, "/") == 1
}
