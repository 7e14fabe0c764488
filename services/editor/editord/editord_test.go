package editord_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/identity"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	editorv1 "github.com/flota/flota/pkg/pb/flota/editor/v1"
	"github.com/flota/flota/services/editor/editord"
	"github.com/flota/flota/services/editor/httpapi"
)

// From the project to the link, with a worker that speaks the bus.
func TestABuildsWholeLife(t *testing.T) {
	k := start(t)
	p := k.project("sensor")
	k.compiler("worker-1", func(ctx context.Context, job bus.Message[*compilerv1.Job], grant *editorv1.ClaimResponse) error {
		build, attempt := job.Body.GetBuild(), grant.GetAttempt()
		files, status := k.source(grant.GetSourceUrl())
		if status != 200 || len(files) != 2 || !strings.Contains(files["average.h"], "class Average") {
			t.Errorf("the source: %d %v", status, files)
		}
		if grant.GetMain() != "sensor.ino" || grant.GetFqbn() != board || grant.GetKind() != compilerv1.Kind_KIND_ARDUINO ||
			grant.GetUploadUrl() != fmt.Sprintf("http://artifact.test/up/%s-1", build) || time.Until(time.UnixMilli(grant.GetDeadlineMs())) < 9*time.Minute {
			t.Errorf("granted %v", grant)
		}
		if err := bus.Publish(ctx, k.worker, flow.BuildStarted, &compilerv1.BuildStarted{Build: build, Attempt: attempt}, "", build, "1"); err != nil {
			return err
		}
		k.enter(build, attempt, compilerv1.Phase_PHASE_COMPILE)
		k.say(build, attempt, "compiling", "done")
		k.finish(&compilerv1.BuildFinished{
			Build: build, Attempt: attempt, Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED, Toolchain: "chain-1",
			Outputs: []*compilerv1.Output{k.upload("app"), k.upload("elf")}, Memory: &compilerv1.Memory{FlashUsed: 1, FlashMax: 2, RamUsed: 3, RamMax: 4},
			Diagnostics: []*compilerv1.Diagnostic{{File: "sensor.ino", Line: 9, Column: 2, Severity: compilerv1.Severity_SEVERITY_WARNING, Message: "unused"}},
			Libraries:   []*compilerv1.Library{{Name: "WiFi", Version: "1.0"}},
			Agent:       &compilerv1.Agent{Version: "1.0.0", Flash: 70000, Ram: 900},
			Flash:       &compilerv1.FlashBy{Chip: "esp32c3", Baud: 921600, Mode: "dio", Frequency: "80m", Size: "4MB"},
		})
		return nil
	})
	reads := k.blobs.Reads()
	events := k.listen(k.token(person(identity.Viewer)), "", "")
	first, _ := events.next()
	if events.status != 200 || events.header.Get("Content-Type") != "text/event-stream" || events.header.Get("X-Accel-Buffering") != "no" || first.name != "" || first.id == "" {
		t.Errorf("%d %v %+v", events.status, events.header, first)
	}

	made := k.build(p.Id, m{})
	if made.State != "queued" || made.Author == nil || *made.Author != "Ada" || made.Revision != 1 {
		t.Errorf("made %+v", made)
	}
	done := k.wait(made.Id, "succeeded")
	if len(done.Outputs) != 2 || done.Outputs[0].Name != "app.bin" || done.Memory == nil || done.Memory.RamMax != 4 || len(done.Diagnostics) != 1 ||
		done.Diagnostics[0].Severity != "warning" || done.Libraries == nil || done.Attempt != 1 || done.StartedAt == nil || done.FinishedAt == nil {
		t.Errorf("done %+v", done)
	}
	if done.Agent == nil || *done.Agent != (httpapi.Agent{Version: "1.0.0", Flash: 70000, Ram: 900}) ||
		done.Flash == nil || *done.Flash != (httpapi.FlashBy{Chip: "esp32c3", Baud: 921600, Mode: "dio", Frequency: "80m", Size: "4MB"}) {
		t.Errorf("agent %+v, flash %+v", done.Agent, done.Flash)
	}
	if blobs := k.blobs.Reads() - reads; blobs != 0 {
		t.Errorf("a fresh build read the store %d times", blobs)
	}
	var seen []string
	for _, e := range events.until(state(t, made.Id, "succeeded")) {
		if e.name == "build" {
			b := decode[httpapi.BuildEvent](t, e)
			if b.Project != p.Id {
				t.Errorf("event of %s", b.Project)
			}
			phase := ""
			if b.Phase != nil {
				phase = *b.Phase
			}
			seen = append(seen, b.State+phase)
		}
	}
	if got := strings.Join(seen, " "); !strings.HasPrefix(got, "queued running ") || !strings.HasSuffix(got, " succeeded") {
		t.Errorf("events: %s", got)
	}

	var link struct {
		URL     string    `json:"url"`
		Expires time.Time `json:"expires_at"`
	}
	k.owner("POST", "/builds/"+made.Id+"/outputs/app.bin/link", nil, &link, 201)
	if link.URL != "/dl/token/app.bin" || time.Until(link.Expires) > 15*time.Minute || time.Until(link.Expires) < 14*time.Minute {
		t.Errorf("link %+v", link)
	}
	if got := k.call(k.token(person(identity.Owner)), "POST", "/builds/"+made.Id+"/outputs/none.bin/link", nil, nil); got != 404 {
		t.Errorf("a link to nothing: %d", got)
	}
	if log := k.log(made.Id); fmt.Sprint(log) != "[compiling done]" {
		t.Errorf("log %v", log)
	}

	answer, err := bus.Do(t.Context(), k.fleet, flow.BuildResult, &editorv1.BuildRequest{Workspace: "w1", Build: made.Id})
	if err != nil || answer.GetOutcome() != compilerv1.Outcome_OUTCOME_SUCCEEDED || len(answer.GetOutputs()) != 2 || answer.GetProjectName() != "Blink" ||
		answer.GetOutputs()[0].GetRole() != compilerv1.Role_ROLE_APP || answer.GetRevision() != 1 || answer.GetFqbn() != board || answer.GetProductDevice() != "" ||
		answer.GetAgent().GetFlash() != 70000 || answer.GetUnmanaged() {
		t.Errorf("for fleet: %v, %v", answer, err)
	}
	if _, err := bus.Do(t.Context(), k.fleet, flow.BuildResult, &editorv1.BuildRequest{Workspace: "w2", Build: made.Id}); !fault.Is(err, fault.NotFound) {
		t.Errorf("for fleet, of another workspace: %v", err)
	}

	again := k.build(p.Id, m{})
	if again.State != "succeeded" || again.Cached == nil || !*again.Cached || len(again.Outputs) != 2 {
		t.Errorf("asked again: %+v", again)
	}
	if log := k.log(again.Id); fmt.Sprint(log) != "[compiling done]" {
		t.Errorf("its log %v", log)
	}
	var list struct{ Builds []httpapi.Build }
	k.owner("GET", "/projects/"+p.Id+"/builds?limit=10", nil, &list, 200)
	if len(list.Builds) != 2 || list.Builds[0].Id != again.Id || len(list.Builds[1].Diagnostics) != 0 {
		t.Errorf("the list: %+v", list)
	}
}

