package artifact_test

import (
	"crypto/md5"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/services/artifact"
)

// However the bytes come, the facts are the same.
func TestMeasure(t *testing.T) {
	image := vectors.Image("some content that is longer than a digest of 32 bytes")
	unhashed := append([]byte{}, image...)
	unhashed[23] = 0
	other := append([]byte{}, image...)
	other[0] = 0
	for name, test := range map[string]struct {
		content  []byte
		appended bool
	}{
		"image": {image, true}, "image without a digest": {unhashed, false}, "no image": {other, false},
		"empty": {nil, false}, "a header and 31 bytes": {image[:55], false}, "a header and 32 bytes": {image[:56], true},
	} {
		t.Run(name, func(t *testing.T) {
			sum := md5.Sum(test.content)
			want := artifact.Facts{SHA256: "d", Size: int64(len(test.content)), MD5: hex.EncodeToString(sum[:])}
			if test.appended {
				want.Appended = hex.EncodeToString(test.content[len(test.content)-32:])
			}
			for range 50 {
				m := artifact.NewMeasure()
				for rest := test.content; len(rest) > 0; {
					n := 1 + rand.IntN(len(rest))
					if _, err := m.Write(rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				if got := m.Facts("d"); got != want {
					t.Fatalf("got %+v, want %+v", got, want)
				}
			}
		})
	}
}
