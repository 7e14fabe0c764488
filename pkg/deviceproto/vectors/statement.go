package vectors

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
)

// Statement is a case of statement.json.
type Statement struct {
	Case
	Device    Device             `json:"device"`
	Statement deviceproto.Signed `json:"statement"`
	// Text is the payload again, for people.
	Text string `json:"text"`
	// Reason is empty where the device accepts.
	Reason deviceproto.Reason `json:"reason"`
	// Decided is the deployment to be remembered as decided after a refusal; 0 = none.
	Decided int64 `json:"decided"`
	// Accepted, SecurityVersion and Keys are the device's afterwards, the latter
	// once the deployment is confirmed.
	Accepted        int64    `json:"accepted"`
	SecurityVersion int64    `json:"security_version"`
	Keys            []string `json:"keys"`
}

// Device is what a device knows when it decides.
type Device struct {
	Workspace       string   `json:"workspace"`
	Device          string   `json:"device"`
	Groups          []string `json:"groups"`
	Board           string   `json:"board"`
	Keys            []string `json:"keys"`
	Accepted        int64    `json:"accepted"`
	SecurityVersion int64    `json:"security_version"`
	Slot            int64    `json:"slot"`
	Filesystem      int64    `json:"filesystem"`
	Files           int64    `json:"files"`
}

// State returns the device as deviceproto takes it.
func (d Device) State() (deviceproto.DeviceState, error) {
	s := deviceproto.DeviceState{
		Workspace: d.Workspace, Device: d.Device, Groups: d.Groups, Board: d.Board, Accepted: d.Accepted,
		SecurityVersion: d.SecurityVersion, Slot: d.Slot, Filesystem: d.Filesystem, Files: d.Files,
	}
	for _, text := range d.Keys {
		key, err := deviceproto.ParsePublicKey(text)
		if err != nil {
			return s, err
		}
		s.Keys = append(s.Keys, key)
	}
	return s, nil
}

// The names of all vectors.
const (
	Workspace  = "d2k1v0h5q8s0c7a1b2c3"
	DeviceID   = "d2k1v1p5q8s0c7a1b2d0"
	ProductID  = "bot_001"
	Board      = "flota:virtual:esp32"
	Deployment = 1_795_312_800
)

func public(name string) string { return deviceproto.FormatPublicKey(&SigningKey(name).PublicKey) }

func device() Device {
	return Device{
		Workspace: Workspace, Device: DeviceID, Groups: []string{"greenhouse"}, Board: Board,
		Keys: []string{public("first"), public("second")}, Accepted: Deployment - 100, SecurityVersion: 3,
		Slot: 1_310_720, Filesystem: 1_048_576, Files: 65_536,
	}
}

// fields of a payload, in an order that is the same every time: a map is sorted.
type fields map[string]any

func app(size any) fields {
	return fields{"kind": "app", "path": "", "offset": 0, "size": size, "sha256": strings.Repeat("0123456789abcdef", 4)}
}

func file(path string, size any) fields {
	return fields{"kind": "file", "path": path, "size": size, "sha256": strings.Repeat("fedcba9876543210", 4)}
}

func filesystem(offset, size any) fields {
	return fields{"kind": "filesystem", "offset": offset, "size": size, "sha256": strings.Repeat("00ff", 16)}
}

