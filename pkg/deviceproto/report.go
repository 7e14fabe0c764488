package deviceproto

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/flota/flota/pkg/fault"
)

// State is how far an update is on a device.
type State string

// The states that a device reports.
const (
	Downloading State = "downloading"
	Verified    State = "verified"
	Applied     State = "applied"
	Confirmed   State = "confirmed"
	Failed      State = "failed"
	RolledBack  State = "rolled_back"
)

// Rollback says what undoes a bad image on a device.
type Rollback string

// The ways of rolling back.
const (
	RollbackBootloader Rollback = "bootloader"
	RollbackAgentOnly  Rollback = "agent-only"
	RollbackNone       Rollback = "none"
)

// Report is the body of POST /d/v1/report: what a device says of itself. Only
// Deployment and State are required.
type Report struct {
	Deployment int64    `json:"deployment"` // 0 where it could not be read
	State      State    `json:"state"`
	Percent    int64    `json:"percent,omitempty"`
	Reason     Reason   `json:"reason,omitempty"`
	Running    string   `json:"running,omitempty"` // digest of the running app part
	Version    string   `json:"version,omitempty"`
	Chip       string   `json:"chip,omitempty"`
	SlotSize   int64    `json:"slot_size,omitempty"` // bytes
	FreeHeap   int64    `json:"free_heap,omitempty"` // bytes
	RSSI       int64    `json:"rssi,omitempty"`      // dBm
	Rollback   Rollback `json:"rollback,omitempty"`
	Agent      string   `json:"agent,omitempty"`
	Log        string   `json:"log,omitempty"`
}

// ParseReport reads and checks a report. The error is a fault that names the field
// at fault: Invalid, or TooLarge for a body beyond MaxReport.
func ParseReport(body []byte) (Report, error) {
	var r Report
	if len(body) > MaxReport {
		return r, fault.New(fault.TooLarge, "a report has at most %d bytes", MaxReport)
	}
	// A device's log may hold any bytes: what is not UTF-8 becomes U+FFFD.
	if err := json.Unmarshal(body, &r); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && wrong.Field != "" {
			return r, fault.Field(wrong.Field, "cannot be %s", wrong.Value)
		}
		return r, fault.Field("body", "is not a JSON object")
	}
	if err := required(body); err != nil {
		return r, err
	}
	return r, r.Validate()
}

// required finds the two fields by name, since 0 is a value that a device may send.
func required(body []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return fault.Field("body", "is not a JSON object")
	}
	for _, name := range []string{"deployment", "state"} {
		if value, ok := fields[name]; !ok || bytes.Equal(value, []byte("null")) {
			return fault.Field(name, "is missing")
		}
	}
	return nil
}

// Validate returns an Invalid fault for the first field at fault.
func (r Report) Validate() error {
	switch r.State {
	case Downloading, Verified, Applied, Confirmed, Failed, RolledBack:
	default:
		return fault.Field("state", "must be downloading, verified, applied, confirmed, failed or rolled_back")
	}
	switch r.Rollback {
	case "", RollbackBootloader, RollbackAgentOnly, RollbackNone:
	default:
		return fault.Field("rollback", "must be bootloader, agent-only or none")
	}
	for _, n := range []struct {
		field     string
		value     int64
		low, high int64
	}{
		{"deployment", r.Deployment, 0, MaxNumber}, {"percent", r.Percent, 0, 100},
		{"slot_size", r.SlotSize, 0, MaxNumber}, {"free_heap", r.FreeHeap, 0, MaxNumber}, {"rssi", r.RSSI, -200, 100},
	} {
		if n.value < n.low || n.value > n.high {
			return fault.Field(n.field, "must be from %d to %d", n.low, n.high)
		}
	}
	for _, t := range []struct{ field, value string }{
		{"reason", string(r.Reason)}, {"version", r.Version}, {"chip", r.Chip}, {"agent", r.Agent},
	} {
		if err := short(t.field, t.value); err != nil {
			return err
		}
	}
	if r.Running != "" && !ValidDigest(r.Running) {
		return fault.Field("running", "must be 64 lower-case hexadecimal digits")
	}
	if len([]rune(r.Log)) > 2048 {
		return fault.Field("log", "must have at most 2048 characters")
	}
	return nil
}

func short(field, text string) error {
	if len([]rune(text)) > 64 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fault.Field(field, "must have at most 64 printable characters")
	}
	return nil
}

// JSON returns the body to send.
func (r Report) JSON() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(r)
	if err == nil && len(body) > MaxReport {
		err = fmt.Errorf("a report of %d bytes, more than %d", len(body), MaxReport)
	}
	return body, err
}
