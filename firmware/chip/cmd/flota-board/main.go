// Command flota-board is one virtual board on your desk: a folder, and a process while
// it has power.
//
//	flota-board new bot --base base.ino.bin
//	flota-board run bot                      # its serial port is this terminal
//	flota-board run bot --pty bot/serial     # its serial port is a terminal of its own
//	flota-board flash bot sketch.ino.bin     # by cable; not while it runs
//	flota-board new pico --board pico --base flota-virtual-pico.bin
//	flota-board run pico --micropython toolchain/micropython
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/flota/flota/firmware/chip"
)

var errUsage = errors.New(`usage: flota-board new DIR [--base IMAGE] [--mac A0B1C2D3E4F5] [--board esp32|pico]
       flota-board run DIR [--pty LINK] [--server HOST:PORT]... [--micropython FOLDER]
       flota-board flash DIR IMAGE
A running board: SIGUSR1 presses the trigger button, SIGHUP the reset button, SIGUSR2 cuts the power`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := errUsage
	if len(os.Args) > 2 {
		dir, args := os.Args[2], os.Args[3:]
		switch os.Args[1] {
		case "new":
			err = create(dir, args)
		case "run":
			err = run(ctx, dir, args)
		case "flash":
			err = flash(ctx, dir, args)
		}
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "flota-board:", err)
		os.Exit(1)
	}
}

func create(dir string, args []string) error {
	flags := flag.NewFlagSet("new", flag.ContinueOnError)
	base := flags.String("base", "", "the `image` that is flashed by cable; without one the board waits for the cable")
	mac := flags.String("mac", "", "the MAC `address`, 12 hex characters (default: a random one)")
	kind := flags.String("board", "esp32", "the `kind` of board: esp32, or pico, which runs MicroPython")
	if err := flags.Parse(args); err != nil {
		return err
	}
	name := map[string]string{"esp32": esp32, "pico": chip.RP2040}[*kind]
	if name == "" || flags.NArg() > 0 {
		return errUsage
	}
	var segments []chip.Segment
	if *base != "" {
		var err error
		if segments, err = readImage(name, *base); err != nil {
			return err
		}
	}
	return chip.Create(dir, chip.Fuses{MAC: *mac, Chip: name}, segments...)
}

const esp32 = "ESP32"

func flash(ctx context.Context, dir string, args []string) error {
	flags := flag.NewFlagSet("flash", flag.ContinueOnError)
	micropython := micropythonFlag(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errUsage
	}
	fuses, err := chip.ReadFuses(dir)
	if err != nil {
		return err
	}
	segments, err := readImage(fuses.Chip, flags.Arg(0))
	if err != nil {
		return err
	}
	board, unlock, err := open(chip.Config{Dir: dir, MicroPython: *micropython})
	if err != nil {
		return err
	}
	defer unlock()
	return board.Flash(ctx, segments...)
}

// micropythonFlag is what a Pico runs.
func micropythonFlag(flags *flag.FlagSet) *string {
	return flags.String("micropython", os.Getenv("FLOTA_MICROPYTHON"), "a toolchain's `folder` micropython, which a Pico runs (default: $FLOTA_MICROPYTHON)")
}

