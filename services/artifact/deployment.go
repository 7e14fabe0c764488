package artifact

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

// Deployment is a signed statement as devices get it. It does not change; what a
// poll needs of it is made once.
type Deployment struct {
	Workspace string
	Number    int64
	Parts     []deviceproto.Part
	ETag      string
	// Poll is the interval in seconds, as text; empty = the service's own.
	Poll string

	offer []byte // the answer 200 up to the link's token
}

// NewDeployment returns a deployment for serving. Poll is how long devices shall
// wait, 0 where nothing is said of it. Without parts there is nothing to serve.
func NewDeployment(workspace string, number int64, statement deviceproto.Signed, parts []deviceproto.Part, poll time.Duration) (*Deployment, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("deployment %d of %s has no parts", number, workspace)
	}
	signed, err := json.Marshal(statement)
	if err != nil {
		return nil, err
	}
	d := &Deployment{Workspace: workspace, Number: number, Parts: parts, ETag: `"` + strconv.FormatInt(number, 10) + `"`}
	if poll > 0 {
		d.Poll = PollText(poll)
	}
	d.offer = fmt.Appendf(nil, `{"statement":%s,"link":"%s`, signed, deviceproto.PathImage)
	return d, nil
}

// PollText is how an interval is told to a device: whole seconds, from 1 to
// deviceproto.MaxWait.
func PollText(interval time.Duration) string {
	interval = min(max(interval, time.Second), deviceproto.MaxWait)
	return strconv.Itoa(int(interval / time.Second))
}

// Offer is the body of an answer 200, with this image token in its link.
func (d *Deployment) Offer(token string) []byte {
	body := make([]byte, 0, len(d.offer)+len(token)+2)
	return append(append(append(body, d.offer...), token...), `"}`...)
}

// Answer is the protocol's table: the status that a poll gets, from the deployment
// that is wanted (nil for none) and the values of If-None-Match and
// X-Flota-Running.
func (d *Deployment) Answer(ifNoneMatch, running string) int {
	switch {
	case d == nil && ifNoneMatch == "":
		return http.StatusNoContent
	case d == nil, ifNoneMatch == d.ETag:
		return http.StatusNotModified
	case ifNoneMatch == "" && d.runs(running):
		return http.StatusNoContent
	}
	return http.StatusOK
}

// runs reports whether this digest of what runs is that of all that is wanted.
func (d *Deployment) runs(running string) bool {
	only := d.Parts[0]
	return len(d.Parts) == 1 && (only.Kind == deviceproto.KindApp || only.Kind == deviceproto.KindIndex) && only.SHA256 == running
}
