package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// port is a pseudo-terminal: a serial port by name, for any serial monitor.
type port struct {
	name  string // of the side that others open
	ours  *os.File
	other *os.File // held open, so that a monitor that leaves does not end it
}

func openPort() (*port, error) {
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	fd := int(ours.Fd()) //nolint:gosec // a descriptor fits
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = raw(fd)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true) // Fd made it block
	}
	if err != nil {
		ours.Close()
		return nil, err
	}
	p := &port{name: fmt.Sprintf("/dev/pts/%d", number), ours: ours}
	if p.other, err = os.OpenFile(p.name, os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		ours.Close()
		return nil, err
	}
	return p, nil
}

// raw makes a terminal pass bytes as they are.
func raw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func (p *port) Read(b []byte) (int, error) { return p.ours.Read(b) }

// Write never waits: what nobody reads is lost, as on a cable.
func (p *port) Write(b []byte) (int, error) {
	fd := int(p.other.Fd()) //nolint:gosec // a descriptor fits
	if waiting, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err == nil && waiting > 0 && waiting+len(b) > 4000 {
		return len(b), nil
	}
	if _, err := p.ours.Write(b); err != nil && errors.Is(err, os.ErrClosed) {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}

func (p *port) Close() error { return errors.Join(p.ours.Close(), p.other.Close()) }
