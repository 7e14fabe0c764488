package faultlab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flota/flota/firmware/chip/chiptest"
)

// files are a flash's, by their paths without a slash before them.
type files map[string][]byte

// with is these files and others.
func (f files) with(path string, data []byte) files {
	f = maps.Clone(f)
	f[path] = data
	return f
}

func (f files) without(path string) files {
	f = maps.Clone(f)
	delete(f, path)
	return f
}

// noise is bytes that no flash holds by chance.
func noise(rng *rand.Rand, size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}

// alone is a Pico that stands alone, with the upload service.
type alone struct {
	t       testing.TB
	class   string
	image   string
	live    files // that must be there
	options map[string]any

	port    int
	process *exec.Cmd
	ended   chan struct{}
	output  lockedBuffer
}

// lockedBuffer is what a process says.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// service are the files of the upload service.
var service = sync.OnceValue(func() files {
	all := files{}
	for _, name := range []string{"service_ota.py", "service_page.html", "manager_wifi.py", "ota_sample.py"} {
		data, err := os.ReadFile(filepath.Join(chiptest.Firmware(), "pico", name))
		if err != nil {
			panic(err)
		}
		if module, ok := strings.CutSuffix(name, ".py"); ok {
			name, data = module+".mpy", compiled(name, data)
		}
		all[name] = data
	}
	return all
})

// newAlone makes one that holds files besides the service, without power yet.
func newAlone(t testing.TB, class string, size int, more files) *alone {
	t.Helper()
	again(t)
	p := &alone{t: t, class: class, live: maps.Clone(service()), options: map[string]any{"virtual": virtual}}
	maps.Copy(p.live, more)
	p.image = image(t, size, p.live)
	t.Cleanup(p.off)
	return p
}

// copy is another one, with the same flash.
func (p *alone) copy() *alone {
	p.t.Helper()
	raw, err := os.ReadFile(p.image)
	if err != nil {
		p.t.Fatal(err)
	}
	q := &alone{t: p.t, class: p.class, live: p.live, options: maps.Clone(p.options), image: filepath.Join(p.t.TempDir(), "image.bin")}
	if err := os.WriteFile(q.image, raw, 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(q.off)
	return q
}

// on gives power, and waits until it serves, or its power is gone again.
func (p *alone) on(options ...any) *alone {
	p.t.Helper()
	p.off()
	given := maps.Clone(p.options)
	for i := 0; i < len(options); i += 2 {
		given[options[i].(string)] = options[i+1]
	}
	for range 20 {
		given["image"], given["port"] = p.image, freePort(p.t)
		p.start(given)
		serves := p.serves(given["port"].(int))
		if strings.Contains(p.output.String(), "cannot be had") { // somebody else took the port meanwhile
			p.off()
			continue
		}
		if serves || p.process.ProcessState.ExitCode() == 99 {
			return p
		}
		break
	}
	p.t.Fatalf("it does not serve, and ended so: %v\n%s", p.process.ProcessState, p.output.String())
	return nil
}

func (p *alone) start(given map[string]any) {
	p.t.Helper()
	raw, err := json.Marshal(given)
	if err != nil {
		p.t.Fatal(err)
	}
	p.port = given["port"].(int)
	p.output.mu.Lock()
	p.output.text.Reset()
	p.output.mu.Unlock()
	p.process = exec.Command(python(p.t), "-X", "heapsize=190K", filepath.Join(chiptest.Firmware(), "faultlab", "pico", "serve.py"))
	p.process.Env = []string{"GIVEN=" + string(raw)}
	p.process.Stdout, p.process.Stderr = &p.output, &p.output
	ended := make(chan struct{})
	p.ended = ended
	process := p.process
	if err := process.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		_ = process.Wait()
		close(ended)
	}()
}