func (k *kit) log(build string) (texts []string) {
	k.t.Helper()
	var log struct{ Lines []httpapi.LogLine }
	k.owner("GET", "/builds/"+build+"/log", nil, &log, 200)
	for _, line := range log.Lines {
		texts = append(texts, line.Text)
	}
	return texts
}

// queued makes a build that nobody takes: no worker pulls.
func (k *kit) queued() httpapi.Build {
	k.t.Helper()
	k.announce("worker-1", 1, 1)
	return k.build(k.project("blink").Id, m{"fresh": true})
}

func TestALateWordOfAFencedAttempt(t *testing.T) {
	k := start(t)
	b := k.queued()
	fences := make(chan *editorv1.Fence, 10)
	k.background(func(ctx context.Context) error {
		return bus.Watch(ctx, k.worker, flow.Fences, nil, func(c bus.Change[*editorv1.Fence]) { fences <- c.Value })
	})
	first := k.claim(b.Id, "worker-1", 7, 1)
	k.say(b.Id, 1, "of the first")
	second := k.claim(b.Id, "worker-2", 7, 2)
	if first.GetAttempt() != 1 || second.GetAttempt() != 2 {
		t.Fatalf("granted %v, %v", first, second)
	}
	select {
	case fence := <-fences:
		if fence.GetBuild() != b.Id || fence.GetAttempt() != 1 {
			t.Errorf("fence %v", fence)
		}
	case <-time.After(soon):
		t.Error("the first worker is not told")
	}
	if _, status := k.source(first.GetSourceUrl()); status != http.StatusForbidden {
		t.Errorf("the fenced attempt gets the source: %d", status)
	}
	if files, status := k.source(second.GetSourceUrl()); status != 200 || len(files) != 1 {
		t.Errorf("the new attempt: %d", status)
	}
	if late := k.claim(b.Id, "worker-1", 7, 1); late.GetGranted() {
		t.Error("the earlier delivery took it back")
	}
	k.finish(&compilerv1.BuildFinished{Build: b.Id, Attempt: 1, Outcome: compilerv1.Outcome_OUTCOME_FAILED, Message: "late"})
	k.say(b.Id, 2, "of the second")
	k.finish(&compilerv1.BuildFinished{
		Build: b.Id, Attempt: 2, Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED, Outputs: []*compilerv1.Output{k.upload("app")},
	})
	if done := k.wait(b.Id, "succeeded"); done.Attempt != 2 {
		t.Errorf("got %+v", done)
	}
	if log := k.log(b.Id); fmt.Sprint(log) != "[of the second]" {
		t.Errorf("log %v", log)
	}
}

