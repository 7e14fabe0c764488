package chip

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
)

// OTAState is how the bootloader sees a slot.
type OTAState uint32

// The states, of ESP-IDF's esp_ota_img_states_t.
const (
	OTANew       OTAState = 0
	OTAPending   OTAState = 1
	OTAValid     OTAState = 2
	OTAInvalid   OTAState = 3
	OTAAborted   OTAState = 4
	OTAUndefined OTAState = 0xFFFFFFFF
)

// OTAEntry is one of the two entries of otadata, ESP-IDF's esp_ota_select_entry_t.
type OTAEntry struct {
	Seq   uint32
	Label [20]byte
	State OTAState
	CRC   uint32 // of Seq
}

const otaEntrySize = 32

// NewOTAEntry makes an entry with the right checksum.
func NewOTAEntry(seq uint32, state OTAState) OTAEntry {
	e := OTAEntry{Seq: seq, State: state, CRC: otaCRC(seq)}
	copy(e.Label[:], bytes.Repeat([]byte{0xFF}, len(e.Label)))
	return e
}

// ParseOTAEntry reads an entry; anything of 32 bytes is one, if only a blank or a broken one.
func ParseOTAEntry(raw [otaEntrySize]byte) OTAEntry {
	e := OTAEntry{
		Seq:   binary.LittleEndian.Uint32(raw[:]),
		State: OTAState(binary.LittleEndian.Uint32(raw[24:])),
		CRC:   binary.LittleEndian.Uint32(raw[28:]),
	}
	copy(e.Label[:], raw[4:])
	return e
}

// Bytes is the entry as it lies in the flash.
func (e OTAEntry) Bytes() (raw [otaEntrySize]byte) {
	binary.LittleEndian.PutUint32(raw[:], e.Seq)
	copy(raw[4:], e.Label[:])
	binary.LittleEndian.PutUint32(raw[24:], uint32(e.State))
	binary.LittleEndian.PutUint32(raw[28:], e.CRC)
	return raw
}

// otaCRC is esp_rom_crc32_le(UINT32_MAX, seq).
func otaCRC(seq uint32) uint32 {
	return crc32.Update(math.MaxUint32, crc32.IEEETable, binary.LittleEndian.AppendUint32(nil, seq))
}

func (e OTAEntry) written() bool { return e.Seq != math.MaxUint32 && e.CRC == otaCRC(e.Seq) }

func (e OTAEntry) excluded() bool {
	return e.Seq == math.MaxUint32 || e.State == OTAInvalid || e.State == OTAAborted
}

// active is the index of the entry that counts, or -1.
func active(otadata [2]OTAEntry) int {
	first := otadata[0].written() && !otadata[0].excluded()
	second := otadata[1].written() && !otadata[1].excluded()
	switch {
	case first && (!second || otadata[0].Seq >= otadata[1].Seq):
		return 0
	case second:
		return 1
	}
	return -1
}

// choice is what a start does to otadata, and the slot that it tries first.
type choice struct {
	otadata [2]OTAEntry
	slot    int
	initial bool // otadata says nothing yet: the slot that starts is written into it
}

// choose is bootloader_utility_get_selected_boot_partition of ESP-IDF 5, with rollback
// enabled, two slots and no factory partition.
func choose(otadata [2]OTAEntry) choice {
	c := choice{otadata: otadata}
	for i := range c.otadata {
		if c.otadata[i].State == OTAPending {
			c.otadata[i].State = OTAAborted
		}
	}
	if c.otadata[0].excluded() && c.otadata[1].excluded() {
		c.initial = !c.otadata[0].written() && !c.otadata[1].written()
		return c
	}
	if i := active(c.otadata); i >= 0 {
		c.slot = int((c.otadata[i].Seq - 1) % 2)
		if c.otadata[i].State == OTANew {
			c.otadata[i].State = OTAPending
		}
	}
	return c
}
