package deviceproto_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

func TestNewKey(t *testing.T) {
	a, b := deviceproto.NewKey(), deviceproto.NewKey()
	if a == b || !deviceproto.ValidKey(a) || len(a) != 46 {
		t.Errorf("%q, %q", a, b)
	}
	if !deviceproto.ValidNonce(deviceproto.NewNonce()) {
		t.Error("a nonce of the wrong form")
	}
}

func TestAuthorization(t *testing.T) {
	id, mac := strings.Repeat("a", 32), strings.Repeat("b", 64)
	for value, want := range map[string]bool{
		deviceproto.Authorization(id, mac):         true,
		"Flota1 " + id + ":" + mac + " ":           false,
		"Flota1 " + id + mac:                       false,
		"flota1 " + id + ":" + mac:                 false,
		"Basic Zm9vOmJhcg==":                       false,
		"":                                         false,
		deviceproto.Authorization(id, mac[:63]):    false,
		deviceproto.Authorization(id[:31], mac):    false,
		deviceproto.Authorization(id+"c", mac[1:]): false,
	} {
		gotID, gotMAC, ok := deviceproto.ParseAuthorization(value)
		if ok != want || ok && (gotID != id || gotMAC != mac) {
			t.Errorf("%q: %q %q %v", value, gotID, gotMAC, ok)
		}
	}
}

// The largest statement that may be signed fits, with the longest link, into the
// largest answer that a device takes.
func TestLargestStatementFitsAnAnswer(t *testing.T) {
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := deviceproto.Statement{
		Format: 1, Workspace: "w", Target: deviceproto.Target{Device: "d"}, Board: "b", Deployment: 1,
		Parts: []deviceproto.Part{{Kind: deviceproto.KindApp, Size: 1, SHA256: strings.Repeat("0", 64)}},
	}
	payload, err := s.Payload()
	if err != nil {
		t.Fatal(err)
	}
	s.Version = strings.Repeat("x", deviceproto.MaxPayload-len(payload))
	if payload, err = s.Payload(); err != nil || len(payload) != deviceproto.MaxPayload {
		t.Fatalf("%d bytes, %v", len(payload), err)
	}
	signed, err := deviceproto.Sign(payload, priv)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(deviceproto.Offer{Statement: signed, Link: "/" + strings.Repeat("l", deviceproto.MaxPath-2)})
	if err != nil || len(body) > deviceproto.MaxAnswer {
		t.Fatalf("%d bytes, %v", len(body), err)
	}
	offer, err := deviceproto.ParseOffer(body)
	if err != nil || !offer.Statement.Verify(&priv.PublicKey) {
		t.Errorf("%v", err)
	}

	s.Version += "x"
	if _, err := s.Payload(); !fault.Is(err, fault.Invalid) {
		t.Errorf("one byte more: %v", err)
	}
}

func TestParseOfferRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON":      "<html>",
		"bad base64":   `{"statement":{"payload":"e30","kid":"","sig":""},"link":"/d/v1/image/x"}`,
		"no link":      `{"statement":{"payload":"e30=","kid":"","sig":""}}`,
		"other host":   `{"statement":{"payload":"e30=","kid":"","sig":""},"link":"http://evil/x"}`,
		"no path":      `{"statement":{"payload":"e30=","kid":"","sig":""},"link":"//evil/x"}`,
		"long link":    `{"statement":{"payload":"e30=","kid":"","sig":""},"link":"/` + strings.Repeat("l", 199) + `"}`,
		"large answer": `{"statement":{"payload":"e30=","kid":"","sig":""},"link":"/x"}` + strings.Repeat(" ", 4096),
	} {
		if _, err := deviceproto.ParseOffer([]byte(body)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Nothing that a device may say makes the parser panic or lets an invalid report
// through.
func FuzzParseReport(f *testing.F) {
	f.Add([]byte(`{"deployment":1,"state":"downloading","percent":40}`))
	f.Add([]byte(`{"deployment":null,"state":7}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := deviceproto.ParseReport(body)
		if err == nil && r.Validate() != nil {
			t.Errorf("%q", body)
		}
	})
}

// What is written out here is what the standard library computes, whatever the
// length of the message.
func TestMACIsHMAC(t *testing.T) {
	k := deviceproto.KeyHash("fk_x")
	for _, n := range []int{0, 1, 55, 64, 300, 449, 512, 513, 5000} {
		path := strings.Repeat("p", n)
		h := hmac.New(sha256.New, k[:])
		body := sha256.Sum256(nil)
		h.Write([]byte("flota1-request\n\n" + path + "\n\n\n\n\n" + hex.EncodeToString(body[:])))
		if got := deviceproto.RequestMAC(k, deviceproto.Request{Path: path}); got != hex.EncodeToString(h.Sum(nil)) {
			t.Errorf("%d bytes: %s", n, got)
		}
	}
}

// The whole of what a poll with nothing new costs in cryptography.
func BenchmarkVerifyAndAnswer(b *testing.B) {
	k := deviceproto.KeyHash("fk_x")
	r := deviceproto.Request{
		Method: "GET", Path: deviceproto.PathUpdate, Nonce: deviceproto.NewNonce(), Time: "1800000000",
		Running: strings.Repeat("0", 64), ETag: `"1800000000"`,
	}
	mac := deviceproto.RequestMAC(k, r)
	b.ReportAllocs()
	for b.Loop() {
		if !deviceproto.VerifyRequest(k, r, mac) {
			b.Fatal("refused")
		}
		deviceproto.AnswerMAC(k, deviceproto.Answer{Nonce: r.Nonce, Status: 304, Poll: "60", ETag: r.ETag})
	}
}
