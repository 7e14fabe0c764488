package editor_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/flota/flota/pkg/fault"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	"github.com/flota/flota/services/editor"
)

func TestCreateBuildRefuses(t *testing.T) {
	k := newKit(t)
	ctx := t.Context()
	sketch, python := k.project("blink"), k.project("micropython-blink")
	_, err := k.builds.Create(ctx, sketch, editor.NewBuild{})
	wantCode(t, "no worker", err, fault.Precondition, "fqbn")
	k.offer("w", 1)
	_, err = k.builds.Create(ctx, python, editor.NewBuild{})
	wantCode(t, "nobody offers the board", err, fault.Precondition, "fqbn")
	_, err = k.builds.Create(ctx, python, editor.NewBuild{FQBN: "flota:virtual:esp32"})
	wantCode(t, "a board of the other kind", err, fault.Invalid, "fqbn")
	_, err = k.builds.Create(ctx, sketch, editor.NewBuild{FQBN: "flota:virtual:esp32:x=y"})
	wantCode(t, "an option that is not there", err, fault.Invalid, "fqbn")
	_, err = k.builds.Create(ctx, sketch, editor.NewBuild{Revision: 7})
	wantCode(t, "a revision that is not there", err, fault.NotFound, "revision")
	bare, err := k.projects.Create(ctx, workspace, editor.NewProject{Name: "Bare"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.builds.Create(ctx, bare, editor.NewBuild{})
	wantCode(t, "no board", err, fault.Precondition, "fqbn")
	if err := k.projects.RemoveFile(ctx, bare, "Bare.ino"); err != nil {
		t.Fatal(err)
	}
	_, err = k.builds.Create(ctx, k.reread(bare), editor.NewBuild{FQBN: "flota:virtual:esp32"})
	wantCode(t, "no main file", err, fault.Precondition, "")
	if n, err := k.store.CountInState(ctx, workspace, editor.Queued); err != nil || n != 0 {
		t.Errorf("%d builds were made of that, %v", n, err)
	}
	for range 20 {
		k.create(sketch, editor.NewBuild{})
	}
	_, err = k.builds.Create(ctx, sketch, editor.NewBuild{})
	wantCode(t, "the queue is full", err, fault.RateLimited, "")
}

// outbox lists what a build has to say: the subject of each message.
func outbox(b *editor.Build) (subjects []string) {
	for _, m := range b.Outbox {
		subjects = append(subjects, m.Subject)
	}
	return subjects
}

// With a free slot the job goes out with the document: one write, no wait.
func TestTheJobGoesOutWithTheBuild(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	p := k.project("blink")
	b := k.create(p, editor.NewBuild{Author: "Ada"})
	want := []string{"jobs.build.flota_virtual_1_0_0." + b.ID, "projects.w1.build." + b.ID}
	if got := outbox(k.get(b.ID)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v", got)
	}
	if b.State != editor.Queued || !b.Waiting || b.Dispatch != 1 || b.Revision != 1 || b.Author != "Ada" || b.FQBN != "flota:virtual:esp32" {
		t.Errorf("got %+v", b)
	}
	if b.Outbox[0].ID != b.ID+"-1" {
		t.Errorf("the job's message ID is %s: a repeated dispatch would be another job", b.Outbox[0].ID)
	}
	k.create(p, editor.NewBuild{})
	third := k.create(p, editor.NewBuild{}) // twice one slot is out
	if third.Waiting || len(outbox(third)) != 1 {
		t.Errorf("the third is out already: %v", outbox(third))
	}
	k.claim(b.ID, "w", 1, 1)
	if err := k.builds.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := k.get(third.ID); got.Waiting {
		t.Error("it went out although the slot is taken and one waits at the door")
	}
	k.offer("w2", 1)
	if err := k.builds.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := k.get(third.ID); !got.Waiting || got.Dispatch != 1 {
		t.Errorf("got %+v", got)
	}
}

// Two replicas pick the same build: it is published once.
func TestParallelDispatch(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	p := k.project("blink")
	var ids []string
	for range 8 {
		ids = append(ids, k.create(p, editor.NewBuild{}).ID)
	}
	k.offer("w2", 10)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := k.builds.Dispatch(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if b := k.get(id); b.Dispatch != 1 {
			t.Errorf("published %d times", b.Dispatch)
		}
	}
}

func TestABuildsLife(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	b := k.create(k.project("blink"), editor.NewBuild{Verbose: true})
	grant := k.claim(b.ID, "w", 1, 1)
	want := editor.Grant{
		Attempt: 1, Deadline: k.now().Add(10 * time.Minute), Kind: editor.Arduino, FQBN: "flota:virtual:esp32", Main: "blink.ino", Verbose: true,
		SourceURL: "http://editor/src/" + b.ID, UploadURL: "http://artifact/up/" + b.ID,
	}
	if *grant != want {
		t.Errorf("got %+v", grant)
	}
	for _, phase := range []editor.Phase{editor.Fetch, editor.Compile, editor.Fetch, editor.Upload, editor.Compile} {
		if err := k.builds.Enter(t.Context(), b.ID, 1, phase); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.get(b.ID); got.State != editor.Running || got.Phase != editor.Upload || got.Worker != "w" {
		t.Errorf("got %+v", got)
	}
	k.say(b.ID, 1, editor.LogChunk{Sequence: 5, At: 1, Lines: []editor.LogLine{{Source: "farm", Text: "compiling"}}})
	k.pass(3 * time.Second)
	result := editor.Result{
		Outputs: []editor.Output{k.output("a.bin", true), k.output("a.elf", true)}, Memory: &editor.Memory{FlashUsed: 1, FlashMax: 2},
		Diagnostics: []editor.Diagnostic{{File: "blink.ino", Line: 3, Severity: editor.Warning, Message: "hm"}},
		Libraries:   []editor.Library{{Name: "WiFi", Version: "1"}},
	}
	k.finish(editor.Finish{Build: b.ID, Attempt: 1, Outcome: editor.OutcomeSucceeded, Result: result, Toolchain: "chain-1"})
	got := k.get(b.ID)
	if got.State != editor.Succeeded || fmt.Sprint(got.Outputs) != fmt.Sprint(result.Outputs) || *got.Memory != *result.Memory ||
		len(got.Diagnostics) != 1 || len(got.Libraries) != 1 || got.Phase != "" || got.Ended.Sub(got.Started) != 3*time.Second {
		t.Errorf("got %+v", got)
	}
	k.archive()
	k.say(b.ID, 1) // the stream has forgotten
	if lines, err := k.builds.Lines(t.Context(), k.get(b.ID)); err != nil || len(lines) != 1 || lines[0].Lines[0].Text != "compiling" || lines[0].Sequence != 5 {
		t.Errorf("the log: %v, %v", lines, err)
	}
	if _, err := got.Output("a.elf"); err != nil {
		t.Error(err)
	}
	_, err := got.Output("b.elf")
	wantCode(t, "an output that is not there", err, fault.NotFound, "name")
}

func TestAFailedBuild(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	p := k.project("blink")
	b := k.create(p, editor.NewBuild{})
	k.claim(b.ID, "w", 1, 1)
	k.finish(editor.Finish{
		Build: b.ID, Attempt: 1, Outcome: editor.OutcomeFailed, Message: "The compiler found one error.",
		Result: editor.Result{
			Outputs:     []editor.Output{k.output("x", true)},
			Diagnostics: []editor.Diagnostic{{File: "blink.ino", Line: 2, Column: 1, Severity: editor.Error, Message: "expected ;"}},
		},
	})
	got := k.get(b.ID)
	if got.State != editor.Failed || got.Message == "" || len(got.Diagnostics) != 1 || len(got.Outputs) != 0 {
		t.Errorf("got %+v", got)
	}
	if again := k.create(p, editor.NewBuild{}); again.Cached {
		t.Error("a failure was kept as a result")
	}
}

// What an attempt says that is not the current one, or says too late, counts nothing.
func TestFencing(t *testing.T) {
	for name, late := range map[string]func(*kit, string) editor.Finish{
		"the attempt before":     func(k *kit, id string) editor.Finish { k.claim(id, "w2", 1, 2); return editor.Finish{Attempt: 1} },
		"an attempt to come":     func(*kit, string) editor.Finish { return editor.Finish{Attempt: 2} },
		"after its deadline":     func(k *kit, _ string) editor.Finish { k.pass(10*time.Minute + 1); return editor.Finish{Attempt: 1} },
		"after it was cancelled": func(k *kit, id string) editor.Finish { k.cancel(id); return editor.Finish{Attempt: 1} },
		"another build":          func(*kit, string) editor.Finish { return editor.Finish{Build: "nothing", Attempt: 1} },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			k.offer("w", 1)
			b := k.create(k.project("blink"), editor.NewBuild{})
			k.claim(b.ID, "w", 1, 1)
			finish := late(k, b.ID)
			before := k.get(b.ID)
			if finish.Build == "" {
				finish.Build = b.ID
			}
			finish.Outcome, finish.Result.Outputs = editor.OutcomeSucceeded, []editor.Output{k.output("a.bin", true)}
			k.finish(finish)
			if err := k.builds.Enter(t.Context(), b.ID, finish.Attempt+10, editor.Upload); err != nil {
				t.Fatal(err)
			}
			if after := k.get(b.ID); after.Rev != before.Rev {
				t.Errorf("it changed the build: %+v", after)
			}
		})
	}
}

func (k *kit) cancel(id string) *editor.Build {
	k.t.Helper()
	b, err := k.builds.Cancel(k.t.Context(), id, "Ada")
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

// Said in time and heard late, because the editor was away: it counts.
func TestSaidInTimeHeardLate(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	b := k.create(k.project("blink"), editor.NewBuild{})
	k.claim(b.ID, "w", 1, 1)
	said := k.now().Add(time.Minute)
	k.pass(time.Hour)
	// A new process has the chance to hear it before it sweeps.
	k.builds = editor.NewBuilds(k.builds.BuildParts)
	if err := k.builds.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.finish(editor.Finish{Build: b.ID, Attempt: 1, Said: said, Outcome: editor.OutcomeSucceeded, Result: editor.Result{Outputs: []editor.Output{k.output("a", true)}}})
	if got := k.get(b.ID); got.State != editor.Succeeded {
		t.Errorf("got %s: %s", got.State, got.Message)
	}
}

func TestTroubleOfTheFarm(t *testing.T) {
	for name, finish := range map[string]func(*kit) editor.Finish{
		"the worker says so":         func(*kit) editor.Finish { return editor.Finish{Message: "the disk is full"} },
		"an output never arrived":    func(k *kit) editor.Finish { return succeeded(k.output("a.bin", true), k.output("b.bin", false)) },
		"an output is refused":       func(k *kit) editor.Finish { return succeeded(k.output("refused.bin", true)) },
		"the answer makes no sense":  func(k *kit) editor.Finish { o := k.output("a.bin", true); return succeeded(o, o) },
		"a name that leads outwards": func(k *kit) editor.Finish { return succeeded(k.output("../a", true)) },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			k.offer("w", 2)
			b := k.create(k.project("blink"), editor.NewBuild{})
			for attempt := 1; attempt <= 3; attempt++ {
				if err := k.builds.Dispatch(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := k.get(b.ID); got.Dispatch != attempt || !got.Waiting {
					t.Fatalf("attempt %d: %+v", attempt, got)
				}
				if k.claim(b.ID, "w", uint64(attempt), 1) == nil {
					t.Fatal("not granted")
				}
				f := finish(k)
				f.Build, f.Attempt = b.ID, attempt
				k.finish(f)
				if err := k.builds.Dispatch(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := k.get(b.ID); got.Waiting {
					t.Error("published again without a pause")
				}
				k.pass(10 * time.Second)
				k.offer("w", 2)
			}
			if got := k.get(b.ID); got.State != editor.Errored || !strings.HasSuffix(got.Message, ".") && !strings.Contains(got.Message, ":") {
				t.Errorf("got %s: %q", got.State, got.Message)
			}
		})
	}
}

func succeeded(outputs ...editor.Output) editor.Finish {
	return editor.Finish{Outcome: editor.OutcomeSucceeded, Result: editor.Result{Outputs: outputs}}
}

// While the artifact service is away nothing is decided, and no attempt is lost.
func TestTheArtifactServiceIsAway(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	b := k.create(k.project("blink"), editor.NewBuild{})
	k.setDown(errDown)
	if _, err := k.builds.Claim(t.Context(), b.ID, "w", editor.Delivery{Sequence: 1, Count: 1}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("claim: %v", err)
	}
	if got := k.get(b.ID); got.Attempt != 0 || got.State != editor.Queued {
		t.Errorf("got %+v", got)
	}
	k.setDown(nil)
	k.claim(b.ID, "w", 1, 2)
	f := succeeded(k.output("a", true))
	f.Build, f.Attempt, f.Said = b.ID, 1, k.now()
	k.setDown(errDown)
	if err := k.builds.Finish(t.Context(), f); !fault.Is(err, fault.Unavailable) {
		t.Errorf("finish: %v", err)
	}
	k.setDown(nil)
	k.finish(f)
	if got := k.get(b.ID); got.State != editor.Succeeded {
		t.Errorf("got %s", got.State)
	}
}

func TestTakeover(t *testing.T) {
	k := newKit(t)
	k.offer("w1", 1)
	k.offer("w2", 1)
	b := k.create(k.project("blink"), editor.NewBuild{})
	k.claim(b.ID, "w1", 7, 1)
	k.pass(31 * time.Second)
	grant := k.claim(b.ID, "w2", 7, 2)
	if grant == nil || grant.Attempt != 2 {
		t.Fatalf("got %+v", grant)
	}
	if late := k.claim(b.ID, "w1", 7, 1); late != nil {
		t.Error("the first worker woke up and took it back")
	}
	var fence *editorv1.Fence
	for _, m := range k.get(b.ID).Outbox {
		if m.Subject == "$KV.fences."+b.ID {
			fence = &editorv1.Fence{}
			if err := proto.Unmarshal(m.Data, fence); err != nil {
				t.Fatal(err)
			}
		}
	}
	if fence.GetBuild() != b.ID || fence.GetAttempt() != 1 {
		t.Errorf("the first worker is told %v", fence)
	}
}

// Of parallel claims of one delivery each the last wins, and attempts are numbered.
func TestParallelClaims(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	b := k.create(k.project("blink"), editor.NewBuild{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	attempts := map[int]bool{}
	for i := range 4 {
		wg.Go(func() {
			grant, err := k.builds.Claim(t.Context(), b.ID, fmt.Sprint("w", i), editor.Delivery{Sequence: 1, Count: i + 1})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if grant != nil && attempts[grant.Attempt] {
				t.Errorf("attempt %d was granted twice", grant.Attempt)
			} else if grant != nil {
				attempts[grant.Attempt] = true
			}
		})
	}
	wg.Wait()
	if got := k.get(b.ID); got.Worker != "w3" || got.Attempt != len(attempts) {
		t.Errorf("%s has it, with attempt %d of %v", got.Worker, got.Attempt, attempts)
	}
}

func TestCancel(t *testing.T) {
	k := newKit(t)
	k.offer("w", 2)
	p := k.project("blink")
	queued := k.create(p, editor.NewBuild{})
	if b := k.cancel(queued.ID); b.State != editor.Cancelled || b.Message != "Cancelled by Ada." || b.Fenced != 0 {
		t.Errorf("got %+v", b)
	}
	if fmt.Sprint(k.withdrawn) != "[flota_virtual_1_0_0/"+queued.ID+"]" {
		t.Errorf("withdrawn: %v", k.withdrawn)
	}
	if k.claim(queued.ID, "w", 1, 1) != nil {
		t.Error("a cancelled build was granted")
	}
	running := k.create(p, editor.NewBuild{})
	k.claim(running.ID, "w", 2, 1)
	if b := k.cancel(running.ID); b.State != editor.Cancelled || b.Fenced != 1 || outbox(k.get(running.ID))[3] != "$KV.fences."+running.ID {
		t.Errorf("got %+v", outbox(k.get(running.ID)))
	}
	before := k.get(running.ID)
	if b := k.cancel(running.ID); b.State != editor.Cancelled || b.Rev != before.Rev {
		t.Error("cancelling again changed something")
	}
}

func (k *kit) succeed(p *editor.Project, wish editor.NewBuild) *editor.Build {
	k.t.Helper()
	k.offer("w", 4)
	b := k.create(p, wish)
	if b.Cached {
		k.t.Fatal("the result was known")
	}
	k.claim(b.ID, "w", 1, 1)
	k.say(b.ID, 1, editor.LogChunk{Sequence: 9, Lines: []editor.LogLine{{Source: "stdout", Text: "of the first"}}})
	f := succeeded(k.output("a.bin", true), k.output("a.elf", true))
	f.Build, f.Attempt = b.ID, 1
	k.finish(f)
	return k.get(b.ID)
}

func TestKnownResults(t *testing.T) {
	k := newKit(t)
	p := k.project("blink")
	first := k.succeed(p, editor.NewBuild{})
	hit := k.create(p, editor.NewBuild{Author: "Bob"}) // its log is still due: it is stored now
	if !hit.Cached || hit.State != editor.Succeeded || fmt.Sprint(hit.Outputs) != fmt.Sprint(first.Outputs) || hit.Author != "Bob" || hit.Attempt != 0 {
		t.Fatalf("got %+v", hit)
	}
	k.say(first.ID, 1)
	if lines, err := k.builds.Lines(t.Context(), k.get(hit.ID)); err != nil || len(lines) != 1 || lines[0].Lines[0].Text != "of the first" {
		t.Errorf("the log: %v, %v", lines, err)
	}
	if got := outbox(hit); len(got) != 1 || !strings.HasPrefix(got[0], "projects.") {
		t.Errorf("it says %v", got)
	}
	other := k.project("blink") // another project, the same files
	if b := k.create(other, editor.NewBuild{}); !b.Cached {
		t.Error("the same files in another project are compiled again")
	}
	for name, wish := range map[string]editor.NewBuild{"fresh": {Fresh: true}, "verbose": {Verbose: true}} {
		if b := k.create(p, wish); b.Cached {
			t.Errorf("%s: from the cache", name)
		}
	}
	if _, err := k.projects.PutFile(t.Context(), p, "blink.ino", "void setup() {} void loop() {}", nil); err != nil {
		t.Fatal(err)
	}
	if b := k.create(k.reread(p), editor.NewBuild{}); b.Cached {
		t.Error("other files: from the cache")
	}
	if b := k.create(p, editor.NewBuild{Revision: 1}); !b.Cached {
		t.Error("the old revision: not from the cache")
	}
	stranger, err := k.projects.Create(t.Context(), "w2", editor.NewProject{Name: "Blink", Example: "blink"})
	if err != nil {
		t.Fatal(err)
	}
	if b := k.create(stranger, editor.NewBuild{}); b.Cached {
		t.Error("another workspace's result")
	}
}

// Whether the farm adds its agent is decided when somebody asks for the build.
func TestUnmanaged(t *testing.T) {
	k := newKit(t)
	k.offer("w", 3)
	p := k.project("blink")
	managed := k.create(p, editor.NewBuild{})
	yes, no := true, false
	p, err := k.projects.Change(t.Context(), p, editor.ProjectChange{Unmanaged: &yes})
	if err != nil || !p.Unmanaged || p.Name != "Blink" {
		t.Fatalf("%+v, %v", p, err)
	}
	unmanaged := k.create(p, editor.NewBuild{})
	if p, err = k.projects.Change(t.Context(), p, editor.ProjectChange{Unmanaged: &no}); err != nil || p.Unmanaged {
		t.Fatalf("%+v, %v", p, err)
	}
	for b, want := range map[*editor.Build]bool{managed: false, unmanaged: true} {
		grant := k.claim(b.ID, "w", 7, 1)
		if grant.Unmanaged != want || k.get(b.ID).Unmanaged != want {
			t.Errorf("granted %+v, want unmanaged %t", grant, want)
		}
	}
	cost := &editor.Agent{Version: "1.0.0", Flash: 70000, RAM: 900}
	k.finish(editor.Finish{
		Build: managed.ID, Attempt: 1, Outcome: editor.OutcomeSucceeded,
		Result: editor.Result{Outputs: []editor.Output{k.output("app", true)}, Agent: cost},
	})
	if b := k.create(p, editor.NewBuild{}); !b.Cached || *b.Agent != *cost {
		t.Errorf("asked again: %+v", b)
	}
	if p, err = k.projects.Change(t.Context(), p, editor.ProjectChange{Unmanaged: &yes}); err != nil {
		t.Fatal(err)
	}
	if b := k.create(p, editor.NewBuild{}); b.Cached {
		t.Error("the result with an agent was taken for one without")
	}
}

func TestAKnownResultWhoseBytesHaveGone(t *testing.T) {
	k := newKit(t)
	p := k.project("blink")
	k.succeed(p, editor.NewBuild{})
	k.setDown(errDown)
	if b := k.create(p, editor.NewBuild{}); b.Cached {
		t.Error("taken although nobody could say whether it is there")
	}
	k.setDown(nil)
	if b := k.create(p, editor.NewBuild{}); !b.Cached {
		t.Error("forgotten by an outage")
	}
	k.output("a.elf", false)
	if b := k.create(p, editor.NewBuild{}); b.Cached {
		t.Error("taken although an output has gone")
	}
	k.output("a.elf", true)
	if b := k.create(p, editor.NewBuild{}); b.Cached {
		t.Error("what was gone once is trusted again")
	}
	again := k.succeed(p, editor.NewBuild{Fresh: true})
	if b := k.create(p, editor.NewBuild{}); !b.Cached || again.State != editor.Succeeded {
		t.Error("the new result is not known")
	}
}

func TestSweepRunning(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	b := k.create(k.project("blink"), editor.NewBuild{})
	k.claim(b.ID, "w", 1, 1)
	sweep := func() *editor.Build {
		t.Helper()
		if err := k.builds.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return k.get(b.ID)
	}
	k.pass(10*time.Minute + 14*time.Second)
	if got := sweep(); got.State != editor.Running {
		t.Errorf("swept within the grace: %s", got.Message)
	}
	if k.claim(b.ID, "w", 1, 2) != nil {
		t.Error("an overdue build was granted")
	}
	k.pass(2 * time.Second)
	got := sweep()
	if got.State != editor.Errored || got.Message != "The build did not finish within 10 minutes." || got.Fenced != 1 || len(k.withdrawn) != 1 {
		t.Errorf("got %s: %q, fenced %d, withdrawn %v", got.State, got.Message, got.Fenced, k.withdrawn)
	}
}

func TestSweepQueued(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	p := k.project("blink")
	b := k.create(p, editor.NewBuild{})
	sweep := func() *editor.Build {
		t.Helper()
		if err := k.builds.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return k.get(b.ID)
	}
	// The job lies beside a free slot: it was lost.
	for range 6 {
		k.pass(10 * time.Second)
		k.offer("w", 1)
	}
	if got := sweep(); !got.Waiting {
		t.Error("recalled too early")
	}
	k.pass(time.Second)
	if got := sweep(); got.Waiting || len(k.withdrawn) != 1 {
		t.Errorf("not recalled: %+v", got)
	}
	if err := k.builds.Dispatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := k.get(b.ID); !got.Waiting || got.Dispatch != 2 || got.Outbox[len(got.Outbox)-1].ID != b.ID+"-2" {
		t.Errorf("not published again: %+v", got)
	}
	// The worker goes, and nobody comes.
	k.pass(2*time.Minute - time.Second)
	if got := sweep(); got.State != editor.Queued {
		t.Errorf("given up %s after the last offer", 2*time.Minute)
	}
	k.pass(2 * time.Second)
	if got := sweep(); got.State != editor.Errored || got.Message != "No worker has offered the board flota:virtual:esp32 for 2 minutes." {
		t.Errorf("got %s: %q", got.State, got.Message)
	}
}

// A backlog is no reason to give up while somebody offers the board.
func TestALongQueueIsNotSwept(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	p := k.project("blink")
	k.claim(k.create(p, editor.NewBuild{}).ID, "w", 1, 1)
	b := k.create(p, editor.NewBuild{})
	for range 30 {
		k.pass(time.Minute)
		k.offer("w", 1)
		if _, err := k.store.ChangeBuild(t.Context(), b.ID, func(*editor.Build) error { return editor.ErrUnchanged }); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.builds.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := k.get(b.ID); got.State != editor.Queued {
		t.Errorf("got %s: %s", got.State, got.Message)
	}
}

func TestALongLogIsCut(t *testing.T) {
	k := newKit(t)
	k.offer("w", 1)
	b := k.create(k.project("blink"), editor.NewBuild{})
	k.claim(b.ID, "w", 1, 1)
	var chunks []editor.LogChunk
	for i := range 100 {
		chunks = append(chunks, editor.LogChunk{Sequence: uint64(i + 1), Lines: []editor.LogLine{{Source: "stdout", Text: strings.Repeat("x", 1<<16)}}})
	}
	k.say(b.ID, 1, chunks...)
	k.finish(editor.Finish{Build: b.ID, Attempt: 1, Outcome: editor.OutcomeFailed})
	k.archive()
	k.say(b.ID, 1)
	lines, err := k.builds.Lines(t.Context(), k.get(b.ID))
	if err != nil || len(lines) != 64 {
		t.Fatalf("%d chunks, %v", len(lines), err)
	}
	if last := lines[63].Lines[0]; last.Source != "farm" || !strings.Contains(last.Text, "4 MiB") {
		t.Errorf("it does not say so: %+v", last)
	}
}
