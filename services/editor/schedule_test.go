package editor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each queue is written as "workspace/platform" in the order of arrival, with a
// "!" behind builds whose job is out; a build is named by its place.
func TestPlan(t *testing.T) {
	for name, test := range map[string]struct {
		queue   string
		running map[string]int // by workspace
		free    map[string]int // by platform
		want    string
	}{
		"nothing":                              {"", nil, map[string]int{"avr": 3}, ""},
		"twice the free slots":                 {"a/avr a/avr a/avr a/avr a/avr a/avr", nil, map[string]int{"avr": 2}, "0 1 2 3"},
		"what waits already counts":            {"a/avr! a/avr! a/avr! a/avr a/avr", nil, map[string]int{"avr": 2}, "3"},
		"enough is out":                        {"a/avr! a/avr! a/avr", nil, map[string]int{"avr": 1}, ""},
		"one at the door of a busy farm":       {"a/avr a/avr", nil, map[string]int{"avr": 0}, "0"},
		"the one at the door is there":         {"a/avr! a/avr", nil, map[string]int{"avr": 0}, ""},
		"nobody offers it":                     {"a/esp a/", nil, map[string]int{"avr": 2}, ""},
		"no worker":                            {"a/avr", nil, nil, ""},
		"platforms do not stand in their way":  {"a/esp a/esp a/esp a/avr", nil, map[string]int{"avr": 1, "esp": 1}, "0 1 3"},
		"first come, first served":             {"a/avr a/avr a/avr", nil, map[string]int{"avr": 1}, "0 1"},
		"a newcomer overtakes a backlog":       {"a/avr a/avr a/avr a/avr b/avr", nil, map[string]int{"avr": 1}, "0 4"},
		"in turns":                             {"a/avr a/avr a/avr b/avr b/avr c/avr", nil, map[string]int{"avr": 3}, "0 3 5 1 4 2"},
		"who runs more waits":                  {"a/avr b/avr", map[string]int{"a": 1}, map[string]int{"avr": 1}, "1 0"},
		"running elsewhere counts":             {"a/avr a/avr b/avr b/avr", map[string]int{"a": 2}, map[string]int{"avr": 2}, "2 3 0 1"},
		"what waits counts for its workspace":  {"a/esp! a/avr b/avr", nil, map[string]int{"avr": 1, "esp": 1}, "2 1"},
		"a blocked platform blocks nobody":     {"a/esp! a/esp! a/esp b/avr a/avr", nil, map[string]int{"avr": 1, "esp": 1}, "3 4"},
		"the one at the door goes to the poor": {"a/avr b/avr", map[string]int{"a": 5, "b": 4}, map[string]int{"avr": 0}, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			var queue []Candidate
			for i, text := range strings.Fields(test.queue) {
				workspace, platform, _ := strings.Cut(text, "/")
				platform, waiting := strings.CutSuffix(platform, "!")
				queue = append(queue, Candidate{
					Build: fmt.Sprint(i), Workspace: workspace, Platform: platform, Waiting: waiting, Since: time.Unix(int64(i), 0),
				})
			}
			slices.Reverse(queue) // the order of the list says nothing
			if got := strings.Join(Plan(queue, test.running, test.free), " "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// However long the others' backlog, a workspace's first build is among the next.
func TestPlanServesEverybody(t *testing.T) {
	var queue []Candidate
	for i := range 5000 {
		queue = append(queue, Candidate{Build: fmt.Sprint(i), Workspace: fmt.Sprint("w", i%50), Platform: "p", Since: time.Unix(int64(i), 0)})
	}
	queue = append(queue, Candidate{Build: "late", Workspace: "new", Platform: "p", Since: time.Unix(9000, 0)})
	picked := Plan(queue, nil, map[string]int{"p": 26})
	if len(picked) != 52 || !slices.Contains(picked, "late") {
		t.Errorf("%d picked, the late one among them: %t", len(picked), slices.Contains(picked, "late"))
	}
}

func BenchmarkPlan(b *testing.B) {
	var queue []Candidate
	for i := range 5000 {
		queue = append(queue, Candidate{Build: fmt.Sprint(i), Workspace: fmt.Sprint("w", i%50), Platform: "p", Since: time.Unix(int64(i), 0)})
	}
	for b.Loop() {
		Plan(queue, nil, map[string]int{"p": 32})
	}
}
