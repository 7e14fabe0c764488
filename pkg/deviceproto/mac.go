package deviceproto

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Request is what a device's MAC covers. Texts are the values as sent, without
// white space around them, and empty where the header is missing.
type Request struct {
	Method  string
	Path    string // the request target: path and query
	Nonce   string // X-Flota-Nonce
	Time    string // X-Flota-Time
	Running string // X-Flota-Running
	ETag    string // If-None-Match
	Body    []byte
}

// Answer is what the server's MAC covers.
type Answer struct {
	Nonce  string // that of the request
	Status int
	Poll   string // X-Flota-Poll
	ETag   string // ETag
	Body   []byte
}

// RequestMAC returns the MAC with which a device signs a request, in hex.
func RequestMAC(k [32]byte, r Request) string {
	sum := requestMAC(k, r)
	return hex.EncodeToString(sum[:])
}

// VerifyRequest reports, in constant time, whether mac is the request's. Only
// lower-case hex is.
func VerifyRequest(k [32]byte, r Request, mac string) bool {
	want := requestMAC(k, r)
	return equalHex(want, mac)
}

// AnswerMAC returns the MAC that makes an answer a check-in, in hex.
func AnswerMAC(k [32]byte, a Answer) string {
	sum := answerMAC(k, a)
	return hex.EncodeToString(sum[:])
}

// VerifyAnswer reports, in constant time, whether the answer is a check-in: one of
// those that carry a MAC, and mac is its own.
func VerifyAnswer(k [32]byte, a Answer, mac string) bool {
	switch a.Status {
	case 200, 204, 304:
		want := answerMAC(k, a)
		return equalHex(want, mac)
	}
	return false
}

// Fresh reports whether a request's time, as sent, is within ClockWindow of now.
func Fresh(text string, now time.Time) bool {
	t, err := strconv.ParseUint(text, 10, 63)
	return err == nil && now.Sub(time.Unix(int64(t), 0)).Abs() < ClockWindow+time.Second
}

func requestMAC(k [32]byte, r Request) [sha256.Size]byte {
	var room [512]byte // enough for a poll: nothing is allocated
	m := append(room[:0], "flota1-request\n"...)
	for _, text := range [...]string{r.Method, r.Path, r.Nonce, r.Time, r.Running, r.ETag} {
		m = append(append(m, text...), '\n')
	}
	return mac(k, appendBodyHash(m, r.Body))
}

func answerMAC(k [32]byte, a Answer) [sha256.Size]byte {
	var room [512]byte
	m := append(room[:0], "flota1-answer\n"...)
	m = append(append(m, a.Nonce...), '\n')
	m = append(m, byte('0'+a.Status/100%10), byte('0'+a.Status/10%10), byte('0'+a.Status%10), '\n')
	m = append(append(m, a.Poll...), '\n')
	m = append(append(m, a.ETag...), '\n')
	return mac(k, appendBodyHash(m, a.Body))
}

// emptyHash is the SHA-256 of no body, which polls have.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func appendBodyHash(m, body []byte) []byte {
	if len(body) == 0 {
		return append(m, emptyHash...)
	}
	sum := sha256.Sum256(body)
	return hex.AppendEncode(m, sum[:])
}

// mac is HMAC-SHA256 (RFC 2104) for a key shorter than a block. It is written out
// because crypto/hmac allocates a dozen objects for each; a test compares the two.
func mac(k [32]byte, message []byte) [sha256.Size]byte {
	var room [sha256.BlockSize + 512]byte
	for i := range sha256.BlockSize {
		room[i] = 0x36
	}
	subtle.XORBytes(room[:], room[:], k[:])
	inner := sha256.Sum256(append(room[:sha256.BlockSize], message...))

	var outer [sha256.BlockSize + sha256.Size]byte
	for i := range sha256.BlockSize {
		outer[i] = 0x5c
	}
	subtle.XORBytes(outer[:], outer[:], k[:])
	copy(outer[sha256.BlockSize:], inner[:])
	return sha256.Sum256(outer[:])
}

func equalHex(want [sha256.Size]byte, got string) bool {
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], want[:])
	return hmac.Equal(text[:], []byte(got))
}

// NewNonce returns a nonce that was never used before: 128 random bits.
func NewNonce() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ValidNonce reports whether a text is 16 to 32 characters of [A-Za-z0-9_-].
func ValidNonce(nonce string) bool {
	if len(nonce) < 16 || len(nonce) > 32 {
		return false
	}
	for i := range len(nonce) {
		switch c := nonce[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

const scheme = "Flota1 "

// Authorization returns the value of the Authorization header of a request that
// is signed.
func Authorization(keyID, mac string) string { return scheme + keyID + ":" + mac }

// ParseAuthorization returns the two halves of a signed request's Authorization
// header, and false for any other scheme or form.
func ParseAuthorization(value string) (keyID, mac string, ok bool) {
	rest, ok := strings.CutPrefix(value, scheme)
	if !ok || len(rest) != 32+1+64 || rest[32] != ':' {
		return "", "", false
	}
	return rest[:32], rest[33:], true
}
