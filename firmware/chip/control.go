package chip

import (
	"bufio"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The control line; its words are in README.md.

const (
	longestLine = 160
	// A process that says more is made to wait: it must not burn its host.
	linesPerSecond = 2000
)

var pinModes = []string{"in", "out", "pullup", "pulldown", "pwm", "adc", "none"}

func pinLine(pin, value int) string {
	return "pin " + strconv.Itoa(pin) + " " + strconv.Itoa(value) + "\n"
}

func radioLine(on bool) string {
	if on {
		return "wifi 1\n"
	}
	return "wifi 0\n"
}

// write tells the process something; one that does not listen loses it.
func write(control *os.File, line string) {
	_ = control.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = control.WriteString(line)
}

// readLines hands lines on until the other side is gone. What is too long for one is passed over.
func readLines(control *os.File, lines chan<- string, unlimited bool) {
	in := bufio.NewReaderSize(control, longestLine)
	since, n := time.Now(), 0
	for {
		raw, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			continue
		}
		if err != nil {
			return
		}
		lines <- strings.TrimSuffix(string(raw), "\n")
		if n++; n == linesPerSecond {
			if rest := time.Until(since.Add(time.Second)); rest > 0 && !unlimited {
				time.Sleep(rest)
			}
			since, n = time.Now(), 0
		}
	}
}

// obey does what the process says; a word that is none is passed over.
func (m *machine) obey(line string) {
	word, rest, _ := strings.Cut(line, " ")
	args := strings.Fields(rest)
	switch {
	case word == "feed" && len(args) == 0:
		m.guard()
	case word == "watchdog" && len(args) == 1:
		if seconds, err := strconv.ParseFloat(args[0], 64); err == nil && seconds >= 0 && seconds <= longestDog {
			m.dog = time.Duration(seconds * float64(time.Second))
			m.guard()
		}
	case word == "pin" && len(args) == 3:
		n, okNumber := number(args[0], pins-1)
		value, okValue := number(args[2], 1<<31-1)
		if okNumber && okValue && slices.Contains(pinModes, args[1]) {
			p := Pin{Number: int(n), Mode: args[1], Value: int(value)}
			m.pins[p.Number] = p
			if p.Mode == "none" {
				delete(m.pins, p.Number)
			}
			m.show()
			m.tell(Event{Kind: PinChanged, Pin: p})
		}
	case word == "baud" && len(args) == 1:
		if n, ok := number(args[0], 1<<31-1); ok {
			m.serial.setBaud(int(n))
		}
	case word == "sleep" && (len(args) == 1 || len(args) == 3):
		m.plan(args)
	case word == "written" && len(args) >= 3 && m.process.cut != nil:
		from, okFrom := number(args[0], 1<<62)
		to, okTo := number(args[1], 1<<62)
		if okFrom && okTo {
			m.process.written = to
			m.tell(Event{Kind: Written, From: m.process.before + from, To: m.process.before + to, Where: strings.Join(args[2:], " ")})
		}
	}
}

// guard begins the time of the watchdog anew, if there is one.
func (m *machine) guard() {
	if m.process.ending {
		return
	}
	m.disarm()
	if m.dog > 0 {
		m.timer.Reset(m.dog)
	}
}

// plan notes what is to end the sleep that comes.
func (m *machine) plan(args []string) {
	micros, ok := number(args[0], 1<<62)
	if !ok {
		return
	}
	w := wakeup{after: 1<<63 - 1, pin: -1}
	if micros < int64(w.after/time.Microsecond) {
		w.after = time.Duration(micros) * time.Microsecond
	}
	if len(args) == 3 {
		pin, okPin := number(args[1], pins-1)
		level, okLevel := number(args[2], 1)
		if !okPin || !okLevel {
			return
		}
		w.pin, w.level = int(pin), int(level)
	}
	m.sleep = &w
}

// number reads a decimal from 0 to most.
func number(text string, most int64) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n >= 0 && n <= most
}
