package vectors

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/flota/flota/pkg/deviceproto"
)

// Report is a case of report.json. The body is text, or base64 where it is not UTF-8.
type Report struct {
	Case
	Body       string `json:"body,omitempty"`
	BodyBase64 string `json:"body_base64,omitempty"`
	// Status is 204, 400 or 413.
	Status int `json:"status"`
	// Field at fault of a 400.
	Field string `json:"field,omitempty"`
}

// Bytes returns the body.
func (r Report) Bytes() ([]byte, error) {
	if r.BodyBase64 != "" {
		return base64.StdEncoding.DecodeString(r.BodyBase64)
	}
	return []byte(r.Body), nil
}

func reportCases() []Report {
	const (
		states   = "state is one of downloading, verified, applied, confirmed, failed, rolled_back"
		required = "deployment and state are required, the others optional."
		percent  = "percent is 0 to 100."
		reason   = "or a word of the firmware's own, at most 64 characters, as are version, chip and agent; printable ones."
		rssi     = "rssi is in dBm, -200 to 100."
		rollback = "rollback says what this device can do: bootloader, agent-only or none."
		log      = "log: the last lines, at most 2048 characters."
		size     = "at most 4096 bytes"
		drop     = "400, with the field at fault in its body, or 413: the device drops it."
		stored   = "204 when the report is stored for good."
		digests  = "all digests SHA-256 in lower-case hex"
		integers = "its numbers are integers of at most 2^53, written without fraction or exponent"
	)
	var all []Report
	add := func(name, proves string, status int, field, body string) {
		r := Report{Case: Case{name, proves}, Status: status, Field: field}
		if utf8.ValidString(body) {
			r.Body = body
		} else {
			r.BodyBase64 = base64.StdEncoding.EncodeToString([]byte(body))
		}
		all = append(all, r)
	}
	// with is a report that has one field more, as JSON.
	with := func(name, value string) string {
		return fmt.Sprintf(`{"deployment":1795312800,"state":"failed","%s":%s}`, name, value)
	}
	text := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }

	add("everything", stored, 204, "", `{"deployment":1795312800,"state":"downloading","percent":40,"reason":"","running":"`+strings.Repeat("0123456789abcdef", 4)+
		`","version":"1.3.0","chip":"ESP32-C3","slot_size":1310720,"free_heap":181240,"rssi":-61,"rollback":"bootloader","agent":"FlotaOTA/1.0","log":"boot\nok"}`)
	for _, state := range []string{"downloading", "verified", "applied", "confirmed", "failed", "rolled_back"} {
		add("state "+state, states, 204, "", fmt.Sprintf(`{"deployment":1,"state":"%s"}`, state))
	}
	add("another state", states, 400, "state", `{"deployment":1,"state":"installed"}`)
	add("state in upper case", states, 400, "state", `{"deployment":1,"state":"FAILED"}`)
	add("state is a number", states, 400, "state", `{"deployment":1,"state":1}`)
	add("state missing", required, 400, "state", `{"deployment":1}`)
	add("deployment missing", required, 400, "deployment", `{"state":"failed"}`)
	add("deployment null", required, 400, "deployment", `{"deployment":null,"state":"failed"}`)
	add("a number that could not be read", "its report says 0", 204, "", `{"deployment":0,"state":"failed","reason":"signature"}`)
	add("deployment 2^53", integers, 204, "", `{"deployment":9007199254740992,"state":"failed"}`)
	add("deployment 2^53 + 1", integers, 400, "deployment", `{"deployment":9007199254740993,"state":"failed"}`)
	add("deployment negative", integers, 400, "deployment", `{"deployment":-1,"state":"failed"}`)
	add("deployment with a fraction", integers, 400, "deployment", `{"deployment":1.0,"state":"failed"}`)
	add("deployment as a text", integers, 400, "deployment", `{"deployment":"1","state":"failed"}`)
	add("a field that is not known", "a server likewise.", 204, "", with("colour", `{"name":"green"}`))

	add("percent 100", percent, 204, "", with("percent", "100"))
	add("percent 101", percent, 400, "percent", with("percent", "101"))
	add("percent negative", percent, 400, "percent", with("percent", "-1"))
	add("percent with a fraction", integers, 400, "percent", with("percent", "40.5"))
	add("a reason of the firmware's own", reason, 204, "", with("reason", `"battery low"`))
	for _, name := range []string{"reason", "version", "chip", "agent"} {
		add(name+" of 64 characters", reason, 204, "", with(name, text(64)))
		add(name+" of 65 characters", reason, 400, name, with(name, text(65)))
		add(name+" with a line break", reason, 400, name, with(name, `"a\nb"`))
	}
	add("reason of 64 characters in 128 bytes", reason, 204, "", with("reason", `"`+strings.Repeat("é", 64)+`"`))
	for _, r := range []deviceproto.Rollback{deviceproto.RollbackBootloader, deviceproto.RollbackAgentOnly, deviceproto.RollbackNone} {
		add("rollback "+string(r), rollback, 204, "", with("rollback", `"`+string(r)+`"`))
	}
	add("another rollback", rollback, 400, "rollback", with("rollback", `"yes"`))
	add("rssi -200", rssi, 204, "", with("rssi", "-200"))
	add("rssi -201", rssi, 400, "rssi", with("rssi", "-201"))
	add("rssi 101", rssi, 400, "rssi", with("rssi", "101"))
	add("slot_size negative", integers, 400, "slot_size", with("slot_size", "-1"))
	add("free_heap beyond 2^53", integers, 400, "free_heap", with("free_heap", "9007199254740993"))
	add("free_heap beyond 64 bits", integers, 400, "free_heap", with("free_heap", "99999999999999999999"))
	add("running in upper case", digests, 400, "running", with("running", `"`+strings.Repeat("AB", 32)+`"`))
	add("running too short", digests, 400, "running", with("running", text(63)))
	add("the longest log", log, 204, "", with("log", text(2048)))
	add("a log of a character more", log, 400, "log", with("log", text(2049)))
	add("a log that is not UTF-8", "JSON is UTF-8", 204, "", with("log", "\"\xff\xfe boot\""))
	add("the largest body", size, 204, "", with("log", text(16))+strings.Repeat(" ", 4096-len(with("log", text(16)))))
	add("a byte more", size, 413, "", with("log", text(16))+strings.Repeat(" ", 4097-len(with("log", text(16)))))
	add("no JSON", drop, 400, "body", "state=failed")
	add("empty body", drop, 400, "body", "")
	add("an array", drop, 400, "body", `[{"deployment":1,"state":"failed"}]`)
	add("null", drop, 400, "deployment", "null")
	add("JSON cut short", drop, 400, "body", `{"deployment":1,"state":"failed"`)
	return all
}
