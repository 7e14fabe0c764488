package editord_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/flow"
	"github.com/flota/flota/pkg/identity"
	boardsv1 "github.com/flota/flota/pkg/pb/flota/boards/v1"
	compilerv1 "github.com/flota/flota/pkg/pb/flota/compiler/v1"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
	"github.com/flota/flota/services/editor/httpapi"
)

// only returns the data of the events of one name.
func only(events []sse, name string) (data []string) {
	for _, e := range events {
		if e.name == name {
			data = append(data, e.data)
		}
	}
	return data
}

func (k *kit) device(id, workspace, state string) {
	k.t.Helper()
	must(k.t, bus.Publish(k.t.Context(), k.fleet, flow.DeviceChanged, &fleetv1.Changed{
		Workspace: workspace, Kind: "device", Id: id, State: state, Percent: 7, RunningVersion: "1", WantedVersion: "2", SeenMs: 1767323045000,
	}, "", workspace, id))
}

// However often the stream is cut, and wherever it goes on, what a client reads
// of a log is byte by byte what it would have read at once: while the build
// runs, and from the stored log afterwards.
func TestEventsResumeByteByByte(t *testing.T) {
	k := start(t)
	b := k.queued()
	k.claim(b.Id, "worker-1", 1, 1)
	who := k.token(person(identity.Viewer))
	end := func(e sse) bool { return e.name == "log" && strings.Contains(e.data, "the end") }
	for i := range 40 {
		k.say(b.Id, 1, fmt.Sprintf("line %d", i), strings.Repeat("x", i))
		if i%10 == 0 {
			k.device("d1", "w1", fmt.Sprint("state", i))
		}
	}
	k.say(b.Id, 1, "the end")
	whole := only(k.listen(who, "?build="+b.Id, "").until(end), "log")
	if len(whole) != 41 {
		t.Fatalf("%d chunks", len(whole))
	}
	inPieces := func(what string) {
		t.Helper()
		var got []string
		after := ""
		for i := 0; len(got) < len(whole); i++ {
			l := k.listen(who, "?build="+b.Id, after)
			n := 0
			piece := l.until(func(e sse) bool { n++; return n > 1+i%4 || end(e) })
			l.cancel()
			got = append(got, only(piece, "log")...)
			after = piece[len(piece)-1].id
		}
		if !slices.Equal(got, whole) {
			t.Errorf("%s: in pieces\n%v\nat once\n%v", what, got, whole)
		}
	}
	inPieces("while it runs")
	k.finish(&compilerv1.BuildFinished{Build: b.Id, Attempt: 1, Outcome: compilerv1.Outcome_OUTCOME_FAILED, Message: "no"})
	k.wait(b.Id, "failed")
	inPieces("when it is over")
	eventually(t, "the log is stored", func() bool { return k.blobs.Count() >= 2 })
	must(t, bus.Purge(t.Context(), k.nats.Connect(flow.Editor), flow.BuildLog)) // the stream has forgotten
	inPieces("when it is stored")
	// The other build's log begins at its own first line, whatever was read before.
	other := k.queued()
	k.claim(other.Id, "worker-1", 2, 1)
	k.say(other.Id, 1, "the end")
	l := k.listen(who, "?build="+b.Id, "")
	last := l.until(end)
	l.cancel()
	l = k.listen(who, "?build="+other.Id+"&after="+last[len(last)-1].id, "")
	if got := only(l.until(end), "log"); len(got) != 1 {
		t.Errorf("of the other build: %v", got)
	}
}

func TestALaterAttemptBeginsTheLogAnew(t *testing.T) {
	k := start(t)
	b := k.queued()
	k.claim(b.Id, "worker-1", 1, 1)
	l := k.listen(k.token(person(identity.Viewer)), "?build="+b.Id, "")
	k.say(b.Id, 1, "first")
	l.until(func(e sse) bool { return e.name == "log" })
	k.claim(b.Id, "worker-2", 1, 2)
	k.say(b.Id, 2, "second")
	k.say(b.Id, 1, "late")
	k.say(b.Id, 2, "the end")
	var got []string
	for _, e := range l.until(func(e sse) bool { return strings.Contains(e.data, "the end") }) {
		if e.name == "log" {
			log := decode[httpapi.LogEvent](t, e)
			got = append(got, fmt.Sprintf("%d %s", log.Attempt, log.Lines[0].Text))
		}
	}
	if fmt.Sprint(got) != "[2 second 2 the end]" {
		t.Errorf("got %v", got)
	}
	// Who comes now sees only the attempt that counts.
	fresh := k.listen(k.token(person(identity.Viewer)), "?build="+b.Id, "")
	if got := only(fresh.until(func(e sse) bool { return strings.Contains(e.data, "the end") }), "log"); len(got) != 2 {
		t.Errorf("from the start: %v", got)
	}
}