func TestTroubleIsTriedAgain(t *testing.T) {
	k := start(t, func(c *editord.Config) { c.Build.Retry = 10 * time.Millisecond })
	k.compiler("worker-1", func(_ context.Context, job bus.Message[*compilerv1.Job], grant *editorv1.ClaimResponse) error {
		k.finish(&compilerv1.BuildFinished{
			Build: job.Body.GetBuild(), Attempt: grant.GetAttempt(), Outcome: compilerv1.Outcome_OUTCOME_ERROR, Message: "the disk is full",
		})
		return nil
	})
	b := k.build(k.project("blink").Id, m{})
	done := k.wait(b.Id, "error")
	if done.Attempt != 3 || done.Message == nil || !strings.Contains(*done.Message, "the disk is full") {
		t.Errorf("got %+v", done)
	}
}

func TestAnOutputThatNeverArrivedIsTrouble(t *testing.T) {
	k := start(t, func(c *editord.Config) { c.Build.Retry = 10 * time.Millisecond })
	k.compiler("worker-1", func(_ context.Context, job bus.Message[*compilerv1.Job], grant *editorv1.ClaimResponse) error {
		outputs := []*compilerv1.Output{k.upload("app"), {Name: "lost.elf", Sha256: strings.Repeat("ab", 32)}}
		if grant.GetAttempt() == 2 {
			outputs = outputs[:1]
		}
		k.finish(&compilerv1.BuildFinished{
			Build: job.Body.GetBuild(), Attempt: grant.GetAttempt(), Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED, Outputs: outputs,
		})
		return nil
	})
	b := k.build(k.project("blink").Id, m{})
	if done := k.wait(b.Id, "succeeded"); done.Attempt != 2 {
		t.Errorf("got %+v", done)
	}
}