// serves waits until it takes connections (true) or has ended.
func (p *alone) serves(port int) bool {
	deadline := time.After(chiptest.Patience)
	for {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err == nil {
			c.Close()
			return true
		}
		select {
		case <-p.ended:
			return false
		case <-deadline:
			p.off()
			return false
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// off takes the power away, at whatever it is about.
func (p *alone) off() {
	if p.process != nil && p.process.Process != nil {
		_ = p.process.Process.Kill()
		<-p.ended
	}
}

// lost waits a little for the power cut that an answer did not come before, and says whether it was one.
func (p *alone) lost(answered bool) bool {
	if answered {
		p.off() // it was to happen later than this
	} else {
		select {
		case <-p.ended:
		case <-time.After(chiptest.Patience):
			p.t.Errorf("no answer, and no end\n%s", p.output.String())
			p.off()
		}
	}
	return p.process.ProcessState.ExitCode() == 99
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// now is the live files of the flash as they are: what begins with a dot is the service's own.
func (p *alone) now() map[string]file {
	p.t.Helper()
	all, err := look(p.image)
	if err != nil {
		pico.brick(p.class)
		p.t.Fatal(err)
	}
	maps.DeleteFunc(all, func(path string, _ file) bool { return strings.Contains(path, "/.") })
	return all
}

// whole checks that the flash holds the files of one of these states, byte for byte, and says of which.
func (p *alone) whole(states ...files) int {
	p.t.Helper()
	now := p.now()
	for i, state := range states {
		if slices.Equal(slices.Sorted(maps.Keys(now)), slashed(state)) && !slices.ContainsFunc(slices.Collect(maps.Keys(state)), func(path string) bool {
			return !now["/"+path].is(state[path])
		}) {
			return i
		}
	}
	pico.half(p.class)
	for path, f := range now {
		p.t.Logf("%s has %d bytes", path, f.size)
	}
	p.t.Errorf("the flash holds none of the %d states that can be; it said\n%s", len(states), p.output.String())
	return -1
}

func slashed(state files) (paths []string) {
	for path := range state {
		paths = append(paths, "/"+path)
	}
	slices.Sort(paths)
	return paths
}

// asked is a request's answer; status 0: there was none, or not a whole one.
type asked struct {
	status int
	body   []byte
}

func (p *alone) ask(method, path string, body []byte, header ...string) asked {
	return p.askAs("a long password", method, path, body, header...)
}

func (p *alone) askAs(password, method, path string, body []byte, header ...string) asked {
	ctx, cancel := context.WithTimeout(context.Background(), chiptest.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://127.0.0.1:%d%s", p.port, path), bytes.NewReader(body))
	if err != nil {
		return asked{}
	}
	r.SetBasicAuth("admin", password)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return asked{}
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return asked{}
	}
	return asked{answer.StatusCode, said}
}

// put uploads a file as one body, from where an upload that was cut stopped.
func (p *alone) put(path string, data []byte) asked {
	return p.ask("PUT", "/files/"+url.PathEscape(path), data, "X-SHA256", chiptest.Digest(data))
}

func (p *alone) resume(path string, data []byte) asked {
	digest := []string{"X-SHA256", chiptest.Digest(data)}
	to := "/files/" + url.PathEscape(path)
	a := p.ask("PUT", to, nil, append(digest, "Content-Range", fmt.Sprintf("bytes */%d", len(data)))...)
	var at struct{ Offset int }
	if a.status != http.StatusAccepted && a.status != http.StatusOK || json.Unmarshal(a.body, &at) != nil || at.Offset >= len(data) || at.Offset == 0 {
		return p.put(path, data)
	}
	return p.ask("PUT", to, data[at.Offset:], append(digest, "Content-Range", fmt.Sprintf("bytes %d-%d/%d", at.Offset, len(data)-1, len(data)))...)
}

// form uploads files as a page of 1995 does.
func form(all files) (body []byte, kind string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		_ = w.WriteField("filename", path)
		part, _ := w.CreateFormFile("file", path)
		_, _ = part.Write(all[path])
	}
	_ = w.Close()
	return b.Bytes(), w.FormDataContentType()
}

// operation is something that changes the flash: it passes through states, the first of which is what was before.
type operation struct {
	name   string
	states []files
	do     func(p *alone, again bool) asked
}

func operations(rng *rand.Rand, live files) []operation {
	old, other := "lib/old.bin", "main.py"
	fresh, short := noise(rng, 9000+rng.IntN(9000)), noise(rng, 1+rng.IntN(300))
	return []operation{
		{"a new file", []files{live, live.with("data/fresh.bin", fresh)}, func(p *alone, again bool) asked {
			if again {
				return p.resume("data/fresh.bin", fresh)
			}
			return p.put("data/fresh.bin", fresh)
		}},
		{"a file replaced", []files{live, live.with(old, fresh)}, func(p *alone, again bool) asked {
			if again {
				return p.resume(old, fresh)
			}
			return p.put(old, fresh)
		}},
		{"a small file replaced", []files{live, live.with(other, short)}, func(p *alone, _ bool) asked { return p.put(other, short) }},
		{"a form of three", func() []files {
			first := live.with("a.py", short)
			second := first.with("b.py", fresh)
			return []files{live, first, second, second.with(other, fresh)}
		}(), func(p *alone, _ bool) asked {
			body, kind := form(files{"a.py": short, "b.py": fresh, other: fresh})
			return p.ask("POST", "/upload", body, "Content-Type", kind)
		}},
		{"a file renamed", []files{live, live.without(old).with("sub/new.bin", live[old])}, func(p *alone, _ bool) asked {
			a := p.ask("POST", "/rename", []byte(`{"from":"`+old+`","to":"sub/new.bin"}`), "Content-Type", "application/json")
			if a.status == http.StatusNotFound { // it was done before the power went
				a = p.ask("GET", "/files/sub%2Fnew.bin", nil)
			}
			return a
		}},
		{"a file deleted", []files{live, live.without(old)}, func(p *alone, _ bool) asked {
			a := p.ask("DELETE", "/files/"+url.PathEscape(old), nil)
			if a.status == http.StatusNotFound {
				a.status = http.StatusOK
			}
			return a
		}},
	}
}

// theirs are the files of somebody's program.
func theirs(rng *rand.Rand) files {
	return files{"main.py": noise(rng, 700), "lib/old.bin": noise(rng, 12_345), "lib/other.py": noise(rng, 5000)}
}

// writes are those of an operation, as bytes from the start.
func (p *alone) writes(o operation) (ends [][2]int64) {
	p.t.Helper()
	q := p.copy().on("writes", true)
	if a := o.do(q, false); a.status != http.StatusOK {
		p.t.Fatalf("%s: %d %s\n%s", o.name, a.status, a.body, q.output.String())
	}
	q.off()
	q.whole(o.states[len(o.states)-1])
	lines := bufio.NewScanner(strings.NewReader(q.output.String()))
	for lines.Scan() {
		var w [2]int64
		if n, _ := fmt.Sscanf(lines.Text(), "write %d %d", &w[0], &w[1]); n == 2 {
			ends = append(ends, w)
		}
	}
	if len(ends) == 0 {
		p.t.Fatalf("%s wrote nothing:\n%s", o.name, q.output.String())
	}
	return ends
}

// cutAt does an operation with power cuts after so many bytes of one start each, and then without, to its end.
func (p *alone) cutAt(o operation, after ...int64) (made int) {
	p.t.Helper()
	last := o.states[len(o.states)-1]
	for i, at := range after {
		p.on("cut", at)
		a := o.do(p, i > 0)
		if p.lost(a.status != 0) {
			made++
		}
		if state := p.whole(o.states...); a.status == http.StatusOK && state != len(o.states)-1 {
			pico.lie(p.class)
			p.t.Errorf("%s, power cut after %v: it answered %s, and the flash is in state %d", o.name, after, a.body, state)
		}
	}
	pico.cut(p.class, made)
	begun := time.Now()
	p.on()
	if a := o.do(p, true); a.status != http.StatusOK {
		p.t.Errorf("%s, after power cuts after %v: %d %s\n%s", o.name, after, a.status, a.body, p.output.String())
	}
	pico.recovered(p.class, time.Since(begun))
	p.off()
	if p.whole(last) != 0 {
		p.t.Errorf("%s, after power cuts after %v, did not come to its end", o.name, after)
	}
	return made
}

// again tells how to run a test again.
func again(t testing.TB) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again: go test -count=1 -run '^%s$' ./firmware/faultlab -args -seed=%d -cuts=%d",
				strings.ReplaceAll(t.Name(), "/", "$/^"), *seed, *cuts)
		}
	})
}

