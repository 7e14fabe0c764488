package deviceproto

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Signed is a statement as it travels: the exact bytes that were signed, the name
// of the key, and the signature, r then s. Its JSON form is that of the protocol.
type Signed struct {
	Payload []byte `json:"payload"`
	KID     string `json:"kid"`
	Sig     []byte `json:"sig"`
}

// Offer is the body of the answer 200 to a poll.
type Offer struct {
	Statement Signed `json:"statement"`
	Link      string `json:"link"`
}

// ParseOffer reads the body of an answer 200 to a poll.
func ParseOffer(body []byte) (Offer, error) {
	var o Offer
	if len(body) > MaxAnswer {
		return Offer{}, fmt.Errorf("an answer of %d bytes", len(body))
	}
	if err := json.Unmarshal(body, &o); err != nil {
		return Offer{}, err
	}
	if !strings.HasPrefix(o.Link, "/") || strings.HasPrefix(o.Link, "//") || len(o.Link) >= MaxPath {
		return Offer{}, errors.New("the link is not a path of the same server")
	}
	return o, nil
}

// KID names a public signing key.
func KID(pub *ecdsa.PublicKey) string {
	sum := sha256.Sum256(point(pub))
	return hex.EncodeToString(sum[:8])
}

// FormatPublicKey returns a public signing key as devices are given it: base64 of
// the uncompressed point.
func FormatPublicKey(pub *ecdsa.PublicKey) string {
	return base64.StdEncoding.EncodeToString(point(pub))
}

// ParsePublicKey reads what FormatPublicKey writes. A text that is not a point of
// P-256 is an error.
func ParsePublicKey(text string) (*ecdsa.PublicKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("the public key is not base64: %w", err)
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw)
	if err != nil {
		return nil, errors.New("the public key is not an uncompressed point of P-256")
	}
	return pub, nil
}

func point(pub *ecdsa.PublicKey) []byte {
	raw, err := pub.Bytes()
	if err != nil {
		panic(err) // a key that was made neither by crypto/ecdsa nor by ParsePublicKey
	}
	return raw
}

// Sign signs a payload. The same payload and key give the same signature.
func Sign(payload []byte, priv *ecdsa.PrivateKey) (Signed, error) {
	if priv.Curve != elliptic.P256() {
		return Signed{}, errors.New("a signing key must be on P-256")
	}
	digest := sha256.Sum256(payload)
	der, err := priv.Sign(nil, digest[:], crypto.SHA256) // without a source of randomness: RFC 6979
	if err != nil {
		return Signed{}, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return Signed{}, err
	}
	sig := make([]byte, 64)
	rs.R.FillBytes(sig[:32])
	rs.S.FillBytes(sig[32:])
	return Signed{Payload: payload, KID: KID(&priv.PublicKey), Sig: sig}, nil
}

// Verify reports whether the statement was signed by this key.
func (s Signed) Verify(pub *ecdsa.PublicKey) bool {
	if s.KID != KID(pub) || len(s.Sig) != 64 {
		return false
	}
	digest := sha256.Sum256(s.Payload)
	r, t := new(big.Int).SetBytes(s.Sig[:32]), new(big.Int).SetBytes(s.Sig[32:])
	return ecdsa.Verify(pub, digest[:], r, t)
}
