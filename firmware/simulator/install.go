package simulator

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flota/flota/pkg/deviceproto"
)

const (
	// maxDownloads is how often a download may be complete and wrong.
	maxDownloads = 3
	// saveStep is after how many percent of a download its state is stored, and
	// reportEvery how often it is reported at most.
	saveStep    = 25
	reportEvery = time.Second
)

// chunks are what downloads read into; a device that is idle has none.
var chunks = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// offered decides about a statement and installs it. Its errors are refusals and
// the storage's.
func (d *Device) offered(ctx context.Context, body []byte) error {
	offer, err := deviceproto.ParseOffer(body)
	if err != nil {
		return d.refuse(0, deviceproto.ReasonFormat)
	}
	keys, err := d.trustedKeys()
	if err != nil {
		return err
	}
	s, newKeys, reason := deviceproto.Check(offer.Statement, deviceproto.DeviceState{
		Workspace: d.p.Workspace, Device: d.p.Device, Groups: d.p.Groups, Board: d.p.Board, Keys: keys,
		Accepted: d.state.Accepted, SecurityVersion: d.state.SecurityVersion, Slot: d.room(deviceproto.KindApp), Files: d.room(deviceproto.KindIndex),
	})
	if reason == "" && (len(s.Parts) > 1 || s.Parts[0].Kind != d.kind()) {
		reason = deviceproto.ReasonTooLarge // it has no room for anything else, not even for an empty file
	}
	if reason != "" {
		return d.refuse(s.Deployment, reason)
	}
	image := Image{Deployment: s.Deployment, Version: s.Version, SHA256: s.Parts[0].SHA256, SecurityVersion: s.SecurityVersion}
	if s.Deployment == d.state.Decided || d.state.Tries > 0 && image == *d.other() {
		return nil // it is decided since it was asked for, or waits for its next trial
	}
	if s.Deployment == d.spoilt && time.Now().Before(d.spoiltUntil) {
		return nil
	}
	d.state.Accepted = s.Deployment
	if newKeys != nil {
		d.state.Keys = nil
		for _, key := range newKeys {
			d.state.Keys = append(d.state.Keys, deviceproto.FormatPublicKey(key))
		}
	}
	d.state.Tries = 0
	if image.SHA256 == d.Running().SHA256 {
		d.state.Fetch = nil
		return d.confirm(image)
	}
	if err := d.storage.Save(d.state); err != nil {
		return err
	}
	return d.install(ctx, image, s.Parts[0].Size, offer.Link)
}

// refuse decides a deployment that was not installed; 0 = its number is not known.
func (d *Device) refuse(deployment int64, reason deviceproto.Reason) error {
	d.say("refuses deployment %d: %s", deployment, reason)
	if deployment > 0 {
		d.state.Decided = deployment
	}
	if d.state.Fetch != nil && d.state.Fetch.Deployment == deployment {
		d.state.Fetch = nil
	}
	return d.keepReport(deviceproto.Report{Deployment: deployment, State: deviceproto.Failed, Reason: reason})
}

func (d *Device) trustedKeys() ([]*ecdsa.PublicKey, error) {
	keys := make([]*ecdsa.PublicKey, len(d.state.Keys))
	for i, text := range d.state.Keys {
		key, err := deviceproto.ParsePublicKey(text)
		if err != nil {
			return nil, err
		}
		keys[i] = key
	}
	return keys, nil
}

// kind is what the board installs: an app, or with MicroPython the files of an index.
func (d *Device) kind() string {
	if strings.HasPrefix(d.p.Board, "micropython:") {
		return deviceproto.KindIndex
	}
	return deviceproto.KindApp
}

// room is how many bytes of such a part the device takes.
func (d *Device) room(kind string) int64 {
	if kind != d.kind() {
		return 0
	}
	return d.o.SlotSize
}

// piece is what one download fetches: an image, an index, or a file of one.
type piece struct {
	number int    // of the link
	path   string // "" of an image
	size   int64
	sha256 string
}

// install downloads into the slot that does not run, checks, and restarts. What
// that slot holds already is not fetched.
func (d *Device) install(ctx context.Context, image Image, size int64, link string) error {
	if d.other().SHA256 == image.SHA256 {
		return d.apply(ctx, image)
	}
	if d.state.Fetch == nil || d.state.Fetch.Image != image {
		d.state.Fetch = &Fetch{Image: image, All: size}
		*d.other() = Image{}
	}
	d.say("downloads %s, %d of %d bytes are there", image, d.state.Fetch.Have+d.state.Fetch.Offset, d.state.Fetch.All)
	first := piece{size: size, sha256: image.SHA256}
	if d.kind() == deviceproto.KindIndex {
		first.path = deviceproto.IndexFile
		if d.state.Fetch.Piece > 0 { // it was whole before the first file
			return d.installFiles(ctx, image, link)
		}
	}
	if whole, err := d.fetch(ctx, first, link); err != nil || !whole {
		return err
	}
	if d.kind() == deviceproto.KindIndex {
		return d.installFiles(ctx, image, link)
	}
	return d.apply(ctx, image)
}

