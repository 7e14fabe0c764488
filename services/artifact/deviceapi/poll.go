package deviceapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/services/artifact"
)

// servePoll implements GET /d/v1/update.
func (a *API) servePoll(w http.ResponseWriter, r *http.Request) (int, error) {
	c, err := a.authenticate(r, nil)
	if err != nil {
		return 0, err
	}
	known, running := value(r.Header, "If-None-Match"), value(r.Header, deviceproto.HeaderRunning)
	if !deviceproto.ValidDigest(running) {
		running = ""
	}
	c.Runs(running)
	a.Sightings.Note(c.Device, artifact.Sighting{At: a.Now(), Running: running, Address: c.address, Deployment: number(known)})

	h := w.Header()
	wanted := c.Wanted()
	h[deviceproto.HeaderPoll] = a.poll
	if wanted != nil {
		h["Etag"] = []string{wanted.ETag}
		if wanted.Poll != "" {
			h[deviceproto.HeaderPoll] = []string{wanted.Poll}
		}
	}
	status := wanted.Answer(known, running)
	if status != http.StatusOK {
		c.prove(h, status, nil)
		w.WriteHeader(status)
		return status, nil
	}
	body := wanted.Offer(a.Links.Image(c.Device, wanted.Number))
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	h["Cache-Control"] = []string{"no-store"}
	c.prove(h, status, body)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the device asks again
	return status, nil
}

// number is the deployment that an If-None-Match names, 0 for none.
func number(etag string) int64 {
	if etag == "" {
		return 0
	}
	n, _ := strconv.ParseInt(strings.Trim(etag, `"`), 10, 64)
	return max(n, 0)
}
