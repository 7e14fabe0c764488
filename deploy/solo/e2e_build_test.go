package solo_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/pkg/fault"
	editorapi "github.com/flota/flota/services/editor/httpapi"
)

// Every example compiles with the real compilers, and the same inputs give the same
// bytes: compiled again, in another project, and from the cache.
func TestExamplesCompile(t *testing.T) {
	s := startFarm(t)
	examples, err := s.admin.Examples(t.Context())
	require.NoError(t, err)
	wanted := map[string]struct {
		role editorapi.OutputRole
		fqbn string
	}{
		"blink":                 {editorapi.App, "flota:virtual:esp32"},
		"wifi":                  {editorapi.App, "flota:virtual:esp32"},
		"sensor":                {editorapi.App, "flota:virtual:esp32"},
		"library":               {editorapi.App, "flota:virtual:esp32"},
		"avr-blink":             {editorapi.Hex, "arduino:avr:uno"},
		"micropython-blink":     {editorapi.Index, "micropython:"},
		"micropython-wifi":      {editorapi.Index, "micropython:"},
		"micropython-sensor":    {editorapi.Index, "micropython:"},
		"micropython-webserver": {editorapi.Index, "micropython:"},
		"micropython-library":   {editorapi.Index, "micropython:"},
	}
	require.Len(t, examples, len(wanted))
	for _, example := range examples {
		t.Run(example.Id, func(t *testing.T) {
			want, known := wanted[example.Id]
			require.True(t, known)
			first := s.buildExample(t, example)
			require.Contains(t, first.Fqbn, want.fqbn)
			require.Equal(t, 1, first.Attempt)
			require.Contains(t, digests(first), want.role)
			if example.Kind == editorapi.Arduino {
				require.NotNil(t, first.Memory)
				require.Positive(t, first.Memory.FlashUsed)
				require.Greater(t, first.Memory.FlashMax, first.Memory.FlashUsed)
			}

			repeated := s.build(first.Project, solotest.BuildWish{})
			require.NotNil(t, repeated.Cached, "asked again at once")
			again := s.build(first.Project, solotest.BuildWish{Fresh: true})
			require.Nil(t, again.Cached)
			require.Equal(t, digests(first), digests(again), "compiled again")
			cached := s.buildExample(t, example)
			require.NotNil(t, cached.Cached)
			require.Equal(t, digests(first), digests(cached), "from the cache, for another project")

			for _, o := range first.Outputs {
				bytes, err := s.admin.Output(t.Context(), first.Id, o.Name)
				require.NoError(t, err)
				require.Len(t, bytes, o.Size, o.Name)
			}
		})
	}
}

func (p *product) buildExample(t *testing.T, example editorapi.Example) editorapi.Build {
	project, err := p.admin.CreateProject(t.Context(), example.Name, example.Id)
	require.NoError(t, err)
	return p.build(project.Id, solotest.BuildWish{})
}

// digests are those of the outputs that count: an ELF file or a map is for people.
func digests(b editorapi.Build) map[editorapi.OutputRole]string {
	all := map[editorapi.OutputRole]string{}
	for _, o := range b.Outputs {
		all[o.Role] = o.Sha256
	}
	return all
}

func TestCompileErrorsStandOnTheirLines(t *testing.T) {
	s := startFarm(t)
	for example, test := range map[string]struct {
		file, content string
		line          int
		message       string
	}{
		"blink":             {"", "void setup() {}\n\nvoid loop() { blick(); }\n", 3, "blick"},
		"avr-blink":         {"", "void setup() {}\nvoid loop() {\n  int x = ;\n}\n", 3, "expected"},
		"sensor":            {"average.h", "#pragma once\nint broken(\n", 0, ""},
		"micropython-blink": {"main.py", "import time\n\nwhile True\n    pass\n", 3, "syntax"},
	} {
		t.Run(example, func(t *testing.T) {
			project, err := s.admin.CreateProject(t.Context(), "Broken", example)
			require.NoError(t, err)
			file := test.file
			if file == "" {
				file = project.Main
			}
			_, err = s.admin.PutFile(t.Context(), project.Id, file, test.content)
			require.NoError(t, err)
			b := s.tryBuild(project.Id, solotest.BuildWish{})
			require.Equal(t, editorapi.BuildStateFailed, b.State)
			require.Empty(t, b.Outputs)
			require.NotEmpty(t, *b.Message)
			var found []string
			for _, d := range b.Diagnostics {
				if d.Severity == editorapi.DiagnosticSeverityError && (test.line == 0 || d.File == file && d.Line == test.line) &&
					strings.Contains(strings.ToLower(d.Message), test.message) {
					return
				}
				found = append(found, fmt.Sprintf("%s:%d:%d %s: %s", d.File, d.Line, d.Column, d.Severity, d.Message))
			}
			t.Errorf("no error at %s:%d in %q", file, test.line, found)
		})
	}
}

