package deviceapi_test

import (
	"bufio"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/deviceproto/vectors"
	"github.com/flota/flota/services/artifact"
)

func TestRequestVectors(t *testing.T) {
	methods := map[string]string{deviceproto.PathUpdate: "GET", deviceproto.PathReport: "POST"}
	sent := 0
	for _, c := range read[vectors.Request](t, "request.json") {
		if methods[c.Request.Path] != c.Request.Method || strings.Contains(c.Request.ETag, "\n") {
			continue // nothing that could be sent
		}
		sent++
		t.Run(c.Name, func(t *testing.T) {
			k := newKit(t)
			k.now = time.Unix(c.Now, 0)
			raw, err := hex.DecodeString(c.K)
			if err != nil {
				t.Fatal(err)
			}
			hash := [32]byte(raw)
			d, _ := artifact.NewDevice(vectors.DeviceID, vectors.Workspace, vectors.ProductID, hash)
			k.model.SetDevice(d)

			a := k.send(c.Request.Method, c.Request.Path, map[string]string{
				"Authorization":         deviceproto.Authorization(deviceproto.KeyID(hash), c.MAC),
				deviceproto.HeaderNonce: c.Request.Nonce, deviceproto.HeaderTime: c.Request.Time,
				deviceproto.HeaderRunning: c.Request.Running, "If-None-Match": c.Request.ETag,
			}, c.Request.Body)
			k.checkMAC(hash, c.Request.Nonce, a)
			want := map[string]int{"accepted": 204, "nonce": 400, "mac": 401, "clock": 401}[c.Verdict]
			if c.Verdict == "accepted" && c.Request.ETag != "" {
				want = 304
			}
			clock := ""
			if c.Verdict == "clock" {
				clock = strconv.FormatInt(c.Now, 10)
			}
			if a.status != want || a.header.Get(deviceproto.HeaderClock) != clock {
				t.Errorf("%d %v %s", a.status, a.header, a.body)
			}
		})
	}
	if sent < 25 {
		t.Errorf("only %d cases were sent", sent)
	}
}

func TestReportVectors(t *testing.T) {
	k := newKit(t)
	k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
	stored := 0
	for _, c := range read[vectors.Report](t, "report.json") {
		body, err := c.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		k.now = k.now.Add(10 * time.Second) // not too many a minute
		a := k.signed(vectors.Key, "POST", deviceproto.PathReport, nil, string(body))
		if a.status != c.Status || a.problem().field != c.Field {
			t.Errorf("%s: %d %s", c.Name, a.status, a.body)
		}
		if c.Status == 204 {
			stored++
		}
	}
	if got, _ := k.reports.all(); len(got) != stored || stored == 0 {
		t.Errorf("%d reports stored, not %d", len(got), stored)
	}
}

func TestLinkVectors(t *testing.T) {
	parts := vectors.Parts()
	for _, c := range read[vectors.Link](t, "link.json") {
		t.Run(c.Name, func(t *testing.T) {
			k := newKit(t) // its key for links is that of the vectors
			k.now = time.Unix(c.Now, 0)
			if c.Key != hex.EncodeToString([]byte(strings.Repeat("k", 32))) {
				t.Fatal("another key")
			}
			k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
			k.device("another", "bot_002", vectors.OtherKey)
			k.deploy(vectors.DeviceID, vectors.Deployment, parts[0], parts[1])

			header := map[string]string{"Range": c.Range}
			var a answer
			switch c.Credential {
			case "own":
				a = k.image(vectors.Key, c.Path, header)
			case "other":
				a = k.image(vectors.OtherKey, c.Path, header)
			default:
				a = k.send("GET", c.Path, header, "")
			}
			if a.status != c.Status || a.code() != c.Code {
				t.Fatalf("%d %s", a.status, a.body)
			}
			want := parts[0]
			if strings.HasSuffix(c.Path, "/1") {
				want = parts[1]
			}
			if c.Status == 206 {
				want = want[10:]
			}
			if c.Status < 300 && string(a.body) != string(want) {
				t.Errorf("got %q", a.body)
			}
		})
	}
}

// image fetches an image with a signed request.
func (k *kit) image(key, path string, header map[string]string) answer {
	hash := deviceproto.KeyHash(key)
	r := deviceproto.Request{Method: "GET", Path: path, Nonce: deviceproto.NewNonce(), Time: strconv.FormatInt(k.now.Unix(), 10)}
	header["Authorization"] = deviceproto.Authorization(deviceproto.KeyID(hash), deviceproto.RequestMAC(hash, r))
	header[deviceproto.HeaderNonce], header[deviceproto.HeaderTime] = r.Nonce, r.Time
	return k.send("GET", path, header, "")
}

// Stock clients' requests, byte for byte over TCP.
func TestHTTPUpdateVectors(t *testing.T) {
	for _, c := range read[vectors.HTTPUpdate](t, "httpupdate.json") {
		t.Run(c.Name, func(t *testing.T) {
			k := newKit(t)
			if c.Consent {
				k = newKit(t, consent)
			}
			k.device(vectors.DeviceID, vectors.ProductID, vectors.Key)
			k.device("another", "bot_002", vectors.OtherKey)
			image, err := base64.StdEncoding.DecodeString(c.Image)
			if err != nil {
				t.Fatal(err)
			}
			if len(image) > 0 {
				k.deploy(vectors.DeviceID, vectors.Deployment, image)
			}
			a := k.raw(c.Request)
			if a.status != c.Status {
				t.Fatalf("%d %s", a.status, a.body)
			}
			for name, want := range c.Headers {
				if got := a.header.Get(name); got != want {
					t.Errorf("%s is %q, not %q", name, got, want)
				}
			}
			if c.Status == 200 && string(a.body) != string(image) {
				t.Errorf("%d bytes", len(a.body))
			}
		})
	}
}

// raw writes bytes to the server and reads its answer as an HTTP/1.0 client does.
func (k *kit) raw(request string) answer {
	k.t.Helper()
	conn, err := net.Dial("tcp", k.server.Listener.Addr().String())
	if err != nil {
		k.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		k.t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, max(res.ContentLength, 0)))
	if err != nil {
		k.t.Fatal(err)
	}
	if res.ProtoMajor != 1 || len(res.TransferEncoding) > 0 || res.ContentLength < 0 && res.StatusCode != http.StatusNotModified {
		k.t.Errorf("%s, %v, Content-Length %d", res.Proto, res.TransferEncoding, res.ContentLength)
	}
	return answer{res.StatusCode, res.Header, body}
}