func TestEventsAreTheCallersOwn(t *testing.T) {
	k := start(t)
	k.announce("worker-1", 1, 1)
	p := k.project("blink")
	viewer, own := k.listen(k.token(person(identity.Viewer)), "", ""), k.listen(k.token(product("d1")), "", "")
	viewer.next()
	own.next()
	var mine httpapi.Project
	k.call(k.token(product("d1")), "PUT", "/own-project", nil, &mine)
	theirs := k.build(p.Id, m{"fresh": true})
	var my httpapi.Build
	k.call(k.token(product("d1")), "POST", "/projects/"+mine.Id+"/builds", m{"fresh": true}, &my)
	k.device("d2", "w1", "offline")
	k.device("d9", "w2", "offline")
	k.device("d1", "w1", "online")

	last := func(e sse) bool { return e.name == "device" && strings.Contains(e.data, `"d1"`) }
	both := func() func(sse) bool { // builds and devices come in any order
		build, device := false, false
		return func(e sse) bool {
			build = build || e.name == "build" && strings.Contains(e.data, my.Id)
			device = device || last(e)
			return build && device
		}
	}
	events := viewer.until(both())
	all := fmt.Sprint(events)
	if !strings.Contains(all, theirs.Id) || !strings.Contains(all, my.Id) || !strings.Contains(all, `"d2"`) || strings.Contains(all, `"d9"`) {
		t.Errorf("the viewer hears %v", all)
	}
	events = own.until(both())
	all = fmt.Sprint(events)
	if strings.Contains(all, theirs.Id) || !strings.Contains(all, my.Id) || strings.Contains(all, `"d2"`) {
		t.Errorf("the product hears %v", all)
	}
	for _, e := range events {
		if last(e) {
			d := decode[httpapi.DeviceEvent](t, e)
			if d.State != "online" || *d.Percent != 7 || *d.RunningVersion != "1" || *d.WantedVersion != "2" || d.SeenAt.Unix() != 1767323045 {
				t.Errorf("got %+v", d)
			}
		}
	}
}

// Who was away for too long reads everything anew, and goes on from now.
func TestReset(t *testing.T) {
	k := start(t)
	k.announce("worker-1", 1, 1)
	p := k.project("blink")
	who := k.token(person(identity.Viewer))
	first, _ := k.listen(who, "", "").next()
	b := k.build(p.Id, m{"fresh": true})
	k.listen(who, "", first.id).until(state(t, b.Id, "queued"))

	editor := k.nats.Connect(flow.Editor)
	eventually(t, "the stream has something", func() bool {
		begin, last, err := bus.Span(t.Context(), editor, flow.Projects)
		return err == nil && last >= begin
	})
	must(t, bus.Purge(t.Context(), editor, flow.BuildChanged)) // an hour passes
	for name, after := range map[string]string{"too old": first.id, "nonsense": "yesterday", "of another server": "99999-0-0-0-0--"} {
		l := k.listen(who, "", after)
		e, _ := l.next()
		if e.name != "reset" || e.id == "" || e.data == "" {
			t.Errorf("%s: %+v", name, e)
			continue
		}
		l.cancel()
		// From the position that came with it there is nothing to reset.
		again := k.listen(who, "", e.id)
		if next, _ := again.next(); next.name == "reset" {
			t.Errorf("%s: and again", name)
		}
		again.cancel()
	}
}

func TestTheStreamEndsWithTheTokenAndWithTheService(t *testing.T) {
	k := start(t)
	short := person(identity.Viewer)
	short.Expires = time.Now().Add(7 * time.Second) // it ends 5 s before
	begin := time.Now()
	k.listen(k.token(short), "", "").ended()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it ended after %s", took)
	}
	l := k.listen(k.token(person(identity.Viewer)), "", "")
	l.next()
	begin = time.Now()
	k.stop()
	l.ended()
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the service took %s to stop", took)
	}
}

