package deviceproto_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/pkg/fault"
)

const folder = "../../firmware/vectors"

func read[C any](t *testing.T, name string) []C {
	t.Helper()
	cases, err := vectors.Read[C](folder, name)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatalf("%s has no case", name)
	}
	return cases
}

func key(t *testing.T, text string) [32]byte {
	t.Helper()
	k, err := hex.DecodeString(text)
	if err != nil || len(k) != 32 {
		t.Fatalf("%q is no key", text)
	}
	return [32]byte(k)
}

func TestVectorsAreCurrent(t *testing.T) {
	for name, want := range vectors.Make() {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what go generate makes", name)
		}
	}
}

// Every case names a sentence that stands in the protocol, and its name is its own.
func TestVectorsProveSentences(t *testing.T) {
	text, err := os.ReadFile("../../firmware/README.md")
	if err != nil {
		t.Fatal(err)
	}
	plain := func(s string) string {
		return strings.Join(strings.Fields(strings.NewReplacer("`", "", "*", "").Replace(s)), " ")
	}
	protocol := plain(string(text))
	check := func(file string, cases []vectors.Case) {
		names := map[string]bool{}
		for _, c := range cases {
			if !strings.Contains(protocol, plain(c.Proves)) {
				t.Errorf("%s, %s: the protocol does not say %q", file, c.Name, c.Proves)
			}
			if names[c.Name] {
				t.Errorf("%s: two cases are called %q", file, c.Name)
			}
			names[c.Name] = true
		}
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		check(filepath.Base(file), read[vectors.Case](t, filepath.Base(file)))
	}
}

func TestDeriveVectors(t *testing.T) {
	for _, c := range read[vectors.Derive](t, "derive.json") {
		if strings.HasPrefix(c.Name, "signing key") {
			pub, err := deviceproto.ParsePublicKey(c.Public)
			if (err == nil) != c.Valid || err == nil && deviceproto.KID(pub) != c.KID {
				t.Errorf("%s: %v", c.Name, err)
			}
			continue
		}
		if deviceproto.ValidKey(c.Key) != c.Valid {
			t.Errorf("%s: valid = %v", c.Name, !c.Valid)
		}
		if !c.Valid {
			continue
		}
		k := deviceproto.KeyHash(c.Key)
		if hex.EncodeToString(k[:]) != c.K || deviceproto.KeyID(k) != c.KeyID {
			t.Errorf("%s: %x, %s", c.Name, k, deviceproto.KeyID(k))
		}
	}
}

func TestRequestVectors(t *testing.T) {
	for _, c := range read[vectors.Request](t, "request.json") {
		r, verdict := c.Request.Request(), "accepted"
		switch {
		case !deviceproto.ValidNonce(r.Nonce):
			verdict = "nonce"
		case !deviceproto.VerifyRequest(key(t, c.K), r, c.MAC):
			verdict = "mac"
		case !deviceproto.Fresh(r.Time, time.Unix(c.Now, 0)):
			verdict = "clock"
		}
		if verdict != c.Verdict {
			t.Errorf("%s: %s, not %s", c.Name, verdict, c.Verdict)
		}
		if c.Verdict == "accepted" && deviceproto.RequestMAC(key(t, c.K), r) != c.MAC {
			t.Errorf("%s: another MAC", c.Name)
		}
	}
}

func TestAnswerVectors(t *testing.T) {
	for _, c := range read[vectors.Answer](t, "answer.json") {
		if got := deviceproto.VerifyAnswer(key(t, c.K), c.Answer(), c.MAC); got != c.Checkin {
			t.Errorf("%s: check-in = %v", c.Name, got)
		}
		if c.Checkin && deviceproto.AnswerMAC(key(t, c.K), c.Answer()) != c.MAC {
			t.Errorf("%s: another MAC", c.Name)
		}
	}
}

func TestStatementVectors(t *testing.T) {
	reasons := map[deviceproto.Reason]int{}
	for _, c := range read[vectors.Statement](t, "statement.json") {
		t.Run(c.Name, func(t *testing.T) {
			if string(c.Statement.Payload) != c.Text {
				t.Error("the text is not the payload")
			}
			state, err := c.Device.State()
			if err != nil {
				t.Fatal(err)
			}
			s, keys, reason := deviceproto.Check(c.Statement, state)
			if reason != c.Reason {
				t.Fatalf("reason %q, not %q", reason, c.Reason)
			}
			reasons[reason]++
			if reason != "" {
				if s.Deployment != c.Decided || keys != nil {
					t.Errorf("decided %d, keys %v", s.Deployment, keys)
				}
				return
			}
			if s.Deployment != c.Accepted || s.SecurityVersion != c.SecurityVersion {
				t.Errorf("accepted %d, security version %d", s.Deployment, s.SecurityVersion)
			}
			after := c.Device.Keys
			if keys != nil {
				after = nil
				for _, k := range keys {
					after = append(after, deviceproto.FormatPublicKey(k))
				}
			}
			if !slices.Equal(after, c.Keys) {
				t.Errorf("keys %v", after)
			}
		})
	}
	for _, reason := range []deviceproto.Reason{"", "format", "target", "board", "replay", "downgrade", "too_large", "signature"} {
		if reasons[reason] == 0 {
			t.Errorf("no case for reason %q", reason)
		}
	}
}

// A statement that every rule of a device passes is one that the server would sign,
// and one that is refused for its form is not.
func TestServerSignsWhatDevicesAccept(t *testing.T) {
	for _, c := range read[vectors.Statement](t, "statement.json") {
		if c.Reason != "" && c.Reason != deviceproto.ReasonFormat {
			continue
		}
		s, err := deviceproto.ParsePayload(c.Statement.Payload)
		if c.Reason == "" && err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if c.Reason == "" {
			again, err := s.Payload()
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
			if back, err := deviceproto.ParsePayload(again); err != nil || back.Deployment != s.Deployment || !slices.Equal(back.Parts, s.Parts) {
				t.Errorf("%s: %v %+v", c.Name, err, back)
			}
		}
	}
}

func TestIndexVectors(t *testing.T) {
	for _, c := range read[vectors.Index](t, "index.json") {
		files, err := deviceproto.ParseIndex([]byte(c.Text), c.Parts)
		if !slices.Equal(files, c.Files) || (err == nil) != (c.Files != nil) {
			t.Errorf("%s: %v %v", c.Name, files, err)
		}
		if err != nil {
			continue
		}
		if again, err := deviceproto.Index(files); err != nil || string(again) != c.Text {
			t.Errorf("%s: %v %s", c.Name, err, again)
		}
	}
}

func TestReportVectors(t *testing.T) {
	status := map[fault.Code]int{"": 204, fault.Invalid: 400, fault.TooLarge: 413}
	for _, c := range read[vectors.Report](t, "report.json") {
		body, err := c.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		r, err := deviceproto.ParseReport(body)
		field := ""
		if f := fault.As(err); f != nil {
			field = f.Field
		}
		if status[fault.CodeOf(err)] != c.Status || field != c.Field {
			t.Errorf("%s: %v", c.Name, err)
		}
		if err != nil {
			continue
		}
		again, err := r.JSON()
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if back, err := deviceproto.ParseReport(again); err != nil || back != r {
			t.Errorf("%s: %v %+v", c.Name, err, back)
		}
	}
}
