package simulator

import (
	"crypto/ecdsa"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
)

const folder = "../vectors"

func read[C any](t *testing.T, name string) []C {
	t.Helper()
	cases, err := vectors.Read[C](folder, name)
	if err != nil || len(cases) == 0 {
		t.Fatalf("%s: %d cases, %v", name, len(cases), err)
	}
	return cases
}

// roundTripper is a server in one function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// device is one with the vectors' K, nonce and clock, at such a server.
func vectorDevice(t *testing.T, k, nonce string, now int64, f roundTripper) *Device {
	t.Helper()
	d, err := New(newServer(t).enrol("bot_001"), &Memory{}, Options{HTTP: &http.Client{Transport: f}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(k)
	if err != nil {
		t.Fatal(err)
	}
	d.k = [32]byte(raw)
	d.keyID = deviceproto.KeyID(d.k)
	d.nonce = func() string { return nonce }
	d.clock = time.Until(time.Unix(now, 0))
	return d
}

func TestDeriveVectors(t *testing.T) {
	for _, c := range read[vectors.Derive](t, "derive.json") {
		p := newServer(t).enrol("bot_001")
		if strings.HasPrefix(c.Name, "signing key") {
			p.Keys = []string{c.Public}
		} else {
			p.Key = c.Key
		}
		d, err := New(p, &Memory{}, Options{})
		if (err == nil) != c.Valid {
			t.Errorf("%s: %v", c.Name, err)
		}
		if err == nil && c.K != "" && (hex.EncodeToString(d.k[:]) != c.K || d.keyID != c.KeyID) {
			t.Errorf("%s: K %x, key ID %s", c.Name, d.k, d.keyID)
		}
	}
}

// What the device sends is what the vectors say, wherever it would send that.
func TestRequestVectors(t *testing.T) {
	sent := 0
	for _, c := range read[vectors.Request](t, "request.json") {
		r := c.Request.Request()
		if c.Verdict != "accepted" || r.Time != strconv.FormatInt(c.Now, 10) || r.Method != http.MethodGet && r.Method != http.MethodPost {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			var got *http.Request
			d := vectorDevice(t, c.K, r.Nonce, c.Now, func(r *http.Request) (*http.Response, error) { got = r; return nil, io.EOF })
			d.state.Slots[0].SHA256 = r.Running
			var body []byte
			if len(r.Body) > 0 {
				body = r.Body
			}
			_, _ = d.ask(t.Context(), r.Method, r.Path, r.ETag, body)
			_, mac, _ := deviceproto.ParseAuthorization(got.Header.Get("Authorization"))
			if mac != c.MAC || got.URL.RequestURI() != r.Path {
				t.Errorf("%s: %s for %s", c.Name, mac, got.URL.RequestURI())
			}
			sent++
		})
	}
	if sent < 3 {
		t.Errorf("only %d requests", sent)
	}
}

func TestAnswerVectors(t *testing.T) {
	checkins := 0
	for _, c := range read[vectors.Answer](t, "answer.json") {
		synctest.Test(t, func(t *testing.T) {
			// The device's nonce is the one of the good answers; where the answer is to
			// another request, the case says so.
			d := vectorDevice(t, c.K, c.Nonce, 1_800_000_000, func(*http.Request) (*http.Response, error) {
				h := http.Header{}
				h.Set(deviceproto.HeaderMAC, c.MAC)
				for name, value := range map[string]string{deviceproto.HeaderPoll: c.Poll, "ETag": c.ETag} {
					if value != "" {
						h.Set(name, value)
					}
				}
				return &http.Response{StatusCode: c.Status, Header: h, Body: io.NopCloser(strings.NewReader(c.Body)), ContentLength: int64(len(c.Body))}, nil
			})
			_, err := d.ask(t.Context(), http.MethodGet, deviceproto.PathUpdate, "", nil)
			if (err == nil) != c.Checkin {
				t.Errorf("%s: %v", c.Name, err)
			}
			if err == nil {
				checkins++
			}
		})
	}
	if checkins < 3 {
		t.Errorf("only %d check-ins", checkins)
	}
}

// Each statement is offered to a whole device, which decides, stores and reports
// as the vectors say. This device has no room for files and filesystems.
func TestStatementVectors(t *testing.T) {
	seen := map[deviceproto.Reason]int{}
	for _, c := range read[vectors.Statement](t, "statement.json") {
		if c.Device.Slot == 0 {
			continue // every simulated device has one
		}
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reason, decided, accepted, keys := c.Reason, c.Decided, c.Accepted, c.Keys
				s, err := deviceproto.ParsePayload(c.Statement.Payload)
				if app := err == nil && len(s.Parts) == 1 && s.Parts[0].Kind == deviceproto.KindApp; !app && reason == "" {
					reason, decided, accepted, keys = deviceproto.ReasonTooLarge, s.Deployment, c.Device.Accepted, c.Device.Keys
				}
				k := newKit(t, func(o *Options) { o.SlotSize = c.Device.Slot })
				delete(k.devices, k.device.keyID)
				k.p.Workspace, k.p.Device, k.p.Groups, k.p.Board, k.p.Keys = c.Device.Workspace, c.Device.Device, c.Device.Groups, c.Device.Board, c.Device.Keys
				k.devices[k.device.keyID] = k.p
				if err := k.storage.Save(State{Accepted: c.Device.Accepted, SecurityVersion: c.Device.SecurityVersion}); err != nil {
					t.Fatal(err)
				}
				k.boot()
				k.wantSigned(k.p, 1<<53, nil, c.Statement)
				k.before = func(w http.ResponseWriter, r *http.Request) bool { // no byte is ever served
					return strings.HasPrefix(r.URL.Path, deviceproto.PathImage) && always(404)(w, r)
				}
				k.step()
				state, err := k.storage.Load()
				if err != nil {
					t.Fatal(err)
				}
				stored := state.Keys
				if stored == nil {
					stored = k.p.Keys
				}
				if state.Accepted != accepted || state.Decided != decided || state.SecurityVersion != c.Device.SecurityVersion || !slices.Equal(stored, keys) {
					t.Errorf("%+v", state)
				}
				if (len(k.images) == 1) != (reason == "") {
					t.Errorf("asks %d times for the image", len(k.images))
				}
				last := k.reports[len(k.reports)-1]
				if want := (deviceproto.Report{State: deviceproto.Failed, Reason: reason, Deployment: decided}); reason != "" &&
					(last.State != want.State || last.Reason != want.Reason || last.Deployment != want.Deployment) {
					t.Errorf("%+v", last)
				}
				if reason == "" && last.State != deviceproto.Downloading {
					t.Errorf("%+v", last)
				}
				seen[reason]++
			})
		})
	}
	for _, reason := range []deviceproto.Reason{"", "format", "target", "board", "replay", "downgrade", "too_large", "signature"} {
		if seen[reason] == 0 {
			t.Errorf("no statement for reason %q", reason)
		}
	}
}

