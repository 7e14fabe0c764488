// Command flota-provision gives a board its server, key and Wi-Fi over the cable.
//
//	flota-provision --port /dev/ttyUSB0 --file bot_001.json
//	flota-provision --port /dev/ttyUSB0 --wifi-ssid shed
//	flota-provision --port /dev/ttyACM0 --micropython --file bot_001.json
//	flota-provision --port /dev/ttyUSB0 --status
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/flota/flota/firmware/pico"
	"github.com/flota/flota/firmware/provision"
	"github.com/flota/flota/firmware/provision/serial"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

const usage = `usage: flota-provision --port PORT --file bot_001.json     give a board all of it (- or a pipe: standard input)
       flota-provision --port PORT --wifi-ssid NAME        give it a Wi-Fi network; the password is asked for,
                                                           or is in FLOTA_WIFI_PASSWORD or --wifi-password-file
       flota-provision --port PORT --micropython [...]     first write the first flash to a board with MicroPython
       flota-provision --port PORT --status                ask how it is doing
       flota-provision --port PORT --erase                 make it forget everything
       flota-provision --list                              list the serial ports`

// The exit codes.
const (
	exitFailed  = 1 // the board refused it, or it did not work
	exitUsage   = 2 // the command line or the file is wrong; nothing was sent
	exitNoBoard = 3 // no such port, or no answer on it
	exitOffline = 4 // the board has it all, and is not known to reach its server
)

// exit is an error with its exit code.
type exit struct {
	code int
	error
}

func (e exit) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "flota-provision:", sentence(err))
	if e, ok := errors.AsType[exit](err); ok {
		os.Exit(e.code)
	}
	os.Exit(exitFailed)
}

// sentence is a fault's for people, without its code and cause.
func sentence(err error) string {
	f := fault.As(err)
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case f == nil:
		return err.Error()
	case f.Field != "":
		return f.Field + ": " + f.Message
	}
	return f.Message
}

// task is what the command line asks for.
type task struct {
	port          string
	wait, online  time.Duration
	give          *deviceproto.Provision
	wifi          []deviceproto.Network
	status, erase bool
	flash         []pico.File // nil: none is written
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("flota-provision", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var t task
	flags.StringVar(&t.port, "port", "", "the serial `port`, like /dev/ttyUSB0 or COM3")
	file := flags.String("file", "", "the provisioning `file` from the device's page; - is standard input")
	ssid := flags.String("wifi-ssid", "", "the `name` of a Wi-Fi network; with --file it goes before those in there")
	passwordFile := flags.String("wifi-password-file", "", "a `file` with its password; empty for an open network")
	list := flags.Bool("list", false, "list the serial ports")
	micropython := flags.Bool("micropython", false, "write the first flash to a board with MicroPython, with --file or alone")
	files := flags.String("files", "", "the `folder` of that first flash, micropython/pico of a toolchain; it is built into this program")
	save := flags.String("save", "", "write that first flash to a `folder` instead, for mpremote")
	flags.BoolVar(&t.status, "status", false, "ask the board how it is doing")
	flags.BoolVar(&t.erase, "erase", false, "make the board forget everything that it was given")
	flags.DurationVar(&t.wait, "wait", time.Minute, "how long to wait for the port, and for the board's first answer")
	flags.DurationVar(&t.online, "online", 90*time.Second, "how long the board may take to reach its server; 0: do not look")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Println(usage)
			flags.SetOutput(os.Stdout)
			flags.PrintDefaults()
			return err
		}
		return exit{exitUsage, fmt.Errorf("%w\n%s", err, usage)}
	}
	if flags.NArg() > 0 {
		return exit{exitUsage, errors.New("there is something behind the flags that is none\n" + usage)}
	}
	if *list {
		return listPorts()
	}
	if *micropython || *files != "" || *save != "" {
		var err error
		if t.flash, err = readFirstFlash(*files); err != nil {
			return exit{exitUsage, err}
		}
	}
	if *save != "" {
		return pico.Save(*save, t.flash)
	}
	if t.port == "" {
		return exit{exitUsage, errors.Join(listPorts(), errors.New("say with --port which one the board is at"))}
	}
	if err := t.read(*file, *ssid, *passwordFile); err != nil {
		return exit{exitUsage, err}
	}
	return t.do(ctx)
}

