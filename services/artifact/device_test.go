package artifact_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/services/artifact"
)

func TestFetchStopsLoops(t *testing.T) {
	m := artifact.NewModel(0)
	m.SetDevice(device(t, "d1", vectors.Workspace, vectors.Key))
	m.SetDeployment(deployment(t, 7))
	m.SetRef("d1", vectors.Workspace, 7)
	d := m.ByID("d1")
	fetch := func(what, sha256 string, want, looping bool) {
		t.Helper()
		if got := d.Fetch(sha256); got != want || d.Looping() != looping {
			t.Errorf("%s: allowed %v, looping %v", what, got, d.Looping())
		}
	}
	for range 3 {
		fetch("the first three", imageDigest, true, false)
	}
	fetch("the fourth", imageDigest, false, true)
	fetch("the fifth", imageDigest, false, true)
	d.Runs(strings.Repeat("f", 64))
	fetch("it runs another", imageDigest, false, true)
	d.Runs(imageDigest)
	fetch("it runs it", imageDigest, true, false)
	fetch("again", imageDigest, true, false)
	fetch("something else is wanted", "other", true, false)
	fetch("the first again", imageDigest, true, false)
}

func TestMayReport(t *testing.T) {
	d := device(t, "d1", "w", vectors.Key)
	now := time.Unix(vectors.Now, 0)
	for i := range 70 {
		if got := d.MayReport(now); got != (i < 60) {
			t.Fatalf("report %d: %v", i, got)
		}
	}
	if !d.MayReport(now.Add(time.Minute)) {
		t.Error("a minute later: refused")
	}
}

func TestKnown(t *testing.T) {
	f := artifact.Facts{SHA256: strings.Repeat("a", 64), MD5: strings.Repeat("b", 32), Appended: strings.Repeat("c", 64)}
	for name, test := range map[string]struct {
		known artifact.Known
		want  bool
	}{
		"nothing":          {artifact.Known{}, false},
		"MD5":              {artifact.Known{MD5: f.MD5}, true},
		"another MD5":      {artifact.Known{MD5: strings.Repeat("d", 32)}, false},
		"appended":         {artifact.Known{SHA256: strings.ToUpper(f.Appended)}, true},
		"the file's":       {artifact.Known{SHA256: strings.ToUpper(f.SHA256)}, true},
		"another":          {artifact.Known{SHA256: strings.Repeat("D", 64)}, false},
		"one of two":       {artifact.Known{MD5: strings.Repeat("d", 32), SHA256: f.Appended}, true},
		"ETag":             {artifact.Known{ETag: `"` + f.SHA256 + `"`}, true},
		"ETag, no quotes":  {artifact.Known{ETag: f.SHA256}, false},
		"MD5 as a SHA-256": {artifact.Known{SHA256: f.MD5}, false},
	} {
		if test.known.IsThis(f) != test.want {
			t.Errorf("%s: %v", name, !test.want)
		}
	}
	if (artifact.Known{SHA256: ""}).IsThis(artifact.Facts{SHA256: f.SHA256}) {
		t.Error("an image without an appended digest is not known by an empty one")
	}
}

func TestSightings(t *testing.T) {
	s := artifact.NewSightings(2)
	a, b, c := device(t, "a", "w", "ka"), device(t, "b", "w", "kb"), device(t, "c", "w", "kc")
	at := func(n int64) artifact.Sighting { return artifact.Sighting{At: time.Unix(n, 0)} }
	taken := func(what string, want ...string) {
		t.Helper()
		got := []string{}
		for _, seen := range s.Take(10) {
			got = append(got, seen.Device+seen.At.UTC().Format("05"))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v", what, got)
		}
	}
	taken("nothing")
	s.Note(a, at(1))
	s.Note(a, at(2))
	taken("the newest of one", "a02")
	taken("once only")
	s.Note(a, at(3))
	s.Note(b, at(4))
	s.Note(c, at(5))
	taken("the oldest is out", "b04", "c05")
	s.Note(a, at(6))
	taken("and comes again", "a06")
	s.Note(a, at(7))
	s.Note(b, at(8))
	if batch := s.Take(1); len(batch) != 1 || batch[0].Workspace != "w" {
		t.Errorf("%+v", batch)
	}
	taken("the rest", "b08")
}
