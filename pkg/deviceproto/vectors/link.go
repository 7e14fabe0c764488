package vectors

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/link"
)

// Link is a case of link.json. The device wants a deployment of the two Parts.
type Link struct {
	Case
	Key        string `json:"key"` // with which the server signs links, hex
	Now        int64  `json:"now"`
	Path       string `json:"path"`
	Credential string `json:"credential"` // sent along: "", "own" or "other"
	Range      string `json:"range,omitempty"`
	Status     int    `json:"status"`
	Code       string `json:"code,omitempty"`
}

// Parts are what the deployment of link.json consists of.
func Parts() [2][]byte { return [2][]byte{Image("parts"), []byte("print('hello')\n")} }

// linkSubject is what the artifact service puts into an image link.
func linkSubject(device string, deployment int64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(deployment)), device...)
}

func linkCases() []Link {
	const (
		good    = "needs no credential: the link is one, for one device and deployment, for 15 minutes."
		parts   = "part i, from 0"
		expired = "403 with code expired"
		foreign = "forbidden for a link that was changed, is somebody else's or whose device has no valid key any more"
		none    = "No such part, or no such deployment any more: 404."
		along   = "A credential sent along MUST be the same device's, else 403."
		ranges  = "Range (one range of bytes, bytes=a- or bytes=a-b) is honoured for images with 206; without it, 200."
	)
	key := []byte(strings.Repeat("k", 32))
	at := func(key []byte, age time.Duration, l link.Link) string {
		made := time.Unix(Now, 0).Add(-age)
		l.Expires = made.Add(deviceproto.LinkLife)
		return link.NewRing(key, func() time.Time { return made }).Sign(l)
	}
	image := link.Link{Kind: link.Image, Subject: linkSubject(DeviceID, Deployment)}
	token := at(key, 0, image)

	var all []Link
	add := func(name, proves, path, credential string, status int, code string) {
		all = append(all, Link{Case{name, proves}, hex.EncodeToString(key), Now, deviceproto.PathImage + path, credential, "", status, code})
	}
	add("the first part", good, token, "", 200, "")
	add("the first part by its number", parts, token+"/0", "", 200, "")
	add("the second part", parts, token+"/1", "", 200, "")
	add("the last second", good, at(key, deviceproto.LinkLife-time.Second, image), "", 200, "")
	add("a range", ranges, token, "", 206, "")
	all[len(all)-1].Range = "bytes=10-"
	add("a range beyond the end", "400, 404, 413, 416", token, "", 416, "invalid")
	all[len(all)-1].Range = "bytes=100000-"
	add("after 15 minutes", expired, at(key, deviceproto.LinkLife, image), "", 403, "expired")
	add("after a day", expired, at(key, 24*time.Hour, image), "", 403, "expired")
	add("a character changed", foreign, swapCase(token, 20), "", 403, "forbidden")
	add("the last character cut off", foreign, token[:len(token)-1], "", 403, "forbidden")
	add("no token", foreign, "", "", 403, "forbidden")
	add("no token but a part", foreign, "/0", "", 403, "forbidden")
	add("another installation's", foreign, at([]byte(strings.Repeat("x", 32)), 0, image), "", 403, "forbidden")
	add("a link for a person", foreign, at(key, 0, link.Link{Kind: link.Download, Subject: image.Subject}), "", 403, "forbidden")
	add("a device without a valid key", foreign, at(key, 0, link.Link{Kind: link.Image, Subject: linkSubject("d2k1v1p5q8s0c7a1b2d9", Deployment)}), "", 403, "forbidden")
	add("a deployment that is gone", none, at(key, 0, link.Link{Kind: link.Image, Subject: linkSubject(DeviceID, Deployment-1)}), "", 404, "not_found")
	for name, part := range ordered("a third part", "2", "part -1", "-1", "part 01", "01", "part x", "x", "part 1/", "1/", "part 2^64", "18446744073709551616") {
		add(name, none, token+"/"+part, "", 404, "not_found")
	}
	add("with the device's own credential", along, token, "own", 200, "")
	add("with another device's credential", along, token, "other", 403, "forbidden")
	return all
}

// swapCase changes one letter near a place.
func swapCase(token string, from int) string {
	for i := from; ; i++ {
		if c := token[i]; c >= 'a' && c <= 'z' {
			return token[:i] + strings.ToUpper(token[i:i+1]) + token[i+1:]
		}
	}
}
