package compilerd_test

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/bus/bustest"
	"github.com/flota/flota/pkg/flow"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	"github.com/flota/flota/services/compiler/compilerd"
)

// farm is the worker's surroundings: a real NATS server, and an HTTP server that
// gives sources and takes outputs. The test plays the editor.
type farm struct {
	t      *testing.T
	nats   *bustest.NATS
	editor *bus.Conn
	files  *httptest.Server

	mu       sync.Mutex
	builds   map[string]*build
	uploaded map[string][]byte // by path
	claims   []*editorv1.ClaimRequest
}

type build struct {
	grant    *editorv1.ClaimResponse
	source   []string // name, text, …
	finished chan *compilerv1.BuildFinished
}

func newFarm(t *testing.T) *farm {
	t.Helper()
	if os.Getenv("FLOTA_TEST_TOOLCHAIN") == "" {
		t.Skip("FLOTA_TEST_TOOLCHAIN is not set: nothing is compiled. It is what `deploy/toolchain/layout.sh --with-fixture` prints; `make test` sets it.")
	}
	f := &farm{t: t, nats: bustest.Server(t), builds: map[string]*build{}, uploaded: map[string][]byte{}}
	f.editor = f.nats.Connect(flow.Editor)
	f.files = httptest.NewServer(f)
	t.Cleanup(f.files.Close)
	f.background(func(ctx context.Context) error { return bus.Serve(ctx, f.editor, flow.Claim, 4, f.claim) })
	f.background(func(ctx context.Context) error {
		return bus.Handle(ctx, f.editor, flow.TakeFinished, bus.NewSlots(4), func(_ context.Context, m bus.Message[*compilerv1.BuildFinished]) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.builds[m.Body.GetBuild()].finished <- m.Body
			return nil
		})
	})
	return f
}

// background runs something until the test ends.
func (f *farm) background(do func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(stop)
	return stop
}

// worker starts a worker; stop tells it to stop and waits.
func (f *farm) worker(cfg compilerd.Config) (stop func()) {
	f.t.Helper()
	cfg.Toolchain = os.Getenv("FLOTA_TEST_TOOLCHAIN")
	conn := f.nats.Connect(flow.Compiler)
	log := zaptest.NewLogger(f.t, zaptest.Level(zap.WarnLevel))
	stop = f.background(func(ctx context.Context) error {
		return compilerd.Run(ctx, cfg, compilerd.Deps{Log: log, Bus: conn})
	})
	f.eventually("the worker is announced", func() bool { return len(f.workers()) > 0 })
	return stop
}

func (f *farm) workers() map[string]*compilerv1.Worker {
	all, err := bus.Snapshot(f.t.Context(), f.editor, flow.Workers)
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func (f *farm) claim(_ context.Context, q *editorv1.ClaimRequest) (*editorv1.ClaimResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.claims = append(f.claims, q)
	b := f.builds[q.GetBuild()]
	if b == nil {
		return &editorv1.ClaimResponse{}, nil
	}
	b.grant.Granted = true
	b.grant.Attempt++
	b.grant.DeadlineMs = time.Now().Add(time.Minute).UnixMilli()
	b.grant.SourceUrl = f.files.URL + "/source/" + q.GetBuild()
	b.grant.UploadUrl = fmt.Sprintf("%s/upload/%s.%d", f.files.URL, q.GetBuild(), b.grant.GetAttempt())
	return b.grant, nil
}

// ServeHTTP gives sources and takes outputs whose digest is right.
func (f *farm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name, ok := strings.CutPrefix(r.URL.Path, "/source/"); ok && r.Method == http.MethodGet {
		archive := tar.NewWriter(w)
		for pair := range slices.Chunk(f.builds[name].source, 2) {
			_ = archive.WriteHeader(&tar.Header{Name: pair[0], Typeflag: tar.TypeReg, Size: int64(len(pair[1])), Mode: 0o644})
			_, _ = io.WriteString(archive, pair[1])
		}
		_ = archive.Close()
		return
	}
	data, _ := io.ReadAll(r.Body)
	sum := sha256.Sum256(data)
	if r.Method != http.MethodPut || filepath.Base(r.URL.Path) != hex.EncodeToString(sum[:]) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.uploaded[r.URL.Path] = data
}

// ask publishes a build for a platform as the workers announced it.
func (f *farm) ask(name string, grant *editorv1.ClaimResponse, source ...string) *build {
	f.t.Helper()
	b := &build{grant: grant, source: source, finished: make(chan *compilerv1.BuildFinished, 4)}
	f.mu.Lock()
	f.builds[name] = b
	f.mu.Unlock()
	for _, w := range f.workers() {
		for _, p := range w.GetPlatforms() {
			if strings.HasPrefix(grant.GetFqbn(), p.GetId()+":") {
				if err := bus.Publish(f.t.Context(), f.editor, flow.BuildJob, &compilerv1.Job{Build: name}, name, flow.PlatformWord(p.GetId(), p.GetVersion()), name); err != nil {
					f.t.Fatal(err)
				}
				return b
			}
		}
	}
	f.t.Fatalf("nobody offers %s", grant.GetFqbn())
	return nil
}

func (f *farm) await(b *build) *compilerv1.BuildFinished {
	f.t.Helper()
	select {
	case r := <-b.finished:
		return r
	case <-time.After(30 * time.Second):
		f.t.Fatal("the build did not finish")
		return nil
	}
}

func (f *farm) eventually(what string, is func() bool) {
	f.t.Helper()
	for end := time.Now().Add(15 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("not within 15 s: %s", what)
		}
	}
}

