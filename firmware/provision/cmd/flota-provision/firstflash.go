package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/flota/flota/firmware/pico"
	"github.com/flota/flota/firmware/provision/repl"
	"github.com/flota/flota/firmware/provision/serial"
)

// oldest is the MicroPython that the agent needs: the module tls came with it.
var oldest = [3]int{1, 23, 0}

// readFirstFlash is what is in a folder, or in this program.
func readFirstFlash(folder string) ([]pico.File, error) {
	if folder != "" {
		return pico.ReadFirstFlash(folder)
	}
	return pico.FirstFlash()
}

// firstFlash puts the bootloader and the base release on a board with MicroPython, and
// starts it again. What else is on the board stays, but for what an earlier release left in slot a.
func (t *task) firstFlash(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, t.wait)
	defer cancel()
	port, err := t.open(waiting)
	if err != nil {
		return err
	}
	defer port.Close()
	session, err := repl.Open(waiting, port, repl.Options{})
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, repl.ErrNoREPL) {
			err = fmt.Errorf("no MicroPython answers on %s: put it on the board first (firmware/pico/FIRST-FLASH.md), or press its reset button", t.port)
		}
		return exit{exitNoBoard, err}
	}
	if err := t.writeFirstFlash(ctx, session); err != nil {
		return errors.Join(err, session.Close(context.WithoutCancel(ctx)))
	}
	if err := session.Reset(ctx); err != nil {
		return err
	}
	fmt.Println("The first flash is on the board; it starts.")
	return nil
}

func (t *task) writeFirstFlash(ctx context.Context, session *repl.Session) error {
	info, err := session.Info(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s, MicroPython %s, %d of %d KiB free\n", t.port, info.Machine, info.VersionText(), info.Free>>10, info.Total>>10)
	if info.Name != "micropython" {
		return fmt.Errorf("this is %s, not MicroPython: put MicroPython on the board first (firmware/pico/FIRST-FLASH.md)", info.Name)
	}
	if older(info.Version) {
		return fmt.Errorf("its MicroPython %s is too old: put %d.%d or newer on the board (firmware/pico/FIRST-FLASH.md)", info.VersionText(), oldest[0], oldest[1])
	}
	var missing []pico.File
	needed := int64(0)
	for _, f := range t.flash {
		sum := sha256.Sum256(f.Data)
		there, err := session.Digest(ctx, "/"+f.Path)
		if err != nil {
			return err
		}
		if there != hex.EncodeToString(sum[:]) {
			missing = append(missing, f)
			needed += int64(len(f.Data)+blockSize-1) / blockSize * blockSize
		}
	}
	if needed > info.Free {
		return fmt.Errorf("there are %d KiB free on the board, and the first flash needs %d: remove files from it first", info.Free>>10, needed>>10)
	}
	if err := removeOthers(ctx, session, "/a", t.flash); err != nil {
		return err
	}
	show := progress(os.Stdout, missing)
	for _, f := range missing {
		if err := session.WriteFile(ctx, "/"+f.Path, f.Data, func(n int) { show(f, n) }); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return nil
}

// blockSize is LittleFS's: a file takes whole ones.
const blockSize = 4096

func older(version [3]int) bool {
	for i := range version {
		if version[i] != oldest[i] {
			return version[i] < oldest[i]
		}
	}
	return false
}

// removeOthers removes what is in a folder and not in files: it would be on the path that modules are found by.
func removeOthers(ctx context.Context, session *repl.Session, folder string, files []pico.File) error {
	entries, err := session.List(ctx, folder)
	if exception := (*repl.Exception)(nil); errors.As(err, &exception) {
		return nil // there is no such folder
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, keep, within := folder+"/"+e.Name, false, false
		for _, f := range files {
			keep = keep || "/"+f.Path == name
			within = within || strings.HasPrefix("/"+f.Path, name+"/")
		}
		if e.Folder {
			if err := removeOthers(ctx, session, name, files); err != nil {
				return err
			}
			keep = within
		}
		if !keep {
			if err := session.Remove(ctx, name); err != nil {
				return fmt.Errorf("remove %s: %w", name, err)
			}
		}
	}
	return nil
}

// progress tells how far writing is: on a terminal in one line, else a line a file.
func progress(out *os.File, files []pico.File) func(pico.File, int) {
	total, before := 0, map[string]int{}
	for _, f := range files {
		before[f.Path] = total
		total += len(f.Data)
	}
	terminal := term.IsTerminal(int(out.Fd()))
	return func(f pico.File, written int) {
		percent := 100 * (before[f.Path] + written) / max(total, 1)
		switch {
		case terminal:
			fmt.Fprintf(out, "\r  %3d %%  %-40s", percent, f.Path)
			if percent == 100 {
				fmt.Fprintln(out)
			}
		case written == len(f.Data):
			fmt.Fprintf(out, "  %3d %%  %s\n", percent, f.Path)
		}
	}
}

// open opens the port, and waits for it.
func (t *task) open(ctx context.Context) (io.ReadWriteCloser, error) {
	port, err := serial.Open(ctx, t.port, func() { fmt.Printf("Waiting for %s …\n", t.port) })
	if err != nil {
		return nil, exit{exitNoBoard, err}
	}
	return port, nil
}
