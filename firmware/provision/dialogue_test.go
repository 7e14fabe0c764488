package provision_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flota/flota/firmware/provision"
	"github.com/flota/flota/firmware/provision/provisiontest"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/fault"
)

// given is a provision that a device accepts.
func given(t *testing.T) deviceproto.Provision {
	t.Helper()
	for _, c := range cases(t) {
		if c.Name == "networks" {
			p, err := deviceproto.ParseProvision([]byte(c.Line))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	t.Fatal("no such case")
	panic("unreachable")
}

func cases(t *testing.T) []vectors.Provision {
	t.Helper()
	all, err := vectors.Read[vectors.Provision]("../vectors", "provision.json")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// talk holds a dialogue with a device, in time that passes at once.
func talk(t *testing.T, device *provisiontest.Device, do func(t *testing.T, d *provision.Dialogue)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() { defer theirs.Close(); device.Serve(theirs) }()
		do(t, provision.New(ours, provision.Options{}))
	})
}

// The fake device is a right one: it answers the vectors as every device must.
func TestFakeDevice(t *testing.T) {
	for _, c := range cases(t) {
		device := &provisiontest.Device{}
		ours, theirs := net.Pipe()
		go device.Serve(theirs)
		go fmt.Fprintf(ours, "%s\r\n", c.Line)
		answer := make([]byte, 4096)
		n, err := ours.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		ours.Close()
		want := `{"flota":"` + c.Answer + `"`
		if c.Answer == "error" {
			want += `,"code":"invalid","field":"` + c.Field + `"`
		}
		if got := string(answer[:n]); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s", c.Name, got, want)
		}
	}
}

func TestDialogue(t *testing.T) {
	device := &provisiontest.Device{Statuses: []provision.Status{{Network: "connected", IP: "192.0.2.7", RSSI: -61, Server: "ok", Version: "1.3.0"}}}
	talk(t, device, func(t *testing.T, d *provision.Dialogue) {
		ctx, p := t.Context(), given(t)
		h, err := d.Hello(ctx)
		want := provision.Hello{Agent: "FlotaOTA/1.0", Chip: "ESP32-C3", MAC: "a0b1c2d3e4f5", SlotSize: 1310720, Rollback: "bootloader"}
		if err != nil || h != want {
			t.Errorf("%+v, %v", h, err)
		}
		if err := d.Provision(ctx, p); err != nil || !reflect.DeepEqual(*device.Given(), p) {
			t.Errorf("%v", err)
		}
		if h, err := d.Hello(ctx); err != nil || !h.Provisioned || h.Board != p.Board {
			t.Errorf("%+v, %v", h, err)
		}
		networks := []deviceproto.Network{{SSID: "a \"quoted\" <one>", Password: "ñandú & co."}}
		if err := d.WiFi(ctx, networks); err != nil || !reflect.DeepEqual(device.Given().WiFi, networks) {
			t.Errorf("%v", err)
		}
		if err := d.WiFi(ctx, nil); err != nil || len(device.Given().WiFi) != 0 {
			t.Errorf("%v", err)
		}
		if s, err := d.Status(ctx); err != nil || !s.OK() || s.RSSI != -61 || s.Version != "1.3.0" {
			t.Errorf("%+v, %v", s, err)
		}
		if err := d.Erase(ctx); err != nil || device.Given() != nil {
			t.Error(err)
		}
	})
}

