package chip

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// The layout of the flash: ../virtual/partitions.csv.
const (
	FlashSize  = 4 << 20
	SectorSize = 4096

	OTADataOffset = 0xe000
	SlotSize      = 0x140000
)

// SlotOffset is where the two slots begin.
var SlotOffset = [2]int64{0x10000, 0x150000}

var slotNames = [2]string{"app0", "app1"}

const (
	flashFile = "flash.bin"
	nvsFolder = "nvs"
	fsFolder  = "fs"
	rtcFile   = "rtc.bin"
	fuseFile  = "efuse.json"
	netFolder = "net"
)

// Fuses are what a chip is born with.
type Fuses struct {
	MAC  string `json:"mac"`  // 12 lower-case hex characters
	Chip string `json:"chip"` // "ESP32", or RP2040
}

// Create makes a board's folder: a blank flash with segments written by cable, and fuses of
// which an empty MAC becomes a random one (locally administered), an empty chip ESP32.
// There must be no board in the folder yet.
func Create(dir string, fuses Fuses, segments ...Segment) error {
	if fuses.Chip == "" {
		fuses.Chip = "ESP32"
	}
	size := flashSize(fuses.Chip)
	if err := checkSegments(size, segments); err != nil {
		return err
	}
	if fuses.MAC == "" {
		mac := make([]byte, 6)
		_, _ = rand.Read(mac)
		mac[0] = mac[0]&^1 | 2
		fuses.MAC = hex.EncodeToString(mac)
	}
	if raw, err := hex.DecodeString(fuses.MAC); err != nil || len(raw) != 6 {
		return fmt.Errorf("chip: %q is no MAC address", fuses.MAC)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	raw, err := json.Marshal(fuses)
	if err != nil {
		return err
	}
	f, err := root.OpenFile(fuseFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err := errors.Join(err, f.Close(), erase(root, size)); err != nil {
		return err
	}
	return writeSegments(root, size, segments)
}

// ReadFuses reads what a board was made with.
func ReadFuses(dir string) (Fuses, error) {
	var fuses Fuses
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fuses, err
	}
	defer root.Close()
	f, err := openRegular(root, fuseFile, os.O_RDONLY)
	if err != nil {
		return fuses, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return fuses, err
	}
	return fuses, json.Unmarshal(raw, &fuses)
}

// FirstFlash is what esptool writes to a new board: an image in the first slot, and
// otadata that says so (boot_app0.bin), whatever ran before.
func FirstFlash(image []byte) []Segment {
	boot := bytes.Repeat([]byte{0xFF}, 2*SectorSize)
	first := NewOTAEntry(1, OTAUndefined).Bytes()
	copy(boot, first[:])
	return []Segment{{Offset: OTADataOffset, Data: boot}, {Offset: SlotOffset[0], Data: image}}
}

func checkSegments(flash int64, segments []Segment) error {
	for _, s := range segments {
		if s.Offset < 0 || s.Offset > flash || int64(len(s.Data)) > flash-s.Offset {
			return fmt.Errorf("chip: %d bytes at 0x%x are not within the flash", len(s.Data), s.Offset)
		}
		if s.Offset%SectorSize != 0 {
			return fmt.Errorf("chip: 0x%x is not the beginning of a sector", s.Offset)
		}
	}
	return nil
}

// openRegular opens a file of the board and nothing else: what the sketch put in its
// place (a link, a pipe) is refused.
func openRegular(root *os.Root, name string, flags int) (*os.File, error) {
	f, err := root.OpenFile(name, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is not a file", name))
	}
	return f, nil
}

// openFlash opens the flash, at its right size. What the sketch did to the file is its own
// loss, not ours: bytes that it cut off are blank.
func openFlash(root *os.Root, size int64) (*os.File, error) {
	f, err := openRegular(root, flashFile, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() < size {
		_, err = f.WriteAt(bytes.Repeat([]byte{0xFF}, int(size-info.Size())), info.Size())
	} else if err == nil && info.Size() > size {
		err = f.Truncate(size)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func writeSegments(root *os.Root, flash int64, segments []Segment) error {
	f, err := openFlash(root, flash)
	if err != nil {
		return err
	}
	for _, s := range segments {
		data := slices.Clone(s.Data)
		for len(data)%SectorSize != 0 { // the sectors are erased first
			data = append(data, 0xFF)
		}
		if _, err := f.WriteAt(data, s.Offset); err != nil {
			f.Close()
			return err
		}
	}
	return f.Close()
}

func readFlash(root *os.Root, flash, offset, size int64) ([]byte, error) {
	if offset < 0 || size < 0 || offset > flash || size > flash-offset {
		return nil, fmt.Errorf("chip: %d bytes at 0x%x are not within the flash", size, offset)
	}
	f, err := openFlash(root, flash)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, size)
	_, err = f.ReadAt(data, offset)
	return data, err
}

// erase makes everything blank, whatever was there.
func erase(root *os.Root, flash int64) error {
	for _, name := range []string{flashFile, nvsFolder, fsFolder, rtcFile} {
		if err := root.RemoveAll(name); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(flashFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Repeat([]byte{0xFF}, int(flash)))
	return errors.Join(err, f.Close(), makeFolders(root))
}

func makeFolders(root *os.Root) error {
	for _, name := range []string{nvsFolder, fsFolder, netFolder} {
		if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// boot is the bootloader: it finds the slot to start and keeps otadata, as choose
// and bootloader_utility_load_boot_image do. No image that starts is an ErrImage.
func boot(root *os.Root) (slot int, executable []byte, err error) {
	f, err := openFlash(root, FlashSize)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrImage, err)
	}
	defer f.Close()
	var before [2]OTAEntry
	for i := range before {
		var raw [otaEntrySize]byte
		if _, err := f.ReadAt(raw[:], otaOffset(i)); err != nil {
			return 0, nil, err
		}
		before[i] = ParseOTAEntry(raw)
	}
	c := choose(before)
	for i := range before {
		if c.otadata[i] != before[i] {
			if err := writeOTAEntry(f, i, c.otadata[i]); err != nil {
				return 0, nil, err
			}
		}
	}
	for _, slot := range []int{c.slot, 1 - c.slot} {
		raw := make([]byte, SlotSize)
		if _, err := f.ReadAt(raw, SlotOffset[slot]); err != nil {
			return 0, nil, err
		}
		executable, _, wrong := ParseImage(raw)
		if wrong != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", slotNames[slot], wrong))
			continue
		}
		if c.initial {
			if err := writeOTAEntry(f, 0, NewOTAEntry(uint32(slot)+1, OTAValid)); err != nil {
				return 0, nil, err
			}
		}
		return slot, executable, nil
	}
	return 0, nil, err
}

func otaOffset(entry int) int64 { return OTADataOffset + int64(entry)*SectorSize }

// writeOTAEntry erases an entry's sector and writes it.
func writeOTAEntry(f *os.File, i int, e OTAEntry) error {
	sector := bytes.Repeat([]byte{0xFF}, SectorSize)
	raw := e.Bytes()
	copy(sector, raw[:])
	_, err := f.WriteAt(sector, otaOffset(i))
	return err
}