func listPorts() error {
	ports, err := serial.List()
	if err != nil {
		return err
	}
	if len(ports) == 0 {
		fmt.Println("there is no serial port: plug a board in, with a cable that carries data")
		return nil
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, p := range ports {
		fmt.Fprintf(table, "%s\t%s\t%s\n", p.Name, p.USB, p.Product)
	}
	return table.Flush()
}

// read reads and checks what is to be given, before the board is touched.
func (t *task) read(file, ssid, passwordFile string) error {
	terminal := term.IsTerminal(int(os.Stdin.Fd()))
	if t.status || t.erase {
		if file != "" || ssid != "" || t.flash != nil || t.status && t.erase {
			return errors.New("--status and --erase stand alone\n" + usage)
		}
		return nil
	}
	if file == "" && ssid == "" && t.flash != nil {
		return nil
	}
	if file == "" && ssid == "" {
		if terminal {
			return errors.New("say what to do\n" + usage)
		}
		file = "-"
	}
	if ssid != "" {
		password, err := readPassword(ssid, passwordFile, terminal && file != "-")
		if err != nil {
			return err
		}
		t.wifi = []deviceproto.Network{{SSID: ssid, Password: password}}
		if err := deviceproto.CheckNetworks("wifi", t.wifi); err != nil {
			return fmt.Errorf("the network of --wifi-ssid: %w", err)
		}
	}
	if file == "" {
		return nil
	}
	text, err := readFile(file)
	if err != nil {
		return err
	}
	p, err := deviceproto.ParseProvision(text)
	if err != nil {
		return fmt.Errorf("%s is not a provisioning file: %w", file, err)
	}
	for _, n := range p.WiFi {
		if n.SSID != ssid && len(t.wifi) < deviceproto.MaxNetworks {
			t.wifi = append(t.wifi, n)
		}
	}
	p.WiFi, t.give = t.wifi, &p
	return p.Check()
}

// maxFile is more than any provisioning file has, in bytes.
const maxFile = 64 << 10

func readFile(name string) ([]byte, error) {
	in := io.Reader(os.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = errors.New("this is no provisioning file: it is too large")
	}
	return text, err
}

func readPassword(ssid, file string, terminal bool) (string, error) {
	password, given := os.LookupEnv("FLOTA_WIFI_PASSWORD")
	switch {
	case file != "" && given:
		return "", errors.New("FLOTA_WIFI_PASSWORD and --wifi-password-file are both there: give one")
	case file != "":
		text, err := readFile(file)
		return strings.TrimRight(string(text), "\r\n"), err
	case given:
		return password, nil
	case !terminal:
		return "", errors.New("nobody can be asked for the password: set FLOTA_WIFI_PASSWORD, or name a file with --wifi-password-file")
	}
	fmt.Fprintf(os.Stderr, "Password of %s (empty if it is open): ", ssid)
	typed, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	return string(typed), err
}

// do does it, with the board.
func (t *task) do(ctx context.Context) error {
	if t.flash != nil {
		if err := t.firstFlash(ctx); err != nil || t.give == nil && t.wifi == nil {
			return err
		}
	}
	b, err := t.meet(ctx)
	if err != nil {
		return err
	}
	defer func() { b.part(ctx) }()
	fmt.Printf("%s: %s\n", t.port, introduction(b.hello))
	switch {
	case t.erase:
		if err := b.Erase(ctx); err != nil {
			return err
		}
		fmt.Println("The board has forgotten everything that it was given.")
		return nil
	case t.status:
		s, err := b.Status(ctx)
		if err != nil {
			return err
		}
		fmt.Println(report(s))
		if trouble, _ := s.Trouble(); trouble != "" {
			return exit{exitOffline, errors.New(trouble)}
		}
		return nil
	case t.give != nil:
		if err := b.Provision(ctx, *t.give); err != nil {
			return err
		}
		fmt.Printf("The board is %s now, of %s, and knows %s.\n", t.give.ProductID, t.give.Server, count(len(t.wifi)))
	default:
		if err := b.WiFi(ctx, t.wifi); err != nil {
			return err
		}
		fmt.Printf("The board knows the network %s now.\n", t.wifi[0].SSID)
		if !b.hello.Provisioned {
			fmt.Println("It has no server yet: give it a file with --file.")
			return nil
		}
	}
	if t.online == 0 {
		return nil
	}
	if err := t.follow(ctx, b); err != nil {
		return exit{exitOffline, err}
	}
	return nil
}

// board is one that has answered.
type board struct {
	*provision.Dialogue
	port  io.Closer
	hello provision.Hello
}

// part lets the board go on with what it did before.
func (b *board) part(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = b.Leave(ctx) // a port that is gone is of a board that has begun anew
	b.port.Close()
}

// meet opens the port and waits until the board answers, also over a restart that takes
// its port away.
func (t *task) meet(ctx context.Context) (*board, error) {
	waiting, cancel := context.WithTimeout(ctx, t.wait)
	defer cancel()
	for {
		port, err := t.open(waiting)
		if err != nil {
			return nil, err
		}
		var o provision.Options
		if t.flash != nil {
			o.Nudge = compiling // nothing else is to be expected
		}
		b := &board{Dialogue: provision.New(port, o), port: port}
		if b.hello, err = b.Hello(waiting); err == nil {
			return b, nil
		}
		b.part(ctx)
		if errors.Is(err, provision.ErrGone) {
			select {
			case <-time.After(again):
				continue
			case <-waiting.Done():
			}
		}
		if ctx.Err() == nil && errors.Is(err, provision.ErrNoAnswer) {
			err = fmt.Errorf("nothing answers on %s: flash the base sketch first (a board with MicroPython: --micropython), or press reset; a sketch may also keep the port to itself", t.port)
		}
		return nil, exit{exitNoBoard, err}
	}
}

// compiling is how long a board may take to begin with a first flash that is source.
const compiling = 20 * time.Second

// again is how soon a port that went is looked for.
const again = 300 * time.Millisecond

// follow waits until the board is online, also over a restart that takes its port away.
func (t *task) follow(ctx context.Context, b *board) error {
	ctx, cancel := context.WithTimeout(ctx, t.online)
	defer cancel()
	told := func(s provision.Status) { fmt.Println("  " + report(s)) }
	s, err := b.Online(ctx, told)
	for errors.Is(err, provision.ErrGone) && ctx.Err() == nil {
		b.port.Close() // or the board would come back under another name
		var again *board
		if again, err = t.meet(ctx); err == nil {
			*b = *again
			s, err = b.Online(ctx, told)
		}
	}
	switch {
	case err == nil:
		fmt.Printf("It is online: %s.\n", s.IP)
	case errors.Is(err, provision.ErrNoAnswer):
		return errors.New("the board says no more: its sketch may keep the port to itself; look at its page whether it is online")
	}
	return err
}

func introduction(h provision.Hello) string {
	state := "not provisioned yet"
	if h.Provisioned {
		state = "provisioned before"
	}
	return fmt.Sprintf("%s, %s, MAC %s, %s", h.Chip, h.Agent, h.MAC, state)
}

func report(s provision.Status) string {
	text := "network " + s.Network
	if s.IP != "" {
		text += fmt.Sprintf(" (%s, %d dBm)", s.IP, s.RSSI)
	}
	text += ", server " + s.Server
	if s.Version != "" {
		text += ", runs " + s.Version
	}
	return text
}

func count(networks int) string {
	switch networks {
	case 0:
		return "no Wi-Fi network"
	case 1:
		return "one Wi-Fi network"
	}
	return fmt.Sprintf("%d Wi-Fi networks", networks)
}
