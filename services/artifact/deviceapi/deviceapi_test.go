package deviceapi_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/services/artifact"
	"github.com/flota/flota/services/artifact/deviceapi"
)

var image = vectors.Image("the wanted image")

// A device's whole update: poll, statement, image, check-in, report.
func TestUpdate(t *testing.T) {
	k := newKit(t)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	old, wanted := digest([]byte("old")), digest(image)
	poll := func(running, decided string) answer {
		return k.signed(vectors.Key, "GET", deviceproto.PathUpdate, map[string]string{deviceproto.HeaderRunning: running, "If-None-Match": decided}, "")
	}
	if a := poll(old, ""); a.status != 204 || a.header.Get("ETag") != "" || a.header.Get(deviceproto.HeaderPoll) != "60" {
		t.Errorf("nothing deployed: %d %v", a.status, a.header)
	}
	k.deploy(vectors.DeviceID, vectors.Deployment, image)
	a := poll(old, "")
	if a.status != 200 || a.header.Get("ETag") != `"1795312800"` || a.header.Get("Content-Type") != "application/json" || len(a.body) > deviceproto.MaxAnswer {
		t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	offer, err := deviceproto.ParseOffer(a.body)
	if err != nil {
		t.Fatal(err)
	}
	key, err := deviceproto.ParsePublicKey(deviceproto.FormatPublicKey(&vectors.SigningKey("first").PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	state, err := vectors.Device{Workspace: vectors.Workspace, Device: vectors.DeviceID, Board: vectors.Board, Slot: 1 << 20}.State()
	if err != nil {
		t.Fatal(err)
	}
	state.Keys = append(state.Keys, key)
	statement, _, reason := deviceproto.Check(offer.Statement, state)
	if reason != "" {
		t.Fatalf("refused: %s", reason)
	}
	got := k.send("GET", offer.Link, nil, "")
	sum := md5.Sum(image)
	if got.status != 200 || digest(got.body) != statement.Parts[0].SHA256 || got.header.Get("x-MD5") != hex.EncodeToString(sum[:]) {
		t.Fatalf("%d %v", got.status, got.header)
	}
	if a := poll(wanted, ""); a.status != 204 || a.header.Get("ETag") != `"1795312800"` {
		t.Errorf("check-in: %d", a.status)
	}
	if a := k.signed(vectors.Key, "POST", deviceproto.PathReport, nil, `{"deployment":1795312800,"state":"confirmed"}`); a.status != 204 {
		t.Errorf("report: %d", a.status)
	}
	if a := poll(wanted, `"1795312800"`); a.status != 304 {
		t.Errorf("afterwards: %d", a.status)
	}
}

// The files of an index are parts of the link, behind those of the statement.
func TestIndex(t *testing.T) {
	k := newKit(t)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	var files []deviceproto.Part
	for i := range 20 {
		p := k.store(deviceproto.KindFile, fmt.Appendf(nil, "print(%d)\n", i))
		p.Path = fmt.Sprintf("lib/%02d.py", i)
		files = append(files, p)
	}
	text, err := deviceproto.Index(files)
	if err != nil {
		t.Fatal(err)
	}
	first := k.store(deviceproto.KindFile, []byte("import lib"))
	first.Path = "main.py"
	parts := []deviceproto.Part{first, k.store(deviceproto.KindIndex, text)}
	k.deployParts(vectors.DeviceID, vectors.Deployment, parts)
	var offer struct{ Link string }
	if err := json.Unmarshal(k.signed(vectors.Key, "GET", deviceproto.PathUpdate, nil, "").body, &offer); err != nil {
		t.Fatal(err)
	}
	for i, p := range append(parts, files...) {
		got := k.send("GET", fmt.Sprintf("%s/%d", offer.Link, i), nil, "")
		if got.status != 200 || digest(got.body) != p.SHA256 || got.header.Get("ETag") != `"`+p.SHA256+`"` {
			t.Errorf("part %d: %d %q", i, got.status, got.body)
		}
	}
	for _, i := range []string{"22", "99999", "-1", "02", "x"} {
		if got := k.send("GET", offer.Link+"/"+i, nil, ""); got.status != 404 {
			t.Errorf("part %s: %d", i, got.status)
		}
	}

	broken := []deviceproto.Part{first, k.store(deviceproto.KindIndex, []byte("something else\n"))}
	k.deployParts(vectors.DeviceID, vectors.Deployment+1, broken)
	if err := json.Unmarshal(k.signed(vectors.Key, "GET", deviceproto.PathUpdate, nil, "").body, &offer); err != nil {
		t.Fatal(err)
	}
	if got := k.send("GET", offer.Link+"/2", nil, ""); got.status != 500 || got.code() != "internal" {
		t.Errorf("an index that is none: %d %s", got.status, got.body)
	}
}

// A MicroPython release is one part, an index of as many files as one may have; each
// of them can be had from any byte on. What runs is named by the index's digest. A
// stock client, which would write that list into its flash, gets nothing.
func TestMicroPythonRelease(t *testing.T) {
	k := newKit(t, consent)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	var files []deviceproto.Part
	for i := range deviceproto.MaxIndexLines {
		p := k.store(deviceproto.KindFile, bytes.Repeat([]byte{byte(i)}, 10*i)) // the first is empty
		p.Path = fmt.Sprintf("lib/%03d.py", i)
		files = append(files, p)
	}
	text, err := deviceproto.Index(files)
	if err != nil {
		t.Fatal(err)
	}
	index := k.store(deviceproto.KindIndex, text)
	k.deployParts(vectors.DeviceID, vectors.Deployment, []deviceproto.Part{index})
	poll := func(running string) answer {
		return k.signed(vectors.Key, "GET", deviceproto.PathUpdate, map[string]string{deviceproto.HeaderRunning: running}, "")
	}
	var offer struct{ Link string }
	if err := json.Unmarshal(poll(strings.Repeat("f", 64)).body, &offer); err != nil {
		t.Fatal(err)
	}
	for i, p := range append([]deviceproto.Part{index}, files...) {
		link := fmt.Sprintf("%s/%d", offer.Link, i)
		if len(link) >= deviceproto.MaxPath {
			t.Fatalf("a link of %d characters", len(link))
		}
		got := k.send("GET", link, nil, "")
		if got.status != 200 || int64(len(got.body)) != p.Size || digest(got.body) != p.SHA256 {
			t.Errorf("part %d: %d, %d bytes", i, got.status, len(got.body))
		}
		if p.Size < 10 {
			continue
		}
		rest := k.send("GET", link, map[string]string{"Range": "bytes=9-"}, "")
		if want := fmt.Sprintf("bytes 9-%d/%d", p.Size-1, p.Size); rest.status != 206 || rest.header.Get("Content-Range") != want || !bytes.Equal(rest.body, got.body[9:]) {
			t.Errorf("part %d from 9 on: %d %v", i, rest.status, rest.header)
		}
	}
	if got := k.send("GET", fmt.Sprintf("%s/%d", offer.Link, len(files)+1), nil, ""); got.status != 404 {
		t.Errorf("behind the last: %d", got.status)
	}
	if a := poll(index.SHA256); a.status != 204 || a.header.Get("ETag") == "" {
		t.Errorf("it runs: %d", a.status)
	}
	stock := vectors.Stock{Path: "/firmware/bot_001.ino.bin", Authorization: vectors.Basic(vectors.ProductID, vectors.Key), Mode: "sketch"}
	if a := k.raw(stock.ESP32()); a.status != 404 {
		t.Errorf("a stock client: %d", a.status)
	}
}

func TestPollIntervalOfTheDeployment(t *testing.T) {
	k := newKit(t)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	d, err := artifact.NewDeployment(vectors.Workspace, 7, deviceproto.Signed{}, []deviceproto.Part{{Kind: "app"}}, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	k.model.SetDeployment(d)
	k.model.SetRef(vectors.DeviceID, vectors.Workspace, 7)
	a := k.signed(vectors.Key, "GET", deviceproto.PathUpdate, map[string]string{"If-None-Match": `"7"`}, "")
	if a.status != 304 || a.header.Get(deviceproto.HeaderPoll) != "5" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

// A device key itself travels over TLS only, unless the operator consents.
func TestPlainHTTP(t *testing.T) {
	basic, bearer := vectors.Basic(vectors.ProductID, vectors.Key), "Bearer "+vectors.Key
	proxy := func(o *deviceapi.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
	stranger := func(o *deviceapi.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }
	https := map[string]string{"X-Forwarded-Proto": "https"}
	for name, test := range map[string]struct {
		change func(*deviceapi.Options)
		header map[string]string
		want   int
	}{
		"plain":                       {func(*deviceapi.Options) {}, nil, 403},
		"plain, consent":              {consent, nil, 204},
		"a trusted proxy says TLS":    {proxy, https, 204},
		"a trusted proxy says plain":  {proxy, map[string]string{"X-Forwarded-Proto": "http"}, 403},
		"a trusted proxy says nought": {proxy, nil, 403},
		"a stranger says TLS":         {stranger, https, 403},
		"somebody says TLS":           {func(*deviceapi.Options) {}, https, 403},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, test.change)
			k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
			for _, credential := range []string{basic, bearer} {
				header := map[string]string{"Authorization": credential}
				for n, v := range test.header {
					header[n] = v
				}
				a := k.send("GET", deviceproto.PathUpdate, header, "")
				if a.status != test.want || test.want == 403 && a.code() != "plain_http" {
					t.Errorf("%d %s", a.status, a.body)
				}
			}
		})
	}
}

func TestOverTLS(t *testing.T) {
	k := newKit(t)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	k.device("another", "bot_002", vectors.OtherKey)
	k.options.Metrics = prometheus.NewRegistry()
	server := httptest.NewTLSServer(deviceapi.New(k.options))
	defer server.Close()
	k.server = server

	for name, test := range map[string]struct {
		credential string
		want       int
	}{
		"Basic":                      {vectors.Basic(vectors.ProductID, vectors.Key), 204},
		"Bearer":                     {"Bearer " + vectors.Key, 204},
		"scheme in lower case":       {"bearer " + vectors.Key, 204},
		"another's product ID":       {vectors.Basic("bot_002", vectors.Key), 401},
		"no product ID":              {vectors.Basic("", vectors.Key), 401},
		"a key that is not known":    {"Bearer fk_" + strings.Repeat("A", 43), 401},
		"a key of the wrong form":    {"Bearer " + vectors.Key[:40], 401},
		"a key ID instead of a key":  {"Bearer " + deviceproto.KeyID(deviceproto.KeyHash(vectors.Key)), 401},
		"nothing":                    {"", 401},
		"another scheme":             {"Digest " + vectors.Key, 401},
		"a signature of wrong shape": {"Flota1 abc", 401},
	} {
		if a := k.send("GET", deviceproto.PathUpdate, map[string]string{"Authorization": test.credential}, ""); a.status != test.want || a.header.Get(deviceproto.HeaderMAC) != "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}

	// A nonce brings proof with any credential; one of the wrong form is refused.
	nonce := deviceproto.NewNonce()
	a := k.send("GET", deviceproto.PathUpdate, map[string]string{"Authorization": "Bearer " + vectors.Key, deviceproto.HeaderNonce: nonce}, "")
	k.checkMAC(deviceproto.KeyHash(vectors.Key), nonce, a)
	if a := k.send("GET", deviceproto.PathUpdate, map[string]string{"Authorization": "Bearer " + vectors.Key, deviceproto.HeaderNonce: "short"}, ""); a.status != 400 {
		t.Errorf("a short nonce: %d", a.status)
	}
}

func TestRevocation(t *testing.T) {
	k := newKit(t)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	k.deploy(vectors.DeviceID, vectors.Deployment, image)
	offer, err := deviceproto.ParseOffer(k.signed(vectors.Key, "GET", deviceproto.PathUpdate, nil, "").body)
	if err != nil {
		t.Fatal(err)
	}
	k.model.RemoveDevice(vectors.DeviceID)
	if a := k.signed(vectors.Key, "GET", deviceproto.PathUpdate, nil, ""); a.status != 401 {
		t.Errorf("poll: %d", a.status)
	}
	if a := k.send("GET", offer.Link, nil, ""); a.status != 403 {
		t.Errorf("its link: %d", a.status)
	}
}

func TestBeforeTheDevicesAreKnown(t *testing.T) {
	k := newKit(t, func(o *deviceapi.Options) { o.Model = artifact.NewModel(1) })
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	for _, path := range []string{deviceproto.PathUpdate, deviceproto.PathImage + "t0ken", "/firmware/bot_001.ino.bin"} {
		if a := k.signed(vectors.Key, "GET", path, nil, ""); a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", path, a.status, a.header)
		}
	}
	k.model.SourceRead()
	if a := k.signed(vectors.Key, "GET", deviceproto.PathUpdate, nil, ""); a.status != 204 {
		t.Errorf("then: %d", a.status)
	}
}

func TestReports(t *testing.T) {
	k := newKit(t, consent)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	const body = `{"deployment":1795312800,"state":"failed","reason":"digest"}`

	// Without a nonce one is made, so that two reports are two.
	for range 2 {
		if a := k.send("POST", deviceproto.PathReport, map[string]string{"Authorization": "Bearer " + vectors.Key}, body); a.status != 204 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	got, ids := k.reports.all()
	if len(got) != 2 || ids[0] == ids[1] || !strings.HasPrefix(ids[0], vectors.DeviceID+".") || got[0].Reason != "digest" {
		t.Errorf("%v %v", got, ids)
	}

	k.reports.mu.Lock()
	k.reports.down = true
	k.reports.mu.Unlock()
	if a := k.signed(vectors.Key, "POST", deviceproto.PathReport, nil, body); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("bus down: %d %v", a.status, a.header)
	}
	k.reports.mu.Lock()
	k.reports.down = false
	k.reports.mu.Unlock()

	statuses := map[int]int{}
	for range 70 {
		statuses[k.signed(vectors.Key, "POST", deviceproto.PathReport, nil, body).status]++
	}
	if statuses[204] == 0 || statuses[429] == 0 {
		t.Errorf("a flood: %v", statuses)
	}
}

func TestMethodsAndPaths(t *testing.T) {
	k := newKit(t)
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"POST", deviceproto.PathUpdate, 405}, {"HEAD", deviceproto.PathUpdate, 405}, {"GET", deviceproto.PathReport, 405},
		{"DELETE", deviceproto.PathImage + "x", 405}, {"POST", "/bot_001.ino.bin", 405},
		{"GET", "/d/v1/other", 404}, {"GET", "/d/v1/", 404}, {"POST", "/d/v1/update/", 404},
	} {
		if a := k.send(test.method, test.path, nil, ""); a.status != test.want {
			t.Errorf("%s %s: %d", test.method, test.path, a.status)
		}
	}
}

func TestWhatIsNotADevices(t *testing.T) {
	k := newKit(t, func(o *deviceapi.Options) {
		o.Next = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	})
	for _, path := range []string{"/", "/dl/t/n", "/.ino.bin", "/a/b.ino.bin", "/d/v2/update", "/healthz"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		k.server.Config.Handler.ServeHTTP(w, r)
		if w.Code != http.StatusTeapot {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// Wrong credentials are limited by address; right ones behind the same address are not.
func TestFailuresAreLimited(t *testing.T) {
	k := newKit(t, func(o *deviceapi.Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	try := func(address string) int {
		return k.send("GET", deviceproto.PathUpdate, map[string]string{
			"Authorization": "Bearer fk_" + strings.Repeat("A", 43), "X-Forwarded-For": address, "X-Forwarded-Proto": "https",
		}, "").status
	}
	for i := range 31 {
		want := 401
		if i == 30 {
			want = 429
		}
		if got := try("203.0.113.7"); got != want {
			t.Fatalf("try %d: %d", i, got)
		}
	}
	if got := try("203.0.113.8"); got != 401 {
		t.Errorf("another address: %d", got)
	}
	if got := try("198.51.100.1, 203.0.113.7"); got != 429 {
		t.Errorf("an address that the client made up before its own: %d", got)
	}
	a := k.signed(vectors.Key, "GET", deviceproto.PathUpdate, map[string]string{"X-Forwarded-For": "203.0.113.7"}, "")
	if a.status != 204 {
		t.Errorf("a device at the same address: %d", a.status)
	}
	k.now = k.now.Add(time.Minute)
	if got := try("203.0.113.7"); got != 401 {
		t.Errorf("a minute later: %d", got)
	}
}

func TestSightings(t *testing.T) {
	k := newKit(t)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	running := digest(image)
	k.signed(vectors.Key, "GET", deviceproto.PathUpdate, map[string]string{deviceproto.HeaderRunning: running, "If-None-Match": `"7"`}, "")
	want := artifact.Sighting{Device: vectors.DeviceID, Workspace: vectors.Workspace, At: k.now, Running: running, Address: "127.0.0.1", Deployment: 7, Key: deviceproto.KeyID(deviceproto.KeyHash(vectors.Key))}
	if got := k.sightings.Take(10); len(got) != 1 || got[0] != want {
		t.Errorf("%+v", got)
	}
	k.signed(vectors.Key, "GET", deviceproto.PathUpdate, map[string]string{deviceproto.HeaderRunning: "junk"}, "")
	if got := k.sightings.Take(10); len(got) != 1 || got[0].Running != "" || got[0].Deployment != 0 {
		t.Errorf("%+v", got)
	}
	k.signed(vectors.OtherKey, "GET", deviceproto.PathUpdate, nil, "")
	if got := k.sightings.Take(10); len(got) != 0 {
		t.Errorf("a stranger was seen: %+v", got)
	}
}

// arduino-esp32 as it is: it downloads, restarts, says its digests, and rests.
func TestESP32Sequence(t *testing.T) {
	k := newKit(t, consent)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	k.deploy(vectors.DeviceID, 1, image)
	client := vectors.Stock{Path: "/firmware/bot_001.ino.bin", Authorization: vectors.Basic(vectors.ProductID, vectors.Key), Mode: "sketch"}
	runs := func(b []byte) {
		sum := md5.Sum(b)
		client.MD5, client.SHA256 = hex.EncodeToString(sum[:]), strings.ToUpper(hex.EncodeToString(b[len(b)-32:]))
	}
	old, next := vectors.Image("old"), vectors.Image("next")
	runs(old)
	ask := func(what string, want int) {
		t.Helper()
		if a := k.raw(client.ESP32()); a.status != want {
			t.Errorf("%s: %d, not %d", what, a.status, want)
		}
	}
	looping := func(what string, want bool) {
		t.Helper()
		if got := k.sightings.Take(10); len(got) != 1 || got[0].Looping != want {
			t.Errorf("%s: %+v", what, got)
		}
	}
	ask("an update", 200)
	runs(image)
	ask("after it", 304)
	ask("and again", 304)
	looping("all is well", false)

	// The next one does not come up: three times, then no more.
	k.deploy(vectors.DeviceID, 2, next)
	for range 3 {
		ask("it does not come up", 200)
	}
	looping("three times may be bad luck", false)
	ask("a fourth time", 304)
	looping("but not four", true)
	ask("a fifth time", 304)
	k.deploy(vectors.DeviceID, 3, old)
	ask("something else is wanted", 200)
	looping("something else is wanted", false)
	runs(old)
	ask("it runs", 304)
	k.deploy(vectors.DeviceID, 4, next)
	ask("the bad one again", 200)
}

// arduino-pico says no digest, so it stops by itself only when it is told by a poll.
func TestPicoSequence(t *testing.T) {
	k := newKit(t, consent)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	k.deploy(vectors.DeviceID, 1, image)
	client := vectors.Stock{Path: "/bot_001.ino.bin", Authorization: vectors.Basic(vectors.ProductID, vectors.Key), Mode: "sketch"}
	for i, want := range []int{200, 200, 200, 304, 304} {
		if a := k.raw(client.Pico()); a.status != want {
			t.Errorf("request %d: %d, not %d", i, a.status, want)
		}
	}
	k.signed(vectors.Key, "GET", deviceproto.PathUpdate, map[string]string{deviceproto.HeaderRunning: digest(image)}, "")
	if a := k.raw(client.Pico()); a.status != 200 {
		t.Errorf("after it said that it runs: %d", a.status)
	}
}

func TestCounts(t *testing.T) {
	registry := prometheus.NewRegistry()
	k := newKit(t, func(o *deviceapi.Options) { o.Metrics = registry })
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	k.signed(vectors.Key, "GET", deviceproto.PathUpdate, nil, "")
	k.signed(vectors.Key, "GET", deviceproto.PathUpdate, nil, "")
	k.send("GET", deviceproto.PathImage+"x", nil, "")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = strconv.FormatFloat(m.GetCounter().GetValue(), 'f', -1, 64)
		}
	}
	if fmt.Sprint(got) != "map[image 403:1 poll 204:2]" {
		t.Error(got)
	}
}
