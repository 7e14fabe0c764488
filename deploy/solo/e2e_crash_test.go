package solo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/firmware/simulator"
	"github.com/flota/flota/pkg/deviceproto"
	editorapi "github.com/flota/flota/services/editor/httpapi"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

const (
	kills = 12
	// takeOver is within what a build that lost its worker ends: the lease, and the build.
	takeOver = 60 * time.Second
)

// kill -9 at random moments while people edit, build, register and deploy and
// devices report: nothing that was acknowledged is lost, and every build that was
// accepted ends. FLOTA_TEST_SEED repeats a run.
func TestKilledAtRandomMomentsNothingIsLost(t *testing.T) {
	s := startFarm(t)
	random := seeded(t)
	w := newWork(t, &s.product, "bot")
	for range kills {
		w.during(t.Context(), func() {
			time.Sleep(time.Duration(100+random.IntN(1400)) * time.Millisecond)
			s.Kill()
		})
		require.NoError(t, s.Start(t.Context()))
	}
	w.check(within(t, 2*takeOver))
}

// seeded is a generator whose seed is printed; FLOTA_TEST_SEED sets it.
func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("FLOTA_TEST_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("FLOTA_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// work is what is done while the server dies again and again, and what of it was
// acknowledged. Each field belongs to one goroutine until check.
type work struct {
	t *testing.T
	s *product

	project string // edited
	saves   int
	maybe   []string // the last content that was acknowledged, and what was sent since

	sketch string // built
	builds []string

	products []string // device IDs

	bots        []string         // devices that run
	good        []string         // builds to deploy
	deployments map[int64]string // number → device
	wanted      map[string]int64 // device → number
	reports     *reports
	devices     []*solotest.Devices
}

func newWork(t *testing.T, s *product, prefix string) *work {
	t.Helper()
	w := &work{t: t, s: s, deployments: map[int64]string{}, wanted: map[string]int64{}, reports: &reports{}}
	ctx := within(t, patience)
	edited, err := s.admin.CreateProject(ctx, "Edited", "sensor")
	require.NoError(t, err)
	built, err := s.admin.CreateProject(ctx, "Built", "avr-blink")
	require.NoError(t, err)
	w.project, w.sketch = edited.Id, built.Id
	for range 2 {
		deployed, err := s.admin.CreateProject(ctx, "Deployed", "blink")
		require.NoError(t, err)
		_, err = s.admin.PutFile(ctx, deployed.Id, "unique.h", "// "+deployed.Id)
		require.NoError(t, err)
		_, err = s.admin.PutFile(ctx, deployed.Id, deployed.Main, fmt.Sprintf("int which = %d;\nvoid setup() {}\nvoid loop() { which++; }\n", len(w.good)))
		require.NoError(t, err)
		w.good = append(w.good, s.build(deployed.Id, solotest.BuildWish{}).Id)
	}
	for i := range 8 {
		bot := s.register(fmt.Sprintf("%s_%03d", prefix, i))
		w.bots = append(w.bots, bot.Product.Device)
		device, err := solotest.RunDevices(t.Context(), []deviceproto.Provision{s.provision(bot, blinkBoard)}, nil, simulator.Options{
			Poll: 100 * time.Millisecond, HTTP: &http.Client{Transport: sender{w.reports, bot.Product.Device}},
		})
		require.NoError(t, err)
		w.devices = append(w.devices, device)
	}
	return w
}

// during lets everybody be busy while something is done.
func (w *work) during(ctx context.Context, do func()) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var people sync.WaitGroup
	for _, busy := range []func(context.Context){w.edit, w.build, w.register, w.deploy} {
		people.Go(func() {
			for ctx.Err() == nil {
				busy(ctx)
			}
		})
	}
	do()
	stop()
	people.Wait()
}

func (w *work) edit(ctx context.Context) {
	content := fmt.Sprintf("// %d %d\n", w.saves, rand.Uint64())
	w.maybe = append(w.maybe, content)
	if _, err := w.s.admin.PutFile(ctx, w.project, "sensor.ino", content); err == nil {
		w.saves++
		w.maybe = []string{content}
	}
	pause(ctx)
}

func (w *work) build(ctx context.Context) {
	source := fmt.Sprintf("volatile int n = %d;\nvoid setup() {}\nvoid loop() { n++; }\n", len(w.builds))
	if _, err := w.s.admin.PutFile(ctx, w.sketch, "blink.ino", source); err != nil {
		pause(ctx)
		return
	}
	if b, err := w.s.admin.Build(ctx, w.sketch, solotest.BuildWish{}); err == nil {
		w.builds = append(w.builds, b.Id)
	}
	pause(ctx)
}