// told returns the lines of an attempt's log.
func (f *farm) told(build string) string {
	var lines []string
	err := bus.Replay(f.t.Context(), f.editor, flow.BuildLog, func(e bus.Event[*compilerv1.LogChunk]) error {
		for _, l := range e.Body.GetLines() {
			lines = append(lines, l.GetText())
		}
		return nil
	}, build, "1")
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func sketch(fqbn string) *editorv1.ClaimResponse {
	return &editorv1.ClaimResponse{Kind: compilerv1.Kind_KIND_ARDUINO, Fqbn: fqbn, Main: "a.ino"}
}

const (
	blink = "void setup() { pinMode(LED_BUILTIN, OUTPUT); }\nvoid loop() {}\n"
	slow  = "#include <map>\n#include <string>\nstd::map<std::string, int> m;\nvoid setup() { m[\"a\"] = m.size(); }\nvoid loop() {}\n"
)

func TestBuilds(t *testing.T) {
	f := newFarm(t)
	f.worker(compilerd.Config{Slots: 2, Drain: time.Minute})

	t.Run("what is offered", func(t *testing.T) {
		offers, err := bus.Snapshot(t.Context(), f.editor, flow.Platforms)
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range f.workers() {
			if w.GetWorker() != name || w.GetSlots() != 2 || w.GetFree() != 2 || w.GetDraining() || w.GetStartedMs() == 0 {
				t.Errorf("%v", w)
			}
			var ids []string
			for _, p := range w.GetPlatforms() {
				ids = append(ids, p.GetId())
				if p.GetVersion() == "" || p.GetToolchain() == "" || len(offers[flow.PlatformKey(p.GetId(), p.GetVersion(), p.GetToolchain())].GetBoards()) == 0 {
					t.Errorf("%v", p)
				}
			}
			if got := strings.Join(ids, " "); got != "arduino:avr fixture:esp32like flota:virtual micropython:py" {
				t.Error(got)
			}
		}
	})

	t.Run("a good sketch", func(t *testing.T) {
		r := f.await(f.ask("good", sketch("flota:virtual:esp32"), "a.ino", blink))
		if r.GetOutcome() != compilerv1.Outcome_OUTCOME_SUCCEEDED || r.GetAttempt() != 1 || len(r.GetOutputs()) != 3 || len(r.GetTimes()) != 3 || r.GetMemory().GetFlashMax() != 1310720 {
			t.Errorf("%v", r)
		}
		for _, o := range r.GetOutputs() {
			f.mu.Lock()
			data := f.uploaded["/upload/good.1/"+o.GetSha256()]
			f.mu.Unlock()
			if uint64(len(data)) != o.GetSize() || o.GetSize() == 0 {
				t.Errorf("%v: %d bytes uploaded", o, len(data))
			}
		}
		if log := f.told("good"); !strings.Contains(log, "Compiling a.ino for Virtual ESP32") || !strings.Contains(log, "Program: ") {
			t.Error(log)
		}
	})

	t.Run("a sketch with an error", func(t *testing.T) {
		r := f.await(f.ask("bad", sketch("arduino:avr:uno"), "a.ino", blink, "tab.ino", "\nnothing x;\n"))
		d := r.GetDiagnostics()
		if r.GetOutcome() != compilerv1.Outcome_OUTCOME_FAILED || len(d) == 0 || d[0].GetFile() != "tab.ino" || d[0].GetLine() != 2 || d[0].GetSeverity() != compilerv1.Severity_SEVERITY_ERROR {
			t.Errorf("%v", r)
		}
		if len(r.GetOutputs()) != 0 || r.GetMessage() == "" {
			t.Errorf("%v", r)
		}
	})

	t.Run("a file that is refused", func(t *testing.T) {
		r := f.await(f.ask("refused", sketch("arduino:avr:uno"), "a.ino", blink, "build_opt.h", "-fplugin=x"))
		d := r.GetDiagnostics()
		if r.GetOutcome() != compilerv1.Outcome_OUTCOME_FAILED || len(d) != 1 || d[0].GetFile() != "build_opt.h" {
			t.Errorf("%v", r)
		}
	})

	t.Run("a MicroPython project", func(t *testing.T) {
		grant := &editorv1.ClaimResponse{Kind: compilerv1.Kind_KIND_MICROPYTHON, Fqbn: "micropython:py:rpi_pico_w"}
		r := f.await(f.ask("python", grant, "main.py", "print('hi')\n"))
		if r.GetOutcome() != compilerv1.Outcome_OUTCOME_SUCCEEDED || r.GetAgent() == nil || len(r.GetOutputs()) < 3 || r.GetOutputs()[0].GetRole() != compilerv1.Role_ROLE_INDEX {
			t.Errorf("%v", r)
		}
	})

	t.Run("nothing is left", func(t *testing.T) {
		f.eventually("the jobs are acknowledged and the slots free", func() bool {
			for _, w := range f.workers() {
				return w.GetFree() == 2
			}
			return false
		})
		if left, _ := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("flota-compiler-%d-*/*", os.Getpid()))); len(left) != 0 {
			t.Error(left)
		}
	})
}