// Whoever opens one stream after the other is stopped, and others are not.
func TestEventStreamsAreBounded(t *testing.T) {
	k := start(t)
	hoarder := k.token(product("d1"))
	const most = 32
	var open []*listener
	for range most {
		open = append(open, k.listen(hoarder, "", ""))
	}
	if l := k.listen(hoarder, "", ""); l.status != http.StatusTooManyRequests {
		t.Errorf("one more: %d", l.status)
	}
	if l := k.listen(k.token(person(identity.Owner)), "", ""); l.status != http.StatusOK {
		t.Errorf("somebody else: %d", l.status)
	}
	open[0].cancel()
	open[0].ended()
	for range 100 { // the server notices soon
		if l := k.listen(hoarder, "", ""); l.status == http.StatusOK {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the place of a closed stream stays taken")
}

// A workspace hears of its virtual boards, a product of its own, and nobody of
// another's; the boards service may come later than its listeners.
func TestEventsOfBoards(t *testing.T) {
	k := start(t)
	all, own := k.listen(k.token(person(identity.Viewer)), "?board=b1", ""), k.listen(k.token(product("d2")), "?board=b2", "")
	spy := k.listen(k.token(product("d2")), "?board=b1", "")
	for _, l := range []*listener{all, own, spy} {
		l.next()
	}
	boards := k.nats.Connect(flow.Boards)
	must(t, boards.Ensure(t.Context()))
	change := func(workspace, board, device, state string) {
		t.Helper()
		must(t, bus.Publish(t.Context(), boards, flow.BoardChanged, &boardsv1.BoardChanged{
			Board: board, Device: device, Exists: true, State: state, Starts: 3, Reset_: "crash", Slot: "app1",
			Pins: []*boardsv1.Pin{{Number: 2, Mode: "out", Value: 1}},
		}, "", workspace, board))
	}
	say := func(workspace, board, device, text string, offset uint64) {
		t.Helper()
		must(t, bus.Publish(t.Context(), boards, flow.BoardSerial, &boardsv1.SerialChunk{
			Board: board, Device: device, Offset: offset, Data: []byte(text),
		}, "", workspace, board))
	}
	say("w2", "b1", "", "of another workspace", 0)
	say("w1", "b1", "d1", "gr\xfc\xc3\xbc", 7)
	say("w1", "b2", "d2", "two", 0)
	change("w2", "b1", "", "off")
	change("w1", "b1", "d1", "running")
	change("w1", "b2", "d2", "sleeping")

	heard := func(l *listener) string {
		t.Helper()
		var serial, last bool
		var text []string
		for _, e := range l.until(func(e sse) bool {
			serial = serial || e.name == "serial"
			last = last || e.name == "board" && strings.Contains(e.data, "sleeping")
			return last && (serial || l == spy)
		}) {
			text = append(text, e.name+" "+e.data)
		}
		return strings.Join(text, "\n")
	}
	one, two := `serial {"board":"b1","end":12,"offset":7,"text":"gr�ü"}`, `serial {"board":"b2","end":3,"offset":0,"text":"two"}`
	running := `board {"board":"b1","exists":true,"pins":[{"mode":"out","number":2,"value":1}],"reset":"crash","slot":"app1","starts":3,"state":"running"}`
	if got := heard(all); !strings.Contains(got, one) || !strings.Contains(got, running) || strings.Contains(got, "two") || strings.Contains(got, "another") || strings.Contains(got, `"off"`) {
		t.Errorf("the viewer heard\n%s", got)
	}
	if got := heard(own); !strings.Contains(got, two) || strings.Contains(got, "b1") {
		t.Errorf("the product heard\n%s", got)
	}
	if got := heard(spy); strings.Contains(got, "b1") || strings.Contains(got, "serial") {
		t.Errorf("a product heard of another's board\n%s", got)
	}

	// Who comes back goes on behind what was read; who asks for another board begins with now.
	first := k.listen(k.token(person(identity.Viewer)), "?board=b1", "")
	first.next()
	say("w1", "b1", "d1", "A", 12)
	events := first.until(func(e sse) bool { return e.name == "serial" })
	first.cancel()
	say("w1", "b1", "d1", "B", 13)
	again := k.listen(k.token(person(identity.Viewer)), "?board=b1", events[len(events)-1].id)
	if got := again.until(func(e sse) bool { return e.name == "serial" }); !strings.Contains(fmt.Sprint(got), `"text":"B"`) {
		t.Errorf("after it came back: %v", got)
	}
	for _, bad := range []string{"*", "b1.x", ">", "b%201"} {
		if l := k.listen(k.token(person(identity.Viewer)), "?board="+bad, ""); l.status != http.StatusNotFound {
			t.Errorf("board %s: %d", bad, l.status)
		}
	}
}