// fetch downloads a piece until it is right; false where the deployment is given
// up over it, which is reported.
func (d *Device) fetch(ctx context.Context, p piece, link string) (whole bool, err error) {
	f := d.state.Fetch
	f.next(p)
	for {
		reason, err := d.download(ctx, p, link)
		if err != nil {
			d.say("the download stops: %v", err)
			if saved := d.storage.Save(d.state); saved != nil {
				return false, saved
			}
			return false, err
		}
		if reason == "" {
			return true, nil
		}
		d.say("the download is no good: %s", reason)
		f.again()
		if f.Failed++; f.Failed < maxDownloads {
			continue
		}
		if reason != deviceproto.ReasonDigest {
			return false, d.refuse(f.Deployment, reason)
		}
		return false, d.leave(f.Deployment)
	}
}

// leave lets a deployment be for a while, whose bytes were wrong again and again. It decides
// nothing: whoever is on the way can spoil bytes, and must not be able to end a deployment.
func (d *Device) leave(deployment int64) error {
	d.say("leaves deployment %d alone: its bytes are wrong", deployment)
	d.state.Fetch = nil
	d.spoilt, d.spoiltUntil = deployment, time.Now().Add(deviceproto.MaxWait)
	return d.keepReport(deviceproto.Report{Deployment: deployment, State: deviceproto.Failed, Reason: deviceproto.ReasonDigest})
}

// apply makes the other slot, which holds the image, the one to run.
func (d *Device) apply(ctx context.Context, image Image) error {
	d.state.Fetch = nil
	*d.other() = image
	d.say("verified; restarts into %s", image)
	for _, state := range []deviceproto.State{deviceproto.Verified, deviceproto.Applied} {
		if err := d.report(ctx, deviceproto.Report{Deployment: image.Deployment, State: state}); err != nil {
			return err
		}
	}
	return d.restart(true)
}

// download fetches what is missing. The reason is empty for the right bytes;
// errors are refusals and the storage's.
func (d *Device) download(ctx context.Context, p piece, link string) (deviceproto.Reason, error) {
	f := d.state.Fetch
	h, err := f.resume()
	if err != nil {
		return deviceproto.ReasonStorage, nil
	}
	if f.Offset < p.size {
		if p.number <= 1 { // an image, an index, the first file
			if err := d.reportProgress(ctx); err != nil {
				return "", err
			}
		}
		if p.number > 0 {
			link += "/" + strconv.Itoa(p.number)
		}
		res, err := d.image(ctx, link, f.Offset)
		if r, ok := errors.AsType[*refusal](err); ok && r.status == http.StatusRequestedRangeNotSatisfiable {
			f.again() // not the same question twice
		}
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		if h, err = f.accept(res, p.size, h); err != nil {
			return "", err
		}
		if reason, err := d.receive(ctx, res.Body, p, h); reason != "" || err != nil {
			return reason, err
		}
	}
	if hex.EncodeToString(h.Sum(nil)) != p.sha256 {
		return deviceproto.ReasonDigest, nil
	}
	return "", nil
}

// accept checks that an answer is what was asked for, or the whole, and returns
// the hash of what comes before it.
func (f *Fetch) accept(res *http.Response, size int64, h hash.Hash) (hash.Hash, error) {
	switch {
	case res.StatusCode == http.StatusOK && res.ContentLength == size:
		f.again()
		return f.resume()
	case res.StatusCode == http.StatusPartialContent && res.ContentLength == size-f.Offset &&
		res.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", f.Offset, size-1, size):
		return h, nil
	}
	return nil, &refusal{link: true, err: fmt.Errorf("the link answers %d with %d bytes, %q, for %d from %d on",
		res.StatusCode, res.ContentLength, res.Header.Get("Content-Range"), size, f.Offset)}
}

// receive writes what comes, and keeps how far it is where that is to be stored.
func (d *Device) receive(ctx context.Context, body io.Reader, p piece, h hash.Hash) (deviceproto.Reason, error) {
	f, size := d.state.Fetch, p.size
	chunk := chunks.Get().(*[32 << 10]byte)
	defer chunks.Put(chunk)
	offset, saved, reported := f.Offset, f.Offset*100/size/saveStep, time.Now()
	for offset < size {
		n, err := io.ReadFull(body, chunk[:min(int64(len(chunk)), size-offset)])
		if n > 0 {
			if d.storage.Write(1-d.state.Active, p.path, offset, chunk[:n]) != nil {
				return deviceproto.ReasonStorage, nil
			}
			h.Write(chunk[:n])
			offset += int64(n)
		}
		step := offset * 100 / size / saveStep
		if err == nil && (step == saved || offset == size) {
			continue
		}
		if kept := f.keep(offset, h); kept != nil {
			return "", kept
		}
		if err != nil {
			return "", &refusal{link: true, err: err}
		}
		saved = step
		if time.Since(reported) < reportEvery {
			err = d.storage.Save(d.state)
		} else {
			err, reported = d.reportProgress(ctx), time.Now()
		}
		if err != nil {
			return "", err
		}
	}
	return "", f.keep(offset, h)
}

func (d *Device) reportProgress(ctx context.Context) error {
	f := d.state.Fetch
	return d.report(ctx, deviceproto.Report{Deployment: f.Deployment, State: deviceproto.Downloading, Percent: (f.Have + f.Offset) * 100 / f.All})
}
