package blob

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/flota/flota/pkg/fault"
)

// verifier passes a stream on and hashes it. It gives out the last bytes only after
// the size and the digest of the whole have turned out right: whoever reads from it
// can never complete a wrong object.
type verifier struct {
	from   io.Reader
	hash   hash.Hash
	left   int64  // bytes still to come
	digest string // lower-case hex
	code   fault.Code
	err    error // what it ended with
}

// verify expects size bytes with this digest from r; otherwise reading fails with a
// fault of this code, whose field is size or sha256.
func verify(r io.Reader, size int64, digest string, code fault.Code) *verifier {
	return &verifier{from: r, hash: sha256.New(), left: size, digest: digest, code: code}
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil || len(p) == 0 {
		return 0, v.err
	}
	n, err := v.from.Read(p[:min(int64(len(p)), max(v.left, 1))])
	v.left -= int64(n)
	switch {
	case v.left < 0:
		return 0, v.end("size", "there are more bytes than announced")
	case err == io.EOF && v.left > 0:
		return 0, v.end("size", fmt.Sprintf("%d bytes are missing", v.left))
	case err != nil && err != io.EOF:
		v.err = err
		return 0, err
	}
	v.hash.Write(p[:n])
	if v.left > 0 {
		return n, nil
	}
	if err == nil && !ended(v.from) {
		return 0, v.end("size", "there are more bytes than announced")
	}
	if got := hex.EncodeToString(v.hash.Sum(nil)); got != v.digest {
		return 0, v.end("sha256", "the content has digest "+got)
	}
	v.err = io.EOF
	return n, io.EOF
}

func (v *verifier) end(field, message string) error {
	v.err = &fault.Error{Code: v.code, Field: field, Message: message}
	return v.err
}

// ended reads on until the stream ends or gives one more byte.
func ended(r io.Reader) bool {
	var one [1]byte
	for range 100 {
		switch n, err := r.Read(one[:]); {
		case n > 0:
			return false
		case err != nil:
			return err == io.EOF
		}
	}
	return false
}
