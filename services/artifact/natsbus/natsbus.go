// Package natsbus connects the artifact service with the bus: the buckets that feed
// its model, the requests that it answers, and what it says of devices.
package natsbus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/pkg/bus"
	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/flow"
	authv1 "github.com/flota/flota/pkg/pb/flota/auth/v1"
	fleetv1 "github.com/flota/flota/pkg/pb/flota/fleet/v1"
	"github.com/flota/flota/pkg/secret"
	"github.com/flota/flota/services/artifact"
)

// Sources is how many buckets feed the model.
const Sources = 3

// Feed keeps the model as the buckets are, until ctx ends. Box opens what auth
// sealed. An outage of the bus leaves the model as it was.
func Feed(ctx context.Context, conn *bus.Conn, model *artifact.Model, box *secret.Box, log *zap.Logger) error {
	f := feed{model, box, log}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return bus.Watch(ctx, conn, flow.Deployments, model.SourceRead, f.deployment) })
	group.Go(func() error { return bus.Watch(ctx, conn, flow.Refs, model.SourceRead, f.ref) })
	group.Go(func() error { return bus.Watch(ctx, conn, flow.DeviceKeys, model.SourceRead, f.deviceKey) })
	return group.Wait()
}

type feed struct {
	model *artifact.Model
	box   *secret.Box
	log   *zap.Logger
}

func (f feed) deviceKey(c bus.Change[*authv1.DeviceKey]) {
	if c.Gone {
		f.model.RemoveDevice(c.Key)
		return
	}
	device, err := f.open(c.Key, c.Value)
	if err != nil {
		// Better nobody than somebody who cannot be known.
		f.model.RemoveDevice(c.Key)
		f.log.Error("a device's key cannot be used", zap.String("device", c.Key), zap.Error(err))
		return
	}
	f.model.SetDevice(device)
}

func (f feed) open(id string, v *authv1.DeviceKey) (*artifact.Device, error) {
	hash, err := f.box.Open(v.GetSealedKeyHash(), []byte(id))
	if err != nil {
		return nil, err
	}
	if len(hash) != 32 || deviceproto.KeyID([32]byte(hash)) != v.GetKeyId() || v.GetDevice() != id {
		return nil, fmt.Errorf("the value does not fit its key")
	}
	d, ok := artifact.NewDevice(id, v.GetWorkspace(), v.GetProductId(), [32]byte(hash))
	if !ok {
		return nil, fmt.Errorf("the ID does not fit a link")
	}
	return d, nil
}

func (f feed) ref(c bus.Change[*fleetv1.DeviceRef]) {
	if c.Gone {
		f.model.RemoveRef(c.Key)
		return
	}
	f.model.SetRef(c.Key, c.Value.GetWorkspace(), c.Value.GetDeployment())
}

func (f feed) deployment(c bus.Change[*fleetv1.Deployment]) {
	workspace, number, ok := deploymentKey(c.Key)
	if !ok {
		f.log.Error("not a deployment's key", zap.String("key", c.Key))
		return
	}
	if c.Gone {
		f.model.RemoveDeployment(workspace, number)
		return
	}
	v := c.Value
	var parts []deviceproto.Part
	for _, p := range v.GetParts() {
		parts = append(parts, deviceproto.Part{
			Kind: p.GetKind(), Path: p.GetPath(), Offset: int64(p.GetOffset()), Size: int64(p.GetSize()), SHA256: p.GetSha256(),
		})
	}
	signed := deviceproto.Signed{Payload: v.GetPayload(), KID: v.GetKid(), Sig: v.GetSignature()}
	d, err := artifact.NewDeployment(workspace, number, signed, parts, time.Duration(v.GetPollS())*time.Second)
	if err != nil {
		f.log.Error("a deployment cannot be served", zap.String("key", c.Key), zap.Error(err))
		return
	}
	f.model.SetDeployment(d)
}

func deploymentKey(key string) (workspace string, number int64, ok bool) {
	workspace, text, ok := strings.Cut(key, ".")
	number, err := strconv.ParseInt(text, 10, 64)
	return workspace, number, ok && err == nil
}
