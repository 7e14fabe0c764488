package chip

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// The form of an image is told in ../virtual/README.md.
const (
	imageMagic    = 0xE9
	imageHeader   = 24
	imageSegments = 1
	segmentHeader = 8
	imagePayload  = imageHeader + segmentHeader
	checksumSeed  = 0xEF
	imageAlign    = 16
)

// ErrImage is what is wrong with an image that does not start.
var ErrImage = errors.New("no image that starts")

// ParseImage finds the executable in the image at the start of raw, and the image's
// length. The executable is a part of raw. An image whose form, checksum or digest is
// wrong is an ErrImage.
func ParseImage(raw []byte) (executable []byte, size int, err error) {
	refuse := func(why string) ([]byte, int, error) { return nil, 0, fmt.Errorf("%w: %s", ErrImage, why) }
	if len(raw) < imagePayload || raw[0] != imageMagic {
		return refuse("it does not begin as one")
	}
	if raw[1] != imageSegments || raw[imageHeader-1] != 1 {
		return refuse("it must have one segment and a digest")
	}
	payload := int64(binary.LittleEndian.Uint32(raw[imageHeader+4:]))
	end := (imagePayload+payload)/imageAlign*imageAlign + imageAlign // the checksum's byte is the last of a block
	if end+sha256.Size > int64(len(raw)) {
		return refuse("it is longer than its slot")
	}
	executable = raw[imagePayload : imagePayload+payload]
	sum := byte(checksumSeed)
	for _, b := range executable {
		sum ^= b
	}
	if raw[end-1] != sum {
		return refuse("checksum")
	}
	if digest := sha256.Sum256(raw[:end]); !bytes.Equal(digest[:], raw[end:end+sha256.Size]) {
		return refuse("digest")
	}
	return executable, int(end) + sha256.Size, nil
}

// MakeImage wraps an executable, as ../virtual/tools/esp_image does.
func MakeImage(executable []byte) []byte {
	raw := make([]byte, imagePayload, imagePayload+len(executable)+imageAlign+sha256.Size)
	copy(raw, []byte{imageMagic, imageSegments, 0x02, 0x2F})
	raw[8] = 0xEE
	raw[imageHeader-1] = 1
	binary.LittleEndian.PutUint32(raw[imageHeader+4:], uint32(len(executable)))
	raw = append(raw, executable...)
	sum := byte(checksumSeed)
	for _, b := range executable {
		sum ^= b
	}
	for len(raw)%imageAlign != imageAlign-1 {
		raw = append(raw, 0)
	}
	raw = append(raw, sum)
	digest := sha256.Sum256(raw)
	return append(raw, digest[:]...)
}
