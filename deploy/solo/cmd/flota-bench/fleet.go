package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flota/flota/deploy/solo/solotest"
	fleetapi "github.com/flota/flota/services/fleet/httpapi"
)

// fleet updates a thousand devices and counts that none is lost.
func fleet(ctx context.Context, b *bench) (err error) {
	const n = 1000
	s, c, err := b.solo(ctx, true)
	if err != nil {
		return err
	}
	defer stop(s)
	project, err := c.CreateProject(ctx, "fleet", "blink")
	if err != nil {
		return err
	}
	if err := c.WaitForBoard(ctx, virtual); err != nil {
		return err
	}
	build, err := c.Build(ctx, project.Id, solotest.BuildWish{FQBN: virtual})
	if err != nil {
		return err
	}
	if build, err = c.WaitBuild(ctx, build.Id); err != nil {
		return err
	}
	products, devices, err := b.devices(ctx, c, n, time.Second)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, devices.Stop()) }()
	// Enrolment travels apart: wait until the last twin is there.
	for _, p := range products {
		if _, err := c.WaitDevice(ctx, p.Product.Device, func(fleetapi.Device) bool { return true }); err != nil {
			return err
		}
	}

	begin := time.Now()
	var telling errgroup.Group
	telling.SetLimit(8)
	for _, p := range products {
		telling.Go(func() error {
			_, err := c.Deploy(ctx, solotest.DeployWish{Device: p.Product.Device, Build: build.Id})
			return err
		})
	}
	if err := telling.Wait(); err != nil {
		return err
	}
	toldAfter := time.Since(begin)
	confirmed := map[string]bool{}
	wait, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for len(confirmed) < n {
		if err := countConfirmed(wait, c, confirmed); err != nil {
			return fmt.Errorf("%d of %d confirmed: %w", len(confirmed), n, err)
		}
	}
	b.results.set("fleet.update1000.s", time.Since(begin).Seconds(), "s", 1,
		fmt.Sprintf("%d of %d confirmed; the calls that told them took %.1f s of it; devices and server share the processors", len(confirmed), n, toldAfter.Seconds()))
	return nil
}

// countConfirmed reads the whole fleet once.
func countConfirmed(ctx context.Context, c *solotest.Client, confirmed map[string]bool) error {
	for after := ""; ; {
		var page fleetapi.ListDevices200JSONResponse
		if err := c.Do(ctx, http.MethodGet, "/api/fleet/v1/devices?limit=500&after="+url.QueryEscape(after), nil, &page); err != nil {
			return err
		}
		for _, d := range page.Devices {
			if d.State == fleetapi.Confirmed {
				confirmed[d.Device] = true
			}
		}
		if page.Next == nil {
			break
		}
		if after = *page.Next; after == "" {
			break
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(200 * time.Millisecond):
		return nil
	}
}