// readImage reads what the cable writes to a board: an ESP32's image, a Pico's file system.
func readImage(kind, name string) ([]chip.Segment, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if kind == chip.RP2040 {
		if err := chip.CheckPicoImage(raw); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return []chip.Segment{{Data: raw}}, nil
	}
	_, size, err := chip.ParseImage(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return chip.FirstFlash(raw[:size]), nil
}

// open opens a board that nobody else has open.
func open(cfg chip.Config) (*chip.Board, func(), error) {
	lock, err := os.Open(cfg.Dir)
	if err != nil {
		return nil, nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { //nolint:gosec // a descriptor fits
		lock.Close()
		return nil, nil, fmt.Errorf("%s is in use: %w", cfg.Dir, err)
	}
	board, err := chip.Open(cfg)
	if err != nil {
		lock.Close()
		return nil, nil, err
	}
	return board, func() { board.Close(); lock.Close() }, nil
}

func run(ctx context.Context, dir string, args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	link := flags.String("pty", "", "make the serial port a pseudo-terminal, and a symbolic `link` to it")
	micropython := micropythonFlag(flags)
	var servers []string
	flags.Func("server", "a `host:port` that the board may reach, again for each; all there are where left out", func(s string) error {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return err
		}
		servers = append(servers, s)
		return nil
	})
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return errors.Join(err, errUsage)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	cfg := chip.Config{Dir: dir, MicroPython: *micropython, Serial: os.Stdout, Event: say}
	input := io.Reader(os.Stdin)
	if *link != "" {
		p, err := openPort()
		if err != nil {
			return err
		}
		defer func() { _ = p.Close() }()
		if err := os.Remove(*link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := os.Symlink(p.name, *link); err != nil {
			return err
		}
		defer func() { _ = os.Remove(*link) }()
		cfg.Serial, input = p, p
	}
	if len(servers) > 0 {
		cfg.Network = chip.NetworkProxy
	}
	board, unlock, err := open(cfg)
	if err != nil {
		return err
	}
	defer unlock()
	if len(servers) > 0 {
		served, err := serve(ctx, dir, servers)
		if err != nil {
			return err
		}
		defer func() {
			cancel()
			<-served
		}()
	}

	buttons := make(chan os.Signal, 4)
	signal.Notify(buttons, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP)
	defer signal.Stop(buttons)
	if err := board.PowerOn(ctx); err != nil {
		return err
	}
	go send(ctx, board, input)
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-buttons:
			if err := press(ctx, board, s); err != nil {
				return err
			}
		}
	}
}

func press(ctx context.Context, board *chip.Board, s os.Signal) error {
	switch s {
	case syscall.SIGUSR1:
		return board.Press(ctx, 0, 200*time.Millisecond)
	case syscall.SIGUSR2:
		return board.CutPower(ctx)
	default:
		return board.Reset(ctx)
	}
}

// send sends what comes to the board, until there is no more.
func send(ctx context.Context, board *chip.Board, from io.Reader) {
	buffer := make([]byte, 256)
	for {
		n, err := from.Read(buffer)
		if err != nil || board.WriteSerial(ctx, buffer[:n]) != nil {
			return
		}
	}
}

// serve is the board's way out.
func serve(ctx context.Context, dir string, servers []string) (<-chan struct{}, error) {
	name := filepath.Join(dir, "net", "out")
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", name)
	if err != nil {
		return nil, err
	}
	proxy := chip.Proxy{Dial: func(ctx context.Context, host string, port int) (net.Conn, error) {
		address := net.JoinHostPort(host, strconv.Itoa(port))
		if !slices.Contains(servers, address) {
			fmt.Fprintf(os.Stderr, "[%s is not one of --server]\n", address)
			return nil, errors.New("not permitted")
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := proxy.Serve(ctx, listener); err != nil {
			fmt.Fprintf(os.Stderr, "[the way out is closed: %v]\n", err)
		}
	}()
	return served, nil
}

func say(e chip.Event) {
	switch e.Kind {
	case chip.Started:
		fmt.Fprintf(os.Stderr, "[start %d: %s]\n", e.Start, strings.TrimPrefix(e.Slot+", "+string(e.Reset), ", "))
	case chip.Waiting:
		fmt.Fprintf(os.Stderr, "[%v]\n", e.Err)
	case chip.Stopped:
		if e.Err != nil {
			fmt.Fprintf(os.Stderr, "[cannot start: %v]\n", e.Err)
		}
	case chip.Slept:
		fmt.Fprintln(os.Stderr, "[deep sleep]")
	default:
	}
}