// Whatever stands around, before, behind and in the way of the answers.
func TestBadDevices(t *testing.T) {
	const boot = "\x00\xff\xfeets Jun  8 2016 00:22:57\r\nrst:0x1 (POWERON_RESET)\r\n\x1b[0;32mI (29) boot\x1b[0m\r\n{\"flota\":7}\n{\"flota\":\n{\"flota\":\"hello\"\n"
	again := func(f func(line, answer string) string) func(string, string) string { // the first one is wrong
		wrong := map[string]bool{}
		return func(line, answer string) string {
			if line == `{"flota":"hello"}` || wrong[line] {
				return answer
			}
			wrong[line] = true
			return f(line, answer)
		}
	}
	for name, device := range map[string]*provisiontest.Device{
		"boots and says so":         {Boot: boot},
		"says too much without end": {Boot: strings.Repeat("x", 3*deviceproto.MaxLine), Answer: func(_, answer string) string { return strings.Repeat("y", 7000) + "\n" + answer }},
		"echoes":                    {Echo: true},
		"echoes, and boots":         {Echo: true, Boot: boot},
		"is deaf at first":          {Deaf: 3},
		"is a MicroPython":          {Program: true, Boot: "temperature: 21\r\n"},
		"prints without an LF":      {Answer: func(_, answer string) string { return "temperature: 21" + answer }},
		"prints behind the answer":  {Answer: func(_, answer string) string { return strings.TrimSpace(answer) + " ok\n" }},
		"ends lines with CR LF":     {Answer: func(_, answer string) string { return strings.TrimSpace(answer) + "\r\n" }},
		"prints objects of its own": {Answer: func(_, answer string) string { return "{\"temperature\":21}\n[]\n" + answer }},
		"answers twice":             {Answer: func(_, answer string) string { return answer + answer }},
		"answers what nobody asked": {Answer: func(_, answer string) string {
			return "{\"flota\":\"dance\"}\n{\"flota\":\"hello\"}\n{\"flota\":\"error\"}\n" + answer
		}},
		"cuts an answer":       {Answer: again(func(_, answer string) string { return answer[:len(answer)/2] + "\n" })},
		"cuts an answer's end": {Answer: again(func(_, answer string) string { return answer[:len(answer)-3] })},
		"loses an answer":      {Answer: again(func(string, string) string { return "" })},
		"cannot read a line": {Answer: again(func(string, string) string {
			return "{\"flota\":\"error\",\"code\":\"invalid\",\"field\":\"\",\"message\":\"\"}\n"
		})},
		"refuses what was left":     {Boot: "{\"flota\":\"error\",\"code\":\"invalid\",\"field\":\"server\",\"message\":\"\"}\n"},
		"answers in many pieces":    {Boot: boot, Echo: true, Deaf: 1, Answer: func(_, answer string) string { return "\n\n" + answer + "\n" }},
		"sends very much at a time": {Answer: func(_, answer string) string { return strings.Repeat("{\"flota\":\"status\"}\n", 1000) + answer }},
	} {
		t.Run(name, func(t *testing.T) {
			talk(t, device, func(t *testing.T, d *provision.Dialogue) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				p := given(t)
				if h, err := d.Hello(ctx); err != nil || h.Chip != "ESP32-C3" {
					t.Errorf("hello: %+v, %v", h, err)
				}
				if err := d.Provision(ctx, p); err != nil || device.Given() == nil || device.Given().Key != p.Key {
					t.Errorf("provision: %v", err)
				}
				if err := d.WiFi(ctx, p.WiFi[:1]); err != nil {
					t.Errorf("wifi: %v", err)
				}
				if s, err := d.Status(ctx); err != nil || s.Network != "none" {
					t.Errorf("status: %+v, %v", s, err)
				}
				if err := d.Erase(ctx); err != nil || device.Given() != nil {
					t.Errorf("erase: %v", err)
				}
			})
		})
	}
}

// What a device refuses comes back with its code and field, and at once.
func TestRefused(t *testing.T) {
	device := &provisiontest.Device{Answer: func(line, answer string) string {
		if strings.HasPrefix(line, `{"flota":"hello"`) {
			return answer
		}
		return `{"flota":"error","code":"invalid","field":"board","message":"not \u001b[31mmy board` + strings.Repeat("!", 1000) + `"}` + "\n"
	}}
	talk(t, device, func(t *testing.T, d *provision.Dialogue) {
		begin := time.Now()
		err := d.Provision(t.Context(), given(t))
		f := fault.As(err)
		if f == nil || f.Code != fault.Invalid || f.Field != "board" || !strings.Contains(f.Message, "my board") || strings.Contains(f.Message, "\x1b") || len(f.Message) > 300 {
			t.Errorf("%v", err)
		}
		if took := time.Since(begin); took > time.Second || len(device.Lines()) != 1 {
			t.Errorf("it took %s and %d lines", took, len(device.Lines()))
		}
	})
}

// Nothing wrong is sent.
func TestCheckedBefore(t *testing.T) {
	device := &provisiontest.Device{}
	talk(t, device, func(t *testing.T, d *provision.Dialogue) {
		p := given(t)
		p.Server = "ftp://flota.local"
		if f := fault.As(d.Provision(t.Context(), p)); f == nil || f.Field != "server" {
			t.Errorf("%v", f)
		}
		if f := fault.As(d.WiFi(t.Context(), []deviceproto.Network{{SSID: "a", Password: "short"}})); f == nil || f.Field != "wifi.0.password" {
			t.Errorf("%v", f)
		}
		if len(device.Lines()) != 0 {
			t.Errorf("sent: %q", device.Lines())
		}
	})
}

func TestWrongAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   string
	}{
		"another device":           {`{"flota":"provisioned","device":"nobody"}`, `"nobody"`},
		"a device that is none":    {`{"flota":"provisioned","device":7}`, "in a form"},
		"an error that says less":  {`{"flota":"error","code":"storage"}`, "storage"},
		"an error that is nothing": {`{"flota":"error","code":7}`, "in a form"},
	} {
		device := &provisiontest.Device{Answer: func(string, string) string { return c.answer + "\n" }}
		talk(t, device, func(t *testing.T, d *provision.Dialogue) {
			p := given(t)
			err := d.Provision(t.Context(), p)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), p.Key) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	device := &provisiontest.Device{Answer: func(string, string) string { return `{"flota":"wifi","networks":2}` + "\n" }}
	talk(t, device, func(t *testing.T, d *provision.Dialogue) {
		if err := d.WiFi(t.Context(), given(t).WiFi[:1]); err == nil {
			t.Error("a device that stored something else was believed")
		}
	})
}

// A MicroPython that runs something else is told to listen after 2 s; nobody else hears
// of it who answers sooner.
func TestNudge(t *testing.T) {
	talk(t, &provisiontest.Device{Program: true}, func(t *testing.T, d *provision.Dialogue) {
		begin := time.Now()
		if _, err := d.Hello(t.Context()); err != nil || time.Since(begin) < 2*time.Second || time.Since(begin) > 3*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go (&provisiontest.Device{Program: true}).Serve(theirs)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := provision.New(ours, provision.Options{Nudge: -1}).Hello(ctx); !errors.Is(err, provision.ErrNoAnswer) {
			t.Error(err)
		}
		theirs.Close()
	})
}

func TestNoAnswer(t *testing.T) {
	device := &provisiontest.Device{Boot: "Hello, world!\n", Deaf: 1000}
	talk(t, device, func(t *testing.T, d *provision.Dialogue) {
		ctx, cancel := context.WithTimeout(t.Context(), 29300*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if _, err := d.Hello(ctx); !errors.Is(err, provision.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 29300*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		said := len(device.Lines())
		if said < 26 || said > 29 { // and twice it is told to listen, once to begin anew
			t.Errorf("%d times hello", said)
		}
		begin = time.Now()
		if _, err := d.Status(t.Context()); !errors.Is(err, provision.ErrNoAnswer) || time.Since(begin) != 15*time.Second || len(device.Lines()) != said+3 {
			t.Errorf("%v after %s and %d lines", err, time.Since(begin), len(device.Lines())-said)
		}
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, interrupt)
		if err := d.Erase(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A port that takes nothing, or is gone, ends it.
func TestNoPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe() // nobody reads
		d := provision.New(ours, provision.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.Hello(ctx); !errors.Is(err, provision.ErrNoAnswer) {
			t.Error(err)
		}
		theirs.Close()
		if _, err := d.Hello(t.Context()); !errors.Is(err, provision.ErrGone) {
			t.Error(err)
		}
		if err := d.Erase(t.Context()); !errors.Is(err, provision.ErrGone) {
			t.Error(err)
		}
		ours.Close()
	})
	unplugged := &provisiontest.Device{}
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		unplugged.Answer = func(string, string) string { theirs.Close(); return "" }
		go unplugged.Serve(theirs)
		if err := provision.New(ours, provision.Options{}).Erase(t.Context()); !errors.Is(err, provision.ErrGone) {
			t.Error(err)
		}
	})
}

// slow notes what is written when, and takes a part of it at a time.
type slow struct {
	io.ReadWriter
	sizes []int
	times []time.Time
}

func (s *slow) Write(p []byte) (int, error) {
	s.sizes, s.times = append(s.sizes, len(p)), append(s.times, time.Now())
	return s.ReadWriter.Write(p[:min(len(p), 48)])
}

// At most 64 bytes go in 10 ms.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		device := &provisiontest.Device{}
		go func() { defer theirs.Close(); device.Serve(theirs) }()
		port := &slow{ReadWriter: ours}
		d := provision.New(port, provision.Options{})
		if err := d.Provision(t.Context(), given(t)); err != nil {
			t.Fatal(err)
		}
		if len(port.sizes) < 15 {
			t.Fatalf("%d writes", len(port.sizes))
		}
		for i, begin := range port.times {
			sum := 0
			for j := i; j < len(port.times) && port.times[j].Before(begin.Add(10*time.Millisecond)); j++ {
				sum += min(port.sizes[j], 48)
			}
			if sum > 64 {
				t.Fatalf("%d bytes in 10 ms", sum)
			}
		}
	})
}
