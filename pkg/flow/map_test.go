package flow

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/flota/flota/pkg/deviceproto"
)

// A report's time may be ahead of the server's by ClockWindow and is good until it
// lies as far behind: so long the stream must know that it has it.
func TestAReplayedReportIsStillKnown(t *testing.T) {
	if Devices.Duplicates <= 2*(deviceproto.ClockWindow+time.Second) {
		t.Errorf("duplicates are known for %s", Devices.Duplicates)
	}
}

func TestMapIsConsistent(t *testing.T) {
	known := func(where string, services ...Service) {
		t.Helper()
		if len(services) == 0 {
			t.Errorf("%s: no service", where)
		}
		for _, s := range services {
			if !slices.Contains(Services, s) {
				t.Errorf("%s: no service is called %q", where, s)
			}
		}
	}
	documented := func(where, doc string) {
		t.Helper()
		if !strings.HasSuffix(doc, ".") || strings.Contains(doc, "\n") {
			t.Errorf("%s is documented as %q: no sentence", where, doc)
		}
	}
	names := map[string]bool{}
	once := func(name string) {
		t.Helper()
		if names[name] {
			t.Errorf("%s is there twice", name)
		}
		names[name] = true
	}

	for _, s := range Streams {
		once("stream " + s.Name)
		known(s.Name, s.Owner)
		documented(s.Name, s.Doc)
		if s.MaxAge <= 0 || s.MaxBytes <= 0 || s.MaxMessage <= 0 || s.Duplicates <= 0 {
			t.Errorf("%s is not bounded: %+v", s.Name, s)
		}
		if s.Duplicates > s.MaxAge || int64(s.MaxMessage) > s.MaxBytes {
			t.Errorf("%s: its limits contradict each other", s.Name)
		}
		if s.Retention != jetstream.LimitsPolicy && s.Discard != jetstream.DiscardNew {
			t.Errorf("%s drops what is not yet handled", s.Name)
		}
	}
	for _, s := range Subjects {
		once("subject " + s.Pattern)
		known(s.Pattern, s.From...)
		documented(s.Pattern, s.Doc)
		if !slices.Contains(Streams, s.Stream) {
			t.Errorf("%s: its stream is not listed", s.Pattern)
		}
		if !slices.ContainsFunc(s.Stream.Subjects, func(all string) bool { return overlap(all, wildcard(s.Pattern)) }) {
			t.Errorf("%s is none of %s's subjects", s.Pattern, s.Stream.Name)
		}
		if len(s.Tail) == 0 && !slices.ContainsFunc(Consumers, func(c AnyConsumer) bool { return c.Filter == wildcard(s.Pattern) }) {
			t.Errorf("nobody takes %s", s.Pattern)
		}
	}
	for _, c := range Consumers {
		once("consumer " + c.Name)
		known(c.Name, c.By)
		documented(c.Name, c.Doc)
		i := slices.IndexFunc(Subjects, func(s AnySubject) bool { return wildcard(s.Pattern) == c.Filter })
		if i < 0 || Subjects[i].Stream != c.Stream || Subjects[i].Message != c.Message {
			t.Fatalf("%s takes no subject of the map: %+v", c.Name, c)
		}
		if c.AckWait <= 0 || c.MaxDeliver <= 0 {
			t.Errorf("%s is not bounded: %+v", c.Name, c)
		}
		braces := regexp.MustCompile(`\{[a-z]+\}`)
		inName, inSubject := braces.FindAllString(c.Name, -1), braces.FindAllString(Subjects[i].Pattern, -1)
		if len(inName) > len(inSubject) || !slices.Equal(inName, inSubject[:len(inName)]) {
			t.Errorf("%s: the words of its name are not the first of %s", c.Name, Subjects[i].Pattern)
		}
		// Only then it is there when the first message comes.
		if len(inName) == 0 && c.By != c.Stream.Owner {
			t.Errorf("%s is made by %s, who does not consume it", c.Name, c.Stream.Owner)
		}
	}
	for _, r := range Requests {
		once("request " + r.Subject)
		known(r.Subject, r.By)
		known(r.Subject, r.From...)
		documented(r.Subject, r.Doc)
		if slices.Contains(r.From, r.By) || !strings.HasPrefix(r.Subject, string(r.By)+".") {
			t.Errorf("%s is answered by %s", r.Subject, r.By)
		}
		if r.Timeout <= 0 || r.Timeout >= MaxAnswerTime {
			t.Errorf("%s takes %v, more than NATS allows for an answer", r.Subject, r.Timeout)
		}
		for _, s := range Streams {
			if slices.ContainsFunc(s.Subjects, func(all string) bool { return overlap(all, r.Subject) }) {
				t.Errorf("%s would be stored in %s", r.Subject, s.Name)
			}
		}
	}
	for _, b := range Buckets {
		once("bucket " + b.Name)
		known(b.Name, b.Owner, b.Writer)
		known(b.Name, b.Read...)
		documented(b.Name, b.Doc)
		if b.MaxBytes <= 0 || b.MaxValue <= 0 {
			t.Errorf("%s is not bounded: %+v", b.Name, b)
		}
	}
}

// A message is stored once.
func TestStreamsDoNotOverlap(t *testing.T) {
	for i, a := range Streams {
		for _, b := range Streams[i+1:] {
			for _, sa := range a.Subjects {
				for _, sb := range b.Subjects {
					if overlap(sa, sb) {
						t.Errorf("%s and %s share %s and %s", a.Name, b.Name, sa, sb)
					}
				}
			}
		}
	}
	for i, a := range Consumers {
		for _, b := range Consumers[i+1:] {
			if a.Stream == b.Stream && a.Stream.Retention == jetstream.WorkQueuePolicy && overlap(a.Filter, b.Filter) {
				t.Errorf("%s and %s take from one work queue", a.Name, b.Name)
			}
		}
	}
}

// What streams and buckets reserve is there.
func TestStoreIsLargeEnough(t *testing.T) {
	var reserved [2]int64
	for _, s := range Streams {
		reserved[s.Storage] += s.MaxBytes
	}
	for _, b := range Buckets {
		reserved[b.Storage] += b.MaxBytes
	}
	if file := reserved[jetstream.FileStorage]; file > MaxFileStore {
		t.Errorf("%d bytes on disk are more than %d", file, int64(MaxFileStore))
	}
	if memory := reserved[jetstream.MemoryStorage]; memory > MaxMemoryStore {
		t.Errorf("%d bytes in memory are more than %d", memory, int64(MaxMemoryStore))
	}
}

// overlap says whether a subject can match both patterns.
func overlap(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		switch {
		case as[i] == ">" || bs[i] == ">":
			return true
		case as[i] != bs[i] && as[i] != "*" && bs[i] != "*":
			return false
		}
	}
	return len(as) == len(bs)
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.b", "a.b.c", false}, {"a.*", "a.b", true}, {"a.*", "*.b", true},
		{"a.>", "a.b.c", true}, {"a.>", "a", false}, {"a.>", "b.>", false}, {">", "x", true}, {"a.*.c", "a.b.d", false},
	} {
		if overlap(c.a, c.b) != c.want || overlap(c.b, c.a) != c.want {
			t.Errorf("overlap(%s, %s) is not %v", c.a, c.b, c.want)
		}
	}
}