// A job that nobody wants any more is acknowledged, and an attempt that becomes
// void is stopped and nothing more is said of it.
func TestVoid(t *testing.T) {
	f := newFarm(t)
	f.worker(compilerd.Config{Slots: 1, Drain: time.Minute})
	b := f.ask("cancelled", sketch("fixture:esp32like:board"), "a.ino", slow)
	f.eventually("it is claimed", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.claims) == 1 })
	time.Sleep(200 * time.Millisecond)
	if err := bus.Put(t.Context(), f.editor, flow.Fences, "cancelled", &editorv1.Fence{Build: "cancelled", Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	// The one slot is free again: long before the build would have been through.
	next := f.ask("next", sketch("arduino:avr:uno"), "a.ino", blink)
	f.await(next)
	if took := time.Since(stopped); took > 5*time.Second {
		t.Errorf("the slot was free after %s", took)
	}
	if len(b.finished) != 0 {
		t.Error("something was said of a void attempt:", <-b.finished)
	}

	// A claim that is not granted is the end of its job.
	f.mu.Lock()
	f.builds["denied"] = nil
	f.mu.Unlock()
	if err := bus.Publish(t.Context(), f.editor, flow.BuildJob, &compilerv1.Job{Build: "denied"}, "denied", avr(f), "denied"); err != nil {
		t.Fatal(err)
	}
	f.eventually("no job is left", func() bool {
		first, last, err := bus.Span(t.Context(), f.editor, flow.Jobs)
		return err == nil && first == last+1
	})
}

// avr is the word of the AVR platform on offer.
func avr(f *farm) string {
	for _, w := range f.workers() {
		for _, p := range w.GetPlatforms() {
			if p.GetId() == "arduino:avr" {
				return flow.PlatformWord(p.GetId(), p.GetVersion())
			}
		}
	}
	return "none"
}

// A worker that is told to stop finishes what runs and says that it drains; one
// that may not take so long gives its job back, and another does it.
func TestDrain(t *testing.T) {
	f := newFarm(t)
	stop := f.worker(compilerd.Config{Slots: 1, Drain: time.Minute})
	b := f.ask("first", sketch("fixture:esp32like:board"), "a.ino", slow)
	f.eventually("it is claimed", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.claims) == 1 })
	stop()
	if r := f.await(b); r.GetOutcome() != compilerv1.Outcome_OUTCOME_SUCCEEDED || r.GetAttempt() != 1 {
		t.Errorf("%v", r)
	}
	if left := f.workers(); len(left) != 0 {
		t.Errorf("still announced: %v", left)
	}

	stop = f.worker(compilerd.Config{Slots: 1, Drain: 100 * time.Millisecond})
	b = f.ask("second", sketch("fixture:esp32like:board"), "a.ino", slow)
	f.eventually("it is claimed", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.claims) == 2 })
	stop()
	f.worker(compilerd.Config{Slots: 1, Drain: time.Minute})
	if r := f.await(b); r.GetOutcome() != compilerv1.Outcome_OUTCOME_SUCCEEDED || r.GetAttempt() != 2 {
		t.Errorf("%v", r)
	}
}
