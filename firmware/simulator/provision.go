// Package simulator is a device that speaks the device protocol (version 1,
// firmware/README.md) with two slots, and goes wrong when told to: for trying
// the product without hardware, and for fleets of thousands in its tests.
package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

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
	CA        string   `json:"ca,omitempty"` // PEM, pinned for TLS
}

// ReadProvisions reads a file with one provision, or a JSON array of them.
func ReadProvisions(path string) ([]Provision, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all []Provision
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		err = json.Unmarshal(raw, &all)
	} else {
		all = make([]Provision, 1)
		err = json.Unmarshal(raw, &all[0])
	}
	if err == nil && len(all) == 0 {
		err = errors.New("there is no device in it")
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a provisioning file: %w", path, err)
	}
	for i, p := range all {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%s, device %d: %w", path, i+1, err)
		}
	}
	return all, nil
}

func (p Provision) check() error {
	for _, field := range [][2]string{
		{"workspace", p.Workspace}, {"device", p.Device}, {"product_id", p.ProductID}, {"board", p.Board},
	} {
		if field[1] == "" {
			return fmt.Errorf("%s is missing", field[0])
		}
	}
	server, err := url.Parse(p.Server)
	if err != nil || server.Scheme != "http" && server.Scheme != "https" || server.Host == "" || server.Path != "" {
		return errors.New("server must be an origin, like http://flota.local:8081")
	}
	if filepath.Base(p.ProductID) != p.ProductID || !filepath.IsLocal(p.ProductID) {
		return errors.New("product_id cannot be the name of a folder")
	}
	if !deviceproto.ValidKey(p.Key) {
		return errors.New("key is not a device key")
	}
	if len(p.Keys) < 1 || len(p.Keys) > 2 {
		return errors.New("keys must be one or two")
	}
	for _, key := range p.Keys {
		if _, err := deviceproto.ParsePublicKey(key); err != nil {
			return fmt.Errorf("keys: %w", err)
		}
	}
	return nil
}
