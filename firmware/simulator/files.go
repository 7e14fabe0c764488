package simulator

import (
	"context"
	"maps"
	"slices"

	"github.com/flota/flota/pkg/deviceproto"
)

// installFiles makes the slot that does not run hold what its index names, and
// nothing else: what either slot has, by its digest, is kept or copied, the rest
// is fetched.
func (d *Device) installFiles(ctx context.Context, image Image, link string) error {
	text, err := d.storage.Read(1-d.state.Active, deviceproto.IndexFile)
	if err != nil {
		return d.refuse(image.Deployment, deviceproto.ReasonStorage)
	}
	listed, err := deviceproto.ParseIndex(text, nil)
	if err != nil {
		return d.refuse(image.Deployment, deviceproto.ReasonFormat)
	}
	index := deviceproto.Part{Path: deviceproto.IndexFile, Size: int64(len(text))}
	if deviceproto.Footprint(append(slices.Clone(listed), index)) > d.o.SlotSize {
		return d.refuse(image.Deployment, deviceproto.ReasonTooLarge)
	}
	files, err := d.tidy(listed)
	if err != nil {
		return d.refuse(image.Deployment, deviceproto.ReasonStorage)
	}

	f := d.state.Fetch
	f.All = 1 // to divide by
	for _, p := range listed {
		f.All += p.Size
	}
	f.Have = 0
	for i, p := range listed {
		switch from, runs := d.runningFile(p); {
		case files[p.Path] == p.SHA256:
		case runs && d.storage.Copy(1-d.state.Active, p.Path, from) == nil:
			files[p.Path] = p.SHA256
		default:
			delete(files, p.Path)
			if whole, err := d.fetch(ctx, piece{i + 1, p.Path, p.Size, p.SHA256}, link); err != nil || !whole {
				return err
			}
			if p.Size == 0 && d.storage.Write(1-d.state.Active, p.Path, 0, nil) != nil {
				return d.refuse(image.Deployment, deviceproto.ReasonStorage)
			}
			files[p.Path] = p.SHA256
			f.Offset, f.Hash = 0, nil
			if err := d.storage.Save(d.state); err != nil {
				return err
			}
		}
		f.Have += p.Size
	}
	return d.apply(ctx, image)
}

// tidy removes from the slot that does not run what is not listed, and returns what
// is left: digests by path.
func (d *Device) tidy(listed []deviceproto.Part) (map[string]string, error) {
	slot := 1 - d.state.Active
	if d.state.Files[slot] == nil {
		d.state.Files[slot] = map[string]string{}
	}
	files := d.state.Files[slot]
	stays := map[string]bool{}
	for _, p := range listed {
		stays[p.Path] = true
	}
	for path := range maps.Clone(files) {
		if stays[path] {
			continue
		}
		delete(files, path)
		if err := d.storage.Remove(slot, path); err != nil {
			return nil, err
		}
	}
	return files, d.storage.Save(d.state)
}

// runningFile returns where the slot that runs has such a file.
func (d *Device) runningFile(p deviceproto.Part) (path string, found bool) {
	for path, sha256 := range d.state.Files[d.state.Active] {
		if sha256 == p.SHA256 {
			return path, true
		}
	}
	return "", false
}