// A release of MicroPython is an index, the files that it names, and the bundle.
func TestAReleaseOfFiles(t *testing.T) {
	k := start(t)
	k.compiler("worker-1", func(_ context.Context, job bus.Message[*compilerv1.Job], grant *editorv1.ClaimResponse) error {
		index, bundle, main, module := k.upload("index"), k.upload("bundle"), k.upload("main"), k.upload("module")
		index.Role, bundle.Role, main.Role, module.Role = compilerv1.Role_ROLE_INDEX, compilerv1.Role_ROLE_BUNDLE, compilerv1.Role_ROLE_FILE, compilerv1.Role_ROLE_FILE
		main.Name, module.Name = "main.py", "lib/umqtt/simple.py"
		k.finish(&compilerv1.BuildFinished{
			Build: job.Body.GetBuild(), Attempt: grant.GetAttempt(), Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED,
			Outputs: []*compilerv1.Output{index, main, module, bundle},
		})
		return nil
	})
	p := k.project("blink")
	b := k.wait(k.build(p.Id, m{}).Id, "succeeded")
	if len(b.Outputs) != 4 || b.Outputs[0].Role != httpapi.Index || b.Outputs[2].Role != httpapi.BoardFile || b.Outputs[2].Name != "lib/umqtt/simple.py" {
		t.Errorf("got %+v", b.Outputs)
	}
	var list struct{ Builds []httpapi.Build }
	if k.owner("GET", "/projects/"+p.Id+"/builds", nil, &list, 200); len(list.Builds[0].Outputs) != 2 {
		t.Errorf("listed with %+v", list.Builds[0].Outputs)
	}
	k.owner("POST", "/builds/"+b.Id+"/outputs/lib%2Fumqtt%2Fsimple.py/link", nil, nil, 201)
	answer, err := bus.Do(t.Context(), k.fleet, flow.BuildResult, &editorv1.BuildRequest{Workspace: "w1", Build: b.Id})
	if err != nil || len(answer.GetOutputs()) != 4 || answer.GetOutputs()[0].GetRole() != compilerv1.Role_ROLE_INDEX {
		t.Errorf("for fleet: %v, %v", answer, err)
	}
}

func TestCancel(t *testing.T) {
	k := start(t)
	editorConn := k.nats.Connect(flow.Editor)
	span := func() (messages uint64) {
		first, last, err := bus.Span(t.Context(), editorConn, flow.Jobs)
		must(t, err)
		return last + 1 - first
	}
	queued := k.queued()
	eventually(t, "the job is out", func() bool { return span() == 1 })
	var b httpapi.Build
	k.owner("POST", "/builds/"+queued.Id+"/cancel", nil, &b, 200)
	if b.State != "cancelled" || b.Message == nil || *b.Message != "Cancelled by Ada." {
		t.Errorf("got %+v", b)
	}
	eventually(t, "the job is taken back", func() bool { return span() == 0 })
	if k.claim(queued.Id, "worker-1", 1, 1).GetGranted() {
		t.Error("granted")
	}

	fences := make(chan *editorv1.Fence, 10)
	k.background(func(ctx context.Context) error {
		return bus.Watch(ctx, k.worker, flow.Fences, nil, func(c bus.Change[*editorv1.Fence]) { fences <- c.Value })
	})
	running := k.queued()
	if !k.claim(running.Id, "worker-1", 2, 1).GetGranted() {
		t.Fatal("not granted")
	}
	k.owner("POST", "/builds/"+running.Id+"/cancel", nil, &b, 200)
	select {
	case fence := <-fences:
		if fence.GetBuild() != running.Id || fence.GetAttempt() != 1 {
			t.Errorf("fence %v", fence)
		}
	case <-time.After(soon):
		t.Error("the worker is not told")
	}
	k.finish(&compilerv1.BuildFinished{Build: running.Id, Attempt: 1, Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED})
	k.owner("POST", "/builds/"+running.Id+"/cancel", nil, &b, 200)
	if b.State != "cancelled" || b.Attempt != 1 {
		t.Errorf("got %+v", b)
	}
}

