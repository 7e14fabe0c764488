package vectors

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"

	"github.com/flota/flota/pkg/deviceproto"
)

// Derive is a case of derive.json: a device key, or a public signing key.
type Derive struct {
	Case
	Key    string `json:"key,omitempty"`
	Public string `json:"public,omitempty"`
	// Private is the scalar of the signing key in hex, for those who want to sign:
	// it protects nothing.
	Private string `json:"private,omitempty"`
	Valid   bool   `json:"valid"`
	K       string `json:"k,omitempty"`
	KeyID   string `json:"key_id,omitempty"`
	KID     string `json:"kid,omitempty"`
}

// Key is the device key of all vectors.
const Key = "fk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// OtherKey is the key of another device.
const OtherKey = "fk_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA"

// SigningKey returns a signing key made from its name alone.
func SigningKey(name string) *ecdsa.PrivateKey {
	d := sha256.Sum256([]byte("flota vectors signing key " + name))
	priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d[:])
	if err != nil {
		panic(err)
	}
	return priv
}

func deriveCases() []Derive {
	const (
		k     = "SHA-256 of the ASCII text of key: 32 bytes, the key of every MAC below."
		keyID = "the first 16 bytes of SHA-256(\"flota-key-id\\n\" ‖ K), as 32 hex characters"
		form  = "the device key: fk_ and 43 characters of base64url (256 random bits); a secret"
		kid   = "the first 8 bytes of SHA-256 over its 65 bytes, as 16 hex characters."
		point = "one or two public signing keys: 65 bytes, uncompressed P-256 point, base64"
	)
	var all []Derive
	for _, c := range []struct{ name, proves, key string }{
		{"device key", k, Key},
		{"another device key", keyID, OtherKey},
	} {
		h := deviceproto.KeyHash(c.key)
		all = append(all, Derive{Case: Case{c.name, c.proves}, Key: c.key, Valid: true, K: hex.EncodeToString(h[:]), KeyID: deviceproto.KeyID(h)})
	}
	for name, key := range ordered(
		"without its prefix", Key[3:],
		"another prefix", "kf_"+Key[3:],
		"a character too few", Key[:len(Key)-1],
		"a character too many", Key+"A",
		"base64 instead of base64url", "fk_+"+Key[4:],
		"unused bits set", Key[:len(Key)-1]+"9",
		"line break", Key+"\n",
	) {
		all = append(all, Derive{Case: Case{"device key: " + name, form}, Key: key})
	}
	for _, name := range []string{"first", "second", "new"} {
		priv := SigningKey(name)
		d, err := priv.Bytes()
		if err != nil {
			panic(err)
		}
		all = append(all, Derive{
			Case: Case{"signing key: " + name, kid}, Valid: true, Private: hex.EncodeToString(d),
			Public: deviceproto.FormatPublicKey(&priv.PublicKey), KID: deviceproto.KID(&priv.PublicKey),
		})
	}
	good, err := SigningKey("first").PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	off := append([]byte{}, good...)
	off[64] ^= 1
	hybrid := append([]byte{}, good...)
	hybrid[0] = 6 | good[64]&1
	for name, raw := range ordered(
		"not on the curve", string(off),
		"compressed", string(elliptic.MarshalCompressed(elliptic.P256(), SigningKey("first").X, SigningKey("first").Y)),
		"hybrid form", string(hybrid),
		"the point at infinity", "\x00",
		"64 bytes", string(good[1:]),
		"66 bytes", string(good)+"\x00",
	) {
		all = append(all, Derive{Case: Case{"signing key: " + name, point}, Public: base64.StdEncoding.EncodeToString([]byte(raw))})
	}
	all = append(all,
		Derive{Case: Case{"signing key: base64url", point}, Public: base64.RawURLEncoding.EncodeToString(good)},
		Derive{Case: Case{"signing key: empty", point}, Public: ""})
	return all
}

// ordered runs through pairs of texts in their order.
func ordered(pairs ...string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for i := 0; i < len(pairs); i += 2 {
			if !yield(pairs[i], pairs[i+1]) {
				return
			}
		}
	}
}