// An answer 200 that is no offer is refused; the device goes on at the usual time.
func TestOffersThatAreNone(t *testing.T) {
	for name, body := range map[string]string{
		"no JSON": "hello", "another host": `{"statement":{},"link":"//elsewhere/x"}`, "no link": `{"statement":{}}`, "an array": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKit(t)
				k.before = func(w http.ResponseWriter, r *http.Request) bool {
					if r.URL.Path != deviceproto.PathUpdate {
						return false
					}
					answerTo(w, r, k.p, 200, `"7"`, []byte(body))
					return true
				}
				if wait := k.step(); wait < time.Minute || wait > 66*time.Second {
					t.Errorf("waits %v", wait)
				}
				if k.said() != "failed:format" || k.reports[0].Deployment != 0 || k.device.state.Decided != 0 {
					t.Errorf("%+v", k.reports)
				}
			})
		})
	}
}

// A key that was replaced is trusted no more, over restarts, and the new one is.
func TestKeysAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		next := newSigningKey(t)
		k.want(k.p, 7, image(1, size), func(s *deviceproto.Statement) { s.Keys = []string{deviceproto.FormatPublicKey(&next.PublicKey)} })
		k.confirmed(7)
		k.boot()
		k.want(k.p, 8, image(2, size))
		k.signAnew(k.second)
		k.step()
		if k.said() != "downloading verified applied confirmed failed:signature" {
			t.Error(k.said())
		}
		k.signAnew(next)
		k.confirmed(8)
	})
}

func (k *kit) signAnew(key *ecdsa.PrivateKey) {
	wanted := k.offer[k.p.Device]
	wanted.signed = k.sign(key, wanted.signed.Payload)
	k.offer[k.p.Device] = wanted
}

// A lower security version is refused only after the higher one was confirmed.
func TestSecurityVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKit(t)
		version := func(n int64) func(*deviceproto.Statement) {
			return func(s *deviceproto.Statement) { s.SecurityVersion = n }
		}
		k.want(k.p, 7, image(1, size), version(3))
		k.step() // accepted, installed, not confirmed
		if k.device.state.SecurityVersion != 0 {
			t.Error("raised before the image was confirmed")
		}
		k.confirmed(7)
		k.want(k.p, 8, image(2, size), version(2))
		k.step()
		k.boot()
		if k.last() != deviceproto.Failed || k.reports[len(k.reports)-1].Reason != deviceproto.ReasonDowngrade || k.device.state.SecurityVersion != 3 {
			t.Errorf("%s, %+v", k.said(), k.device.state)
		}
	})
}