func TestAnOverdueBuildIsEnded(t *testing.T) {
	k := start(t, func(c *editord.Config) { c.Build.Timeout, c.Build.Grace = 100*time.Millisecond, 100*time.Millisecond })
	b := k.queued()
	if !k.claim(b.Id, "worker-1", 1, 1).GetGranted() {
		t.Fatal("not granted")
	}
	done := k.wait(b.Id, "error")
	if done.Message == nil || *done.Message != "The build did not finish within 100ms." {
		t.Errorf("got %+v", done)
	}
}

// What a worker says while the editor is away is heard when it is back.
func TestRestartInTheMiddleOfABuild(t *testing.T) {
	k := start(t)
	b := k.queued()
	grant := k.claim(b.Id, "worker-1", 1, 1)
	k.say(b.Id, 1, "before")
	waiting := k.build(k.project("blink").Id, m{"fresh": true})
	k.stop()
	k.say(b.Id, 1, "meanwhile")
	k.enter(b.Id, 1, compilerv1.Phase_PHASE_UPLOAD)
	k.finish(&compilerv1.BuildFinished{
		Build: b.Id, Attempt: grant.GetAttempt(), Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED, Outputs: []*compilerv1.Output{k.upload("app")},
	})
	k.run()
	if done := k.wait(b.Id, "succeeded"); len(done.Outputs) != 1 {
		t.Errorf("got %+v", done)
	}
	if log := k.log(b.Id); fmt.Sprint(log) != "[before meanwhile]" {
		t.Errorf("log %v", log)
	}
	// The other one is done by whoever comes.
	k.compiler("worker-2", func(_ context.Context, job bus.Message[*compilerv1.Job], grant *editorv1.ClaimResponse) error {
		k.finish(&compilerv1.BuildFinished{Build: job.Body.GetBuild(), Attempt: grant.GetAttempt(), Outcome: compilerv1.Outcome_OUTCOME_FAILED, Message: "no"})
		return nil
	})
	k.wait(waiting.Id, "failed")
}

// The bus goes away and comes back, with everything that is in memory lost.
func TestTheBusRestarts(t *testing.T) {
	k := start(t)
	b := k.queued()
	k.nats.Restart()
	k.compiler("worker-1", func(_ context.Context, job bus.Message[*compilerv1.Job], grant *editorv1.ClaimResponse) error {
		k.finish(&compilerv1.BuildFinished{
			Build: job.Body.GetBuild(), Attempt: grant.GetAttempt(), Outcome: compilerv1.Outcome_OUTCOME_SUCCEEDED, Outputs: []*compilerv1.Output{k.upload("app")},
		})
		return nil
	})
	k.wait(b.Id, "succeeded")
}

