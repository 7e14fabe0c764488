package simulator

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/flota/flota/pkg/deviceproto"
)

const (
	maxReports = 8
	agent      = "flota-simulator/1.0"
)

// report says something of a deployment now, or keeps it for the next poll.
func (d *Device) report(ctx context.Context, r deviceproto.Report) error {
	if err := d.keepReport(r); err != nil {
		return err
	}
	return d.sendReports(ctx)
}

// keepReport keeps a report until it is answered: the newest of a deployment
// and state, eight at most.
func (d *Device) keepReport(r deviceproto.Report) error {
	r.Running, r.Version = d.Running().SHA256, d.Running().Version
	r.Chip, r.SlotSize, r.Rollback, r.Agent = "simulated", d.o.SlotSize, d.o.Rollback, agent
	reports := slices.DeleteFunc(d.state.Reports, func(old deviceproto.Report) bool {
		return old.Deployment == r.Deployment && old.State == r.State
	})
	reports = append(reports, r)
	d.state.Reports = reports[max(0, len(reports)-maxReports):]
	return d.storage.Save(d.state)
}

// sendReports sends what is kept, the oldest first, as far as it is taken. Its
// error is the storage's.
func (d *Device) sendReports(ctx context.Context) error {
	for len(d.state.Reports) > 0 {
		body, err := d.state.Reports[0].JSON()
		if err == nil {
			_, err = d.ask(ctx, http.MethodPost, deviceproto.PathReport, "", body)
		}
		if r, refused := errors.AsType[*refusal](err); refused && r.status != http.StatusBadRequest && r.status != http.StatusRequestEntityTooLarge {
			d.say("report %q kept for later: %v", d.state.Reports[0].State, err)
			return nil
		}
		if err != nil {
			d.say("report %q dropped: %v", d.state.Reports[0].State, err)
		}
		d.state.Reports = d.state.Reports[1:]
		if len(d.state.Reports) == 0 {
			d.state.Reports = nil
		}
		if err := d.storage.Save(d.state); err != nil {
			return err
		}
	}
	return nil
}