func payload(change func(fields)) []byte {
	f := fields{
		"format": 1, "workspace": Workspace, "target": fields{"device": DeviceID}, "board": Board,
		"release": "d2k1v2t5q8s0c7a1b2e0", "version": "1.4.0", "deployment": Deployment, "security_version": 3,
		"parts": []any{app(524_288)},
	}
	if change != nil {
		change(f)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(f); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

type statements struct{ all []Statement }

// add signs a payload with the first key and adds what a device makes of it.
// Decided of a refusal is the payload's number unless told otherwise.
func (s *statements) add(name, proves string, reason deviceproto.Reason, payload []byte, changes ...func(*Statement)) {
	signed, err := deviceproto.Sign(payload, SigningKey("first"))
	if err != nil {
		panic(err)
	}
	c := Statement{Case: Case{name, proves}, Device: device(), Statement: signed, Text: string(payload), Reason: reason}
	if reason == "" {
		c.Accepted, c.SecurityVersion = Deployment, 3
	} else {
		c.Decided = Deployment
	}
	for _, change := range changes {
		change(&c)
	}
	if reason != "" {
		c.Accepted, c.SecurityVersion = c.Device.Accepted, c.Device.SecurityVersion
	}
	if c.Keys == nil {
		c.Keys = c.Device.Keys
	}
	s.all = append(s.all, c)
}

func statementCases() []Statement {
	var s statements
	s.signatures()
	s.form()
	s.names()
	s.numbers()
	s.parts()
	s.index()
	s.keys()
	s.order()
	return s.all
}

// withKey signs again with another key.
func withKey(name string) func(*Statement) {
	return func(c *Statement) { c.Statement = mustSign(c.Statement.Payload, SigningKey(name)) }
}

func mustSign(payload []byte, priv *ecdsa.PrivateKey) deviceproto.Signed {
	signed, err := deviceproto.Sign(payload, priv)
	if err != nil {
		panic(err)
	}
	return signed
}

func decided(n int64) func(*Statement)         { return func(c *Statement) { c.Decided = n } }
func on(change func(*Device)) func(*Statement) { return func(c *Statement) { change(&c.Device) } }

func (s *statements) signatures() {
	const (
		accept = "A device accepts a statement that breaks no rule"
		exact  = "payload is base64 (standard, padded) of the exact bytes that were signed"
		sig    = "ECDSA P-256 over SHA-256 of those bytes: r then s, 32 bytes each, big-endian."
		kid    = "kid names the trusted key that it is checked with; no other is tried."
		refuse = "MUST fit a trusted key. Else refuse, reason signature."
	)
	good := payload(nil)
	s.add("signed by the first key", accept, "", good)
	s.add("signed by the second key", accept, "", good, withKey("second"))
	s.add("a device with one key", accept, "", good, on(func(d *Device) { d.Keys = d.Keys[:1] }))
	s.add("white space and order are the signer's own", exact, "", []byte("{ \"deployment\": 1795312800,\n"+string(bytes.Replace(good[1:], []byte(`"deployment":1795312800,`), nil, 1))))
	s.add("high s", sig, "", good, func(c *Statement) {
		n := SigningKey("first").Params().N
		other := new(big.Int).Sub(n, new(big.Int).SetBytes(c.Statement.Sig[32:]))
		c.Statement.Sig = append(slices.Clone(c.Statement.Sig[:32]), other.FillBytes(make([]byte, 32))...)
	})

	bad := func(name, proves string, change func(*deviceproto.Signed)) {
		s.add(name, proves, deviceproto.ReasonSignature, good, decided(0), func(c *Statement) {
			c.Statement.Payload, c.Statement.Sig = slices.Clone(c.Statement.Payload), slices.Clone(c.Statement.Sig)
			change(&c.Statement)
			c.Text = string(c.Statement.Payload)
		})
	}
	bad("a key that is not trusted", refuse, func(g *deviceproto.Signed) { *g = mustSign(g.Payload, SigningKey("stranger")) })
	bad("a stranger's signature under a trusted name", kid, func(g *deviceproto.Signed) {
		g.Sig = mustSign(g.Payload, SigningKey("stranger")).Sig
	})
	bad("the other trusted key's name", kid, func(g *deviceproto.Signed) { g.KID = mustSign(g.Payload, SigningKey("second")).KID })
	bad("no name", kid, func(g *deviceproto.Signed) { g.KID = "" })
	bad("name in upper case", kid, func(g *deviceproto.Signed) { g.KID = strings.ToUpper(g.KID) })
	bad("payload changed", refuse, func(g *deviceproto.Signed) {
		g.Payload = bytes.Replace(g.Payload, []byte("1795312800"), []byte("1795312801"), 1)
	})
	bad("payload with a space more", exact, func(g *deviceproto.Signed) { g.Payload = append(g.Payload, ' ') })
	bad("payload empty", refuse, func(g *deviceproto.Signed) { g.Payload = []byte{} })
	bad("one bit changed", refuse, func(g *deviceproto.Signed) { g.Sig[63] ^= 1 })
	bad("63 bytes", sig, func(g *deviceproto.Signed) { g.Sig = g.Sig[:63] })
	bad("65 bytes", sig, func(g *deviceproto.Signed) { g.Sig = append(g.Sig, 0) })
	bad("empty", sig, func(g *deviceproto.Signed) { g.Sig = []byte{} })
	bad("zeros", sig, func(g *deviceproto.Signed) { clear(g.Sig) })
	bad("r is the group's order", sig, func(g *deviceproto.Signed) { SigningKey("first").Params().N.FillBytes(g.Sig[:32]) })
	bad("s then r", sig, func(g *deviceproto.Signed) { g.Sig = append(slices.Clone(g.Sig[32:]), g.Sig[:32]...) })
	bad("little-endian", sig, func(g *deviceproto.Signed) { slices.Reverse(g.Sig[:32]); slices.Reverse(g.Sig[32:]) })
}

func (s *statements) form() {
	const (
		form    = "the payload MUST be JSON in which every field keeps to this table's form. Else refuse, format."
		format  = "1. Any other: refuse, format."
		numbers = "its numbers are integers of at most 2^53, written without fraction or exponent"
		unread  = "Where the signature is wrong or the number cannot be read, decided stays as it is"
		size    = "the exact bytes that were signed, at most 2800."
	)
	good := string(payload(nil))
	refuse := func(name, proves, text string, number int64) {
		s.add(name, proves, deviceproto.ReasonFormat, []byte(text), decided(number))
	}
	s.add("a field that is not known", "A device MUST ignore JSON fields and headers that it does not know", "", payload(func(f fields) {
		f["colour"] = fields{"name": "green"}
	}))
	s.add("the longest payload", size, "", payload(func(f fields) { f["version"] = strings.Repeat("x", deviceproto.MaxPayload-len(good)+len("1.4.0")) }))
	refuse("a byte too long", size, string(payload(func(f fields) { f["version"] = strings.Repeat("x", deviceproto.MaxPayload-len(good)+len("1.4.0")+1) })), Deployment)
	refuse("no JSON", unread, "deployment=1795312800", 0)
	refuse("JSON cut short", unread, good[:len(good)-1], 0)
	refuse("something after the JSON", unread, good+"{}", 0)
	refuse("an array", unread, "["+good+"]", 0)
	for _, c := range []struct {
		name  string
		value any
	}{{"2", 2}, {"0", 0}, {"a text", "1"}, {"missing", nil}} {
		refuse("format "+c.name, format, string(payload(set("format", c.value))), Deployment)
	}
	for _, c := range []struct {
		name  string
		value any
	}{
		{"0", 0}, {"negative", -1}, {"2^53 + 1", int64(1)<<53 + 1}, {"missing", nil}, {"a text", "1795312800"},
		{"a fraction", json.RawMessage("1795312800.0")}, {"an exponent", json.RawMessage("1e9")}, {"beyond 64 bits", json.RawMessage("99999999999999999999")},
	} {
		refuse("deployment "+c.name, numbers, string(payload(set("deployment", c.value))), 0)
	}
	for _, name := range []string{"workspace", "target", "board", "parts"} {
		refuse(name+" missing", form, string(payload(set(name, nil))), Deployment)
	}
	for _, name := range []string{"workspace", "board"} {
		refuse(name+" is a number", form, string(payload(set(name, 7))), Deployment)
	}
	refuse("security_version negative", form, string(payload(set("security_version", -1))), Deployment)
	refuse("security_version beyond 2^53", numbers, string(payload(set("security_version", int64(1)<<53+1))), Deployment)
}

// set changes one field, or leaves it out for nil.
func set(name string, value any) func(fields) {
	return func(f fields) {
		if value == nil {
			delete(f, name)
			return
		}
		f[name] = value
	}
}

func (s *statements) names() {
	const (
		target = "MUST name this device: {\"device\":ID}, or {\"group\":NAME} for a group that it was given; exactly one of the two."
		board  = "MUST be the device's board. Else refuse, board."
	)
	s.add("a group that the device is in", target, "", payload(set("target", fields{"group": "greenhouse"})))
	s.add("another workspace", target, deviceproto.ReasonTarget, payload(set("workspace", "d2k1v0h5q8s0c7a1b2c4")))
	s.add("another device", target, deviceproto.ReasonTarget, payload(set("target", fields{"device": "d2k1v1p5q8s0c7a1b2d1"})))
	s.add("another group", target, deviceproto.ReasonTarget, payload(set("target", fields{"group": "roof"})))
	s.add("the device's ID as a group", target, deviceproto.ReasonTarget, payload(set("target", fields{"group": DeviceID})))
	s.add("a device in no group", target, deviceproto.ReasonTarget, payload(set("target", fields{"group": "greenhouse"})), on(func(d *Device) { d.Groups = []string{} }))
	s.add("nobody", target, deviceproto.ReasonFormat, payload(set("target", fields{})))
	s.add("device and group", target, deviceproto.ReasonFormat, payload(set("target", fields{"device": DeviceID, "group": "greenhouse"})))
	s.add("another board", board, deviceproto.ReasonBoard, payload(set("board", "esp32:esp32:esp32c3")))
	s.add("the board with options", board, deviceproto.ReasonBoard, payload(set("board", Board+":PSRAM=on")))
	s.add("the board in upper case", board, deviceproto.ReasonBoard, payload(set("board", strings.ToUpper(Board))))
}

func (s *statements) numbers() {
	const (
		replay    = "MUST NOT be lower than accepted; equal is another try. Else refuse, replay."
		downgrade = "MUST NOT be lower than the device's. Else refuse, downgrade."
		highest   = "1 … 2^53."
	)
	accepted := func(n int64) func(*Statement) { return on(func(d *Device) { d.Accepted = n }) }
	s.add("a new device", replay, "", payload(nil), accepted(0))
	s.add("one more than accepted", replay, "", payload(nil), accepted(Deployment-1))
	s.add("another try", replay, "", payload(nil), accepted(Deployment))
	s.add("one less than accepted", replay, deviceproto.ReasonReplay, payload(nil), accepted(Deployment+1))
	s.add("the first deployment again", replay, deviceproto.ReasonReplay, payload(set("deployment", 1)), decided(1))
	s.add("the highest number", highest, "", payload(set("deployment", int64(1)<<53)), func(c *Statement) { c.Accepted = 1 << 53 })
	s.add("a higher security version", downgrade, "", payload(set("security_version", 4)), func(c *Statement) { c.SecurityVersion = 4 })
	s.add("a lower security version", downgrade, deviceproto.ReasonDowngrade, payload(set("security_version", 2)))
	s.add("security version missing", "a missing field is empty or 0", deviceproto.ReasonDowngrade, payload(set("security_version", nil)))
	s.add("security version missing on a device without one", "a missing field is empty or 0", "", payload(set("security_version", nil)),
		on(func(d *Device) { d.SecurityVersion = 0 }), func(c *Statement) { c.SecurityVersion = 0 })
}

func (s *statements) parts() {
	const (
		count = "1 to 16, each with kind, size and sha256."
		first = "the image for the next slot; only the first part can be it."
		path  = "path relative, of at most 128 bytes, no empty segment, . or .., no backslash or control character, no path twice."
		empty = "Only an empty file has size 0."
		large = "What is larger than the slot, the filesystem or the room for all files, to which an index belongs: refuse, too_large;"
		form  = "every field keeps to this table's form"
	)
	parts := func(all ...any) []byte { return payload(set("parts", all)) }
	small := func(n int) []any {
		all := []any{}
		for i := range n {
			all = append(all, fields{"kind": "file", "path": fmt.Sprint(i), "size": 0, "sha256": strings.Repeat("0", 64)})
		}
		return all
	}
	ok := func(name, proves string, p []byte) { s.add(name, proves, "", p) }
	bad := func(name, proves string, p []byte) { s.add(name, proves, deviceproto.ReasonFormat, p) }
	big := func(name string, p []byte) { s.add(name, large, deviceproto.ReasonTooLarge, p) }

	ok("app, filesystem and files", count, parts(app(1), filesystem(0, 1), file("lib/a.py", 1), file("main.py", 0)))
	ok("files only", count, parts(file("main.py", 10)))
	ok("16 parts", count, parts(small(16)...))
	bad("17 parts", count, parts(small(17)...))
	bad("no part", count, parts())
	bad("a kind that is not known", "Another kind than these: refuse, format.", parts(app(1), fields{"kind": "patch", "size": 1, "sha256": strings.Repeat("0", 64)}))
	bad("no kind", count, parts(fields{"size": 1, "sha256": strings.Repeat("0", 64)}))
	bad("the app second", first, parts(file("a", 1), app(1)))
	bad("two apps", first, parts(app(1), app(1)))

	long := strings.Repeat("a", 128)
	ok("the longest path", path, parts(file(long, 1)))
	ok("a path with spaces and other letters", path, parts(file("données/été 1.txt", 1)))
	ok("a path of dots", path, parts(file(".../..a", 1)))
	for name, p := range ordered(
		"empty", "", "absolute", "/main.py", "with an empty segment", "lib//a.py", "with a slash at the end", "lib/",
		"out of the folder", "../boot.py", "out of it in the middle", "lib/../../boot.py", "of the folder itself", ".", "with .", "./main.py",
		"with a backslash", `lib\a.py`, "with a control character", "main\n.py", "with NUL", "main.py\x00.txt", "of 129 bytes", long+"a",
		"of 66 characters in 132 bytes", strings.Repeat("é", 66),
	) {
		bad("path "+name, path, parts(file(p, 1)))
	}
	bad("the same path twice", path, parts(file("a", 1), file("a", 2)))
	bad("a path on an app", form, parts(with(app(1), "path", "app.bin")))
	bad("an offset on an app", form, parts(with(app(1), "offset", 4096)))
	bad("an offset on a file", form, parts(with(file("a", 1), "offset", 1)))
	bad("a negative offset", form, parts(filesystem(-1, 1)))

	bad("an app of 0 bytes", empty, parts(app(0)))
	bad("a filesystem of 0 bytes", empty, parts(filesystem(0, 0)))
	bad("an app without size", count, parts(without(app(1), "size")))
	bad("a negative size", form, parts(file("a", -1)))
	bad("a size with a fraction", form, parts(app(1.5)))
	for name, digest := range ordered(
		"missing", "", "in upper case", strings.Repeat("AB", 32), "of 63 characters", strings.Repeat("0", 63),
		"of 65 characters", strings.Repeat("0", 65), "not hexadecimal", strings.Repeat("g", 64),
	) {
		bad("digest "+name, form, parts(with(app(1), "sha256", digest)))
	}

	ok("an app as large as the slot", large, parts(app(1_310_720)))
	big("an app of a byte more", parts(app(1_310_721)))
	big("an app of 2^53 bytes", parts(app(int64(1)<<53)))
	ok("a filesystem that ends where its room does", large, parts(app(1), filesystem(1_000_000, 48_576)))
	big("a filesystem of a byte more", parts(app(1), filesystem(1_000_000, 48_577)))
	big("a filesystem beyond its room", parts(app(1), filesystem(int64(1)<<53, int64(1)<<53)))
	ok("files as large as the room", large, parts(file("a", 65_535), file("b", 1)))
	big("files of a byte more together", parts(file("a", 65_535), file("b", 2)))
	big("files of 2^53 bytes", parts(file("a", 1), file("b", int64(1)<<53)))
	s.add("a device without a slot", large, deviceproto.ReasonTooLarge, parts(app(1)), on(func(d *Device) { d.Slot = 0 }))
}

func (s *statements) index() {
	const (
		last = "index: a list of more files (below), of at most 65536 bytes; only the last part can be one."
		room = "to which an index belongs: refuse, too_large; a device that has no such thing has no room for it."
	)
	index := func(size any) fields {
		return fields{"kind": "index", "size": size, "sha256": strings.Repeat("12ef", 16)}
	}
	parts := func(all ...any) []byte { return payload(set("parts", all)) }
	s.add("an index alone", last, "", parts(index(80)))
	s.add("an index behind files", last, "", parts(file("a", 1), index(80)))
	s.add("the largest index", last, "", parts(index(65_536)))
	s.add("an index of a byte more", last, deviceproto.ReasonFormat, parts(index(65_537)))
	s.add("an index first", last, deviceproto.ReasonFormat, parts(index(80), file("a", 1)))
	s.add("two", last, deviceproto.ReasonFormat, parts(index(80), index(80)))
	s.add("an empty index", "Only an empty file has size 0.", deviceproto.ReasonFormat, parts(index(0)))
	s.add("an index with a path", "every field keeps to this table's form", deviceproto.ReasonFormat, parts(with(index(80), "path", "a")))
	s.add("a file that leaves no room for the index", room, deviceproto.ReasonTooLarge, parts(file("a", 65_500), index(80)))
	s.add("an index for a device without files", room, deviceproto.ReasonTooLarge, parts(app(1), index(80)), on(func(d *Device) { d.Files = 0 }))
	s.add("a file for a device without files", room, deviceproto.ReasonTooLarge, parts(app(1), file("a", 1)), on(func(d *Device) { d.Files = 0 }))
	s.add("a filesystem for a device without one", room, deviceproto.ReasonTooLarge, parts(app(1), filesystem(0, 1)), on(func(d *Device) { d.Filesystem = 0 }))
}

func with(f fields, name string, value any) fields { f[name] = value; return f }
func without(f fields, name string) fields         { delete(f, name); return f }

func (s *statements) keys() {
	const (
		other = "replaces the other trusted key (or becomes the second), when the statement is accepted."
		own   = "The signer's own key here: refuse, format."
		one   = "optional, one key."
	)
	withNew := payload(set("keys", []string{public("new")}))
	after := func(names ...string) func(*Statement) {
		return func(c *Statement) {
			c.Keys = nil
			for _, name := range names {
				c.Keys = append(c.Keys, public(name))
			}
		}
	}
	s.add("a new key, signed by the first", other, "", withNew, after("first", "new"))
	s.add("a new key, signed by the second", other, "", withNew, withKey("second"), after("second", "new"))
	s.add("a second key for a device with one", other, "", withNew, on(func(d *Device) { d.Keys = d.Keys[:1] }), after("first", "new"))
	s.add("the key that is the other already", other, "", payload(set("keys", []string{public("second")})), after("first", "second"))
	s.add("no keys", one, "", payload(set("keys", []string{})))
	s.add("a new key in a statement that is refused", other, deviceproto.ReasonBoard, payload(func(f fields) {
		f["keys"], f["board"] = []string{public("new")}, "esp32:esp32:esp32c3"
	}))
	s.add("a new key signed by itself", "MUST fit a trusted key. Else refuse, reason signature.", deviceproto.ReasonSignature, withNew, withKey("new"), decided(0))
	s.add("the signer's own key", own, deviceproto.ReasonFormat, payload(set("keys", []string{public("first")})))
	s.add("two keys", one, deviceproto.ReasonFormat, payload(set("keys", []string{public("new"), public("second")})))
	s.add("a key that is no point", one, deviceproto.ReasonFormat, payload(set("keys", []string{public("new")[:84] + "AAA="})))
	s.add("a key that is no base64", one, deviceproto.ReasonFormat, payload(set("keys", []string{"new"})))
}

// order shows which reason is given where several rules are broken.
func (s *statements) order() {
	const order = "A device checks in this order, and the first rule that is broken gives the reason:"
	wrong := []struct {
		reason deviceproto.Reason
		field  string
		value  any
	}{
		{deviceproto.ReasonFormat, "format", 2}, {deviceproto.ReasonTarget, "target", fields{"device": "somebody"}}, {deviceproto.ReasonBoard, "board", "another"},
		{deviceproto.ReasonReplay, "deployment", 1}, {deviceproto.ReasonDowngrade, "security_version", 0}, {deviceproto.ReasonTooLarge, "parts", []any{app(1 << 40)}},
	}
	all := func(f fields, from int) {
		for _, w := range wrong[from:] {
			f[w.field] = w.value
		}
	}
	s.add("everything is wrong", order, deviceproto.ReasonSignature, payload(func(f fields) { all(f, 0) }), withKey("stranger"), decided(0))
	for i, w := range wrong {
		number := int64(1)
		if i > 3 {
			number = Deployment
		}
		s.add("everything from "+w.field+" on is wrong", order, w.reason, payload(func(f fields) { all(f, i) }), decided(number))
	}
}
