// Package provisiontest is a board at the other end of the cable, for tests: it
// speaks the device's side of the dialogue, and badly where it is told to.
package provisiontest

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"sync"

	"github.com/flota/flota/firmware/provision"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

// Device is a fake board. Set its fields before Serve.
type Device struct {
	// Boot is printed first, whatever it is.
	Boot string
	// Echo sends back each byte that comes, as a terminal does.
	Echo bool
	// Program: it is a MicroPython whose program has the port, until Ctrl-C; then its
	// REPL has, until it is told to listen.
	Program bool
	// Deaf is how many lines of the dialogue are not answered at first.
	Deaf int
	// Answer, unless nil, replaces an answer: it gets the line, and the answer with
	// its LF.
	Answer func(line, answer string) string
	// Statuses are told one after the other; the last one stays.
	Statuses []provision.Status

	mu    sync.Mutex
	given *deviceproto.Provision
	lines []string
}

// Serve answers on a port until that ends.
func (d *Device) Serve(port io.ReadWriter) {
	in := io.Reader(port)
	if d.Echo {
		in = io.TeeReader(port, port)
	}
	if !write(port, d.Boot) || d.Program && !untilListening(port) {
		return
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, deviceproto.MaxLine+2)
	for lines.Scan() {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if !strings.HasPrefix(line, `{"flota":`) {
			continue
		}
		if !write(port, d.answer(line)) {
			return
		}
	}
}

// untilListening is a MicroPython, as far as a host needs one that wants it to listen.
func untilListening(port io.ReadWriter) bool {
	var line []byte
	interrupted := false
	for one := make([]byte, 1); ; {
		if _, err := port.Read(one); err != nil {
			return false
		}
		switch c := one[0]; {
		case c == 3:
			interrupted, line = true, nil
			if !write(port, "\r\nTraceback (most recent call last):\r\nKeyboardInterrupt: \r\n>>> ") {
				return false
			}
		case !interrupted || c < ' ' && c != '\r':
		case c == '\r':
			if string(line) == "import flota_cable; flota_cable.listen()" {
				return write(port, "\r\n")
			}
			line = nil
		default:
			line = append(line, c)
			if !write(port, string(c)) {
				return false
			}
		}
	}
}

// write reports whether the port still takes something.
func write(port io.Writer, text string) bool {
	if text == "" {
		return true
	}
	_, err := io.WriteString(port, text)
	return err == nil
}

// Given is what the device was given, nil before.
func (d *Device) Given() *deviceproto.Provision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.given
}

// Lines are those of the dialogue that came, the ones that were not answered among them.
func (d *Device) Lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.lines...)
}

func (d *Device) answer(line string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
	if d.Deaf > 0 {
		d.Deaf--
		return ""
	}
	answer := d.usual(line) + "\n"
	if d.Answer != nil {
		answer = d.Answer(line, answer)
	}
	return answer
}

// usual is the answer of a device that does everything right.
func (d *Device) usual(line string) string {
	var l struct {
		Word string                `json:"flota"`
		WiFi []deviceproto.Network `json:"wifi"`
	}
	if !json.Valid([]byte(line)) {
		return refuse(fault.New(fault.Invalid, "no JSON object"))
	}
	_ = json.Unmarshal([]byte(line), &l) // a field of another type is found below
	switch l.Word {
	case "hello":
		h := provision.Hello{Agent: "FlotaOTA/1.0", Chip: "ESP32-C3", MAC: "a0b1c2d3e4f5", SlotSize: 1310720, Rollback: "bootloader", Provisioned: d.given != nil}
		if d.given != nil {
			h.Board = d.given.Board
		}
		return say("hello", h)
	case "provision":
		p, err := deviceproto.ParseProvision([]byte(line))
		if err != nil {
			return refuse(err)
		}
		d.given = &p
		return say("provisioned", map[string]string{"device": p.Device})
	case "wifi":
		if err := deviceproto.CheckNetworks("wifi", l.WiFi); err != nil {
			return refuse(err)
		}
		if d.given != nil {
			d.given.WiFi = l.WiFi
		}
		return say("wifi", map[string]int{"networks": len(l.WiFi)})
	case "status":
		s := provision.Status{Network: "none", Server: "none"}
		if len(d.Statuses) > 0 {
			s = d.Statuses[0]
			d.Statuses = d.Statuses[min(1, len(d.Statuses)-1):]
		}
		return say("status", s)
	case "erase":
		d.given = nil
		return say("erased", nil)
	}
	return refuse(fault.Field("flota", "is no word of the dialogue"))
}

func refuse(err error) string {
	f := fault.As(err)
	field, _, _ := strings.Cut(f.Field, ".")
	return say("error", map[string]string{"code": "invalid", "field": field, "message": f.Message})
}

func say(word string, body any) string {
	line, err := deviceproto.Line(word, body)
	if err != nil {
		panic(err) // it is all ours
	}
	return string(line)
}