// The power goes before, in and behind every write of everything that changes the flash.
func TestPicoServiceCutsAtEveryWrite(t *testing.T) {
	t.Parallel()
	rng := random("an upload's writes")
	first := newAlone(t, "", smallFlash, theirs(rng))
	for _, o := range operations(rng, first.live) {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			p := first.copy()
			p.t, p.class = t, "upload service, power cut at every write: "+o.name
			again(t)
			var places []int64
			for _, w := range p.writes(o) {
				places = append(places, w[0], (w[0]+w[1])/2, w[1]-1)
			}
			slices.Sort(places)
			places = some(slices.Compact(places))
			made := 0
			for _, at := range places {
				made += p.copy().cutAt(o, at)
			}
			if made < len(places)/2 {
				t.Errorf("only %d power cuts at %d places", made, len(places))
			}
		})
	}
}

// The power goes anywhere, and goes again while the upload is tried again.
func TestPicoServiceRandomCuts(t *testing.T) {
	t.Parallel()
	var left atomic.Int64
	left.Store(int64(max(8, *cuts/4)))
	for i := range 2 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			rng := random(fmt.Sprintf("cuts of uploads %d", i))
			p := newAlone(t, "upload service, power cut at random, and again", smallFlash, theirs(rng))
			for left.Load() > 0 && !t.Failed() {
				all := operations(rng, p.live)
				o := all[rng.IntN(4)] // uploads; the others have few writes
				writes := p.writes(o)
				after := make([]int64, 1+rng.IntN(3))
				for i := range after {
					after[i] = rng.Int64N(writes[len(writes)-1][1])
				}
				left.Add(-int64(p.cutAt(o, after...)))
				p.live = o.states[len(o.states)-1]
				if _, more := p.live["data/fresh.bin"]; more { // else it is another operation the next time
					p.on()
					p.ask("DELETE", "/files/data%2Ffresh.bin", nil)
					p.off()
					p.live = p.live.without("data/fresh.bin")
				}
			}
		})
	}
}