func TestWhoMayDoWhat(t *testing.T) {
	k := start(t)
	k.announce("worker-1", 1, 1)
	p := k.project("blink")
	b := k.build(p.Id, m{})
	own := k.token(product("d1"))
	var mine httpapi.Project
	if status := k.call(own, "PUT", "/own-project", nil, &mine); status != 200 || mine.Device == nil || *mine.Device != "d1" || mine.Name != "bot_d1" {
		t.Fatalf("own project: %d %+v", status, mine)
	}
	var myBuild httpapi.Build
	if status := k.call(own, "POST", "/projects/"+mine.Id+"/builds", m{}, &myBuild); status != 201 {
		t.Fatalf("own build: %d", status)
	}
	who := map[string]string{
		"nobody": "", "a viewer": k.token(person(identity.Viewer)), "a maintainer": k.token(person(identity.Maintainer)),
		"the product": own, "another product": k.token(product("d2")),
		"a stranger": k.token(identity.Principal{Kind: identity.KindPerson, Subject: "u2", Workspace: "w2", Role: identity.Owner}),
	}
	file := "/file?path=x.h"
	for _, test := range []struct {
		method, path string
		body         any
		want         map[string]int
	}{
		{"GET", "/boards", nil, map[string]int{"nobody": 401, "a viewer": 200, "a maintainer": 200, "the product": 200, "a stranger": 200}},
		{"GET", "/examples", nil, map[string]int{"nobody": 401, "a viewer": 200, "the product": 200}},
		{"PUT", "/own-project", nil, map[string]int{"nobody": 401, "a maintainer": 403, "the product": 200}},
		{"POST", "/projects", m{"name": "x"}, map[string]int{"nobody": 401, "a viewer": 403, "a maintainer": 201, "the product": 403, "a stranger": 201}},
		{"GET", "/projects/" + p.Id, nil, map[string]int{"nobody": 401, "a viewer": 200, "a maintainer": 200, "the product": 404, "a stranger": 404}},
		{"GET", "/projects/" + mine.Id, nil, map[string]int{"a viewer": 200, "the product": 200, "another product": 404, "a stranger": 404}},
		{"PATCH", "/projects/" + p.Id, m{"name": "y"}, map[string]int{"nobody": 401, "a viewer": 403, "a maintainer": 200, "the product": 404, "a stranger": 404}},
		{"PATCH", "/projects/" + mine.Id, m{"unmanaged": true}, map[string]int{"a viewer": 403, "the product": 200, "another product": 404, "a stranger": 404}},
		{"PUT", "/projects/" + p.Id + file, m{"content": "x"}, map[string]int{"nobody": 401, "a viewer": 403, "a maintainer": 200, "the product": 404, "a stranger": 404}},
		{"PUT", "/projects/" + mine.Id + file, m{"content": "x"}, map[string]int{"a viewer": 403, "a maintainer": 200, "the product": 200, "another product": 404, "a stranger": 404}},
		{"GET", "/projects/" + p.Id + "/dependencies", nil, map[string]int{"nobody": 401, "a viewer": 200, "the product": 404, "a stranger": 404}},
		{"POST", "/projects/" + p.Id + "/dependencies", m{}, map[string]int{"nobody": 401, "a viewer": 403, "the product": 404, "a stranger": 404, "a maintainer": 409}},
		{"POST", "/projects/" + p.Id + "/revisions", m{}, map[string]int{"a viewer": 403, "the product": 404, "a stranger": 404, "a maintainer": 201}},
		{"POST", "/projects/" + p.Id + "/builds", m{}, map[string]int{"nobody": 401, "a viewer": 403, "the product": 404, "a stranger": 404, "a maintainer": 201}},
		{"GET", "/projects/" + p.Id + "/builds", nil, map[string]int{"nobody": 401, "a viewer": 200, "the product": 404, "a stranger": 404}},
		{"GET", "/builds/" + b.Id, nil, map[string]int{"nobody": 401, "a viewer": 200, "the product": 404, "a stranger": 404}},
		{"GET", "/builds/" + b.Id + "/log", nil, map[string]int{"nobody": 401, "a viewer": 200, "the product": 404, "a stranger": 404}},
		{"POST", "/builds/" + b.Id + "/cancel", nil, map[string]int{"nobody": 401, "a viewer": 403, "the product": 404, "a stranger": 404, "a maintainer": 200}},
		{"GET", "/builds/" + myBuild.Id, nil, map[string]int{"a viewer": 200, "the product": 200, "another product": 404, "a stranger": 404}},
		{"GET", "/events?build=" + b.Id, nil, map[string]int{"nobody": 401, "the product": 404, "a stranger": 404}},
		{"DELETE", "/projects/" + p.Id, nil, map[string]int{"nobody": 401, "a viewer": 403, "the product": 404, "a stranger": 404, "a maintainer": 204}},
	} {
		for name, want := range test.want {
			if name == "a maintainer" {
				continue // last, since it changes things
			}
			if got := k.call(who[name], test.method, test.path, test.body, nil); got != want {
				t.Errorf("%s as %s: %d, want %d", test.method+" "+test.path, name, got, want)
			}
		}
		if want, ok := test.want["a maintainer"]; ok {
			if got := k.call(who["a maintainer"], test.method, test.path, test.body, nil); got != want {
				t.Errorf("%s as a maintainer: %d, want %d", test.method+" "+test.path, got, want)
			}
		}
	}
	if k.call(own, "GET", "/projects/"+mine.Id, nil, &mine); !mine.Unmanaged {
		t.Error("the product's own project is not unmanaged")
	}
	var list struct{ Projects []httpapi.Project }
	if k.call(own, "GET", "/projects", nil, &list); len(list.Projects) != 1 || list.Projects[0].Id != mine.Id {
		t.Errorf("the product sees %+v", list)
	}
	if k.call(who["another product"], "GET", "/projects", nil, &list); len(list.Projects) != 0 {
		t.Errorf("a product without a project sees %+v", list)
	}
	k.owner("GET", "/projects", nil, &list, 200)
	if len(list.Projects) != 2 { // its own and the one that the test made
		t.Errorf("an owner sees %d", len(list.Projects))
	}
	answer, err := bus.Do(t.Context(), k.fleet, flow.BuildResult, &editorv1.BuildRequest{Workspace: "w1", Build: myBuild.Id})
	if err != nil || answer.GetProductDevice() != "d1" {
		t.Errorf("for fleet: %v, %v", answer, err)
	}
}

