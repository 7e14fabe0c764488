package deviceproto

import (
	"crypto/ecdsa"
	"encoding/json"
	"slices"
)

// Reason says why a device refused a statement, or why an update failed. It is
// empty where all is well.
type Reason string

// The reasons that the protocol names. A firmware may have its own besides.
const (
	ReasonFormat    Reason = "format"
	ReasonTarget    Reason = "target"
	ReasonBoard     Reason = "board"
	ReasonReplay    Reason = "replay"
	ReasonDowngrade Reason = "downgrade"
	ReasonTooLarge  Reason = "too_large"
	ReasonSignature Reason = "signature"
	ReasonDigest    Reason = "digest"
	ReasonStorage   Reason = "storage"
	ReasonNetwork   Reason = "network"
	ReasonVetoed    Reason = "vetoed"
	ReasonCrash     Reason = "crash"
	ReasonWatchdog  Reason = "watchdog"
	ReasonSelftest  Reason = "selftest"
	ReasonNoCheckin Reason = "no_checkin"
)

// DeviceState is what a device knows when it decides about a statement.
type DeviceState struct {
	Workspace string
	Device    string
	Groups    []string // that it was provisioned with
	Board     string
	// Keys are the one or two trusted signing keys.
	Keys []*ecdsa.PublicKey
	// Accepted is the highest deployment accepted so far, 0 for none.
	Accepted        int64
	SecurityVersion int64
	// Room in bytes: of the next slot, of the filesystem partition, for all files
	// together. 0 where the device has no such thing.
	Slot, Filesystem, Files int64
}

// NewKeys are the trusted keys after a statement was accepted; nil where they
// stay as they are. Store them before the statement's first byte is fetched.
type NewKeys []*ecdsa.PublicKey

// Check is a device's decision about a statement: all of the protocol's rules in
// the protocol's order. The reason is empty where the device accepts; it then
// stores the deployment as Accepted. Where it refuses, the deployment of the
// returned statement is to be remembered as decided; it is 0 where the signature
// or the form leaves no number to believe.
func Check(signed Signed, d DeviceState) (Statement, NewKeys, Reason) {
	i := slices.IndexFunc(d.Keys, signed.Verify)
	if i < 0 {
		return Statement{}, nil, ReasonSignature
	}
	signer := d.Keys[i]
	s, err := ParsePayload(signed.Payload)
	if err != nil {
		return Statement{Deployment: readableNumber(signed.Payload)}, nil, ReasonFormat
	}
	keys, ok := replaceOther(signer, s.Keys)
	switch {
	case !ok:
		return s, nil, ReasonFormat
	case s.Workspace != d.Workspace || !d.isTarget(s.Target):
		return s, nil, ReasonTarget
	case s.Board != d.Board:
		return s, nil, ReasonBoard
	case s.Deployment < d.Accepted:
		return s, nil, ReasonReplay
	case s.SecurityVersion < d.SecurityVersion:
		return s, nil, ReasonDowngrade
	case !d.hasRoom(s.Parts):
		return s, nil, ReasonTooLarge
	}
	return s, keys, ""
}

func (d DeviceState) isTarget(t Target) bool {
	return t.Device != "" && t.Device == d.Device || t.Group != "" && slices.Contains(d.Groups, t.Group)
}

func (d DeviceState) hasRoom(parts []Part) bool {
	var files int64
	for _, p := range parts {
		switch p.Kind {
		case KindApp:
			if p.Size > d.Slot {
				return false
			}
		case KindFilesystem:
			if p.Offset > d.Filesystem || p.Size > d.Filesystem-p.Offset {
				return false
			}
		case KindFile, KindIndex:
			if p.Size > d.Files-files {
				return false
			}
			files += p.Size
		}
	}
	return true
}

// replaceOther returns the signer and the statement's key; false for a statement
// that names its own signer's key as the new one.
func replaceOther(signer *ecdsa.PublicKey, keys []string) (NewKeys, bool) {
	if len(keys) == 0 {
		return nil, true
	}
	key, err := ParsePublicKey(keys[0])
	if err != nil || key.Equal(signer) {
		return nil, false
	}
	return NewKeys{signer, key}, true
}

// readableNumber is the deployment of a payload that is otherwise not understood.
func readableNumber(payload []byte) int64 {
	var s struct {
		Deployment int64 `json:"deployment"`
	}
	if json.Unmarshal(payload, &s) != nil || s.Deployment < 1 || s.Deployment > MaxNumber {
		return 0
	}
	return s.Deployment
}