// The power goes while credentials are changed: the old ones hold or the new ones do.
func TestPicoServiceCredentialsCut(t *testing.T) {
	t.Parallel()
	rng := random("credentials")
	first := newAlone(t, "upload service, power cut while the password changes", smallFlash, theirs(rng))
	change := operation{"credentials", []files{first.live}, func(p *alone, _ bool) asked {
		return p.ask("POST", "/credentials", []byte(`{"username":"admin","password":"another password"}`), "Content-Type", "application/json")
	}}
	var places []int64
	for _, w := range first.writes(change) {
		places = append(places, w[0], (w[0]+w[1])/2, w[1]-1)
	}
	for _, at := range some(places) {
		p := first.copy().on("cut", at)
		a := change.do(p, false)
		if p.lost(a.status != 0) {
			pico.cut(p.class, 1)
		}
		p.whole(p.live)
		begun := time.Now()
		p.on()
		older, newer := p.ask("GET", "/status", nil).status, p.askAs("another password", "GET", "/status", nil).status
		if (older == http.StatusOK) == (newer == http.StatusOK) || a.status == http.StatusOK && newer != http.StatusOK {
			t.Errorf("power cut after %d: answered %d, then the old password gives %d and the new one %d", at, a.status, older, newer)
		}
		pico.recovered(p.class, time.Since(begun))
		p.off()
	}
}