func TestBadInputNamesTheField(t *testing.T) {
	k := start(t)
	p := k.project("blink")
	files := "/projects/" + p.Id
	for _, test := range []struct {
		method, path string
		body         any
		status       int
		code, field  string
	}{
		{"POST", "/projects", m{}, 400, "invalid", "name"},
		{"POST", "/projects", m{"name": " "}, 400, "invalid", "name"},
		{"POST", "/projects", m{"name": "x", "kind": "forth"}, 400, "invalid", "kind"},
		{"POST", "/projects", m{"name": "x", "example": "none"}, 400, "invalid", "example"},
		{"POST", "/projects", m{"name": "x", "fqbn": "uno"}, 400, "invalid", "fqbn"},
		{"PATCH", files, m{"unmanaged": "yes"}, 400, "invalid", "unmanaged"},
		{"GET", "/projects?limit=0", nil, 400, "invalid", "limit"},
		{"GET", "/projects?after=nonsense", nil, 400, "invalid", "after"},
		{"PUT", files + "/file?path=../x.h", m{"content": ""}, 400, "invalid", "path"},
		{"PUT", files + "/file?path=build_opt.h", m{"content": ""}, 400, "invalid", "path"},
		{"PUT", files + "/file?path=x.h", m{}, 400, "invalid", "content"},
		{"PUT", files + "/file?path=x.h", m{"content": strings.Repeat("x", 1<<20+1)}, 400, "invalid", "content"},
		{"PUT", files + "/file?path=x.h", m{"content": strings.Repeat("ü", 1<<19+1)}, 413, "too_large", "content"},
		{"PUT", files + "/file?path=x.h", m{"content": "a\x00b"}, 400, "invalid", "content"},
		{"PUT", files + "/file?path=x.h", m{"content": "x", "base": "abc"}, 409, "conflict", "base"},
		{"PUT", files + "/file", m{"content": "x"}, 400, "invalid", "path"},
		{"GET", files + "/file?path=none.h", nil, 404, "not_found", "path"},
		{"DELETE", files + "/file?path=none.h", nil, 404, "not_found", "path"},
		{"POST", files + "/rename", m{"from": "blink.ino", "to": "a b.ino"}, 400, "invalid", "to"},
		{"POST", files + "/builds", m{}, 409, "precondition", "fqbn"},
		{"POST", files + "/builds", m{"fqbn": "x"}, 400, "invalid", "fqbn"},
		{"GET", "/projects/none", nil, 404, "not_found", ""},
		{"GET", "/builds/none", nil, 404, "not_found", ""},
		{"GET", "/nothing", nil, 404, "not_found", ""},
	} {
		var problem httpapi.Problem
		status := k.call(k.token(person(identity.Owner)), test.method, test.path, test.body, &problem)
		field := ""
		if problem.Field != nil {
			field = *problem.Field
		}
		if status != test.status || problem.Code != test.code || field != test.field {
			t.Errorf("%s %s %.60v: %d %s of %q; want %d %s of %q", test.method, test.path, test.body, status, problem.Code, field, test.status, test.code, test.field)
		}
	}
	var after httpapi.Project
	k.owner("GET", files, nil, &after, 200)
	if fmt.Sprint(after.Files) != fmt.Sprint(p.Files) {
		t.Error("bad input changed the project")
	}
}

