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
	"slices"

	"github.com/flota/flota/pkg/deviceproto"
)

const (
	chunk = 32 << 10
	// steps of a download that are reported, in percent
	reportStep = 25
)

// errStorage is a storage that fails: the update is given up, not the device.
var errStorage = errors.New("storage")

// errAgain is a download that goes on at the next poll.
var errAgain = errors.New("later")

// offered decides about a statement and installs it.
func (d *Device) offered(ctx context.Context, body []byte) error {
	offer, err := deviceproto.ParseOffer(body)
	if err != nil {
		return d.refuse(ctx, 0, deviceproto.ReasonFormat)
	}
	keys, err := d.trustedKeys()
	if err != nil {
		return err
	}
	s, newKeys, reason := deviceproto.Check(offer.Statement, deviceproto.DeviceState{
		Workspace: d.p.Workspace, Device: d.p.Device, Groups: d.p.Groups, Board: d.p.Board, Keys: keys,
		Accepted: d.state.Accepted, SecurityVersion: d.state.SecurityVersion, Slot: slotSize,
	})
	if reason != "" {
		return d.refuse(ctx, s.Deployment, reason)
	}
	if d.state.Decided == s.Deployment {
		return nil // decided a moment ago, by the check-in that came with this answer
	}
	d.state.Accepted = s.Deployment
	if newKeys != nil {
		d.state.Keys = nil
		for _, key := range newKeys {
			d.state.Keys = append(d.state.Keys, deviceproto.FormatPublicKey(key))
		}
	}
	image := Image{Deployment: s.Deployment, Version: s.Version, SHA256: s.Parts[0].SHA256, SecurityVersion: s.SecurityVersion}
	if image.SHA256 == d.Running().SHA256 {
		d.state.Slots[d.state.Active] = image
		d.state.Decided, d.state.Fetch = s.Deployment, nil
		d.state.SecurityVersion = max(d.state.SecurityVersion, s.SecurityVersion)
		d.say("confirmed %s, which runs already", d.describe(image))
		return d.report(ctx, s.Deployment, deviceproto.Confirmed, "")
	}
	if err := d.storage.Save(d.state); err != nil {
		return err
	}
	return d.install(ctx, image, s.Parts[0].Size, offer.Link)
}

func (d *Device) refuse(ctx context.Context, deployment int64, reason deviceproto.Reason) error {
	d.say("refuses deployment %d: %s", deployment, reason)
	if deployment > 0 {
		d.state.Decided, d.state.Fetch = deployment, nil
	}
	return d.report(ctx, deployment, deviceproto.Failed, reason)
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

// install downloads into the slot that does not run, checks, and restarts.
func (d *Device) install(ctx context.Context, image Image, size int64, link string) error {
	if d.state.Fetch == nil || d.state.Fetch.Image != image {
		d.state.Fetch = &Fetch{Image: image}
	}
	d.say("downloads %s, %d bytes", d.describe(image), size)
	for range 3 {
		sum, err := d.download(ctx, size, link)
		switch {
		case errors.Is(err, errAgain):
			d.say("the download goes on later: %v", err)
			return d.storage.Save(d.state)
		case errors.Is(err, errStorage):
			return d.refuse(ctx, image.Deployment, deviceproto.ReasonStorage)
		case err != nil:
			return err
		case sum == image.SHA256:
			return d.apply(ctx, image)
		}
		d.say("what was downloaded has another digest")
		d.state.Fetch = &Fetch{Image: image}
	}
	return d.refuse(ctx, image.Deployment, deviceproto.ReasonDigest)
}

func (d *Device) apply(ctx context.Context, image Image) error {
	d.state.Fetch = nil
	d.state.Slots[1-d.state.Active] = image
	if err := d.report(ctx, image.Deployment, deviceproto.Verified, ""); err != nil {
		return err
	}
	if err := d.report(ctx, image.Deployment, deviceproto.Applied, ""); err != nil {
		return err
	}
	d.say("verified; restarts into %s", d.describe(image))
	return d.restartOther(true)
}

// download fetches what is missing and returns the digest of the whole.
func (d *Device) download(ctx context.Context, size int64, link string) (string, error) {
	h, err := d.state.Fetch.resume()
	if err != nil {
		return "", err
	}
	if d.state.Fetch.Offset < size {
		if err := d.report(ctx, d.state.Fetch.Deployment, deviceproto.Downloading, ""); err != nil {
			return "", err
		}
		res, err := d.image(ctx, link, d.state.Fetch.Offset)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errAgain, err)
		}
		defer res.Body.Close()
		if err := d.receive(ctx, res, size, &h); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (d *Device) receive(ctx context.Context, res *http.Response, size int64, h *hash.Hash) error {
	f := d.state.Fetch
	switch {
	case res.StatusCode == http.StatusOK && res.ContentLength == size:
		if f.Offset > 0 { // the server does not resume: from the beginning
			*f = Fetch{Image: f.Image}
			*h, _ = f.resume()
		}
	case res.StatusCode == http.StatusPartialContent &&
		res.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", f.Offset, size-1, size):
	default:
		return fmt.Errorf("%w: the link answers %d", errAgain, res.StatusCode)
	}
	said := f.Offset * 100 / size / reportStep
	buffer := make([]byte, chunk)
	for f.Offset < size {
		n, err := io.ReadFull(res.Body, buffer[:min(chunk, size-f.Offset)])
		if n > 0 {
			if werr := d.storage.WriteSlot(1-d.state.Active, f.Offset, buffer[:n]); werr != nil {
				return fmt.Errorf("%w: %w", errStorage, werr)
			}
			(*h).Write(buffer[:n])
			if kerr := f.keep(f.Offset+int64(n), *h); kerr != nil {
				return kerr
			}
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errAgain, err)
		}
		if step := f.Offset * 100 / size / reportStep; step > said && f.Offset < size {
			said = step
			if err := d.reportPercent(ctx, f.Deployment, deviceproto.Downloading, "", f.Offset*100/size); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Device) describe(i Image) string {
	if i.SHA256 == "" {
		return "what came by cable"
	}
	return fmt.Sprintf("%s (deployment %d, sha256 %s…)", i.Version, i.Deployment, i.SHA256[:8])
}

func (d *Device) say(format string, args ...any) {
	d.o.Print(d.p.ProductID + "  " + fmt.Sprintf(format, args...))
}

// Faults reads "crash", or "<sha256 prefix>=crash": what goes wrong with every
// new image, or with that one.
func Faults(text string) (func(Image) Fault, error) {
	prefix, fault, found := cutLast(text, '=')
	if !found {
		prefix, fault = "", text
	}
	if !slices.Contains([]Fault{Crash, Watchdog, Selftest, NoCheckin}, Fault(fault)) {
		return nil, fmt.Errorf("no such fault: %q (crash, watchdog, selftest or no_checkin)", fault)
	}
	return func(i Image) Fault {
		if i.SHA256 == "" || len(i.SHA256) < len(prefix) || i.SHA256[:len(prefix)] != prefix {
			return None
		}
		return Fault(fault)
	}, nil
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == sep {
			return s[:i], s[i+1:], true
		}
	}
	return "", s, false
}
