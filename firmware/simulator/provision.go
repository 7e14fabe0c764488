// Package simulator is a device that speaks the device protocol (version 1,
// firmware/README.md) with two slots, and goes wrong when told to: for trying
// the product without hardware, and for fleets of thousands in its tests.
package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flota/flota/pkg/deviceproto"
	"github.com/flota/flota/pkg/fault"
)

// ReadProvisions reads a file with one provision, or a JSON array of them.
func ReadProvisions(path string) ([]deviceproto.Provision, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	texts := []json.RawMessage{raw}
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		if err := json.Unmarshal(raw, &texts); err != nil || len(texts) == 0 {
			return nil, fmt.Errorf("%s is not a provisioning file, or there is no device in it", path)
		}
	}
	all := make([]deviceproto.Provision, len(texts))
	for i, text := range texts {
		if all[i], err = deviceproto.ParseProvision(text); err == nil {
			err = checkFolder(all[i].ProductID)
		}
		if err != nil {
			return nil, fmt.Errorf("%s is not a provisioning file: device %d: %w", path, i+1, err)
		}
	}
	return all, nil
}

// checkFolder refuses a product ID that cannot be the name of a device's folder.
func checkFolder(productID string) error {
	if filepath.Base(productID) != productID || !filepath.IsLocal(productID) || productID == "." {
		return fault.Field("product_id", "cannot be the name of a folder")
	}
	return nil
}