// A flash that is full: what does not fit is refused before its first byte, and what is there stays; also with power cuts.
func TestPicoServiceFullFlash(t *testing.T) {
	t.Parallel()
	rng := random("full flash")
	live := theirs(rng)
	live["filler.bin"] = noise(rng, 680_000)
	p := newAlone(t, "upload service, flash full", smallFlash, live).on()
	large := noise(rng, 150_000)
	for _, path := range []string{"new.bin", "main.py", "filler.bin"} {
		pico.fault(p.class, 1)
		if a := p.put(path, large); a.status != http.StatusInsufficientStorage {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		body, kind := form(files{path: large})
		if a := p.ask("POST", "/upload", body, "Content-Type", kind); a.status != http.StatusInsufficientStorage {
			t.Errorf("%s as a form: %d %s", path, a.status, a.body)
		}
		p.whole(p.live)
	}
	// Up to the brim, in steps: each is whole or refused.
	begun := time.Now()
	for i := range 40 {
		path, data := fmt.Sprintf("brim/%d.bin", i), noise(rng, 1+rng.IntN(9000))
		switch a := p.put(path, data); a.status {
		case http.StatusOK:
			p.live = p.live.with(path, data)
		case http.StatusInsufficientStorage:
			pico.fault(p.class, 1)
		default:
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(p.live))[:3] { // a little room for what comes
		if !strings.HasPrefix(path, "brim/") {
			break
		}
		if a := p.ask("DELETE", "/files/"+url.PathEscape(path), nil); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		p.live = p.live.without(path)
	}
	p.whole(p.live)
	p.off()
	for range len(some(make([]int, 40))) {
		data := noise(rng, 1+rng.IntN(9000))
		before := p.live
		p.on("cut", rng.Int64N(int64(2*len(data))))
		a := p.put("main.py", data)
		if p.lost(a.status != 0) {
			pico.cut(p.class, 1)
		}
		if state := p.whole(before, before.with("main.py", data)); state == 1 {
			p.live = before.with("main.py", data)
		} else if a.status == http.StatusOK {
			pico.lie(p.class)
			t.Errorf("it said %s", a.body)
		}
	}
	p.on()
	if a := p.ask("DELETE", "/files/filler.bin", nil); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := p.put("main.py", large); a.status != http.StatusOK {
		t.Errorf("with room again: %d %s", a.status, a.body)
	}
	pico.recovered(p.class, time.Since(begun))
	p.whole(p.live.without("filler.bin").with("main.py", large))
}

// Blocks of the flash that keep nothing: what is answered with success is there, all else is as it was.
func TestPicoServiceWornFlash(t *testing.T) {
	t.Parallel()
	rng := random("worn flash")
	first := newAlone(t, "upload service, blocks worn out", smallFlash, theirs(rng))
	for range max(4, *cuts/25) {
		p := first.copy()
		worn := map[int]bool{}
		for range 1 + rng.IntN(60) {
			worn[rng.IntN(smallFlash/4096)] = true
		}
		p.on("worn", slices.Collect(maps.Keys(worn)))
		pico.fault(p.class, len(worn))
		all := operations(rng, p.live)
		o := all[rng.IntN(len(all))]
		a := o.do(p, false)
		p.off()
		state := p.whole(o.states...)
		if a.status == http.StatusOK && state != len(o.states)-1 {
			pico.lie(p.class)
			t.Errorf("%s with worn blocks %v: it said %s, and the flash is in state %d", o.name, worn, a.body, state)
		}
		begun := time.Now()
		p.on()
		if a := o.do(p, true); a.status != http.StatusOK {
			t.Errorf("%s, on a flash that is whole again: %d %s", o.name, a.status, a.body)
		}
		pico.recovered(p.class, time.Since(begun))
		p.off()
		p.whole(o.states[len(o.states)-1])
	}
}

// Clients that go away in an upload, politely or not, or send a byte at a time.
func TestPicoServiceUploadsCut(t *testing.T) {
	t.Parallel()
	rng := random("uploads cut")
	p := newAlone(t, "upload service, uploads cut by the client", smallFlash, theirs(rng)).on()
	for i := range max(12, *cuts/10) {
		data := noise(rng, 2000+rng.IntN(20_000))
		path := []string{"main.py", "lib/old.bin", "fresh.bin"}[rng.IntN(3)]
		body, header := data, fmt.Sprintf("PUT /files/%s HTTP/1.1\r\nX-SHA256: %s\r\n", url.PathEscape(path), chiptest.Digest(data))
		asForm := rng.IntN(2) == 0
		if asForm {
			var kind string
			body, kind = form(files{path: data})
			header = "POST /upload HTTP/1.1\r\nContent-Type: " + kind + "\r\n"
		}
		whole := header + fmt.Sprintf("Host: 127.0.0.1\r\nAuthorization: Basic YWRtaW46YSBsb25nIHBhc3N3b3Jk\r\nContent-Length: %d\r\n\r\n", len(body)) + string(body)
		cut := rng.IntN(len(whole))
		pico.fault(p.class, 1)
		said := p.raw(whole[:cut], i%3 == 0, i%3 == 1)
		if strings.HasPrefix(said, "HTTP/1.1 200") {
			pico.lie(p.class)
			t.Errorf("%d of %d bytes, and it said %q", cut, len(whole), said)
		}
		p.whole(p.live)
		begun := time.Now()
		if a := p.resume(path, data); a.status != http.StatusOK {
			t.Errorf("afterwards: %d %s\n%s", a.status, a.body, p.output.String())
		}
		pico.recovered(p.class, time.Since(begun))
		p.live = p.live.with(path, data)
		p.whole(p.live)
	}
}

// raw sends something, resets the connection or closes its half, and gives what was answered.
func (p *alone) raw(text string, reset, slowly bool) string {
	p.t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
	if err != nil {
		p.t.Errorf("it takes no connection any more: %v\n%s", err, p.output.String())
		return ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(chiptest.Patience))
	rest := []byte(text)
	for len(rest) > 0 {
		n := len(rest)
		if slowly {
			n = min(n, 1+len(text)/20)
		}
		if _, err := c.Write(rest[:n]); err != nil {
			break
		}
		rest = rest[n:]
		if slowly {
			time.Sleep(time.Millisecond) // so that it comes in pieces
		}
	}
	if reset {
		_ = c.(*net.TCPConn).SetLinger(0)
		return ""
	}
	_ = c.(*net.TCPConn).CloseWrite()
	said, _ := io.ReadAll(io.LimitReader(c, 4096))
	return string(said)
}

// Names that are no names of files, or not of those that may be replaced.
func TestPicoServiceHostileNames(t *testing.T) {
	t.Parallel()
	rng := random("hostile names")
	for _, enrolled := range []bool{false, true} {
		t.Run(fmt.Sprint("enrolled ", enrolled), func(t *testing.T) {
			t.Parallel()
			live := theirs(rng)
			if enrolled {
				live["flota.json"] = []byte(`{"device":"id1"}`)
			}
			p := newAlone(t, "upload service, hostile names", smallFlash, live).on()
			for _, name := range []string{
				"../main.py", "lib/../main.py", "/main.py", "//main.py", "lib//old.bin", ".", "..", "lib/.", "lib/..", "./main.py", "a\\b", "..\\main.py",
				"a\x00b", "a\nb", "\x7f", ".ota", ".ota-put", ".index", "lib/.hidden", "service_ota.py", "service_ota.mpy", "SERVICE_OTA.py", "service_ota/__init__.py",
				"manager_wifi.py", "service_page.html", "c:main.py", strings.Repeat("x", 300), strings.Repeat("x/", 60) + "x", "main.py/x", "lib", "lib/", "\xff\xfe",
			} {
				data := noise(rng, 100)
				body, kind := form(files{name: data})
				raw, _ := json.Marshal(map[string]string{"from": "lib/old.bin", "to": strings.ToValidUTF8(name, "\n")})
				before := p.now()
				for what, a := range map[string]asked{
					"PUT": p.put(name, data), "form": p.ask("POST", "/upload", body, "Content-Type", kind),
					"rename": p.ask("POST", "/rename", raw, "Content-Type", "application/json"), "DELETE": p.ask("DELETE", "/files/"+url.PathEscape(name), nil),
				} {
					pico.fault(p.class, 1)
					if enrolled && a.status < 300 && a.status != 0 {
						continue // it may be a fine name under /data; what counts is below
					}
					if a.status < 400 || a.status >= 500 {
						t.Errorf("%s %q: %d %s", what, name, a.status, a.body)
					}
				}
				after := p.now()
				if enrolled {
					for _, all := range []map[string]file{before, after} {
						maps.DeleteFunc(all, func(path string, _ file) bool { return strings.HasPrefix(path, "/data/") })
					}
				}
				if !maps.Equal(before, after) {
					pico.half(p.class)
					t.Fatalf("%q changed the flash: %v, %v", name, slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
				}
			}
			begun := time.Now()
			data := noise(rng, 1000)
			if a := p.put("good.py", data); a.status != http.StatusOK {
				t.Errorf("%d %s", a.status, a.body)
			}
			pico.recovered(p.class, time.Since(begun))
		})
	}
}

// Two clients upload the same file at once, and others: each gets a right answer, and the flash holds one of the two.
func TestPicoServiceTwoClients(t *testing.T) {
	t.Parallel()
	rng := random("two clients")
	p := newAlone(t, "upload service, two clients at once", smallFlash, theirs(rng)).on()
	for range max(3, *cuts/50) {
		one, two := noise(rng, 30_000), noise(rng, 20_000)
		pico.fault(p.class, 1)
		begun := time.Now()
		var answers [3]asked
		var group sync.WaitGroup
		group.Go(func() { answers[0] = p.put("main.py", one) })
		group.Go(func() { answers[1] = p.put("main.py", two) })
		group.Go(func() { answers[2] = p.put("lib/other.py", two) })
		group.Wait()
		for i, a := range answers {
			if a.status != http.StatusOK {
				t.Errorf("client %d: %d %s\n%s", i, a.status, a.body, p.output.String())
			}
		}
		base := p.live.with("lib/other.py", two)
		if state := p.whole(base.with("main.py", one), base.with("main.py", two)); state == 0 {
			p.live = base.with("main.py", one)
		} else {
			p.live = base.with("main.py", two)
		}
		pico.recovered(p.class, time.Since(begun))
	}
}

// A hundred wrong passwords open nothing, lock out who tried them and nobody else, and not for ever.
func TestPicoServiceBadPasswords(t *testing.T) {
	t.Parallel()
	rng := random("passwords")
	p := newAlone(t, "upload service, a hundred bad passwords", smallFlash, theirs(rng)).on("hurry", 10)
	told := map[int]int{}
	for i := range 100 {
		a := p.askAs(fmt.Sprintf("guess %d", i), "PUT", "/files/main.py", noise(rng, 100))
		told[a.status]++
		pico.fault(p.class, 1)
	}
	if told[401]+told[429] != 100 || told[429] < 50 {
		t.Errorf("answers: %v", told)
	}
	p.whole(p.live)
	begun := time.Now()
	elsewhere := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := elsewhere.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "GET /status HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic YWRtaW46YSBsb25nIHBhc3N3b3Jk\r\n\r\n")
	if line, _ := bufio.NewReader(c).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 200") {
		t.Errorf("somebody else is answered %q", line)
	}
	c.Close()
	for deadline := time.Now().Add(chiptest.Patience); p.ask("GET", "/status", nil).status != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("it is locked for ever")
		}
		time.Sleep(200 * time.Millisecond) // a lock-out lasts as long as it does
	}
	pico.recovered(p.class, time.Since(begun))
}

