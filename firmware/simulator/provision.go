// Package simulator is a device that speaks the device protocol (version 1,
// firmware/README.md) with two slots, and goes wrong when told to: for trying
// the product without hardware, and for fleets of thousands in its tests.
package simulator

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/flota/flota/pkg/deviceproto"
)

// Provision is what a device is given once, over the cable: the file that the
// page offers when a device is registered.
type Provision struct {
	Server    string   `json:"server"`
	Workspace string   `json:"workspace"`
	Device    string   `json:"device"`
	ProductID string   `json:"product_id"`
	Key       string   `json:"key"`
	Keys      []string `json:"keys"`
	Board     string   `json:"board"`
	Groups    []string `json:"groups,omitempty"`
}

// ReadProvisions reads a file with one provision, or a JSON array of them.
func ReadProvisions(path string) ([]Provision, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []Provision
	if strings.HasPrefix(strings.TrimSpace(string(raw)), "[") {
		err = json.Unmarshal(raw, &all)
	} else {
		all = make([]Provision, 1)
		err = json.Unmarshal(raw, &all[0])
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a provisioning file: %w", path, err)
	}
	for _, p := range all {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return all, nil
}

func (p Provision) check() error {
	for field, value := range map[string]string{
		"server": p.Server, "workspace": p.Workspace, "device": p.Device, "product_id": p.ProductID, "board": p.Board,
	} {
		if value == "" {
			return fmt.Errorf("%s is missing", field)
		}
	}
	if !deviceproto.ValidKey(p.Key) {
		return fmt.Errorf("key is not a device key")
	}
	if len(p.Keys) < 1 || len(p.Keys) > 2 {
		return fmt.Errorf("keys must be one or two")
	}
	for _, key := range p.Keys {
		if _, err := deviceproto.ParsePublicKey(key); err != nil {
			return fmt.Errorf("keys: %w", err)
		}
	}
	return nil
}
