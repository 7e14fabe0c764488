package deviceapi

import (
	"net/http"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
	"github.com/flota/flota/services/artifact"
)

var (
	errOtherProduct = fault.New(fault.Forbidden, "the path names another product than the credential")
	errNothing      = fault.New(fault.NotFound, "nothing is deployed to this device")
	errNoApp        = fault.New(fault.NotFound, "what is deployed to this device is no image that HTTPUpdate could write")
	errFilesystem   = fault.New(fault.NotFound, "this link has an app, not a filesystem")
)

// serveStatic implements GET /firmware/<product_id>.ino.bin and
// /<product_id>.ino.bin: what arduino-esp32's and arduino-pico's HTTPUpdate
// understand.
func (a *API) serveStatic(w http.ResponseWriter, r *http.Request) (int, error) {
	c, err := a.authenticate(r, nil)
	if err != nil {
		return 0, err
	}
	if productOf(r.URL.Path) != c.ProductID {
		return 0, errOtherProduct
	}
	if wantsFilesystem(r.Header) {
		return 0, errFilesystem
	}
	wanted := c.Wanted()
	if wanted == nil {
		return 0, errNothing
	}
	if wanted.Parts[0].Kind != deviceproto.KindApp {
		return 0, errNoApp
	}
	facts, err := a.Content.Facts(r.Context(), wanted.Parts[0].SHA256)
	if err != nil {
		return 0, err
	}
	known := artifact.Known{
		MD5:    value(r.Header, "X-Esp32-Sketch-Md5"),
		SHA256: value(r.Header, "X-Esp32-Sketch-Sha256"),
		ETag:   value(r.Header, "If-None-Match"),
	}
	seen := artifact.Sighting{At: a.Now(), Address: c.address}
	has := known.IsThis(facts)
	if has {
		c.Runs(facts.SHA256)
		seen.Running = facts.SHA256
	}
	refused := !has && r.Method == http.MethodGet && !c.Fetch(facts.SHA256)
	a.Sightings.Note(c.Device, seen)
	if has || refused {
		w.Header().Set("ETag", `"`+facts.SHA256+`"`)
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified, nil
	}
	return a.serveBlob(w, r, facts.SHA256)
}

// productOf takes the product ID out of a static link's path.
func productOf(path string) string {
	name, found := strings.CutSuffix(path, staticSuffix)
	if !found {
		return ""
	}
	if rest, ok := strings.CutPrefix(name, firmwarePrefix); ok {
		return rest
	}
	return name[1:]
}

// wantsFilesystem reports whether HTTPUpdate asks for a filesystem image: an app
// written there would destroy it. arduino-pico leaves its name out of the header.
func wantsFilesystem(h http.Header) bool {
	return value(h, "X-Esp32-Mode") == "spiffs" || value(h, "X--Mode") == "spiffs"
}