func TestABoardThatNobodyOffers(t *testing.T) {
	s := startFarm(t)
	project, err := s.admin.CreateProject(t.Context(), "Blink", "blink")
	require.NoError(t, err)
	_, err = s.admin.Build(t.Context(), project.Id, solotest.BuildWish{FQBN: "acme:z80:one"})
	p := requireProblem(t, err, 0, "")
	require.Contains(t, p.Detail, "acme:z80:one")
	require.Equal(t, "fqbn", p.Field)
}

// slowSketch compiles for a good while: about 0.4 s for each unit.
func slowSketch(units int) string {
	return fmt.Sprintf(`template <int N> constexpr int slow() {
  int x = N;
  for (int i = 0; i < 1000; i++) for (int j = 0; j < 200; j++) x = (x * 31 + j) %% 1000003;
  return x;
}
template <int N> int all() { constexpr int one = slow<N>(); return one + all<N - 1>(); }
template <> int all<0>() { return 0; }
int out;
void setup() { out = all<%d>(); }
void loop() {}
`, units)
}

func TestCancel(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, patience)
	project, err := s.admin.CreateProject(ctx, "Slow", "blink")
	require.NoError(t, err)
	_, err = s.admin.PutFile(ctx, project.Id, project.Main, slowSketch(200))
	require.NoError(t, err)
	b, err := s.admin.Build(ctx, project.Id, solotest.BuildWish{})
	require.NoError(t, err)
	s.waitPhase(b.Id, editorapi.Compile)
	s.waitSlots(func(free, slots int) bool { return free < slots })

	b, err = s.admin.Cancel(ctx, b.Id)
	require.NoError(t, err)
	require.Equal(t, editorapi.BuildStateCancelled, b.State)
	// The worker stops, and has its slot back long before the compiler would be done.
	s.waitSlots(func(free, slots int) bool { return free == slots })
	again, err := s.admin.Cancel(ctx, b.Id)
	require.NoError(t, err)
	require.Equal(t, editorapi.BuildStateCancelled, again.State)
}

func (p *product) waitSlots(wanted func(free, slots int) bool) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		farm, err := p.admin.Boards(p.t.Context())
		return err == nil && wanted(farm.Free, farm.Slots)
	}, 20*time.Second, 20*time.Millisecond)
}

func (p *product) waitPhase(build string, phase editorapi.BuildPhase) {
	p.t.Helper()
	ctx := within(p.t, patience)
	for {
		b, err := p.admin.GetBuild(ctx, build)
		require.NoError(p.t, err)
		require.False(p.t, solotest.Final(b), "%s: ended before", b.State)
		if b.Phase != nil && *b.Phase == phase {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// The log comes while the compiler runs, and a browser that lost the connection
// goes on where it was.
func TestLiveLogWithResume(t *testing.T) {
	s := startFarm(t)
	ctx := within(t, patience)
	project, err := s.admin.CreateProject(ctx, "Library", "library")
	require.NoError(t, err)
	_, err = s.admin.PutFile(ctx, project.Id, "second.cpp", "int second(int x) { return x; }\n")
	require.NoError(t, err)
	b, err := s.admin.Build(ctx, project.Id, solotest.BuildWish{Verbose: true})
	require.NoError(t, err)

	cut := errors.New("the connection was cut")
	var lines []string
	var position string
	alive := false
	for final := false; !final; {
		err := s.admin.Events(ctx, b.Id, position, func(e solotest.Event) error {
			position = e.ID
			switch e.Name {
			case "build":
				var change editorapi.BuildEvent
				require.NoError(t, json.Unmarshal(e.Data, &change))
				final = solotest.Final(editorapi.Build{State: editorapi.BuildState(change.State)})
			case "log":
				var chunk editorapi.LogEvent
				require.NoError(t, json.Unmarshal(e.Data, &chunk))
				for _, l := range chunk.Lines {
					lines = append(lines, l.Text)
				}
				alive = alive || !final
			case "reset":
				t.Error("reset")
			}
			if final || e.Name == "log" {
				return cut // after every chunk
			}
			return nil
		})
		require.ErrorIs(t, err, cut)
	}
	require.True(t, alive, "the log came before the end")
	// What is still to come after the last word on the state is in the stored log.
	var stored []string
	require.Eventually(t, func() bool {
		kept, err := s.admin.BuildLog(ctx, b.Id)
		stored = nil
		for _, l := range kept {
			stored = append(stored, l.Text)
		}
		return err == nil && len(stored) > 0
	}, patience, 50*time.Millisecond)
	require.Equal(t, stored[:min(len(lines), len(stored))], lines, "none twice, none left out")
}

// requireProblem checks that an answer is a problem of this status and code, where
// they are not empty, and returns it.
func requireProblem(t testing.TB, err error, status int, code fault.Code) *solotest.Problem {
	t.Helper()
	p, ok := errors.AsType[*solotest.Problem](err)
	require.Truef(t, ok, "%v is no problem answer", err)
	if status != 0 {
		require.Equal(t, status, p.Status, p.Error())
	}
	if code != "" {
		require.Equal(t, code, p.Code, p.Error())
	}
	return p
}
