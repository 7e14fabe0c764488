package solotest

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/firmware/simulator"
	"github.com/flota/flota/pkg/deviceproto"
)

// Devices are simulated devices that run in this process.
type Devices struct {
	stop  context.CancelFunc
	group *errgroup.Group
}

// RunDevices starts devices. Those with a storage in storages, by product ID, keep
// their slots there; the others in memory.
func RunDevices(ctx context.Context, provisions []deviceproto.Provision, storages map[string]simulator.Storage, o simulator.Options) (*Devices, error) {
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	d := &Devices{stop: stop, group: group}
	for _, p := range provisions {
		storage := storages[p.ProductID]
		if storage == nil {
			storage = &simulator.Memory{}
		}
		device, err := simulator.New(p, storage, o)
		if err != nil {
			return nil, errors.Join(err, d.Stop())
		}
		group.Go(func() error { return device.Run(ctx) })
	}
	return d, nil
}

// Stop stops them, and returns what went wrong with one.
func (d *Devices) Stop() error {
	d.stop()
	return d.group.Wait()
}

// Installed returns the image that a stopped device runs, as bytes, and what it is.
func Installed(disk simulator.Disk) ([]byte, simulator.Image, error) {
	state, err := disk.Load()
	if err != nil {
		return nil, simulator.Image{}, err
	}
	image := state.Slots[state.Active]
	if image.SHA256 == "" {
		return nil, image, errors.New("nothing was installed over the air")
	}
	bytes, err := os.ReadFile(disk.File(state.Active, ""))
	return bytes, image, err
}