func (w *work) register(ctx context.Context) {
	if made, err := w.s.admin.Register(ctx, solotest.NewProduct{ID: fmt.Sprintf("shelf-%d", rand.Uint64()), Password: "1234"}); err == nil {
		w.products = append(w.products, made[0].Product.Device)
	}
	pause(ctx)
}

func (w *work) deploy(ctx context.Context) {
	n := len(w.deployments)
	device, build := w.bots[n%len(w.bots)], w.good[n/len(w.bots)%len(w.good)]
	if d, err := w.s.admin.Deploy(ctx, solotest.DeployWish{Device: device, Build: build}); err == nil {
		w.deployments[d.Number] = device
		w.wanted[device] = d.Number
	}
	pause(ctx)
}

func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(20+rand.IntN(80)) * time.Millisecond):
	}
}

func (w *work) check(ctx context.Context) {
	w.t.Helper()
	admin := w.s.admin
	content, err := admin.File(ctx, w.project, "sensor.ino")
	require.NoError(w.t, err)
	require.Contains(w.t, w.maybe, content, "a file that was saved")

	for _, id := range w.products {
		// What was registered a moment before the kill reaches fleet a moment after the start.
		_, err := admin.WaitDevice(ctx, id, func(fleetapi.Device) bool { return true })
		require.NoError(w.t, err, "a product that was registered")
	}

	listed := map[int64]bool{}
	var page struct {
		Deployments []fleetapi.Deployment
		Next        string
	}
	for next := ""; ; next = page.Next {
		page.Deployments, page.Next = nil, ""
		require.NoError(w.t, admin.Do(ctx, http.MethodGet, "/api/fleet/v1/deployments?limit=500&after="+next, nil, &page))
		for _, d := range page.Deployments {
			listed[d.Number] = true
		}
		if page.Next == "" {
			break
		}
	}
	for number := range w.deployments {
		require.True(w.t, listed[number], "deployment %d was acknowledged", number)
	}

	for _, id := range w.builds {
		b, err := admin.WaitBuild(ctx, id)
		require.NoError(w.t, err)
		require.Contains(w.t, []editorapi.BuildState{editorapi.BuildStateSucceeded, editorapi.BuildStateError}, b.State)
		if b.State == editorapi.BuildStateError { // its worker died five times over it
			require.Equal(w.t, 5, b.Attempt, *b.Message)
		}
	}

	for device, number := range w.wanted {
		// One more that was not acknowledged may be wanted all the same.
		d, err := admin.WaitDevice(ctx, device, func(d fleetapi.Device) bool {
			return d.State == fleetapi.Confirmed && *d.WantedDeployment >= number
		})
		require.NoError(w.t, err, "deployment %d", number)
		require.True(w.t, listed[*d.WantedDeployment], "%d is wanted", *d.WantedDeployment)
	}
	for _, d := range w.devices {
		require.NoError(w.t, d.Stop())
	}
	histories := map[string][]fleetapi.HistoryEntry{}
	for _, r := range w.reports.acknowledged() {
		// What fleet was killed over comes to it once more, after a while.
		for !told(histories[r.device], r) {
			_, histories[r.device], err = admin.Device(ctx, r.device)
			require.NoError(w.t, err, "the report %s of deployment %d by %s was acknowledged", r.State, r.Deployment, r.device)
			pause(ctx)
		}
	}
	require.NotEmpty(w.t, w.builds)
	require.NotEmpty(w.t, w.deployments)
	w.t.Logf("acknowledged and there: %d saves, %d builds, %d products, %d deployments, %d reports",
		w.saves, len(w.builds), len(w.products), len(w.deployments), len(w.reports.acknowledged()))
}

// told tells whether a report is in a device's history, of which the oldest are forgotten.
func told(history []fleetapi.HistoryEntry, r acknowledged) bool {
	return len(history) >= 50 || slices.ContainsFunc(history, func(h fleetapi.HistoryEntry) bool {
		return h.Deployment == r.Deployment && h.State == string(r.State)
	})
}

// reports are those that were acknowledged.
type reports struct {
	mu  sync.Mutex
	all []acknowledged
}

type acknowledged struct {
	device string
	deviceproto.Report
}

// sender sends a device's requests.
type sender struct {
	*reports
	device string
}

// RoundTrip implements http.RoundTripper.
func (s sender) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.URL.Path != deviceproto.PathReport {
		return http.DefaultTransport.RoundTrip(q)
	}
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := http.DefaultTransport.RoundTrip(q)
	if err == nil && answer.StatusCode == http.StatusNoContent {
		sent := acknowledged{device: s.device}
		if err := json.Unmarshal(body, &sent.Report); err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all = append(s.all, sent)
	}
	return answer, err
}

func (r *reports) acknowledged() []acknowledged {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}
