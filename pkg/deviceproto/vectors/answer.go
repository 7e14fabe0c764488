package vectors

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
)

// Answer is a case of answer.json. Nonce is that of the device's request.
type Answer struct {
	Case
	K       string `json:"k"`
	Nonce   string `json:"nonce"`
	Status  int    `json:"status"`
	Poll    string `json:"poll"`
	ETag    string `json:"etag"`
	Body    string `json:"body"`
	MAC     string `json:"mac"`
	Checkin bool   `json:"checkin"`
}

// Answer returns the case as deviceproto takes it.
func (a Answer) Answer() deviceproto.Answer {
	return deviceproto.Answer{Nonce: a.Nonce, Status: a.Status, Poll: a.Poll, ETag: a.ETag, Body: []byte(a.Body)}
}

func answerCases() []Answer {
	const (
		mac   = "HMAC-SHA256( K, \"flota1-answer\\n\" nonce \"\\n\" status \"\\n\" poll \"\\n\" etag \"\\n\" hex(SHA-256(body)) )"
		right = "An answer with a right MAC is a check-in"
		empty = "where poll and etag are the values of X-Flota-Poll and ETag as answered, empty where they are not."
		wrong = "A 200, 204 or 304 without it, or with a wrong one, MUST be treated as an outage by a device that sent a nonce."
		other = "Other answers carry no MAC and are never a check-in"
	)
	k := deviceproto.KeyHash(Key)
	make := func(name, proves string, status int, poll, etag, body string) Answer {
		a := Answer{Case{name, proves}, hex.EncodeToString(k[:]), "n-0123456789abcdef_ABCDEF", status, poll, etag, body, "", true}
		a.MAC = deviceproto.AnswerMAC(k, a.Answer())
		return a
	}
	none := make("nothing new", right, 304, "60", `"1795312800"`, "")
	offer := make("an offer", mac, 200, "60", `"1795312800"`, `{"statement":{"payload":"e30=","kid":"0123456789abcdef","sig":"AA=="},"link":"/d/v1/image/t0ken"}`)
	all := []Answer{
		none, offer,
		make("no deployment", empty, 204, "3600", "", ""),
		make("a report is stored", empty, 204, "", "", ""),
	}
	tampered := func(name, proves string, from Answer, change func(*Answer)) {
		from.Case, from.Checkin = Case{name, proves}, false
		change(&from)
		all = append(all, from)
	}
	tampered("the answer to another request", wrong, none, func(a *Answer) { a.Nonce = "n-0123456789abcdef_ABCDEG" })
	tampered("other status", wrong, none, func(a *Answer) { a.Status = 204 })
	tampered("other interval", wrong, none, func(a *Answer) { a.Poll = "600" })
	tampered("other deployment", wrong, none, func(a *Answer) { a.ETag = `"1795312801"` })
	tampered("deployment left out", wrong, none, func(a *Answer) { a.ETag = "" })
	tampered("other body", wrong, offer, func(a *Answer) { a.Body = strings.Replace(a.Body, "t0ken", "other", 1) })
	tampered("body cut short", wrong, offer, func(a *Answer) { a.Body = a.Body[:40] })
	tampered("another device's key", wrong, none, func(a *Answer) {
		o := deviceproto.KeyHash(OtherKey)
		a.MAC = deviceproto.AnswerMAC(o, a.Answer())
	})
	tampered("no MAC", wrong, none, func(a *Answer) { a.MAC = "" })
	tampered("upper-case hex", wrong, none, func(a *Answer) { a.MAC = strings.ToUpper(a.MAC) })
	tampered("one bit changed", wrong, none, func(a *Answer) { a.MAC = flipLast(a.MAC) })
	for _, status := range []int{400, 401, 403, 429, 500, 503} {
		tampered(fmt.Sprintf("a right MAC on a %d", status), other, none, func(a *Answer) {
			a.Status = status
			a.MAC = deviceproto.AnswerMAC(k, a.Answer())
		})
	}
	return all
}
