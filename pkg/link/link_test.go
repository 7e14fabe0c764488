package link_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/pkg/link"
)

var (
	key   = bytes.Repeat([]byte{7}, 32)
	start = time.Unix(1_800_000_000, 0)
	image = sha256.Sum256([]byte("image"))
)

func ringAt(t time.Time) *link.Ring { return link.NewRing(key, func() time.Time { return t }) }

func imageLink(life time.Duration) link.Link {
	return link.Link{Kind: link.Image, Subject: image[:], Audience: "device-1", Expires: start.Add(life)}
}

func TestSignAndVerify(t *testing.T) {
	for name, subject := range map[string][]byte{"digest": image[:], "short ID": []byte("b42"), "none": nil} {
		t.Run(name, func(t *testing.T) {
			want := imageLink(time.Hour)
			want.Subject = subject
			token := ringAt(start).Sign(want)
			if len(token) > 120 {
				t.Errorf("a token of %d characters", len(token))
			}
			got, err := ringAt(start).Verify(token, link.Image)
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != link.Image || !bytes.Equal(got.Subject, subject) || !got.Expires.Equal(want.Expires) {
				t.Errorf("got %+v", got)
			}
			if err := got.CheckAudience("device-1"); err != nil {
				t.Error(err)
			}
			if err := got.CheckAudience("device-2"); !fault.Is(err, fault.Forbidden) {
				t.Errorf("another audience: %v", err)
			}
		})
	}
}

func TestVerifyByTime(t *testing.T) {
	for name, test := range map[string]struct {
		life, later time.Duration
		want        fault.Code
	}{
		"at once":                    {time.Hour, 0, ""},
		"last second":                {time.Hour, time.Hour - time.Second, ""},
		"at expiry":                  {time.Hour, time.Hour, fault.Expired},
		"after expiry":               {time.Hour, 2 * time.Hour, fault.Expired},
		"next epoch":                 {link.Epoch, link.Epoch - time.Second, ""},
		"expiry is cut to an epoch":  {10 * link.Epoch, link.Epoch, fault.Expired},
		"long ago":                   {time.Hour, 5 * link.Epoch, fault.Expired},
		"expired when made":          {-time.Second, 0, fault.Expired},
		"no expiry":                  {-math.MaxInt64, 0, fault.Expired},
		"verifier's clock is behind": {time.Hour, -link.Epoch, ""},
	} {
		t.Run(name, func(t *testing.T) {
			token := ringAt(start).Sign(imageLink(test.life))
			_, err := ringAt(start.Add(test.later)).Verify(token, link.Image)
			if fault.CodeOf(err) != test.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

// One ring lives through many epochs and keeps accepting the last one's links.
func TestRotation(t *testing.T) {
	now := start
	ring := link.NewRing(key, func() time.Time { return now })
	var tokens []string
	for range 5 {
		l := imageLink(0)
		l.Expires = now.Add(link.Epoch)
		tokens = append(tokens, ring.Sign(l))
		now = now.Add(link.Epoch - time.Hour)
		if _, err := ring.Verify(tokens[len(tokens)-1], link.Image); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ring.Verify(tokens[0], link.Image); !fault.Is(err, fault.Expired) {
		t.Errorf("the oldest: %v", err)
	}
}

func TestVerifyRefusesOtherKindsAndKeys(t *testing.T) {
	token := ringAt(start).Sign(imageLink(time.Hour))
	for _, kind := range []link.Kind{0, link.Download, link.Upload, link.Source} {
		if _, err := ringAt(start).Verify(token, kind); !fault.Is(err, fault.Forbidden) {
			t.Errorf("as kind %d: %v", kind, err)
		}
	}
	foreign := link.NewRing(bytes.Repeat([]byte{8}, 32), func() time.Time { return start })
	if _, err := foreign.Verify(token, link.Image); !fault.Is(err, fault.Forbidden) {
		t.Errorf("by another service's key: %v", err)
	}
}

// Whatever byte or character is changed, added or lost, the link opens nothing.
func TestTampering(t *testing.T) {
	ring := ringAt(start)
	token := ring.Sign(imageLink(time.Hour))
	refused := func(what, changed string) {
		t.Helper()
		if _, err := ring.Verify(changed, link.Image); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: got %v", what, err)
		}
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			changed := bytes.Clone(raw)
			changed[i] ^= 1 << bit
			refused("a bit changed", base64.RawURLEncoding.EncodeToString(changed))
		}
		refused("cut short", base64.RawURLEncoding.EncodeToString(raw[:i]))
		refused("a byte lost", base64.RawURLEncoding.EncodeToString(append(bytes.Clone(raw[:i]), raw[i+1:]...)))
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=\n\x00"
	for i := range token {
		for _, c := range alphabet {
			if byte(c) != token[i] {
				refused("a character changed", token[:i]+string(c)+token[i+1:])
			}
			refused("a character added", token[:i]+string(c)+token[i:])
		}
	}
	refused("padding", token+"=")
	refused("line break", token+"\n")
	refused("empty", "")
	refused("huge", strings.Repeat("A", 1<<20))

	// A token whose length leaves unused bits has one spelling, too.
	short := imageLink(time.Hour)
	short.Subject = []byte("b4")
	odd := ring.Sign(short)
	for _, c := range alphabet {
		if changed := odd[:len(odd)-1] + string(c); changed != odd {
			refused("the last character respelt", changed)
		}
	}
}

func TestSignPanicsOnALongSubject(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	ringAt(start).Sign(link.Link{Subject: make([]byte, link.MaxSubject+1)})
}

// Only a token that Sign gives verifies: what opens, opens as its own spelling.
func FuzzVerify(f *testing.F) {
	ring := ringAt(start)
	f.Add(ring.Sign(imageLink(time.Hour)), byte(link.Image))
	f.Add(ring.Sign(link.Link{Kind: link.Upload, Audience: "device-1", Expires: start.Add(time.Minute)}), byte(link.Upload))
	f.Add("", byte(0))
	f.Add(strings.Repeat("A", 84), byte(1))
	f.Fuzz(func(t *testing.T, token string, kind byte) {
		l, err := ring.Verify(token, link.Kind(kind))
		if err != nil {
			if code := fault.CodeOf(err); code != fault.Forbidden && code != fault.Expired {
				t.Fatalf("code %s", code)
			}
			return
		}
		l.Audience = "device-1"
		if ring.Sign(l) != token {
			t.Fatalf("%q verifies but was never signed", token)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	ring := ringAt(start)
	token := ring.Sign(imageLink(time.Hour))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ring.Verify(token, link.Image); err != nil {
			b.Fatal(err)
		}
	}
}
