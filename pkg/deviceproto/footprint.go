package deviceproto

import (
	"math/bits"
	"path"
)

// block is the size of LittleFS's blocks on the boards that run MicroPython, in bytes.
const block = 4096

// Footprint is how many bytes of flash files take at most in a folder of a LittleFS
// (github.com/littlefs-project/littlefs, DESIGN.md) with blocks of 4096 bytes, as its
// statvfs counts them, by which a board measures. A file has blocks of its own, which
// begin with pointers to those before. A folder has pairs of blocks for names and the
// smallest files, each at least filled to perPair; statvfs counts its first pair twice.
func Footprint(files []Part) int64 {
	entries := map[string]int64{".": 0} // bytes that a folder's entries take
	blocks := int64(0)
	for _, f := range files {
		inline := f.Size
		if f.Size > maxInline {
			inline = 0
			blocks += fileBlocks(f.Size)
		}
		for name := path.Clean(f.Path); name != "."; inline = 0 {
			folder := path.Dir(name)
			_, known := entries[folder]
			entries[folder] += entry + int64(len(path.Base(name))) + inline
			if known {
				break
			}
			name = folder
		}
	}
	for _, bytes := range entries {
		blocks += 4 + 2*(bytes/perPair)
	}
	return blocks * block
}

const (
	entry     = 24   // bytes that a folder notes of a file besides its name
	maxInline = 512  // bytes of a file that lies among the names
	perPair   = 1280 // bytes of entries in a pair of blocks, after splits
)

// fileBlocks is how many blocks a file has: block n begins with a pointer for each
// time that 2 divides n, and one more.
func fileBlocks(size int64) (n int64) {
	for size > 0 {
		size -= block
		if n > 0 {
			size += 4 * int64(bits.TrailingZeros64(uint64(n))+1)
		}
		n++
	}
	return n
}
