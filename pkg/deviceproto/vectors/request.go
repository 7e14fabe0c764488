package vectors

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
)

// Now is the server's clock in all vectors.
const Now = 1_800_000_000

// Request is a case of request.json.
type Request struct {
	Case
	Now     int64         `json:"now"` // the server's clock
	K       string        `json:"k"`
	Request RequestFields `json:"request"`
	MAC     string        `json:"mac"`
	// Verdict is accepted, nonce (answered 400), mac (401) or clock (401 with X-Flota-Clock).
	Verdict string `json:"verdict"`
}

// RequestFields are deviceproto.Request with names for other languages.
type RequestFields struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Nonce   string `json:"nonce"`
	Time    string `json:"time"`
	Running string `json:"running"`
	ETag    string `json:"etag"`
	Body    string `json:"body"`
}

// Request returns the fields as deviceproto takes them.
func (f RequestFields) Request() deviceproto.Request {
	return deviceproto.Request{
		Method: f.Method, Path: f.Path, Nonce: f.Nonce, Time: f.Time, Running: f.Running, ETag: f.ETag, Body: []byte(f.Body),
	}
}

func poll() RequestFields {
	return RequestFields{
		Method: "GET", Path: deviceproto.PathUpdate, Nonce: "n-0123456789abcdef_ABCDEF", Time: strconv.Itoa(Now),
		Running: strings.Repeat("0123456789abcdef", 4), ETag: `"1795312800"`,
	}
}

func requestCases() []Request {
	const (
		mac   = "HMAC-SHA256( K, \"flota1-request\\n\" METHOD \"\\n\" path \"\\n\" nonce \"\\n\" time \"\\n\" running \"\\n\" etag \"\\n\" hex(SHA-256(body)) )"
		empty = "as sent, without white space around them, empty where they are not; hex is lower-case."
		nonce = "A nonce of another form is answered 400"
		wrong = "a wrong MAC 401."
		clock = "The server refuses a time that is more than 300 s from its own"
		zero  = "A device without a clock sends time 0 and learns it so."
	)
	k := deviceproto.KeyHash(Key)
	other := deviceproto.KeyHash(OtherKey)

	make := func(name, proves, verdict string, change func(*RequestFields)) Request {
		f := poll()
		if change != nil {
			change(&f)
		}
		return Request{Case{name, proves}, Now, hex.EncodeToString(k[:]), f, deviceproto.RequestMAC(k, f.Request()), verdict}
	}
	report := func(f *RequestFields) {
		*f = RequestFields{Method: "POST", Path: deviceproto.PathReport, Nonce: f.Nonce, Time: f.Time, Body: `{"deployment":1795312800,"state":"applied"}`}
	}
	at := func(offset int64) func(*RequestFields) {
		return func(f *RequestFields) { f.Time = strconv.FormatInt(Now+offset, 10) }
	}
	withNonce := func(nonce string) func(*RequestFields) {
		return func(f *RequestFields) { f.Nonce = nonce }
	}
	all := []Request{
		make("poll", mac, "accepted", nil),
		make("first poll: nothing runs, nothing is decided", empty, "accepted", func(f *RequestFields) { f.Running, f.ETag = "", "" }),
		make("report", mac, "accepted", report),
		make("image with a query", "a query belongs to it", "accepted", func(f *RequestFields) { f.Path = "/d/v1/image/t0ken/1?x=%2F" }),
		make("shortest nonce", "16 to 32 characters of [A-Za-z0-9_-], never used before", "accepted", withNonce(strings.Repeat("a", 16))),
		make("longest nonce", "16 to 32 characters of [A-Za-z0-9_-], never used before", "accepted", withNonce(strings.Repeat("Z", 32))),
		make("clock 300 s behind", clock, "accepted", at(-300)),
		make("clock 300 s ahead", clock, "accepted", at(300)),
		make("clock 301 s behind", clock, "clock", at(-301)),
		make("clock 301 s ahead", clock, "clock", at(301)),
		make("no clock", zero, "clock", func(f *RequestFields) { f.Time = "0" }),
		make("time missing", zero, "clock", func(f *RequestFields) { f.Time = "" }),
		make("time is no number", clock, "clock", func(f *RequestFields) { f.Time = "now" }),
		make("time with a fraction", clock, "clock", func(f *RequestFields) { f.Time += ".0" }),
		make("time overflows", clock, "clock", func(f *RequestFields) { f.Time = "99999999999999999999" }),
		make("nonce too short", nonce, "nonce", withNonce(strings.Repeat("a", 15))),
		make("nonce too long", nonce, "nonce", withNonce(strings.Repeat("a", 33))),
		make("nonce missing", nonce, "nonce", withNonce("")),
		make("nonce with another character", nonce, "nonce", withNonce("0123456789abcde+")),
	}

	// The MAC of one request does not fit a request that differs in anything.
	right := make("", wrong, "mac", nil)
	tampered := func(name string, change func(*Request)) {
		c := right
		c.Name = name
		change(&c)
		all = append(all, c)
	}
	tampered("other method", func(c *Request) { c.Request.Method = "POST" })
	tampered("other path", func(c *Request) { c.Request.Path = deviceproto.PathReport })
	tampered("other nonce", func(c *Request) { c.Request.Nonce = "n-0123456789abcdef_ABCDEG" })
	tampered("other time", func(c *Request) { c.Request.Time = strconv.Itoa(Now + 1) })
	tampered("other running digest", func(c *Request) { c.Request.Running = strings.Repeat("f", 64) })
	tampered("running digest left out", func(c *Request) { c.Request.Running = "" })
	tampered("other etag", func(c *Request) { c.Request.ETag = `"1795312801"` })
	tampered("other body", func(c *Request) { c.Request.Body = "x" })
	tampered("wrong key", func(c *Request) { c.K = hex.EncodeToString(other[:]) })
	tampered("wrong key and no clock: the clock is told to a right MAC only", func(c *Request) {
		c.K, c.Request.Time = hex.EncodeToString(other[:]), "0"
		c.Proves = "only to a right MAC"
	})
	tampered("fields moved across a line", func(c *Request) {
		c.Request.Running, c.Request.ETag = "", c.Request.Running+"\n"+c.Request.ETag
	})
	tampered("upper-case hex", func(c *Request) {
		c.MAC, c.Proves = strings.ToUpper(c.MAC), empty
	})
	tampered("cut short", func(c *Request) { c.MAC = c.MAC[:62] })
	tampered("one bit changed", func(c *Request) { c.MAC = flipLast(c.MAC) })
	tampered("the answer's MAC", func(c *Request) {
		c.MAC = deviceproto.AnswerMAC(k, deviceproto.Answer{Nonce: c.Request.Nonce, Status: 200})
	})
	return all
}

// flipLast changes one bit of a MAC in hex.
func flipLast(mac string) string {
	last := mac[len(mac)-1]
	if last == '0' {
		return mac[:len(mac)-1] + "1"
	}
	return mac[:len(mac)-1] + "0"
}
