package artifact

import (
	"bytes"
	"crypto/md5" //nolint:gosec // HTTPUpdate compares MD5; nothing here trusts it
	"encoding/hex"
	"hash"
)

// Facts are what clients are told of a blob besides its bytes. Digests are
// lower-case hex.
type Facts struct {
	SHA256 string
	Size   int64
	MD5    string
	// Appended is the digest at the end of an ESP image, by which the chip knows
	// what runs; empty where there is none.
	Appended string
}

// An ESP image begins with a magic byte; byte 23 of its header is 1 where its last
// 32 bytes are a SHA-256 over all before them.
const (
	imageMagic   = 0xE9
	hashAppended = 23
	headerSize   = 24
	digestSize   = 32
)

// Measure is a writer that finds the facts of what passes through it.
type Measure struct {
	size int64
	md5  hash.Hash
	head []byte // the first headerSize bytes
	tail []byte // the last digestSize bytes
}

// NewMeasure returns a measure that has seen nothing.
func NewMeasure() *Measure { return &Measure{md5: md5.New()} } //nolint:gosec // see above

// Write never fails.
func (m *Measure) Write(p []byte) (int, error) {
	m.size += int64(len(p))
	m.md5.Write(p)
	m.head = append(m.head, p[:min(len(p), headerSize-len(m.head))]...)
	if len(p) >= digestSize {
		m.tail = append(m.tail[:0], p[len(p)-digestSize:]...)
	} else {
		m.tail = append(m.tail, p...)
		m.tail = append(m.tail[:0], m.tail[max(0, len(m.tail)-digestSize):]...)
	}
	return len(p), nil
}

// Facts returns what is known of a blob with this digest after all of it passed.
func (m *Measure) Facts(sha256 string) Facts {
	f := Facts{SHA256: sha256, Size: m.size, MD5: hex.EncodeToString(m.md5.Sum(nil))}
	if m.size >= headerSize+digestSize && m.head[0] == imageMagic && m.head[hashAppended] == 1 {
		f.Appended = hex.EncodeToString(bytes.Clone(m.tail))
	}
	return f
}
