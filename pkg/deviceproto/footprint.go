package deviceproto

import (
	"math/bits"
	"path"
)

// block is the size of LittleFS's blocks on the boards that run MicroPython, in bytes.
const block = 4096

// Footprint is how many bytes of flash files take at most in a folder of a LittleFS
// (github.com/littlefs-project/littlefs, DESIGN.md) with blocks of 4096 bytes: a file
// has blocks of its own, which begin with pointers to those before; a folder pairs of
// blocks for the names, which may be half full, and for the smallest files.
func Footprint(files []Part) int64 {
	names := map[string]int64{".": 0} // bytes that a folder's entries take
	blocks := int64(0)
	for _, f := range files {
		blocks += fileBlocks(f.Size)
		for name := path.Clean(f.Path); name != "."; {
			folder := path.Dir(name)
			_, known := names[folder]
			names[folder] += entry + int64(len(path.Base(name)))
			if known {
				break
			}
			name = folder
		}
	}
	for _, bytes := range names {
		blocks += 2 * (1 + bytes/(block/4))
	}
	return blocks * block
}

// entry is what a folder notes of a file besides its name, in bytes.
const entry = 24

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
