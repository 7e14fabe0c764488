// Command flota-simulator is a device without hardware, or a fleet of them.
//
//	flota-simulator run --provision bot_001.json
//	flota-simulator run --provision fleet.json --memory --poll 1s
//	flota-simulator image --dir devices/bot_001 >installed.bin
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/firmware/simulator"
	"github.com/flota/flota/pkg/deviceproto"
)

const usage = `usage: flota-simulator run --provision FILE [--dir DIR | --memory] [--poll 1s] [--checkin 5m] [--bad crash] [--board FQBN]
       flota-simulator image --dir DIR >FILE`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := errors.New(usage)
	switch {
	case len(os.Args) > 1 && os.Args[1] == "run":
		err = run(ctx, os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == "image":
		err = image(os.Args[2:], os.Stdout)
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "flota-simulator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	provision := flags.String("provision", "", "the provisioning `file` of a device, or an array of them")
	dir := flags.String("dir", "", "where the devices keep slots and state, a folder each (default: devices, beside the provisioning file)")
	memory := flags.Bool("memory", false, "keep nothing on disk: for thousands of devices")
	poll := flags.Duration("poll", 0, "poll this often instead of as the server says")
	checkin := flags.Duration("checkin", 5*time.Minute, "how long a new image may take to check in")
	bad := flags.String("bad", "", "what goes wrong with new images: crash, watchdog, selftest, no_checkin, or <sha256 prefix>=<fault>")
	quiet := flags.Bool("quiet", false, "print nothing")
	board := flags.String("board", "", "what the devices are, instead of what the file says: micropython:py:rpi_pico_w")
	rollback := flags.String("rollback", "bootloader", "what undoes a bad image: bootloader, agent-only or none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *provision == "" || flags.NArg() > 0 {
		return errors.New(usage)
	}
	provisions, err := simulator.ReadProvisions(*provision)
	if err != nil {
		return err
	}
	o := simulator.Options{Poll: *poll, Checkin: *checkin, Rollback: deviceproto.Rollback(*rollback)}
	switch o.Rollback {
	case deviceproto.RollbackBootloader, deviceproto.RollbackAgentOnly, deviceproto.RollbackNone:
	default:
		return errors.New("--rollback must be bootloader, agent-only or none")
	}
	if *bad != "" {
		if o.Judge, err = simulator.Faults(*bad); err != nil {
			return err
		}
	}
	if !*quiet {
		o.Print = printer(os.Stdout)
	}
	if *dir == "" {
		*dir = filepath.Join(filepath.Dir(*provision), "devices")
	}

	group, ctx := errgroup.WithContext(ctx)
	for _, p := range provisions {
		p.Board = cmp.Or(*board, p.Board)
		var storage simulator.Storage = &simulator.Memory{}
		if !*memory {
			storage = simulator.Disk{Dir: filepath.Join(*dir, p.ProductID)}
		}
		device, err := simulator.New(p, storage, o)
		if err != nil {
			return fmt.Errorf("%s: %w", p.ProductID, err)
		}
		group.Go(func() error {
			if err := device.Run(ctx); err != nil {
				return fmt.Errorf("%s: %w", p.ProductID, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// printer prints lines of many devices, each with the time.
func printer(out io.Writer) func(string) {
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(out, time.Now().Format("15:04:05.000"), line)
	}
}

// image writes out what a device runs: its image, or its index.
func image(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	dir := flags.String("dir", "", "the device's folder")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" || flags.NArg() > 0 {
		return errors.New(usage)
	}
	disk := simulator.Disk{Dir: *dir}
	state, err := disk.Load()
	if err != nil {
		return err
	}
	if state.Slots[state.Active].SHA256 == "" {
		return errors.New("nothing was installed over the air yet")
	}
	f, err := os.Open(disk.File(state.Active, ""))
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.Open(disk.File(state.Active, deviceproto.IndexFile))
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(out, f)
	return err
}
