package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/flota/flota/deploy/solo/solotest"
	"github.com/flota/flota/firmware/simulator"
	"github.com/flota/flota/pkg/deviceproto"
	authapi "github.com/flota/flota/services/auth/httpapi"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

// loop measures what somebody at the editor waits for: save, compile, deploy,
// and a device that runs it.
func loop(ctx context.Context, b *bench) (err error) {
	s, c, err := b.solo(ctx, true)
	if err != nil {
		return err
	}
	defer stop(s)
	products, devices, err := b.devices(ctx, c, 1, time.Second)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, devices.Stop()) }()
	device := products[0].Product.Device
	project, err := c.CreateProject(ctx, "loop", "blink")
	if err != nil {
		return err
	}
	if err := c.WaitForBoard(ctx, virtual); err != nil {
		return err
	}
	var took []float64
	for n := range 11 {
		begin := time.Now()
		deployment, err := saveAndDeploy(ctx, c, project.Id, project.Main, blink(3000+n), device)
		if err != nil {
			return err
		}
		_, err = c.WaitDevice(ctx, device, func(d fleetapi.Device) bool {
			return d.State == fleetapi.Confirmed && d.WantedDeployment != nil && *d.WantedDeployment == deployment
		})
		if err != nil {
			return err
		}
		if n > 0 {
			took = append(took, time.Since(begin).Seconds())
		}
	}
	b.results.set("loop.edit_to_running.s", median(took), "s", len(took), "a changed sketch each time, virtual ESP32; looked at every 50 ms")
	return nil
}

func saveAndDeploy(ctx context.Context, c *solotest.Client, project, file, source, device string) (deployment int64, err error) {
	if _, err := c.PutFile(ctx, project, file, source); err != nil {
		return 0, err
	}
	build, err := c.Build(ctx, project, solotest.BuildWish{FQBN: virtual})
	if err != nil {
		return 0, err
	}
	if build, err = c.WaitBuild(ctx, build.Id); err != nil {
		return 0, err
	}
	d, err := c.Deploy(ctx, solotest.DeployWish{Device: device, Build: build.Id, Version: build.Id[:8]})
	return d.Number, err
}

// devices registers simulated devices and starts them in this process.
func (b *bench) devices(ctx context.Context, c *solotest.Client, n int, poll time.Duration) ([]authapi.NewProduct, *solotest.Devices, error) {
	var products []authapi.NewProduct
	for first := 0; first < n; first += 500 {
		var wish []solotest.NewProduct
		for i := first; i < min(first+500, n); i++ {
			wish = append(wish, solotest.NewProduct{ID: fmt.Sprintf("bot_%05d", i)})
		}
		made, err := c.Register(ctx, wish...)
		if err != nil {
			return nil, nil, err
		}
		products = append(products, made...)
	}
	var provisions []deviceproto.Provision
	for _, p := range products {
		provision, err := c.Provision(ctx, p, virtual)
		if err != nil {
			return nil, nil, err
		}
		provisions = append(provisions, provision)
	}
	transport := &http.Transport{MaxConnsPerHost: 256, MaxIdleConnsPerHost: 256, DisableCompression: true}
	devices, err := solotest.RunDevices(ctx, provisions, nil, simulator.Options{Poll: poll, HTTP: &http.Client{Transport: transport}})
	return products, devices, err
}
