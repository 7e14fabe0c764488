package chip

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"testing"
)

var blank = OTAEntry{Seq: math.MaxUint32, State: OTAUndefined, CRC: math.MaxUint32, Label: NewOTAEntry(0, 0).Label}

func entry(seq uint32, state OTAState) OTAEntry { return NewOTAEntry(seq, state) }

func broken(seq uint32, state OTAState) OTAEntry {
	e := NewOTAEntry(seq, state)
	e.CRC ^= 1
	return e
}

// The bootloader's choice, entry by entry, is that of ESP-IDF with rollback enabled.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name    string
		before  [2]OTAEntry
		after   [2]OTAEntry
		slot    int
		initial bool
	}{
		{name: "from the factory", before: [2]OTAEntry{blank, blank}, after: [2]OTAEntry{blank, blank}, initial: true},
		{name: "all zeros", before: [2]OTAEntry{}, after: [2]OTAEntry{}, initial: false},
		{name: "boot_app0.bin", before: [2]OTAEntry{entry(1, OTAUndefined), blank}, after: [2]OTAEntry{entry(1, OTAUndefined), blank}},
		{
			name: "a new image", before: [2]OTAEntry{entry(1, OTAValid), entry(2, OTANew)},
			after: [2]OTAEntry{entry(1, OTAValid), entry(2, OTAPending)}, slot: 1,
		},
		{
			name: "it did not come back", before: [2]OTAEntry{entry(1, OTAValid), entry(2, OTAPending)},
			after: [2]OTAEntry{entry(1, OTAValid), entry(2, OTAAborted)},
		},
		{
			name: "it was confirmed", before: [2]OTAEntry{entry(1, OTAValid), entry(2, OTAValid)},
			after: [2]OTAEntry{entry(1, OTAValid), entry(2, OTAValid)}, slot: 1,
		},
		{
			name: "it gave up", before: [2]OTAEntry{entry(1, OTAUndefined), entry(2, OTAInvalid)},
			after: [2]OTAEntry{entry(1, OTAUndefined), entry(2, OTAInvalid)},
		},
		{
			name: "the third", before: [2]OTAEntry{entry(3, OTANew), entry(2, OTAValid)},
			after: [2]OTAEntry{entry(3, OTAPending), entry(2, OTAValid)},
		},
		{
			name: "power went while the new entry was written", before: [2]OTAEntry{entry(1, OTAValid), blank},
			after: [2]OTAEntry{entry(1, OTAValid), blank},
		},
		{
			name: "a broken entry does not count", before: [2]OTAEntry{entry(1, OTAValid), broken(2, OTANew)},
			after: [2]OTAEntry{entry(1, OTAValid), broken(2, OTANew)},
		},
		{
			name: "a broken pending entry is aborted like any", before: [2]OTAEntry{broken(1, OTAPending), entry(2, OTAValid)},
			after: [2]OTAEntry{broken(1, OTAAborted), entry(2, OTAValid)}, slot: 1,
		},
		{
			name: "both broken", before: [2]OTAEntry{broken(1, OTAValid), broken(2, OTAValid)},
			after: [2]OTAEntry{broken(1, OTAValid), broken(2, OTAValid)},
		},
		{
			name: "both given up", before: [2]OTAEntry{entry(1, OTAAborted), entry(2, OTAInvalid)},
			after: [2]OTAEntry{entry(1, OTAAborted), entry(2, OTAInvalid)},
		},
		{
			name: "two that are pending", before: [2]OTAEntry{entry(1, OTAPending), entry(2, OTAPending)},
			after: [2]OTAEntry{entry(1, OTAAborted), entry(2, OTAAborted)},
		},
		{
			name: "two that are new", before: [2]OTAEntry{entry(5, OTANew), entry(4, OTANew)},
			after: [2]OTAEntry{entry(5, OTAPending), entry(4, OTANew)},
		},
		{
			name: "the same number", before: [2]OTAEntry{entry(4, OTAValid), entry(4, OTAValid)},
			after: [2]OTAEntry{entry(4, OTAValid), entry(4, OTAValid)}, slot: 1,
		},
		{
			name: "the highest number", before: [2]OTAEntry{entry(math.MaxUint32-1, OTAValid), entry(2, OTAValid)},
			after: [2]OTAEntry{entry(math.MaxUint32-1, OTAValid), entry(2, OTAValid)}, slot: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := choose(c.before)
			if got.otadata != c.after || got.slot != c.slot || got.initial != c.initial {
				t.Errorf("%+v", got)
			}
		})
	}
}

