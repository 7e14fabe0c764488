package deviceapi

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
)

// caller is the device that a request comes from.
type caller struct {
	*artifact.Device
	address string
	// nonce of the request, "" where it sent none and wants no proof.
	nonce string
}

var (
	errNobody = fault.New(fault.Unauthenticated, "this is not a device's valid credential")
	errNonce  = fault.Field(deviceproto.HeaderNonce, "must be 16 to 32 characters of [A-Za-z0-9_-]")
	errClock  = fault.New(codeClock, "the device's clock is off by more than 300 s")
	errPlain  = fault.New(codePlainHTTP, "a device key does not travel over plain HTTP: sign the request, or use TLS")
	errOften  = fault.New(fault.RateLimited, "too many wrong credentials from this address")
)

// authenticate returns who is asking. Errors: Unavailable before the devices are
// known, Unauthenticated, RateLimited, Invalid for a nonce of the wrong form,
// codeClock, codePlainHTTP.
func (a *API) authenticate(r *http.Request, body []byte) (caller, error) {
	if err := a.Model.Ready(); err != nil {
		return caller{}, err
	}
	address, secure := a.origin(r)
	c := caller{address: address, nonce: value(r.Header, deviceproto.HeaderNonce)}
	credential := value(r.Header, "Authorization")
	var err error
	switch scheme, rest, _ := strings.Cut(credential, " "); {
	case scheme == "Flota1":
		c.Device, err = a.bySignature(r, body, c.nonce)
	case !strings.EqualFold(scheme, "Basic") && !strings.EqualFold(scheme, "Bearer"):
		err = errNobody
	case !secure && !a.PlainHTTP:
		return c, errPlain
	case c.nonce != "" && !deviceproto.ValidNonce(c.nonce):
		return c, errNonce
	default:
		c.Device, err = a.byKey(scheme, rest)
	}
	// A wrong key costs no more than a right one, and 256 bits are not guessed: the
	// limit only quiets those who try. Devices behind the same address go on.
	if err == errNobody && !a.failures.allow(a.Now(), address) { //nolint:errorlint // set above, as it is
		err = errOften
	}
	return c, err
}

// bySignature finds the device that signed the request.
func (a *API) bySignature(r *http.Request, body []byte, nonce string) (*artifact.Device, error) {
	keyID, mac, ok := deviceproto.ParseAuthorization(value(r.Header, "Authorization"))
	if !ok {
		return nil, errNobody
	}
	if !deviceproto.ValidNonce(nonce) {
		return nil, errNonce
	}
	d := a.Model.ByKey(keyID)
	if d == nil {
		return nil, errNobody
	}
	sent := deviceproto.Request{
		Method: r.Method, Path: target(r), Nonce: nonce, Time: value(r.Header, deviceproto.HeaderTime),
		Running: value(r.Header, deviceproto.HeaderRunning), ETag: value(r.Header, "If-None-Match"), Body: body,
	}
	if body == nil && r.ContentLength != 0 { // what is not read is not what was signed
		return nil, errNobody
	}
	if !deviceproto.VerifyRequest(d.K, sent, mac) {
		return nil, errNobody
	}
	if !deviceproto.Fresh(sent.Time, a.Now()) {
		return nil, errClock
	}
	return d, nil
}

// target is the path and query as sent; a proxy's absolute form is cut to them.
func target(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// byKey finds the device whose key was sent itself.
func (a *API) byKey(scheme, text string) (*artifact.Device, error) {
	key, product := text, ""
	if strings.EqualFold(scheme, "Basic") {
		plain, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errNobody
		}
		var found bool
		if product, key, found = strings.Cut(string(plain), ":"); !found {
			return nil, errNobody
		}
	}
	if !deviceproto.ValidKey(key) {
		return nil, errNobody
	}
	// The key ID is as good as the key: a device that is found by it has K.
	d := a.Model.ByKey(deviceproto.KeyID(deviceproto.KeyHash(key)))
	if d == nil || product != "" && product != d.ProductID || product == "" && strings.EqualFold(scheme, "Basic") {
		return nil, errNobody
	}
	return d, nil
}

// prove puts the answer's MAC into its headers, where the device asked for one.
func (c caller) prove(h http.Header, status int, body []byte) {
	if c.nonce == "" {
		return
	}
	mac := deviceproto.AnswerMAC(c.K, deviceproto.Answer{
		Nonce: c.nonce, Status: status, Poll: value(h, deviceproto.HeaderPoll), ETag: value(h, "Etag"), Body: body,
	})
	h[deviceproto.HeaderMAC] = []string{mac}
}