// A body that is not UTF-8 would be saved as something else.
func TestABodyThatIsNotText(t *testing.T) {
	k := start(t)
	p := k.project("blink")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, k.url+httpapi.Base+"/projects/"+p.Id+"/file?path=x.h", strings.NewReader("{\"content\": \"\xff\"}"))
	must(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+k.token(person(identity.Owner)))
	answer, err := http.DefaultClient.Do(r)
	must(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(t, err)
	if answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), `"field":"content"`) {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
}

func TestFilesOverHTTP(t *testing.T) {
	k := start(t)
	p := k.project("blink")
	var file httpapi.File
	k.owner("PUT", "/projects/"+p.Id+"/file?path=src%2Fa.h", m{"content": "// \"a\" & ü\n", "base": ""}, &file, 200)
	var content httpapi.FileContent
	k.owner("GET", "/projects/"+p.Id+"/file?path=src/a.h", nil, &content, 200)
	if content.Content != "// \"a\" & ü\n" || content.Sha256 != file.Sha256 {
		t.Errorf("got %+v", content)
	}
	var r httpapi.Revision
	k.owner("POST", "/projects/"+p.Id+"/revisions", m{"message": "mine"}, &r, 201)
	k.owner("POST", "/projects/"+p.Id+"/rename", m{"from": "src/a.h", "to": "b.h"}, &file, 200)
	k.owner("DELETE", "/projects/"+p.Id+"/file?path=b.h", nil, nil, 204)
	k.owner("GET", "/projects/"+p.Id+"/file?path=src/a.h&revision=1", nil, &content, 200)
	if r.Number != 1 || len(r.Files) != 2 || r.Author != "Ada" || content.Path != "src/a.h" {
		t.Errorf("got %+v, %+v", r, content)
	}
	var list struct{ Revisions []httpapi.Revision }
	k.owner("GET", "/projects/"+p.Id+"/revisions", nil, &list, 200)
	if len(list.Revisions) != 1 || *list.Revisions[0].Message != "mine" {
		t.Errorf("got %+v", list)
	}
	var examples struct{ Examples []httpapi.Example }
	k.owner("GET", "/examples", nil, &examples, 200)
	if len(examples.Examples) < 5 || examples.Examples[0].Id != "blink" {
		t.Errorf("got %+v", examples)
	}
}

func TestWhatElseIsServed(t *testing.T) {
	k := start(t)
	for path, want := range map[string]int{
		"/": 200, "/projects/x": 200, "/missing.js": 404, "/api/none": 404, "/api/editor/v2/projects": 404, "/src/nonsense": 403, "/healthz": 200,
	} {
		answer, err := http.Get(k.url + path)
		must(t, err)
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, want)
		}
		if want == 200 && path != "/healthz" && !strings.Contains(answer.Header.Get("Content-Security-Policy"), "trusted-types") {
			t.Errorf("%s: policy %q of %s", path, answer.Header.Get("Content-Security-Policy"), body)
		}
		if want != 200 && answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s", path, answer.Header.Get("Content-Type"))
		}
	}
}