// The entry that Arduino's boot_app0.bin has is the one that we write.
func TestOTAEntryForm(t *testing.T) {
	raw := NewOTAEntry(1, OTAUndefined).Bytes()
	if got := hex.EncodeToString(raw[:]); got != "01000000ffffffffffffffffffffffffffffffffffffffffffffffff9a984347" {
		t.Error(got)
	}
	if got := ParseOTAEntry(raw); got != NewOTAEntry(1, OTAUndefined) {
		t.Errorf("%+v", got)
	}
}

func TestParseImage(t *testing.T) {
	elf := bytes.Repeat([]byte("\x7fELF..."), 1000)
	for n := range 40 { // every padding
		raw := MakeImage(elf[:n])
		got, size, err := ParseImage(append(raw, 0xFF, 0xFF))
		if err != nil || size != len(raw) || !bytes.Equal(got, elf[:n]) || (size-32)%16 != 0 {
			t.Fatalf("%d: %d %v", n, size, err)
		}
	}
	raw := MakeImage(elf)
	for at := range raw {
		// Bytes 2 to 22 and the load address say nothing here, but the digest is over them.
		bad := bytes.Clone(raw)
		bad[at] ^= 0x10
		if _, _, err := ParseImage(bad); !errors.Is(err, ErrImage) {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
	for _, n := range []int{0, 1, 23, 31, 32, 100, len(raw) - 1} {
		if _, _, err := ParseImage(raw[:n]); !errors.Is(err, ErrImage) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}

// An image has one form, whoever makes it, and no bytes make the parser fall.
func FuzzParseImage(f *testing.F) {
	f.Add(MakeImage([]byte("\x7fELF")))
	f.Add(MakeImage(nil))
	f.Add([]byte{imageMagic})
	f.Fuzz(func(t *testing.T, raw []byte) {
		executable, size, err := ParseImage(raw)
		if err != nil {
			if !errors.Is(err, ErrImage) {
				t.Fatal(err)
			}
			return
		}
		if size > len(raw) || size < imagePayload+len(executable) {
			t.Fatal(size)
		}
	})
}

// Whatever lies in the two sectors, there is a choice; the next start makes the same one
// unless it was a trial, and a pending entry is never left to a second start.
func FuzzChoose(f *testing.F) {
	first, second := NewOTAEntry(1, OTAValid).Bytes(), NewOTAEntry(2, OTANew).Bytes()
	f.Add(append(first[:], second[:]...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var both [64]byte
		copy(both[:], raw)
		c := choose([2]OTAEntry{ParseOTAEntry([32]byte(both[:32])), ParseOTAEntry([32]byte(both[32:]))})
		if c.slot != 0 && c.slot != 1 {
			t.Fatal(c.slot)
		}
		trial := false
		for i, e := range c.otadata {
			raw := e.Bytes()
			if ParseOTAEntry(raw) != e {
				t.Fatal("an entry that does not come back")
			}
			if e.State == OTAPending {
				trial = true
				if i != active(c.otadata) {
					t.Fatal("pending, but not what starts")
				}
			}
		}
		next := choose(c.otadata)
		if !trial && (next.slot != c.slot || next.otadata != c.otadata) {
			t.Fatal("another choice")
		}
		for _, e := range next.otadata {
			if trial && e.State == OTAPending && next.slot == c.slot && e.Seq == c.otadata[active(c.otadata)].Seq {
				t.Fatal("two starts for a trial")
			}
		}
	})
}

// The first start writes down what it chose; a bad slot is passed over; none is an ErrImage.
func TestBoot(t *testing.T) {
	image := MakeImage([]byte("\x7fELF"))
	for _, c := range []struct {
		name     string
		segments []Segment
		slot     int
		entry    OTAEntry // the first, afterwards
		fails    bool
	}{
		{name: "first start", segments: []Segment{{SlotOffset[0], image}}, entry: NewOTAEntry(1, OTAValid)},
		{name: "only the second slot", segments: []Segment{{SlotOffset[1], image}}, slot: 1, entry: NewOTAEntry(2, OTAValid)},
		{name: "after the cable", segments: FirstFlash(image), entry: NewOTAEntry(1, OTAUndefined)},
		{name: "nothing", fails: true, entry: blank},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := Create(dir, Fuses{}, c.segments...); err != nil {
				t.Fatal(err)
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			slot, executable, err := boot(root)
			if c.fails != errors.Is(err, ErrImage) || !c.fails && (slot != c.slot || string(executable) != "\x7fELF") {
				t.Errorf("%d %q %v", slot, executable, err)
			}
			raw, err := readFlash(root, FlashSize, OTADataOffset, otaEntrySize)
			if err != nil || ParseOTAEntry([otaEntrySize]byte(raw)) != c.entry {
				t.Errorf("%x %v", raw, err)
			}
		})
	}
}