// A file of 1 MB, with a heap of 190 KB, there and back.
func TestPicoServiceLargeFile(t *testing.T) {
	t.Parallel()
	rng := random("large file")
	p := newAlone(t, "upload service, 1 MB with a heap of 190 KB", largeFlash, theirs(rng)).on()
	large := noise(rng, 1<<20)
	pico.fault(p.class, 2)
	begun := time.Now()
	if a := p.put("large.bin", large); a.status != http.StatusOK {
		t.Fatalf("%d %s\n%s", a.status, a.body, p.output.String())
	}
	large[0]++
	body, kind := form(files{"large.bin": large})
	if a := p.ask("POST", "/upload", body, "Content-Type", kind); a.status != http.StatusOK {
		t.Fatalf("%d %s\n%s", a.status, a.body, p.output.String())
	}
	if a := p.ask("GET", "/files/large.bin", nil); !bytes.Equal(a.body, large) {
		t.Errorf("%d, %d bytes", a.status, len(a.body))
	}
	pico.recovered(p.class, time.Since(begun))
	p.whole(p.live.with("large.bin", large))
}

// What is no HTTP, or too much of it, is refused or ended; the service goes on.
func TestPicoServiceGarbage(t *testing.T) {
	t.Parallel()
	rng := random("garbage for the service")
	p := newAlone(t, "upload service, garbage instead of requests", smallFlash, theirs(rng)).on()
	for i := range max(10, *cuts/20) {
		text := []string{
			string(noise(rng, 3000)), "GET " + strings.Repeat("/x", 3000) + " HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 3000) + "\r\n",
			"POST /upload HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "PUT /files/main.py HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "\r\n\r\n\r\n", "",
			"PUT /files/main.py HTTP/1.1\r\nHost: a\r\nAuthorization: Basic ====\r\nContent-Length: 99999999999999\r\n\r\n",
		}[i%8]
		pico.fault(p.class, 1)
		if said := p.raw(text, i%5 == 4, false); strings.HasPrefix(said, "HTTP/1.1 2") {
			t.Errorf("%q is answered %q", text[:min(len(text), 80)], said)
		}
	}
	p.whole(p.live)
	begun := time.Now()
	var answer asked
	for deadline := time.Now().Add(chiptest.Patience); time.Now().Before(deadline); {
		if answer = p.ask("GET", "/status", nil); answer.status == http.StatusOK {
			break
		}
	}
	if answer.status != http.StatusOK {
		t.Error(errors.New("it does not serve any more"), answer.status, string(answer.body))
	}
	pico.recovered(p.class, time.Since(begun))
}
