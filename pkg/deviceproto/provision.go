package deviceproto

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flota/flota/pkg/fault"
)

// Limits of what a device is given.
const (
	// MaxLine is the longest line over the cable, in bytes, without its LF.
	MaxLine = 6144
	// MaxNetworks is how many Wi-Fi networks a device knows.
	MaxNetworks = 4

	maxServer, maxBoard = 128, 128 // characters
	maxGroups           = 8        // names
	maxCA               = 3999     // bytes: with its NUL, the longest string of NVS
)

// Provision is what a device is given once, over the cable: the file that the
// page offers, and the body of the line that hands it over. It holds secrets, and
// prints as the product ID only.
type Provision struct {
	Server    string    `json:"server"` // origin
	Workspace string    `json:"workspace"`
	Device    string    `json:"device"`
	ProductID string    `json:"product_id"`
	Key       string    `json:"key"`  // the device key
	Keys      []string  `json:"keys"` // one or two public signing keys, base64
	Board     string    `json:"board"`
	Groups    []string  `json:"groups,omitempty"`
	CA        string    `json:"ca,omitempty"`   // PEM, pinned for TLS
	WiFi      []Network `json:"wifi,omitempty"` // in the order in which they are tried
}

// Network is a Wi-Fi network and its password, which is empty for an open one.
// It prints as the SSID only.
type Network struct {
	SSID     string `json:"ssid"`
	Password string `json:"password"`
}

// Format hides the secrets from every verb of fmt.
func (p Provision) Format(f fmt.State, _ rune) { io.WriteString(f, "provision of "+p.ProductID) }

// Format hides the password from every verb of fmt.
func (n Network) Format(f fmt.State, _ rune) { io.WriteString(f, n.SSID) }

// ParseProvision reads and checks a provisioning file. The error is an Invalid
// fault with the field at fault; it repeats no value.
func ParseProvision(text []byte) (Provision, error) {
	var p Provision
	err := json.Unmarshal(text, &p)
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if err != nil && (!ok || wrong.Field == "") {
		return p, fault.New(fault.Invalid, "this is not a JSON object with what a device is given")
	}
	// A field of another type counts as empty, which is right for none that must be there.
	if err := p.Check(); err != nil {
		return p, err
	}
	if wrong != nil {
		return p, fault.Field(wrong.Field, "cannot be %s", strings.Fields(wrong.Value)[0])
	}
	return p, nil
}

var (
	idPattern        = regexp.MustCompile(`^[a-z0-9]{1,64}$`)
	productIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	boardPattern     = regexp.MustCompile(`^[!-~]{1,128}$`)
)

// Check returns an Invalid fault for the first field at fault, in the order of the
// fields, or TooLarge for what does not fit a line.
func (p Provision) Check() error {
	switch {
	case len(p.Server) > maxServer || !isOrigin(p.Server):
		return fault.Field("server", "must be an origin of at most %d characters, like http://flota.local:8081", maxServer)
	case !idPattern.MatchString(p.Workspace):
		return fault.Field("workspace", "must have 1 to 64 of a-z and 0-9")
	case !idPattern.MatchString(p.Device):
		return fault.Field("device", "must have 1 to 64 of a-z and 0-9")
	case !productIDPattern.MatchString(p.ProductID):
		return fault.Field("product_id", "must have 1 to 64 of A-Z, a-z, 0-9, dot, _ and -")
	case !ValidKey(p.Key):
		return fault.Field("key", "is not a device key")
	case len(p.Keys) < 1 || len(p.Keys) > 2:
		return fault.Field("keys", "must be one or two public signing keys")
	case len(p.Keys) == 2 && p.Keys[0] == p.Keys[1]:
		return fault.Field("keys", "must be different ones")
	}
	for _, key := range p.Keys {
		if _, err := ParsePublicKey(key); err != nil {
			return fault.Field("keys", "%v", err)
		}
	}
	switch {
	case !boardPattern.MatchString(p.Board):
		return fault.Field("board", "must have 1 to %d printable ASCII characters without spaces", maxBoard)
	case len(p.Groups) > maxGroups || slices.ContainsFunc(p.Groups, func(name string) bool { return len(name) < 1 || len(name) > 64 }):
		return fault.Field("groups", "must be at most %d names of 1 to 64 bytes", maxGroups)
	case p.CA != "" && (len(p.CA) > maxCA || !isCertificate(p.CA)):
		return fault.Field("ca", "must be one certificate in PEM of at most %d bytes", maxCA)
	}
	if err := CheckNetworks("wifi", p.WiFi); err != nil {
		return err
	}
	return p.fits()
}

// fits holds the line that hands it over to what a device can take.
func (p Provision) fits() error {
	line, err := Line("provision", p)
	if err == nil && len(line) > MaxLine {
		err = fault.New(fault.TooLarge, "all of it together has %d bytes, more than the %d that a device can take", len(line), MaxLine)
	}
	return err
}

// Line returns the line of the dialogue over the cable with this word and the
// fields of body, an object or nil; without an LF.
func Line(word string, body any) ([]byte, error) {
	head, err := json.Marshal(map[string]string{"flota": word})
	if err != nil || body == nil {
		return head, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // & and < are in passwords, and longer when escaped
	if err := e.Encode(body); err != nil {
		return nil, err
	}
	fields := bytes.TrimPrefix(bytes.TrimSpace(b.Bytes()), []byte("{"))
	if len(fields) == 1 { // "}"
		return head, nil
	}
	return slices.Concat(head[:len(head)-1], []byte(","), fields), nil
}

// CheckNetworks returns an Invalid fault for the first network at fault, its
// field below the given one ("wifi.0.ssid").
func CheckNetworks(field string, networks []Network) error {
	if len(networks) > MaxNetworks {
		return fault.Field(field, "must be at most %d networks", MaxNetworks)
	}
	for i, n := range networks {
		at := fmt.Sprintf("%s.%d.", field, i)
		if len(n.SSID) < 1 || len(n.SSID) > 32 || !isText(n.SSID) {
			return fault.Field(at+"ssid", "must have 1 to 32 bytes")
		}
		if !validPassword(n.Password) {
			return fault.Field(at+"password", "must be empty for an open network, else have 8 to 63 characters or 64 hexadecimal digits")
		}
	}
	return nil
}

// validPassword: a passphrase or a key, as in IEEE 802.11i, annex H.4.
func validPassword(password string) bool {
	if len(password) == 64 {
		return strings.Trim(password, "0123456789abcdefABCDEF") == ""
	}
	return password == "" || len(password) >= 8 && len(password) <= 63 && isText(password)
}

func isOrigin(server string) bool {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || server != u.Scheme+"://"+u.Host {
		return false
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return !strings.HasSuffix(server, ":") && (u.Port() == "" || err == nil && port > 0)
}

func isCertificate(text string) bool {
	block, rest := pem.Decode([]byte(text))
	return block != nil && block.Type == "CERTIFICATE" && len(bytes.TrimSpace(rest)) == 0
}

// isText: whatever a string in C can hold.
func isText(text string) bool { return utf8.ValidString(text) && !strings.Contains(text, "\x00") }
